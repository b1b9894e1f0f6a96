//! Customers at a fixed rate of arrivals, whatever the market's answers take: a market that stalls is met by as many as
//! one that does not, and a time counts from when its customer should have been served.

use crate::chance::Chance;
use crate::history::{Line, Op, Outcome, Recorder, Request};
use crate::http::{self, Addresses, Answer};
use crate::measure::{End, Kind, Meter};
use crate::people::Subject;
use crate::shown::Token;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Longer than a gateway goes on looking for a process that answers.
const PATIENCE: Duration = Duration::from_secs(12);
/// How long a customer repeats one key before the key counts as one that does not end.
const INSISTENCE: Duration = Duration::from_secs(30);
/// How long customers still wait for their turn after the end. Under overload there are more of them than could be served in
/// the time of the run; those who then have no turn were not answered.
pub const TAIL: Duration = Duration::from_secs(5);
/// Requests under way at once; beyond them customers wait, and their waiting counts.
const AT_ONCE: usize = 1000;
/// Of a hundred purchases: those that two customers make at once for one token.
const RACES: u64 = 6;
/// Of a hundred purchases: those that are sent again, under their key, after they were bought.
const REPEATED: u64 = 5;
/// Of a hundred reads: those whose answer is held against what is known.
const JUDGED: u64 = 20;

/// Below it are customers of other kinds.
const FIRST: u64 = 1_000_000;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Reads a second.
    pub reads: f64,
    /// Purchases a second.
    pub purchases: f64,
    /// Of what each customer asks for.
    pub seed: u64,
    /// Who buys.
    pub usuarios: Vec<u64>,
    /// What they buy, one after another.
    pub tokens: Vec<Token>,
}

/// The customers.
pub struct Load {
    market: Addresses,
    client: reqwest::Client,
    recorder: Arc<Recorder>,
    meter: Arc<Meter>,
    plan: Plan,
    /// What no other run has called its keys.
    prefix: String,
    next: AtomicUsize,
    customers: AtomicU64,
    stop: AtomicBool,
    rates: Mutex<[f64; 2]>,
    busy: AtomicUsize,
    places: Semaphore,
    endless: Mutex<Vec<String>>,
    broken: Mutex<Option<String>>,
}

impl Load {
    /// Who will do this.
    ///
    /// # Errors
    /// Where a client cannot be made.
    pub fn new(
        market: Addresses,
        recorder: Arc<Recorder>,
        meter: Arc<Meter>,
        plan: Plan,
        prefix: String,
    ) -> Result<Arc<Self>, String> {
        Ok(Arc::new(Self {
            market,
            client: http::pooled()?,
            recorder,
            meter,
            rates: Mutex::new([plan.reads, plan.purchases]),
            busy: AtomicUsize::new(0),
            plan,
            prefix,
            next: AtomicUsize::new(0),
            customers: AtomicU64::new(FIRST),
            stop: AtomicBool::new(false),
            places: Semaphore::new(AT_ONCE),
            endless: Mutex::default(),
            broken: Mutex::default(),
        }))
    }

    /// They come until [`Load::stop`]; it returns when the last one has gone, who waits at most [`TAIL`] for a turn.
    ///
    /// # Errors
    /// Where the history cannot be written.
    pub async fn run(self: Arc<Self>) -> Result<(), String> {
        let mut under_way = JoinSet::new();
        let (mut due, mut last) = ([0.0; 2], Instant::now());
        while !self.stop.load(Ordering::Relaxed) {
            let (now, rates) = (Instant::now(), self.rates());
            let passed = now.duration_since(last).as_secs_f64();
            last = now;
            for (which, (due, rate)) in due.iter_mut().zip(rates).enumerate() {
                *due += passed * rate;
                while *due >= 1.0 {
                    // so long ago the next one was to come
                    let late = Duration::from_secs_f64((*due - 1.0) / rate.max(0.001));
                    let intended = now.checked_sub(late).unwrap_or(now);
                    *due -= 1.0;
                    let customer = Arc::clone(&self);
                    self.busy.fetch_add(1, Ordering::Relaxed);
                    under_way.spawn(async move {
                        match which {
                            0 => customer.read(intended).await,
                            _ => customer.buy(intended).await,
                        }
                        customer.busy.fetch_sub(1, Ordering::Relaxed);
                    });
                }
            }
            while under_way.try_join_next().is_some() {}
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let all = async { while under_way.join_next().await.is_some() {} };
        if tokio::time::timeout(TAIL, all).await.is_err() {
            self.places.close();
            while under_way.join_next().await.is_some() {}
        }
        match self.broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(e) => Err(e),
            None => Ok(()),
        }
    }

