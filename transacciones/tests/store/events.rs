//! Purchases as they commit: the one task that makes events, and its readers, over each kind of store.

use crate::law::commit;
use futures_util::future::join_all;
use market::domain::TransaccionId;
use std::fmt::Write;
use testkit::data::{Kind, TestData};
use testkit::{PATIENCE, eventually};
use tokio::runtime::Handle;
use tokio::sync::Barrier;
use tokio::time::{Instant, timeout_at};
use transacciones::domain::Transaccion;
use transacciones::feed::{Chunk, Feed, Place, Reader};
use transacciones::store::Store;

/// What stands for the end of a test.
const LAST: u64 = 99;

fn write_line(t: &Transaccion, out: &mut String) {
    writeln!(out, "{} {}", t.id, t.token_id).unwrap();
}

fn feed(store: &Store) -> Feed {
    Feed::new(store.clone(), write_line, 100, Handle::current())
}

/// The ids that a reader is given next.
async fn some(reader: &mut Reader) -> Option<Vec<(u64, u64)>> {
    let start = Instant::now();
    loop {
        let next = timeout_at(start + PATIENCE, reader.next()).await;
        match next.unwrap_or_else(|_| panic!("nothing comes to {reader:?}"))? {
            Chunk::Purchases(bytes) => {
                let lines = std::str::from_utf8(&bytes).unwrap().lines();
                let pair = |line: &str| {
                    let (id, token) = line.split_once(' ').unwrap();
                    (id.parse().unwrap(), token.parse().unwrap())
                };
                return Some(lines.map(pair).collect());
            }
            Chunk::Greeting { .. } | Chunk::SignOfLife => {}
        }
    }
}

/// What a reader is given up to the purchase that ends the test. A stream that ends, since its store had no answer in time,
/// is taken up again behind what was seen.
async fn until_last(feed: &Feed, mut reader: Reader) -> Vec<u64> {
    let mut seen: Vec<(u64, u64)> = Vec::new();
    while seen.last().is_none_or(|(_, token)| *token != LAST) {
        match some(&mut reader).await {
            Some(more) => seen.extend(more),
            None => {
                let (id, _) = seen.last().expect("a stream that ends before it has begun");
                let place = Place::Behind(TransaccionId::new(*id).unwrap(), None);
                reader = eventually(PATIENCE, async || feed.read(place, || false).await.ok()).await;
            }
        }
    }
    seen.into_iter().map(|(id, _)| id).collect()
}

pub async fn each_reader_is_given_each_purchase_once_from_its_place(kind: Kind) {
    const BUYERS: usize = 4;
    const EACH: usize = 40;
    const READERS: usize = 10;
    let data = TestData::new(kind, &[]).await;
    let stores = [Store::new(data.open()), Store::new(data.open())];
    let (feed, all_begun) = (feed(&stores[0]), Barrier::new(READERS + 1));
    let buyers = async {
        join_all((0..BUYERS).map(|who| {
            let store = &stores[who % 2];
            async move {
                for n in 0..EACH {
                    commit(store, &format!("b{who}-{n}#1"), 1, 7).await.unwrap();
                }
            }
        }))
        .await;
        // whoever begins with the next purchase would wait for ever behind the last one
        all_begun.wait().await;
        commit(&stores[1], "last#1", 1, LAST).await.unwrap()
    };
    let readers = join_all((0..READERS).map(|n| {
        let (feed, store, all_begun) = (&feed, &stores[n % 2], &all_begun);
        async move {
            // they come while others buy, and two are there before
            let there = eventually(PATIENCE, async || {
                // a database that is busy may have no answer in time
                let page = store.following(None, 1000).await.ok()?;
                (page.len() >= n / 2 * BUYERS * EACH / 6).then_some(page)
            })
            .await;
            let last = there.last().map(|t| t.id);
            let place = last.filter(|_| n % 2 == 0).map_or(Place::Next, |id| Place::Behind(id, None));
            let reader = eventually(PATIENCE, async || feed.read(place, || false).await.ok()).await;
            all_begun.wait().await;
            (place, last, until_last(feed, reader).await)
        }
    }));
    let (_, read) = tokio::join!(buyers, readers);
    let all = stores[1].following(None, 1000).await.unwrap();
    let all: Vec<u64> = all.iter().map(|t| t.id.get()).collect();
    assert_eq!(all.len(), BUYERS * EACH + 1);
    for (place, last, seen) in read {
        assert!(all.ends_with(&seen), "{place:?}: {seen:?} of {all:?}");
        let behind = last.map_or(0, |id| all.iter().position(|of| *of == id.get()).unwrap() + 1);
        match place {
            Place::Behind(..) => assert_eq!(seen, all[behind..]),
            Place::Next | Place::Elsewhere => assert!(seen.len() <= all.len() - behind),
        }
    }
    eventually(PATIENCE, async || (feed.readers() == 0).then_some(())).await;
}

pub async fn a_reader_of_another_store_begins_anew(kind: Kind) {
    let data = TestData::new(kind, &[]).await;
    let store = Store::new(data.open());
    let feed = feed(&store);
    let t = commit(&store, "a#1", 1, 7).await.unwrap();
    let millis = t.fecha.timestamp_millis();
    for (place, elsewhere) in [
        (Place::Next, false),
        (Place::Behind(t.id, None), false),
        (Place::Behind(t.id, Some(millis)), false),
        (Place::Behind(t.id, Some(millis - 1)), true),
        (Place::Behind(TransaccionId::MAX, None), true),
        (Place::Elsewhere, true),
    ] {
        let mut reader = feed.read(place, || false).await.unwrap();
        assert_eq!(reader.next().await, Some(Chunk::Greeting { elsewhere }), "{place:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_too_slowly_is_cut_off_and_comes_back() {
    // more than may wait for a reader
    const PURCHASES: usize = 256 * 64 + 2000;
    let data = TestData::new(Kind::Json, &[]).await;
    let store = Store::new(data.open());
    let feed = feed(&store);
    let mut readers = Vec::new();
    for _ in 0..2 {
        readers.push(feed.read(Place::Next, || false).await.unwrap());
    }
    let first = commit(&store, "first#1", 1, 7).await.unwrap().id;
    for reader in &mut readers {
        assert_eq!(some(reader).await, Some(vec![(first.get(), 7)]));
    }
    let (mut slow, fast) = (readers.pop().unwrap(), readers.pop().unwrap());
    let bought = async {
        let claves: Vec<_> = (0..PURCHASES).map(|n| format!("k{n}#1")).collect();
        for some in claves.chunks(500) {
            let made = join_all(some.iter().map(|i| commit(&store, i, 1, 7))).await;
            assert!(made.iter().all(Result::is_ok));
        }
        commit(&store, "last#1", 1, LAST).await.unwrap();
    };
    let ((), seen) = tokio::join!(bought, until_last(&feed, fast));
    assert_eq!(seen.len(), PURCHASES + 1);
    assert_eq!((feed.cut_off(), feed.readers()), (0, 1));
    assert_eq!(some(&mut slow).await, None);
    assert_eq!(slow.next().await, None, "an end is the end");
    assert_eq!(feed.cut_off(), 1);
    let back = feed.read(Place::Behind(first, None), || false).await.unwrap();
    assert_eq!(until_last(&feed, back).await, seen);
}
