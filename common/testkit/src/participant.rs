//! The law of [`HoldStore`], held against every participant in every way to reach one: on files and in tables, in process
//! and over HTTP. A participant's tests describe it as a [`Subject`] and call [`participant_suite!`](crate::participant_suite).

use crate::data::{Kind, TestData};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use futures_util::future::join_all;
use http_kit::exit::StartError;
use http_kit::server::Leave;
use market::contract::{Answer, Digest, Hold, PAGE, Refusal};
use market::domain::{Intento, Monto, RunningDigest, TokenId, UsuarioId, timestamp};
use market::host::{HostOptions, Serving};
use market::participant::{Held, HoldStore, Holder, Http, Local};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A participant, as the suite needs to know it.
pub trait Subject: 'static {
    /// Its store.
    type Store: HoldStore;

    /// The data of which [`Subject::request`] speaks, by collection, with these holds pending since a time.
    fn seed(pending: &[(&str, u64, DateTime<Utc>)]) -> Vec<(&'static str, Value)>;

    /// Asks for the n-th thing, counted from 1 to [`THINGS`]. No two of them exclude each other.
    fn request(n: u64) -> <Self::Store as HoldStore>::Request;

    /// A request that is always refused, and why.
    fn refused() -> (<Self::Store as HoldStore>::Request, Refusal);

    /// What a hold of the n-th thing says: who buys, what, and for how much.
    fn facts(n: u64) -> (UsuarioId, Option<TokenId>, Monto);

    /// Opens the data as one more process does.
    fn open(data: &TestData) -> Self::Store;

    /// Starts the service.
    ///
    /// # Errors
    /// The service's.
    fn serve(options: HostOptions) -> Result<Serving, StartError>;
}

/// How many things there are to hold: more than a page.
pub const THINGS: u64 = PAGE as u64 + 10;

/// How a participant is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As `mercado` does.
    InProcess,
    /// As `transacciones` does.
    OverHttp,
}

type Asked<S> = <<S as Subject>::Store as HoldStore>::Request;

/// A participant with its data, reached by two processes.
pub struct World<S: Subject> {
    /// By way of one of them.
    pub one: Client<S>,
    /// By way of the other.
    pub other: Client<S>,
    _almacen: TestData,
    /// Dropped, they tell the services to leave.
    _services: Vec<oneshot::Sender<()>>,
}

/// Calls with a deadline that no test comes near to.
pub struct Client<S: Subject>(Arc<dyn Holder<Asked<S>>>);

const TOKEN: &str = "0123456789abcdef";

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    host: HostOptions,
}

impl<S: Subject> World<S> {
    /// With these holds pending since a time.
    pub async fn new(kind: Kind, way: Way, pending: &[(&str, u64, DateTime<Utc>)]) -> Self {
        let data = TestData::new(kind, &S::seed(pending)).await;
        let mut services = Vec::new();
        let mut client = || match way {
            Way::InProcess => Client(Arc::new(Local(S::open(&data)))),
            Way::OverHttp => {
                let (client, service) = served::<S>(&data);
                services.push(service);
                client
            }
        };
        let (one, other) = (client(), client());
        Self { one, other, _almacen: data, _services: services }
    }

    fn both(&self) -> [&Client<S>; 2] {
        [&self.one, &self.other]
    }
}