    /// Arrivals a second: reads, purchases.
    pub fn rates(&self) -> [f64; 2] {
        *self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on.
    pub fn set_rates(&self, rates: [f64; 2]) {
        *self.rates.lock().unwrap_or_else(PoisonError::into_inner) = rates;
    }

    /// Customers who are not done yet.
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    /// No more arrivals; those who are here end what they are doing.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Keys that had no answer for good when their customers gave up.
    pub fn endless(&self) -> Vec<String> {
        self.endless.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn chance(&self) -> (u64, Chance) {
        let customer = self.customers.fetch_add(1, Ordering::Relaxed) + 1;
        (customer, Chance::new(self.plan.seed, customer))
    }

    async fn read(&self, intended: Instant) {
        let (customer, mut chance) = self.chance();
        let Ok(_place) = self.places.acquire().await else {
            self.meter.sample(intended, Kind::Read, End::Left, None);
            return;
        };
        let token = self.recent(&mut chance);
        let usuario = chance.pick(&self.plan.usuarios).copied().unwrap_or(1);
        let which = chance.between(1..=100);
        let op = match which {
            16..=JUDGED => Op::ShowUsuario { usuario },
            61.. => Op::ListTokens,
            _ => Op::ShowToken { token },
        };
        let (request, answer) = self.send(&self.market, customer, op, None).await;
        // of what is not judged only what is bad in itself is kept: it would be most of a history
        if which <= JUDGED || request.is_bad() {
            self.note(request);
        }
        let end = End::of(&answer);
        if matches!(end, End::Failed | End::Silent) {
            self.meter.failure(Kind::Read, &answer.reason());
        }
        self.meter.sample(intended, Kind::Read, end, answer.pod.as_deref());
    }

    /// One that was put up for sale lately.
    fn recent(&self, chance: &mut Chance) -> u64 {
        let newest = self.next.load(Ordering::Relaxed).min(self.plan.tokens.len().saturating_sub(1));
        let which =
            usize::try_from(chance.between(newest.saturating_sub(10) as u64..=newest as u64)).unwrap_or(0);
        self.plan.tokens.get(which).map_or(1, |t| t.id)
    }

    async fn buy(&self, intended: Instant) {
        let (customer, mut chance) = self.chance();
        let Ok(_place) = self.places.acquire().await else {
            self.meter.sample(intended, Kind::Buy, End::Left, None);
            return;
        };
        let usuario = chance.pick(&self.plan.usuarios).copied().unwrap_or(1);
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(token) = self.plan.tokens.get(next % self.plan.tokens.len().max(1)) else { return };
        let op = Op::Buy { usuario, token: token.id, precio: chance.percent(50).then_some(token.precio) };
        let clave = format!("{}-{}", self.prefix, customer - FIRST);
        if chance.percent(RACES) {
            let rival = format!("{clave}-rival");
            let other = chance.pick(&self.plan.usuarios).copied().unwrap_or(1);
            let theirs = Op::Buy { usuario: other, token: token.id, precio: None };
            let (mine, others) =
                tokio::join!(self.insist(customer, &op, &clave), self.insist(customer, &theirs, &rival));
            for answer in [mine, others] {
                self.meter.sample(intended, Kind::Buy, End::of(&answer), answer.pod.as_deref());
            }
            return;
        }
        let answer = self.insist(customer, &op, &clave).await;
        self.meter.sample(intended, Kind::Buy, End::of(&answer), answer.pod.as_deref());
        if End::of(&answer) == End::Done && chance.percent(REPEATED) {
            self.insist(customer, &op, &clave).await;
        }
    }

    /// Repeats with one key until there is an answer for good.
    pub async fn insist(&self, customer: u64, op: &Op, clave: &str) -> Answer {
        let mut chance = Chance::new(self.plan.seed, customer ^ u64::MAX);
        let until = Instant::now() + INSISTENCE;
        loop {
            let (outcome, answer) = self.ask(&self.market, customer, op.clone(), Some(clave)).await;
            if outcome != Outcome::Open {
                return answer;
            }
            self.meter.failure(Kind::Buy, &answer.reason());
            if Instant::now() > until {
                self.endless.lock().unwrap_or_else(PoisonError::into_inner).push(clave.to_owned());
                return answer;
            }
            tokio::time::sleep(chance.millis(50..=400)).await;
        }
    }

    /// The same market at this address.
    pub fn at(&self, url: &str) -> Addresses {
        Addresses { people: self.market.people.clone(), ..Addresses::one(url) }
    }

    /// What a reading shows; nothing where it does not succeed.
    pub async fn look(&self, customer: u64, op: Op) -> Option<serde_json::Value> {
        let (outcome, answer) = self.ask(&self.market, customer, op, None).await;
        (outcome == Outcome::Done).then_some(answer.body)
    }

    /// Sends it once, and writes down what came.
    pub async fn ask(&self, to: &Addresses, customer: u64, op: Op, clave: Option<&str>) -> (Outcome, Answer) {
        let (request, answer) = self.send(to, customer, op, clave).await;
        let outcome = request.outcome();
        self.note(request);
        (outcome, answer)
    }

    async fn send(&self, to: &Addresses, customer: u64, op: Op, clave: Option<&str>) -> (Request, Answer) {
        let desde = self.recorder.now();
        let answer = http::ask(&self.client, to, &op, clave, PATIENCE).await;
        let hasta = self.recorder.now();
        let (sujeto, clave) = to.signed(Subject::of(&op), clave);
        let request = Request {
            cliente: customer,
            op,
            sujeto,
            clave,
            desde,
            hasta,
            estado: answer.status,
            cuerpo: answer.body.clone(),
            pod: answer.pod.clone(),
        };
        (request, answer)
    }

    fn note(&self, request: Request) {
        if let Err(e) = self.recorder.write(&Line::Request(request)) {
            // a history with holes proves nothing
            *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
            self.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker;
    use crate::history::History;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Answers everything so; its address.
    async fn market(answer: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn every_read_that_is_a_500_or_unreadable_breaks_the_rule() {
        for (answer, bad) in [
            ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<html>hola", 50),
            ("HTTP/1.1 500 No\r\nconnection: close\r\n\r\n{}", 50),
            ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[]", 0),
        ] {
            let dir = tempfile::TempDir::new().unwrap();
            let file = dir.path().join("historia.jsonl");
            let recorder = Arc::new(Recorder::create(&file).unwrap());
            recorder.begin();
            let meter = Arc::new(Meter::since(recorder.start()));
            let plan = Plan { reads: 1.0, purchases: 0.0, seed: 7, usuarios: vec![1], tokens: Vec::new() };
            let to = Addresses::one(&market(answer).await);
            let load = Load::new(to, Arc::clone(&recorder), Arc::clone(&meter), plan, String::new()).unwrap();
            for _ in 0..50 {
                load.read(Instant::now()).await;
            }
            recorder.flush().unwrap();
            let verdict = checker::check(&History::load(&file).unwrap(), None);
            assert_eq!(verdict.by_rule().get("error").copied().unwrap_or(0), bad, "{answer}");
            let failed = meter.measured().count(Kind::Read, |end| end == End::Failed);
            assert_eq!(failed, bad as u64, "{answer}");
        }
    }
}
