//! The customers: they buy, add money, rename, change prices and look, and write down every answer.

use crate::chance::Chance;
use crate::history::{Line, Op, Outcome, Recorder, Request};
use crate::http::{self, Addresses};
use crate::measure::{End, Kind, Meter};
use crate::people::Subject;
use crate::shown::Token;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Free tokens that all customers chase: few, so that they meet.
const SHELF: usize = 24;
/// Longer than a purchase's own deadline and the waits around it.
const PATIENCE: Duration = Duration::from_secs(6);

/// What all customers share.
pub struct Crowd {
    /// Where the market is.
    pub market: Addresses,
    /// What they write down.
    pub recorder: Arc<Recorder>,
    /// What they measure.
    pub meter: Arc<Meter>,
    /// Ids of the users.
    pub usuarios: Vec<u64>,
    free: Mutex<BTreeMap<u64, u64>>,
    stop: AtomicBool,
}

impl Crowd {
    /// In front of these tokens.
    pub fn new(
        market: Addresses,
        recorder: Arc<Recorder>,
        meter: Arc<Meter>,
        usuarios: Vec<u64>,
        tokens: &[Token],
    ) -> Self {
        let free = Mutex::new(tokens.iter().map(|t| (t.id, t.precio)).collect());
        Self { market, recorder, meter, usuarios, free, stop: AtomicBool::new(false) }
    }

    /// Starts so many customers.
    ///
    /// # Errors
    /// Where a client cannot be made.
    pub fn start(self: &Arc<Self>, n: u64, seed: u64) -> Result<JoinSet<Result<(), String>>, String> {
        let mut all = JoinSet::new();
        for customer in 1..=n {
            let http = http::client(customer % 2 == 0)?;
            let chance = Chance::new(seed, customer);
            let customer =
                Customer { id: customer, http, chance, crowd: Arc::clone(self), claves: 0, mine: Vec::new() };
            all.spawn(customer.run());
        }
        Ok(all)
    }

    /// They end what they are doing.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, u64>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Customer {
    id: u64,
    http: reqwest::Client,
    chance: Chance,
    crowd: Arc<Crowd>,
    claves: u64,
    mine: Vec<u64>,
}

impl Customer {
    async fn run(mut self) -> Result<(), String> {
        while !self.crowd.stopped() {
            let pause = self.chance.millis(0..=60);
            tokio::time::sleep(pause).await;
            let few = self.crowd.shelf().len() < SHELF;
            match self.chance.between(1..=100) {
                _ if few && self.chance.percent(70) => self.stock().await?,
                1..=10 if self.crowd.market.people.is_some() => self.meddle().await?,
                1..=50 => self.buy().await?,
                51..=60 => self.buy_without_key().await?,
                61..=74 => self.pay_in().await?,
                75..=77 => self.rename().await?,
                78..=83 => self.reprice().await?,
                84..=95 => self.look().await?,
                _ => {
                    let usuario = self.usuario();
                    // somebody else may be about to buy with the session
                    if let Some(people) = &self.crowd.market.people {
                        people.log_out(usuario).await;
                    }
                    self.ask(Op::ShowUsuario { usuario }, None, PATIENCE).await?;
                }
            }
        }
        Ok(())
    }

    async fn ask(&self, op: Op, clave: Option<&str>, patience: Duration) -> Result<Request, String> {
        self.ask_as(Subject::of(&op), op, clave, patience).await
    }

    async fn ask_as(
        &self,
        subject: Subject,
        op: Op,
        clave: Option<&str>,
        patience: Duration,
    ) -> Result<Request, String> {
        let recorder = &self.crowd.recorder;
        let (began, desde) = (Instant::now(), recorder.now());
        let answer = http::ask_as(subject, &self.http, &self.crowd.market, &op, clave, patience).await;
        let hasta = recorder.now();
        let kind = match op {
            Op::Buy { .. } => Kind::Buy,
            Op::ShowToken { .. } | Op::ShowUsuario { .. } | Op::ListTokens => Kind::Read,
            Op::Credit { .. } | Op::Rename { .. } | Op::ChangePrecio { .. } | Op::CreateToken { .. } => {
                Kind::Other
            }
        };
        let (meter, end) = (&self.crowd.meter, End::of(&answer));
        if matches!(end, End::Failed | End::Silent) {
            meter.failure(kind, &answer.reason());
        }
        meter.sample(began, kind, end, answer.pod.as_deref());
        let (sujeto, clave) = self.crowd.market.signed(subject, clave);
        let (cliente, estado) = (self.id, answer.status);
        let request = Request {
            cliente,
            op,
            sujeto,
            clave,
            desde,
            hasta,
            estado,
            cuerpo: answer.body,
            pod: answer.pod,
        };
        recorder.write(&Line::Request(request.clone()))?;
        Ok(request)
    }

    fn usuario(&mut self) -> u64 {
        self.chance.pick(&self.crowd.usuarios).copied().unwrap_or(1)
    }

    fn token(&mut self) -> (u64, u64) {
        let free: Vec<_> = self.crowd.shelf().iter().take(SHELF).map(|(id, p)| (*id, *p)).collect();
        self.chance.pick(&free).copied().unwrap_or((1, 1))
    }

    fn clave(&mut self, of: &str) -> String {
        self.claves += 1;
        format!("{of}-{}-{}", self.id, self.claves)
    }

    /// Mostly as long as it takes; sometimes a customer hangs up.
    fn patience(&mut self) -> Duration {
        if self.chance.percent(12) { self.chance.millis(2..=400) } else { PATIENCE }
    }

