//! The class's own customers, and the report that holds the market against every answer they had.

use super::place::Place;
use super::{Class, order};
use crate::checker::{self, Verdict};
use crate::experiment::opening;
use crate::history::{Final, History, Line};
use crate::http::{self, Addresses};
use crate::load::{Load, Plan};
use crate::people::People;
use crate::report::{Outcomes, Report, Run, Story};
use crate::site::Site;
use crate::{reading, t};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Purchases that the customers' tokens are enough for, at least.
const STOCK: f64 = 400.0;
/// Customers who are still at it when a report is asked for.
const LAST_CUSTOMERS: Duration = Duration::from_secs(40);
/// What is pending when a report is asked for.
const SETTLING: Duration = Duration::from_secs(20);

/// Those who buy, what they buy, and where.
pub(super) struct Customers {
    pub(super) load: Arc<Load>,
    opened: opening::Opened,
    market: Addresses,
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
        let rates = [reads.clamp(0.0, order::MOST_RATE), purchases.clamp(0.0, order::MOST_RATE)];
        let _hiring = self.hiring.lock().await;
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

    /// Holds the market against every answer of its own customers so far. They wait meanwhile.
    pub(super) async fn report(&self) -> Result<(), String> {
        let client = http::client(false)?;
        let customers = self.customers();
        let market = match &customers {
            Some(customers) => customers.market.clone(),
            None => self.market().await?,
        };
        let load = customers.as_ref().map(|customers| &customers.load);
        let rates = load.map(|load| load.rates());
        if let Some(load) = load {
            load.set_rates([0.0; 2]);
            let deadline = Instant::now() + LAST_CUSTOMERS;
            while load.busy() > 0 && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let done = self.judge(&client, &market).await;
        if let (Some(load), Some(rates)) = (load, rates) {
            load.set_rates(rates);
        }
        done
    }

    async fn judge(&self, client: &reqwest::Client, market: &Addresses) -> Result<(), String> {
        let mut verdict = Verdict::default();
        match (reading::settled(client, market, SETTLING).await, self.site()?) {
            (Err(e), Site::Local(_)) => verdict.add("audit", e),
            // what is pending in a market of others may be theirs
            (Err(_), Site::Cluster(_)) | (Ok(_), _) => {}
        }
        let opened = self.customers().map(|c| (c.opened.usuarios.clone(), c.opened.tokens.clone()));
        let (usuarios, tokens) = opened.unwrap_or_default();
        let end = match reading::own(client, market, &usuarios, &tokens).await {
            Ok(end) => end,
            Err(e) => {
                verdict
                    .add("audit", t!("no se puede leer el mercado: {e}", "the market cannot be read: {e}"));
                Final::default()
            }
        };
        self.recorder.flush()?;
        let history = History::load(&self.options.dir.join("historia.jsonl"))?;
        let checked = checker::check(&history, &end);
        verdict.findings.extend(checked.findings);
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
            began: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            interrupted: false,
        };
        let of = Outcomes { history: &history, end: &end, verdict: &verdict, measured: &measured };
        let report = Report::new(&run, &of, Story::default());
        let name = format!("aula-{}.html", self.start.elapsed().as_secs());
        report.write(&measured, &self.reports().join(&name))?;
        self.reported(&name, report.correcto, &report.veredicto);
        Ok(())
    }
}
