//! The class's own customers, and the report that holds the market against every answer they had.

use super::place::Place;
use super::{Class, order};
use crate::checker::{self, Verdict};
use crate::experiment::opening;
use crate::history::{History, Line};
use crate::http::{self, Addresses};
use crate::load::{Load, Plan};
use crate::people::People;
use crate::report::{Outcomes, Report, Run, Story};
use crate::shown::Final;
use crate::site::Site;
use crate::{reading, t};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Purchases that the customers' tokens are enough for, at least.
const STOCK: f64 = 400.0;
/// Customers who are still at it when a report is asked for.
const LAST_CUSTOMERS: Duration = Duration::from_secs(40);
/// How long a market may be silent when a report is asked for; one that is silent for longer cannot be read.
const ALIVE: Duration = Duration::from_secs(8);
/// What is pending when a report is asked for.
const SETTLING: Duration = Duration::from_secs(20);

/// Those who buy, what they buy, and where.
pub(super) struct Customers {
    pub(super) load: Arc<Load>,
    opened: opening::Opened,
    market: Addresses,
}

fn reporting() -> String {
    t!(
        "se saca un informe: los clientes esperan hasta que esté",
        "a report is being taken: customers wait until it is there"
    )
}

impl Class {
    /// The market; where people log in, with the office at work there.
    pub(super) async fn market(&self) -> Result<Addresses, String> {
        let url = self.market.get();
        let url = url.ok_or_else(|| t!("el mercado aún no está listo", "the market is not ready yet"))?;
        let mut market = Addresses::one(url);
        if let Place::Cluster { api_key: Some(key), .. } = &self.options.place {
            market.people = Some(Arc::new(People::by_key(&market.usuarios, key.clone()).await?));
        }
        Ok(market)
    }

