//! Customers who buy while an attack goes on, and what they were promised.

use super::raw;
use crate::t;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Customers at once.
const CUSTOMERS: u64 = 4;
/// The shortest time from one purchase of a customer to the next.
const PACE: Duration = Duration::from_millis(10);
/// So many purchases of all customers at most.
pub const MOST_A_SECOND: u64 = CUSTOMERS * 1000 / 10;
/// How long a customer waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A purchase that was acknowledged: usuario and token.
type Promise = (u64, u64);

/// All customers of a run.
pub struct Customers {
    to: SocketAddr,
    tokens: Range<u64>,
    next: AtomicU64,
    /// Purchases that were asked for and came to an end, whatever it was.
    ended: AtomicU64,
    /// By the transaction's id.
    promised: Mutex<BTreeMap<u64, Promise>>,
}

/// Customers at work.
pub struct Shopping {
    customers: Arc<Customers>,
    before: usize,
    /// Purchases that had come to an end before they came.
    ended: u64,
    since: Instant,
    at_work: Vec<JoinHandle<()>>,
}

impl Customers {
    /// They buy these tokens there.
    pub fn new(to: SocketAddr, tokens: Range<u64>) -> Self {
        let (next, ended) = (AtomicU64::new(tokens.start), AtomicU64::new(0));
        Self { to, next, ended, tokens, promised: Mutex::default() }
    }

    /// They buy from now on.
    pub fn shop(self: &Arc<Self>) -> Shopping {
        let (before, ended) = (self.promises(), self.ended.load(Ordering::Relaxed));
        let at_work = (1..=CUSTOMERS).map(|n| tokio::spawn(buy(Arc::clone(self), n))).collect();
        Shopping { before, ended, customers: Arc::clone(self), since: Instant::now(), at_work }
    }

    /// Purchases that were acknowledged.
    pub fn promises(&self) -> usize {
        self.promised.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A token that nobody has tried to buy.
    pub fn fresh_token(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// One purchase by hand: what was answered.
    pub async fn buy_one(&self, usuario: u64, patience: Duration) -> Result<(), String> {
        let token = self.fresh_token();
        let body = json!({"usuarioId": usuario, "tokenId": token}).to_string();
        let bytes = raw::json("POST", "/transacciones", &[("Connection", "close")], body.as_bytes());
        match tokio::time::timeout(patience, raw::exchange(self.to, &bytes)).await {
            Ok(Ok(reply)) if reply.status == 201 => self.promise(&reply, usuario, token),
            Ok(Ok(reply)) => Err(format!("{} {}", reply.status, reply.code())),
            Ok(Err(e)) => Err(e.to_string()),
            Err(_) => Err(t!("sin respuesta en {} s", "no answer within {} s", patience.as_secs())),
        }
    }

    fn promise(&self, reply: &raw::Reply, usuario: u64, token: u64) -> Result<(), String> {
        let json: Value = serde_json::from_slice(&reply.body).map_err(|e| e.to_string())?;
        let id = json["id"].as_u64().ok_or("201, id?")?;
        let other = self.promised.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (usuario, token));
        match other {
            None => Ok(()),
            Some(_) => Err(t!("la compra {} se prometió dos veces", "purchase {} was promised twice", id)),
        }
    }

    /// Holds what was promised against what the market has now: what is missing or different.
    ///
    /// # Errors
    /// Where the market cannot be read.
    pub async fn missing(&self) -> Result<Vec<String>, String> {
        let (mut have, mut after) = (BTreeMap::new(), String::new());
        loop {
            let path = format!("/transacciones?limite=1000{after}");
            let reply = raw::get(self.to, &path).await.map_err(|e| format!("{path}: {e}"))?;
            let rows: Vec<Value> =
                serde_json::from_slice(&reply.body).map_err(|e| format!("{path}: {}, {e}", reply.status))?;
            let number = |row: &Value, name: &str| row[name].as_u64().unwrap_or_default();
            have.extend(
                rows.iter().map(|r| (number(r, "id"), (number(r, "usuarioId"), number(r, "tokenId")))),
            );
            match rows.last() {
                Some(last) => after = format!("&despues={}", number(last, "id")),
                None => break,
            }
        }
        let promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = promised.iter().filter(|(id, promise)| have.get(id) != Some(promise));
        Ok(lost
            .map(|(id, (u, t))| {
                t!("compra {} de {} por el usuario {}", "purchase {} of {} by user {}", id, t, u)
            })
            .collect())
    }
}

impl Shopping {
    /// Until a purchase was acknowledged: for so long, and until customers have had a few answers since they came, whatever these
    /// are, but `at_most` so long.
    pub async fn first_purchase(&self, patience: Duration, at_most: Duration) {
        let ended = || self.customers.ended.load(Ordering::Relaxed);
        let (deadline, last) = (Instant::now() + patience, Instant::now() + at_most);
        let enough = self.ended + 5 * CUSTOMERS;
        let waits = || Instant::now() < deadline || (ended() < enough && Instant::now() < last);
        while self.customers.promises() == self.before && waits() {
            tokio::time::sleep(PACE).await;
        }
    }

    /// They stop; acknowledged purchases a second.
    pub fn end(self) -> f64 {
        let bought = self.customers.promises() - self.before;
        bought as f64 / self.since.elapsed().as_secs_f64()
    }
}

impl Drop for Shopping {
    fn drop(&mut self) {
        self.at_work.iter().for_each(JoinHandle::abort);
    }
}

async fn buy(customers: Arc<Customers>, usuario: u64) {
    let mut connection: Option<TcpStream> = None;
    loop {
        let start = Instant::now();
        let token = customers.fresh_token();
        if !customers.tokens.contains(&token) {
            return;
        }
        let body = json!({"usuarioId": usuario, "tokenId": token}).to_string();
        let bytes = raw::json("POST", "/transacciones", &[], body.as_bytes());
        let answered = async {
            use tokio::io::AsyncWriteExt;
            let mut stream = match connection.take() {
                Some(stream) => stream,
                None => TcpStream::connect(customers.to).await?,
            };
            stream.set_nodelay(true)?;
            stream.write_all(&bytes).await?;
            let reply = raw::read(&mut stream).await?;
            std::io::Result::Ok((stream, reply))
        };
        if let Ok(Ok((stream, reply))) = tokio::time::timeout(PATIENCE, answered).await {
            if reply.status == 201 {
                // a promise that came twice is found again by who reads the market
                let _ = customers.promise(&reply, usuario, token);
            }
            if reply.status != 0 && reply.header("connection") != "close" {
                connection = Some(stream);
            }
        }
        customers.ended.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PACE.saturating_sub(start.elapsed())).await;
    }
}