    fn compra(&mut self) -> Op {
        let usuario = self.usuario();
        let (token, seen) = self.token();
        // the last one may have been a while ago: some have changed meanwhile
        let precio = self.chance.percent(50).then_some(seen);
        Op::Buy { usuario, token, precio }
    }

    /// Repeats with one key until there is an answer for good.
    async fn insist(&mut self, op: &Op, clave: &str) -> Result<Request, String> {
        let mut holds = 0;
        loop {
            let patience = self.patience();
            let p = self.ask(op.clone(), Some(clave), patience).await?;
            holds += 1;
            let tired = self.chance.percent(4) || holds > 40 || (self.crowd.stopped() && holds > 3);
            if p.outcome() != Outcome::Open || tired {
                return Ok(p);
            }
            let pause = self.chance.millis(20..=500);
            tokio::time::sleep(pause).await;
        }
    }

    async fn buy(&mut self) -> Result<(), String> {
        let (op, clave) = (self.compra(), self.clave("compra"));
        let first = if self.chance.percent(10) {
            // one key, twice at once
            let (a, b) = tokio::join!(
                self.ask(op.clone(), Some(&clave), PATIENCE),
                self.ask(op.clone(), Some(&clave), PATIENCE)
            );
            let (a, b) = (a?, b?);
            if a.outcome() == Outcome::Open || b.outcome() == Outcome::Open {
                self.insist(&op, &clave).await?
            } else {
                a
            }
        } else {
            self.insist(&op, &clave).await?
        };
        self.noticed(&first);
        let again = match first.outcome() {
            Outcome::Done => 20,
            Outcome::Refused => 10,
            Outcome::Open => 0,
        };
        if self.chance.percent(again) {
            let second = self.insist(&op, &clave).await?;
            self.noticed(&second);
        }
        Ok(())
    }

    /// Somebody else sends the key of a purchase, at once with it: for one of their own, which is another purchase, or for this
    /// very one, which is not theirs to make.
    async fn meddle(&mut self) -> Result<(), String> {
        let (op, clave, other) = (self.compra(), self.clave("compra"), self.usuario());
        let theirs = match (self.compra(), self.chance.percent(50)) {
            (Op::Buy { token, precio, .. }, true) => Op::Buy { usuario: other, token, precio },
            _ => op.clone(),
        };
        if Subject::of(&op) == Subject::Buyer(other) {
            return Ok(());
        }
        let (a, b) = tokio::join!(
            self.ask(op.clone(), Some(&clave), PATIENCE),
            self.ask_as(Subject::Buyer(other), theirs, Some(&clave), PATIENCE)
        );
        for request in [a?, b?] {
            self.noticed(&request);
        }
        let mine = self.insist(&op, &clave).await?;
        self.noticed(&mine);
        Ok(())
    }

    async fn buy_without_key(&mut self) -> Result<(), String> {
        let (op, patience) = (self.compra(), self.patience());
        let p = self.ask(op, None, patience).await?;
        self.noticed(&p);
        Ok(())
    }

    fn noticed(&mut self, p: &Request) {
        let Op::Buy { token, .. } = p.op else { return };
        match p.outcome() {
            Outcome::Done => {
                self.crowd.shelf().remove(&token);
                self.mine.push(token);
            }
            // held or sold; some go on trying
            Outcome::Refused if self.chance.percent(30) => {
                self.crowd.shelf().remove(&token);
            }
            Outcome::Refused | Outcome::Open => {}
        }
    }

    async fn pay_in(&mut self) -> Result<(), String> {
        let (usuario, clave) = (self.usuario(), self.clave("abono"));
        let op = Op::Credit { usuario, monto: self.chance.between(1..=150) };
        let p = self.insist(&op, &clave).await?;
        if p.outcome() == Outcome::Done && self.chance.percent(10) {
            self.insist(&op, &clave).await?;
        }
        Ok(())
    }

    async fn rename(&mut self) -> Result<(), String> {
        let (usuario, nombre) = (self.usuario(), self.clave("Nombre"));
        let patience = self.patience();
        self.ask(Op::Rename { usuario, nombre }, None, patience).await?;
        Ok(())
    }

    async fn reprice(&mut self) -> Result<(), String> {
        let (token, _) = self.token();
        let (precio, patience) = (self.chance.between(1..=60), self.patience());
        let p = self.ask(Op::ChangePrecio { token, precio }, None, patience).await?;
        // most notice; the others go on with the price that they saw
        if p.outcome() == Outcome::Done && self.chance.percent(70) {
            self.crowd.shelf().entry(token).and_modify(|p| *p = precio);
        }
        Ok(())
    }

    async fn stock(&mut self) -> Result<(), String> {
        let (nombre, precio) = (self.clave("Ficha"), self.chance.between(1..=60));
        let p = self.ask(Op::CreateToken { nombre, precio }, None, PATIENCE).await?;
        if let (Outcome::Done, Some(id)) = (p.outcome(), p.number("id")) {
            self.crowd.shelf().insert(id, precio);
        }
        Ok(())
    }

    /// At what it bought last, or at what is there.
    async fn look(&mut self) -> Result<(), String> {
        let last = self.mine.len().saturating_sub(6);
        let mine = self.mine.get(last..).unwrap_or_default();
        let token = match self.chance.pick(mine) {
            Some(token) if self.chance.percent(70) => *token,
            _ => self.token().0,
        };
        let p = self.ask(Op::ShowToken { token }, None, PATIENCE).await?;
        if p.cuerpo.get("vendido").and_then(|v| v.as_bool()) == Some(true) {
            self.crowd.shelf().remove(&token);
        }
        Ok(())
    }
}
