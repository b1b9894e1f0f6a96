//! Statements a second with sqlx's pool and with ours, one after the other on one server, several rounds of each.
//! It is the measurement of ADR 0009, decision 5.
//!
//! ```text
//! cargo run --release -p pg --example pools -- postgres://postgres@127.0.0.1/bench
//! ```
//!
//! Needs a database in which it may create the table `pools`, and drops it at the end.

#[path = "../src/connect.rs"]
#[expect(dead_code, reason = "the measurement needs a part of it")]
mod connect;
#[path = "../src/link.rs"]
mod link;
#[path = "../src/pool.rs"]
#[expect(dead_code, reason = "the measurement needs a part of it")]
mod pool;

use connect::Connector;
use link::Link;
use pool::{NoLease, Pool};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Error, raw_sql};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

const CONNECTIONS: u16 = 8;
const CLIENTS: i64 = 16;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;

/// What a client does all the time.
#[derive(Clone, Copy, Debug)]
enum Work {
    Read,
    Write,
}

impl Work {
    async fn run(self, connection: &mut Link<'_>, client: i64) -> Result<(), Error> {
        let statement = match self {
            Self::Read => "select n from pools where id = $1",
            Self::Write => "update pools set n = n + 1 where id = $1",
        };
        sqlx::query(statement).bind(client).execute(connection).await.map(drop)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: pools postgres://USER@HOST/DATABASE")?;
    let options: PgConnectOptions = url.parse::<PgConnectOptions>()?.disable_statement_logging();
    let mut own = options.connect().await?;
    raw_sql("drop table if exists pools; create table pools (id bigint primary key, n bigint not null)")
        .execute(&mut own)
        .await?;
    sqlx::query("insert into pools select i, 0 from generate_series(0, $1) i")
        .bind(CLIENTS)
        .execute(&mut own)
        .await?;
    for work in [Work::Read, Work::Write] {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            theirs.push(with_sqlx(options.clone(), work).await?);
            ours.push(with_ours(options.clone(), work).await?);
        }
        let (theirs, ours) = (median(theirs), median(ours));
        println!("{work:?}: sqlx {theirs}/s, ours {ours}/s, ratio {:.2}", ours as f64 / theirs as f64);
    }
    raw_sql("drop table pools").execute(&mut own).await?;
    own.close().await?;
    Ok(())
}

async fn with_sqlx(options: PgConnectOptions, work: Work) -> Result<u64, Error> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS.into()).test_before_acquire(false);
    let pool = pool.connect_with(options).await?;
    let begun = Instant::now();
    let clients = (0..CLIENTS).map(|client| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let mut done = 0;
            while begun.elapsed() < ROUND {
                work.run(&mut Link::of(&mut *pool.acquire().await?), client).await?;
                done += 1;
            }
            Ok::<u64, Error>(done)
        })
    });
    let rate = rate(clients.collect()).await;
    pool.close().await;
    rate
}

async fn with_ours(options: PgConnectOptions, work: Work) -> Result<u64, Error> {
    let connector = Arc::new(Connector::new(vec![options], false, "pools"));
    let pool = Pool::new(connector, CONNECTIONS.into(), usize::MAX, Handle::current());
    let begun = Instant::now();
    let clients = (0..CLIENTS).map(|client| {
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            let mut done = 0;
            while begun.elapsed() < ROUND {
                let deadline = tokio::time::Instant::now() + ROUND;
                let mut lease = pool.lease(deadline, true).await.map_err(no_lease)?;
                work.run(&mut lease.connection()?, client).await?;
                lease.keep();
                done += 1;
            }
            Ok(done)
        })
    });
    let rate = rate(clients.collect()).await;
    pool.close().await;
    rate
}

fn no_lease(why: NoLease) -> Error {
    match why {
        NoLease::Failed(e) => e,
        NoLease::Full(_) => Error::PoolTimedOut,
    }
}

async fn rate(clients: Vec<tokio::task::JoinHandle<Result<u64, Error>>>) -> Result<u64, Error> {
    let mut done = 0;
    for client in clients {
        done += client.await.map_err(|_| Error::WorkerCrashed)??;
    }
    Ok(done / ROUND.as_secs())
}

fn median(mut rates: Vec<u64>) -> u64 {
    rates.sort_unstable();
    rates[rates.len() / 2]
}
