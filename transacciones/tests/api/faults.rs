//! Participants that are down, hang, lose answers or talk nonsense, while the coordinator lives.

use crate::helpers::{
    Looker, Service, audit, compra, fill, insist, metric, person, token, tokens, transacciones, usuarios,
};
use crate::proxy::{Fault, Proxy, Step};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use testkit::files_only;
use testkit::{PATIENCE, eventually, free_port};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// A purchase's deadline here.
const DEADLINE: Duration = Duration::from_millis(400);
const TIMES: [&str; 2] = ["--purchase-deadline-ms=400", "--orphan-age-ms=800"];
/// For purchases that wait until a test lets them go on.
const PATIENT: [&str; 2] = ["--purchase-deadline-ms=15000", "--orphan-age-ms=15001"];

/// A market whose participants are behind proxies. Tokens 1 to 20 cost 10, token 21 more than anybody has.
pub struct Trouble {
    pub looker: Looker,
    pub mine: Service,
    pub people: Proxy,
    pub goods: Proxy,
    /// usuarios and tokens.
    pub services: [Service; 2],
    pub dir: TempDir,
}

impl Trouble {
    pub async fn start() -> Self {
        Self::with(&TIMES).await
    }

    /// With these options of the coordinator's.
    pub async fn with(options: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let users = json!([person(1, 1000), person(2, 1000)]);
        let mut catalogue: Vec<_> = (1..=20).map(|id| token(id, 10)).collect();
        catalogue.push(token(21, 1001));
        fill(dir.path(), &[("usuarios", &users), ("tokens", &json!(catalogue))]);
        let (people, goods) = (usuarios(dir.path()), tokens(dir.path()));
        let proxies = (Proxy::before(people.internal).await, Proxy::before(goods.internal).await);
        let mine = transacciones(dir.path(), proxies.0.address, proxies.1.address, options);
        for service in [&people, &goods, &mine] {
            service.api.connected().await;
        }
        let looker = Looker::new(&people.api, &goods.api, &mine.api, &users);
        Self { looker, mine, people: proxies.0, goods: proxies.1, services: [people, goods], dir }
    }

    fn heal(&self) {
        self.people.heal();
        self.goods.heal();
    }

    /// A purchase under a key of its own that must end in 503.
    async fn no_answer_to(&self, n: usize) {
        let call = compra(&self.mine.api, 1, 2).header("Idempotency-Key", &format!("n{n}"));
        call.await.assert_problem(503, "servicio-no-disponible");
    }

    /// A purchase that must end in 503, and not much after its deadline.
    async fn no_answer(&self, clave: &str, id: u64) {
        // a machine that stands still makes one of them late, and not all
        let mut took = [Duration::ZERO; 3];
        for time in &mut took {
            let start = Instant::now();
            let answer = compra(&self.mine.api, 1, id).header("Idempotency-Key", clave).await;
            answer.assert_problem(503, "servicio-no-disponible");
            *time = start.elapsed();
            if *time < DEADLINE + Duration::from_secs(2) {
                return;
            }
        }
        panic!("{took:?}");
    }
}

#[tokio::test]
async fn a_participant_that_is_down_is_503_and_the_key_buys_once_it_is_back() {
    let t = Trouble::start().await;
    for (n, (proxy, fault)) in [
        (&t.goods, Fault::Refuse),
        (&t.people, Fault::Refuse),
        (&t.goods, Fault::Hang),
        (&t.people, Fault::Hang),
    ]
    .into_iter()
    .enumerate()
    {
        let (clave, id) = (format!("k{n}"), n as u64 + 1);
        proxy.every(fault);
        t.no_answer(&clave, id).await;
        t.no_answer(&clave, id).await;
        t.heal();
        insist(&t.mine.api, &clave, 1, id).await.expect(201);
    }
    assert_eq!(t.looker.check().await.len(), 4);
    assert_eq!(t.looker.saldo(1).await, 960);
}