fn served<S: Subject>(data: &TestData) -> (Client<S>, oneshot::Sender<()>) {
    let fixed =
        ["x", "--host=127.0.0.1", "--port=0", "--internal-port=0", "--workers=1", "--hostname=prueba"];
    let token = format!("--internal-token={TOKEN}");
    let mut options = Options::parse_from(fixed.into_iter().chain([token.as_str()])).host;
    options.store = data.options().clone();
    let service = S::serve(options).expect("a service");
    let address = service.internal().expect("an internal port");
    let (leave, left) = oneshot::channel::<()>();
    tokio::spawn(service.run(async {
        let _ = left.await;
        Leave::Now
    }));
    let url = format!("http://{address}").parse().expect("a URL");
    let http = Http::<Asked<S>>::at(&url, &TOKEN.parse().expect("a token")).expect("a client");
    (Client(Arc::new(http)), leave)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn intento(name: &str) -> Intento {
    name.parse().expect("an intento")
}

type Said<T> = Result<T, Refusal>;

fn said<T>(answer: Answer<T>) -> Said<T> {
    answer.expect("an answer")
}

impl<S: Subject> Client<S> {
    async fn hold(&self, name: &str, n: u64) -> Said<Held<S::Store>> {
        self.hold_for(name, S::request(n)).await
    }

    async fn hold_for(&self, name: &str, request: Asked<S>) -> Said<Held<S::Store>> {
        said(self.0.hold(&intento(name), request, soon()).await)
    }

    async fn confirm(&self, name: &str) -> Said<()> {
        said(self.0.confirm(&intento(name), soon()).await)
    }

    async fn cancel(&self, name: &str) -> Said<()> {
        said(self.0.cancel(&intento(name), soon()).await)
    }

    async fn pending(&self, age: TimeDelta, after: Option<&Hold>) -> Vec<Hold> {
        said(self.0.pending(age, after, soon()).await).expect("a list")
    }

    async fn all_pending(&self) -> Vec<Hold> {
        self.pending(TimeDelta::zero(), None).await
    }

    async fn settled(&self, after: Option<&str>) -> Said<Vec<Hold>> {
        said(self.0.settled(after.map(intento).as_ref(), soon()).await)
    }

    async fn digest(&self) -> Digest {
        said(self.0.digest(soon()).await).expect("a digest")
    }

    /// How many are pending and how many settled.
    async fn counts(&self) -> (u64, u64) {
        let digest = self.digest().await;
        (digest.pendientes, digest.confirmados.cuenta)
    }
}

fn names(holds: &[Hold]) -> Vec<String> {
    holds.iter().map(|hold| hold.intento.to_string()).collect()
}

fn digest_of(holds: &[Hold]) -> RunningDigest {
    let mut digest = RunningDigest::default();
    for hold in holds {
        digest.add(&hold.intento, hold.usuario_id, hold.token_id, hold.monto);
    }
    digest
}

fn assert_facts<S: Subject>(hold: &Hold, n: u64) {
    assert_eq!((hold.usuario_id, hold.token_id, hold.monto), S::facts(n), "{hold:?}");
}

/// An attempt has one hold: the same request finds it, another one changes nothing.
pub async fn an_attempt_has_one_hold<S: Subject>(kind: Kind, way: Way) {
    let w = World::<S>::new(kind, way, &[]).await;
    let held = w.one.hold("a#1", 1).await.expect("a hold");
    let unchanged = async || {
        for client in w.both() {
            assert_eq!(client.hold("a#1", 1).await, Ok(held));
            assert_eq!(client.hold("a#1", 2).await, Err(Refusal::ClaveReused));
            assert_eq!(client.hold_for("a#1", S::refused().0).await, Err(Refusal::ClaveReused));
        }
    };
    unchanged().await;
    let pending = w.other.all_pending().await;
    assert_eq!(names(&pending), ["a#1"]);
    assert_facts::<S>(&pending[0], 1);
    assert_eq!(w.other.confirm("a#1").await, Ok(()));
    unchanged().await;
    let settled = w.one.settled(None).await.expect("a list");
    assert_eq!(names(&settled), ["a#1"]);
    assert_facts::<S>(&settled[0], 1);
    w.one.hold("a#2", 2).await.expect("another attempt has a hold of its own");
    assert_eq!(w.other.counts().await, (1, 1));
}

/// What is refused leaves no trace.
pub async fn a_refusal_leaves_no_trace<S: Subject>(kind: Kind, way: Way) {
    let w = World::<S>::new(kind, way, &[]).await;
    let (request, why) = S::refused();
    for client in w.both() {
        assert_eq!(client.hold_for("a#1", request).await, Err(why));
        assert_eq!(client.confirm("a#1").await, Err(Refusal::IntentoNotFound));
        assert_eq!(client.digest().await, Digest::default());
        assert_eq!(client.all_pending().await, []);
    }
    w.one.hold("a#1", 1).await.expect("the attempt is not used up");
}

/// A confirmed hold stays for ever.
pub async fn a_confirmed_hold_stays<S: Subject>(kind: Kind, way: Way) {
    let w = World::<S>::new(kind, way, &[]).await;
    w.one.hold("a#1", 1).await.expect("a hold");
    for client in [&w.other, &w.one, &w.other] {
        assert_eq!(client.confirm("a#1").await, Ok(()));
        assert_eq!(client.cancel("a#1").await, Err(Refusal::IntentoConfirmed));
        assert_eq!(client.counts().await, (0, 1));
    }
    assert_eq!(w.one.confirm("a#2").await, Err(Refusal::IntentoNotFound), "another attempt");
    assert_eq!(w.one.confirm("b#1").await, Err(Refusal::IntentoNotFound), "another clave");
}

/// A cancelled hold is gone, and what it held is free.
pub async fn a_cancelled_hold_is_gone<S: Subject>(kind: Kind, way: Way) {
    let w = World::<S>::new(kind, way, &[]).await;
    assert_eq!(w.one.cancel("a#1").await, Ok(()), "nothing is held: nothing to do");
    w.one.hold("a#1", 1).await.expect("a hold");
    w.one.hold("a#4294967295", 2).await.expect("the last attempt that a clave can have");
    for client in [&w.other, &w.one, &w.other] {
        assert_eq!(client.cancel("a#1").await, Ok(()));
        assert_eq!(client.confirm("a#1").await, Err(Refusal::IntentoNotFound));
        assert_eq!(names(&client.all_pending().await), ["a#4294967295"]);
    }
    w.one.hold("b#1", 1).await.expect("what it held is free");
    assert_eq!(w.other.cancel("a#1").await, Ok(()), "a late repeat");
    assert_eq!(w.other.confirm("b#1").await, Ok(()), "takes nothing from the next");
}

/// Pending holds come by their time, then by their attempt.
pub async fn pending_holds_come_oldest_first<S: Subject>(kind: Kind, way: Way) {
    let now = timestamp();
    let since = |minutes| now - TimeDelta::minutes(minutes);
    let old = [("x#1", 1, since(30)), ("x#10", 2, since(50)), ("x#2", 3, since(40)), ("B#1", 4, since(40))];
    let future = [("tomorrow#1", 5, now + TimeDelta::days(1))];
    let w = World::<S>::new(kind, way, &[&old[..], &future[..]].concat()).await;
    let fresh = ["c#1", "a#2", "b#10", "a#10", "C#1", "~#1", "a:b#1"];
    for (name, n) in fresh.iter().zip(6..) {
        w.one.hold(name, n).await.expect("a hold");
    }
    let all = w.other.all_pending().await;
    assert_eq!(all.len(), old.len() + future.len() + fresh.len());
    assert!(all.is_sorted_by_key(|hold| (hold.desde, hold.intento.clone())), "{all:?}");
    assert_eq!(names(&all[..4]), ["x#10", "B#1", "x#2", "x#1"]);
    assert_eq!(names(&all[all.len() - 1..]), ["tomorrow#1"]);
    assert_facts::<S>(&all[0], 2);
    for (n, last) in all.iter().enumerate() {
        assert_eq!(w.one.pending(TimeDelta::zero(), Some(last)).await, all[n + 1..], "after {last:?}");
    }
    let aged = async |minutes| names(&w.one.pending(TimeDelta::minutes(minutes), None).await);
    assert_eq!(aged(20).await, ["x#10", "B#1", "x#2", "x#1", "tomorrow#1"], "from the future is old");
    assert_eq!(aged(35).await, ["x#10", "B#1", "x#2", "tomorrow#1"]);
    assert_eq!(aged(24 * 60).await, ["tomorrow#1"]);
    // the place after which a page begins need not be there any more
    assert_eq!(w.other.cancel("x#2").await, Ok(()));
    assert_eq!(w.other.confirm("B#1").await, Ok(()));
    for gone in &all[1..3] {
        assert_eq!(w.one.pending(TimeDelta::zero(), Some(gone)).await, all[3..], "after {gone:?}");
    }
}

/// Settled holds have an order that stays, and a page begins after an attempt that is here.
pub async fn settled_holds_have_an_order<S: Subject>(kind: Kind, way: Way) {
    let w = World::<S>::new(kind, way, &[]).await;
    assert_eq!(w.one.settled(None).await, Ok(vec![]));
    let all = ["c#1", "a#2", "b#10", "a#10", "B#1", "~#1"];
    for (name, n) in all.iter().zip(1..) {
        w.one.hold(name, n).await.expect("a hold");
    }
    let mut before = Vec::new();
    for name in &all[..5] {
        assert_eq!(w.other.confirm(name).await, Ok(()));
        let settled = names(&w.one.settled(None).await.expect("a list"));
        let mut still = settled.clone();
        still.retain(|known| known != name);
        assert_eq!(still, before, "{name} is new, and the others are in the order they were in");
        before = settled;
    }
    let settled = w.other.settled(None).await.expect("a list");
    let found: BTreeSet<_> = names(&settled).into_iter().collect();
    assert_eq!(found, all[..5].iter().map(|&name| name.to_owned()).collect());
    for (n, last) in settled.iter().enumerate() {
        let after = w.one.settled(Some(&last.intento.to_string())).await;
        assert_eq!(after.as_deref(), Ok(&settled[n + 1..]), "after {last:?}");
        let n = all.iter().zip(1..).find(|(name, _)| **name == last.intento.to_string());
        assert_facts::<S>(last, n.expect("one of ours").1);
    }
    assert_eq!(w.one.cancel("~#1").await, Ok(()));
    for client in w.both() {
        for stranger in ["a#1", "a#3", "nobody#1", "~#1"] {
            let answer = client.settled(Some(stranger)).await;
            assert_eq!(answer, Err(Refusal::IntentoNotFound), "after {stranger}");
        }
    }
}

/// Lists of more than a page go on where the page before ended.
pub async fn lists_are_read_page_by_page<S: Subject>(kind: Kind, way: Way) {
    let w = World::<S>::new(kind, way, &[]).await;
    let all: Vec<_> = (1..=PAGE + 1).map(|n| format!("k{n}#1")).collect();
    for some in all.chunks(50) {
        let holds = some.iter().map(|name| {
            let n = name[1..name.len() - 2].parse().expect("a number");
            w.one.hold(name, n)
        });
        assert!(join_all(holds).await.iter().all(Result::is_ok));
    }
    let page = w.other.all_pending().await;
    let rest = w.other.pending(TimeDelta::zero(), page.last()).await;
    assert_eq!((page.len(), rest.len()), (PAGE, 1));
    let seen: BTreeSet<_> = names(&[page, rest].concat()).into_iter().collect();
    assert_eq!(seen, all.iter().cloned().collect());

    for some in all.chunks(50) {
        assert!(join_all(some.iter().map(|name| w.one.confirm(name))).await.iter().all(Result::is_ok));
    }
    let page = w.other.settled(None).await.expect("a list");
    let last = page.last().expect("a hold").intento.to_string();
    let rest = w.other.settled(Some(&last)).await.expect("a list");
    assert_eq!((page.len(), rest.len()), (PAGE, 1));
    let settled = [page, rest].concat();
    let seen: BTreeSet<_> = names(&settled).into_iter().collect();
    assert_eq!(seen, all.into_iter().collect());
    let digest = w.one.digest().await;
    assert_eq!((digest.pendientes, digest.confirmados), (0, digest_of(&settled)));
}

/// The digest is that of the settled holds, and names the others, whichever process is asked.
pub async fn the_digest_is_that_of_the_settled_holds<S: Subject>(kind: Kind, way: Way) {
    let w = World::<S>::new(kind, way, &[]).await;
    assert_eq!(w.one.digest().await, Digest::default());
    for n in 1..=4 {
        w.one.hold(&format!("k#{n}"), n).await.expect("a hold");
    }
    assert_eq!(w.other.counts().await, (4, 0));
    for name in ["k#3", "k#1"] {
        assert_eq!(w.one.confirm(name).await, Ok(()));
        let settled = w.one.settled(None).await.expect("a list");
        // asked for twice: what was counted before does not count again
        for client in w.both() {
            assert_eq!(client.digest().await.confirmados, digest_of(&settled));
        }
    }
    assert_eq!(w.other.cancel("k#2").await, Ok(()));
    for client in w.both() {
        let digest = client.digest().await;
        assert_eq!((digest.pendientes, digest.confirmados.cuenta, digest.descuadrados), (1, 2, 0));
        assert_eq!(digest.in_flight, client.all_pending().await);
        assert_facts::<S>(&digest.in_flight[0], 4);
    }
}

/// Whatever comes at once, an attempt has one hold and one end.
pub async fn an_attempt_has_one_end<S: Subject>(kind: Kind, way: Way) {
    let w = World::<S>::new(kind, way, &[]).await;
    let mut confirmed = 0;
    for n in 1..=10 {
        let name = format!("k{n}#1");
        let held = join_all((0..8).map(|turn| w.both()[turn % 2].hold(&name, n))).await;
        assert!(held.iter().all(|h| h.is_ok() && *h == held[0]), "{held:?}");
        assert_eq!(w.one.counts().await, (1, confirmed));
        match tokio::join!(w.one.confirm(&name), w.other.cancel(&name)) {
            (Ok(()), Err(Refusal::IntentoConfirmed)) => confirmed += 1,
            (Err(Refusal::IntentoNotFound), Ok(())) => {}
            both => panic!("{both:?}"),
        }
        assert_eq!(w.other.counts().await, (0, confirmed));
    }
}

/// One test for each law, each kind of store and each way to reach a participant.
#[macro_export]
macro_rules! participant_suite {
    ($subject:ty) => {
        $crate::participant_suite!(@ways $subject:
            an_attempt_has_one_hold
            a_refusal_leaves_no_trace
            a_confirmed_hold_stays
            a_cancelled_hold_is_gone
            pending_holds_come_oldest_first
            settled_holds_have_an_order
            lists_are_read_page_by_page
            the_digest_is_that_of_the_settled_holds
            an_attempt_has_one_end
        );
    };
    (@ways $subject:ty: $($law:ident)+) => {
        mod files_in_process {
            $($crate::participant_suite!(@test $subject, $law, Json, InProcess);)+
        }
        mod files_over_http {
            $($crate::participant_suite!(@test $subject, $law, Json, OverHttp);)+
        }
        mod tables_in_process {
            $($crate::participant_suite!(@test $subject, $law, Postgres, InProcess);)+
        }
        mod tables_over_http {
            $($crate::participant_suite!(@test $subject, $law, Postgres, OverHttp);)+
        }
    };
    (@test $subject:ty, $law:ident, $kind:ident, $way:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $law() {
            use $crate::data::Kind;
            use $crate::participant::{Way, $law};
            $law::<$subject>(Kind::$kind, Way::$way).await;
        }
    };
}
