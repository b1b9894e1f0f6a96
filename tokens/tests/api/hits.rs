//! `GET /hits`, with a Redis that works, and with one that does not: nobody ever waits for it, or hears of it.

use crate::helpers::Pod;
use serde_json::Value;
use std::time::Instant;
use testkit::{PATIENCE, RedisServer, eventually};
use tokens::config::Config;

impl Pod {
    /// How many visits it says there were, and whether all pods counted them.
    async fn visit(&self) -> (u64, bool) {
        let hits: Value = self.api.get("/hits").await.expect(200).json();
        (hits["hits"].as_u64().unwrap(), hits["compartido"].as_bool().unwrap())
    }

    /// Visits until they are counted in this way.
    async fn counts(&self, together: bool) -> u64 {
        eventually(PATIENCE, async || {
            let (hits, compartido) = self.visit().await;
            (compartido == together).then_some(hits)
        })
        .await
    }
}

#[tokio::test]
async fn pods_count_together() {
    let redis = RedisServer::start().await;
    let pods = [Pod::counting(&redis.url()), Pod::counting(&redis.url())];
    let mut last = pods[1].counts(true).await;
    for n in 0..40 {
        // each pod for itself would be at half of this
        let hits = pods[n % 2].counts(true).await;
        assert!(hits > last, "{hits} after {last}");
        last = hits;
    }
    assert_eq!(redis.ask::<u64>(&["GET", "tokens:hits"]), last);
}

#[tokio::test]
async fn a_redis_that_is_gone_is_gone_without_and_found_again() {
    let mut redis = RedisServer::start().await;
    let pod = Pod::counting(&redis.url());
    let mut visits = pod.counts(true).await;
    for _ in 0..3 {
        redis.kill();
        // the number of this process's own visits, those that Redis counted included
        let mut alone = pod.counts(false).await;
        assert!(alone > visits, "{alone} after {visits}");
        // so many that those which a new Redis counts, and answers late, do not come near them
        for _ in 0..50 {
            alone = pod.visit().await.0;
        }
        pod.api.connected().await;
        pod.api.get("/readyz").await.expect(200);
        redis.restart().await;
        assert!(pod.counts(true).await < alone, "it forgot them");
        visits = alone;
    }
}

#[tokio::test]
async fn a_redis_that_does_not_answer_costs_a_few_requests_a_moment_and_the_others_nothing() {
    let redis = RedisServer::start().await;
    let pod = Pod::counting(&redis.url());
    pod.counts(true).await;
    redis.pause();
    let mut waited = 0;
    for _ in 0..200 {
        let asked = Instant::now();
        assert!(!pod.visit().await.1, "nobody counted that");
        waited += u32::from(asked.elapsed() >= pg::redis::BOUND / 2);
    }
    assert!(waited < 100, "{waited} of 200 waited");
    redis.resume();
    pod.counts(true).await;
}

#[tokio::test]
async fn a_redis_that_is_not_there_at_the_start_is_found_when_it_comes() {
    let mut redis = RedisServer::start().await;
    redis.kill();
    let pod = Pod::counting(&redis.url());
    pod.api.connected().await;
    pod.api.get("/readyz").await.expect(200);
    assert_eq!(pod.visit().await, (1, false));
    redis.restart().await;
    pod.counts(true).await;
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_is_gone_without_until_it_does() {
    let mut redis = RedisServer::start().await;
    let pod = Pod::counting(&redis.url());
    pod.counts(true).await;
    // full
    redis.set("maxmemory", "1");
    pod.counts(false).await;
    redis.set("maxmemory", "0");
    pod.counts(true).await;
    // somebody's replica, which refuses writes
    redis.ask::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    pod.counts(false).await;
    redis.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
    pod.counts(true).await;
    // the key is something else
    // in one step: a pod's probe would make a number of it in between
    redis.ask::<()>(&["LPUSH", "x", "x"]);
    redis.ask::<()>(&["RENAME", "x", "tokens:hits"]);
    pod.counts(false).await;
    redis.ask::<()>(&["DEL", "tokens:hits"]);
    pod.counts(true).await;
}

#[tokio::test]
async fn a_wrong_password_is_no_reason_to_fail() {
    let mut redis = RedisServer::start().await;
    redis.set("requirepass", "secreto");
    let pods = [Pod::counting(&redis.url_with("otro")), Pod::counting(&redis.url())];
    pods[1].counts(true).await;
    let own: Vec<_> = [pods[0].visit().await, pods[0].visit().await].into();
    assert_eq!(own, [(1, false), (2, false)]);
    redis.set("requirepass", "otro");
    pods[0].counts(true).await;
    // who is in stays in; where a slow machine has put it out, it comes in anew, and the password changes once more
    eventually(PATIENCE, async || {
        if pods[1].visit().await.1 {
            return Some(());
        }
        redis.set("requirepass", "secreto");
        pods[1].counts(true).await;
        redis.set("requirepass", "otro");
        None
    })
    .await;
}

#[test]
fn a_url_that_is_none_is_named_and_its_password_is_not() {
    let dir = tempfile::tempdir().unwrap();
    for wrong in ["http://:secreto@redis", "redis://:secreto@redis:puerto", "redis", ""] {
        let store = format!("json:{}", dir.path().display());
        let args =
            ["tokens", "--internal-token", crate::helpers::TOKEN, "--store", &store, "--redis-url", wrong];
        let error = http_kit::config::parse::<Config>(args.map(Into::into)).unwrap_err();
        assert_eq!(error.exit_code, http_kit::exit::EX_USAGE);
        let named = error.message.contains("--redis-url") && error.message.contains("REDIS_URL");
        assert!(named && !error.message.contains("secreto"), "{error}");
    }
}