#[tokio::test]
async fn more_purchases_than_may_be_under_way_are_turned_away_at_once() {
    let t = Trouble::with(&[PATIENT[0], PATIENT[1], "--purchases-at-once=4"]).await;
    let under_way = async |n: u64| {
        eventually(PATIENCE, async || (metric(&t.mine.api, "purchases_under_way").await == n).then_some(()))
            .await;
    };
    t.goods.every(Fault::Hang);
    let waiting: Vec<_> = (1..=4)
        .map(|id| {
            let call = compra(&t.mine.api, 1, id).header("Idempotency-Key", &format!("k{id}"));
            tokio::spawn(call.into_future())
        })
        .collect();
    under_way(4).await;
    let answer = compra(&t.mine.api, 1, 5).header("Accept-Language", "en").await;
    answer.assert_problem(503, "demasiadas-operaciones");
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(answer.text().contains("nothing was begun"), "{}", answer.text());
    assert_eq!(metric(&t.mine.api, "purchases_turned_away_total").await, 1);
    // others are served meanwhile
    t.mine.api.get("/transacciones").await.expect(200);
    t.heal();
    for purchase in waiting {
        purchase.await.unwrap().expect(201);
    }
    under_way(0).await;
    compra(&t.mine.api, 1, 5).await.expect(201);
    assert_eq!(t.looker.check().await.len(), 5);
    under_way(0).await;
}

/// What a participant without room says to the end of a hold.
const FULL: Fault = Fault::Say(
    "HTTP/1.1 507 Insufficient Storage\r\nContent-Type: application/problem+json\r\nContent-Length: 27\r\n\
     Connection: close\r\n\r\n{\"codigo\":\"almacen-lleno\"} ",
);

#[tokio::test]
async fn a_participant_that_is_full_for_a_moment_hears_of_the_purchase_before_the_buyer() {
    let t = Trouble::with(&PATIENT).await;
    for (step, proxy) in [(Step::Confirm, &t.goods), (Step::Confirm, &t.people)] {
        proxy.fault_times(step, FULL, 3);
    }
    compra(&t.mine.api, 1, 1).header("Idempotency-Key", "k1").await.expect(201);
    assert_eq!(t.goods.met(Step::Confirm), 3);
    assert!(t.looker.is_sold(1).await, "the buyer's next reading shows it");
    assert_eq!(t.looker.check().await.len(), 1);
}

/// The next attempt would find the token held by the one that could not be cancelled, and its refusal would be a lie.
#[tokio::test]
async fn a_hold_that_a_full_participant_cannot_cancel_refuses_nobody() {
    // a full participant answers at once: nothing here waits for the deadline
    let t = Trouble::with(&PATIENT).await;
    let dear = || compra(&t.mine.api, 1, 21).header("Idempotency-Key", "k1");
    t.goods.fault(Step::Cancel, FULL);
    dear().await.assert_problem(409, "saldo-insuficiente");
    dear().await.assert_problem(503, "servicio-no-disponible");
    t.heal();
    dear().await.assert_problem(409, "saldo-insuficiente");
    assert_eq!(t.looker.check().await.len(), 0);
}

/// A debit whose confirmation hangs keeps its place: what runs in the background is bounded with the rest.
#[tokio::test]
async fn a_background_task_keeps_its_purchases_place() {
    let t = Trouble::with(&[PATIENT[0], PATIENT[1], "--purchases-at-once=1"]).await;
    t.people.fault(Step::Confirm, Fault::Hang);
    compra(&t.mine.api, 1, 1).header("Idempotency-Key", "k1").await.expect(201);
    assert_eq!(metric(&t.mine.api, "purchases_under_way").await, 1);
    t.heal();
    insist(&t.mine.api, "k2", 1, 2).await.expect(201);
    assert_eq!(t.looker.check().await.len(), 2);
}

#[tokio::test]
async fn who_does_not_answer_at_all_is_spared_until_it_answers() {
    let t = Trouble::start().await;
    let opens = async |open: u64| {
        eventually(PATIENCE, async || {
            (metric(&t.mine.api, "tokens_unanswering").await == open).then_some(())
        })
        .await;
    };
    t.goods.every(Fault::Hang);
    let answers = join_all((0..20).map(|n| t.no_answer_to(n))).await;
    assert_eq!(answers.len(), 20);
    opens(1).await;
    let met = t.goods.met(Step::Hold);
    // far more at once than there may be under way, and all are answered
    join_all((0..200).map(|n| t.no_answer_to(n))).await;
    let asked = t.goods.met(Step::Hold) - met;
    assert!(asked < 100, "{asked} of 200 purchases reached a participant that does not answer");
    assert_eq!(metric(&t.mine.api, "usuarios_unanswering").await, 0);
    t.heal();
    insist(&t.mine.api, "k", 1, 1).await.expect(201);
    opens(0).await;
    assert_eq!(t.looker.check().await.len(), 1);
}