    pub(super) fn customers(&self) -> Option<Arc<Customers>> {
        self.customers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nobody buys any more, and no account of a customer is left.
    pub(super) async fn dismiss(&self) {
        // an experiment hears of the end by itself, and takes its own market with it
        drop(self.experimenting.lock().await);
        if let Some(customers) = self.customers() {
            customers.load.stop();
        }
        let guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(people) = guests {
            people.close().await;
        }
    }

    /// Customers of the classroom's own, who come from now on as often as that.
    pub(super) async fn set_load(&self, reads: f64, purchases: f64) -> Result<(), String> {
        let rates = order::rates(reads, purchases)?;
        let _hiring = self.hiring.lock().await;
        if self.paused.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Err(reporting());
        }
        if self.rates() == rates {
            return Err(t!("la carga ya es esa", "that is the load already"));
        }
        if let Some(customers) = self.customers() {
            customers.load.set_rates(rates);
            return Ok(());
        }
        // keys and accounts that no earlier class had there
        let prefix = format!("aula-{}-{}", self.options.seed, chrono::Utc::now().timestamp_millis());
        let market = self.market().await?;
        let wanted = opening::wanted(STOCK, self.options.seed);
        let opened = opening::create(&http::client(false)?, &market, wanted).await?;
        if let Some(people) = &market.people {
            // those of an earlier try, which failed
            let before =
                self.guests.lock().unwrap_or_else(PoisonError::into_inner).replace(Arc::clone(people));
            if let Some(before) = before {
                before.close().await;
            }
            people.open(&opened.usuarios, &prefix).await?;
        }
        let (usuarios, tokens) = (opened.usuarios.clone(), opened.tokens.clone());
        self.recorder.write(&Line::Opening { usuarios: usuarios.clone(), tokens: tokens.clone() })?;
        let plan = Plan {
            reads: rates[0],
            purchases: rates[1],
            seed: self.options.seed,
            usuarios: usuarios
                .iter()
                .take(usuarios.len().saturating_sub(opening::OWN))
                .map(|u| u.id)
                .collect(),
            tokens,
        };
        let load =
            Load::new(market.clone(), Arc::clone(&self.recorder), Arc::clone(&self.meter), plan, prefix)?;
        tokio::spawn(Arc::clone(&load).run());
        *self.customers.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Arc::new(Customers { load, opened, market }));
        Ok(())
    }

    /// Arrivals a second: reads, purchases.
    pub(super) fn rates(&self) -> [f64; 2] {
        self.customers().map_or([0.0; 2], |customers| customers.load.rates())
    }

    /// Holds the market against every answer of its own customers so far. They wait meanwhile: what they buy while it is read
    /// would not be in what was read.
    pub(super) async fn report(&self) -> Result<(), String> {
        let rates = self.pause().await?;
        let done = self.look().await;
        if let Some(customers) = self.customers() {
            customers.load.set_rates(rates);
        }
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = None;
        done
    }

    /// No customer comes until the report is there; how often they came.
    async fn pause(&self) -> Result<[f64; 2], String> {
        let _hiring = self.hiring.lock().await;
        let rates = self.rates();
        {
            let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
            if paused.is_some() {
                return Err(reporting());
            }
            *paused = Some(rates);
        }
        if rates != [0.0; 2] {
            let what =
                t!("clientes en espera: se saca un informe", "customers wait: a report is being taken");
            self.did(self.meter.now(), what, None, false);
        }
        Ok(rates)
    }

    async fn look(&self) -> Result<(), String> {
        let client = http::client(false)?;
        let customers = self.customers();
        if let Some(customers) = &customers {
            customers.load.set_rates([0.0; 2]);
        }
        let market = match &customers {
            Some(customers) => customers.market.clone(),
            None => self.market().await?,
        };
        let mut verdict = Verdict::default();
        let end = self.read(&client, &market, customers.as_deref(), &mut verdict).await;
        self.judge(verdict, end.as_ref().map_err(String::as_str))
    }

    /// The market after its last customers, or why it cannot be read. Nobody waits for the customers of a market that is dead.
    async fn read(
        &self,
        client: &reqwest::Client,
        market: &Addresses,
        customers: Option<&Customers>,
        verdict: &mut Verdict,
    ) -> Result<Final, String> {
        reading::up(client, market, ALIVE).await?;
        let deadline = Instant::now() + LAST_CUSTOMERS;
        while customers.is_some_and(|c| c.load.busy() > 0) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let settled = reading::settled(client, market, SETTLING).await;
        let opened = customers.map(|c| (c.opened.usuarios.as_slice(), c.opened.tokens.as_slice()));
        let (usuarios, tokens) = opened.unwrap_or_default();
        let end = reading::own(client, market, usuarios, tokens).await?;
        // what is pending in a market of others may be theirs
        if let (Err(e), Site::Local(_)) = (settled, self.site()?) {
            verdict.add("audit", e);
        }
        Ok(end)
    }

    fn judge(&self, mut verdict: Verdict, end: Result<&Final, &str>) -> Result<(), String> {
        self.recorder.flush()?;
        let history = History::load(&self.options.dir.join("historia.jsonl"))?;
        verdict.extend(checker::check(&history, end.ok()));
        self.broken_still();
        let measured = self.meter.measured();
        let run = Run {
            experiment: "aula",
            title: [t!("Clase", "Class"), t!("¿Qué pasó en esta clase?", "What happened in this class?")],
            naive: false,
            place: match self.site()? {
                Site::Local(_) => t!("esta máquina", "this machine"),
                Site::Cluster(cluster) => cluster.place(),
            },
            seed: self.options.seed,
            command: self.options.place.command(),
            began: self.began.clone(),
            interrupted: false,
        };
        let of = Outcomes { history: &history, end, verdict: &verdict, measured: &measured };
        let report = Report::new(&run, &of, Story::default());
        let name = format!("aula-{}.html", self.start.elapsed().as_secs());
        report.write(&measured, &self.reports().join(&name))?;
        self.reported(&name, report.right(), &report.veredicto);
        Ok(())
    }
}