#[tokio::test]
async fn nobody_listens_at_all() {
    let dir = TempDir::new().unwrap();
    let address = ([127, 0, 0, 1], free_port()).into();
    let mine = transacciones(dir.path(), address, address, &TIMES);
    mine.api.connected().await;
    compra(&mine.api, 1, 1).await.assert_problem(503, "servicio-no-disponible");
    mine.api.get("/transacciones").await.expect(200);
    mine.api.get("/readyz").await.expect(200);
}

#[tokio::test]
async fn one_lost_answer_is_asked_for_again() {
    let t = Trouble::start().await;
    let mut id = 0;
    for step in [Step::Hold, Step::Confirm] {
        for fault in [Fault::Lose, Fault::Refuse, Fault::Say("HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n")] {
            for proxy in [&t.goods, &t.people] {
                id += 1;
                let met = proxy.met(step);
                proxy.fault_times(step, fault, 1);
                insist(&t.mine.api, &format!("k{id}"), 1, id).await.expect(201);
                // the debit is confirmed behind the answer
                eventually(PATIENCE, async || (proxy.met(step) > met).then_some(())).await;
            }
        }
    }
    assert_eq!(t.looker.check().await.len(), 12);
}

#[tokio::test]
async fn a_try_whose_answers_are_lost_is_taken_back_and_the_key_still_buys() {
    let t = Trouble::start().await;
    for (n, fault) in [Fault::Lose, Fault::Mute].into_iter().enumerate() {
        for (side, proxy) in [&t.goods, &t.people].into_iter().enumerate() {
            let id = (n * 2 + side) as u64 + 1;
            let clave = format!("k{id}");
            proxy.fault(Step::Hold, fault);
            t.no_answer(&clave, id).await;
            // recovery gives back what the lost calls took
            let nothing = eventually(PATIENCE, async || {
                let verdict = audit(&t.mine.api).await;
                (verdict["pendientes"] == 0).then_some(verdict)
            })
            .await;
            assert_eq!(nothing["correcto"], true, "{nothing}");
            let before = t.looker.check().await.len();
            assert_eq!(before, id as usize - 1);
            t.heal();
            insist(&t.mine.api, &clave, 1, id).await.expect(201);
        }
    }
    assert_eq!(t.looker.check().await.len(), 4);
}

#[tokio::test]
async fn bought_is_bought_also_where_no_confirmation_gets_through() {
    let t = Trouble::start().await;
    for (n, fault) in [Fault::Refuse, Fault::Lose, Fault::Hang, Fault::Mute].into_iter().enumerate() {
        let id = n as u64 + 1;
        t.goods.fault(Step::Confirm, fault);
        t.people.fault(Step::Confirm, fault);
        let bought = insist(&t.mine.api, &format!("k{id}"), 1, id).await.expect(201).json();
        assert_eq!(bought["tokenId"], id);
        t.looker.audit().await;
        t.heal();
    }
    assert_eq!(t.looker.check().await.len(), 4);
}

#[tokio::test]
async fn a_release_that_gets_lost_is_made_up_for() {
    let t = Trouble::start().await;
    for (n, fault) in [Fault::Refuse, Fault::Lose, Fault::Hang, Fault::Mute].into_iter().enumerate() {
        t.goods.fault(Step::Cancel, fault);
        let met = t.goods.met(Step::Cancel);
        let answer = insist(&t.mine.api, &format!("k{n}"), 1, 21).await;
        answer.assert_problem(409, "saldo-insuficiente");
        eventually(PATIENCE, async || (t.goods.met(Step::Cancel) > met).then_some(())).await;
        t.heal();
        t.looker.check().await;
        // free again
        t.looker.tokens.patch("/tokens/21").json(json!({"precio": 2000 + n})).await.expect(200);
    }
    assert_eq!(t.looker.saldo(1).await, 1000);
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    let t = Trouble::start().await;
    let said = [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno!",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"precio\":-1}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\n{",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 26\r\n\r\n{\"codigo\":\"no-autorizado\"}",
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        "HTTP/1.1 409 Conflict\r\nContent-Length: 22\r\n\r\n{\"codigo\":\"otra-cosa\"}",
        "HTTP/1.1 500 x\r\nContent-Length: 32\r\n\r\n{\"codigo\":\"token-no-disponible\"}",
        "220 smtp ready\r\n",
        "\0\0\0",
    ];
    for words in said {
        for proxy in [&t.goods, &t.people] {
            proxy.fault(Step::Hold, Fault::Say(words));
            t.no_answer("k", 1).await;
            t.heal();
        }
    }
    insist(&t.mine.api, "k", 1, 1).await.expect(201);
    assert_eq!(t.looker.check().await.len(), 1);
}

#[tokio::test]
async fn a_key_under_way_stands_for_its_body() {
    files_only!("has 400 ms for a purchase");
    let t = Trouble::start().await;
    t.people.fault(Step::Hold, Fault::Refuse);
    // the debit is asked for once the token is held
    eventually(PATIENCE, async || {
        t.no_answer("k", 1).await;
        (t.people.met(Step::Hold) > 0).then_some(())
    })
    .await;
    insist(&t.mine.api, "k", 2, 1).await.assert_problem(422, "clave-reutilizada");
    insist(&t.mine.api, "k", 1, 2).await.assert_problem(422, "clave-reutilizada");
    t.heal();
    insist(&t.mine.api, "k", 1, 1).await.expect(201);
    assert_eq!(t.looker.check().await.len(), 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_half_way_has_bought_all_the_same() {
    let t = Trouble::with(&PATIENT).await;
    for (id, proxy) in [(1, &t.goods), (2, &t.people)] {
        // until the client has gone
        proxy.fault(Step::Hold, Fault::Refuse);
        let address = t.mine.api.base.trim_start_matches("http://").to_owned();
        let mut client = TcpStream::connect(address).await.unwrap();
        let body = json!({"usuarioId": 1, "tokenId": id}).to_string();
        let head = format!(
            "POST /transacciones HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        eventually(PATIENCE, async || (proxy.met(Step::Hold) > 0).then_some(())).await;
        drop(client);
        proxy.heal();
        let bought = async || {
            let list = t.mine.api.get(&format!("/transacciones?tokenId={id}")).await.expect(200);
            list.json().get(0).cloned()
        };
        let bought: Value = eventually(PATIENCE, bought).await;
        assert_eq!((&bought["usuarioId"], &bought["precio"]), (&json!(1), &json!(10)));
    }
    assert_eq!(t.looker.check().await.len(), 2);
}

#[tokio::test]
async fn purchases_in_bad_weather_come_out_right() {
    files_only!("looks for the journal");
    let t = Trouble::start().await;
    let lose = || {
        for proxy in [&t.goods, &t.people] {
            for (step, fault) in
                [(Step::Hold, Fault::Lose), (Step::Confirm, Fault::Refuse), (Step::Cancel, Fault::Lose)]
            {
                proxy.fault_times(step, fault, 10);
            }
        }
    };
    lose();
    // both want each token, under a key each, until somebody has it
    let answers =
        join_all((1..=20).flat_map(|id| [1, 2].map(|usuario| (id, usuario))).map(|(id, usuario)| {
            let api = &t.mine.api;
            async move { insist(api, &format!("k-{usuario}-{id}"), usuario, id).await }
        }))
        .await;
    let bought = t.looker.check().await;
    let acknowledged = answers.iter().filter(|a| a.status == 201).count();
    assert_eq!(acknowledged, bought.len());
    assert!(answers.iter().all(|a| a.status == 201 || a.code() == "token-no-disponible"));
    assert!(!bought.is_empty());
    assert!(t.dir.path().join("transacciones.journal").exists());
}
