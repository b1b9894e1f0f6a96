//! `fallo`: a process dies at a named point of a purchase. What is left there, who settles it, and when?
//!
//! The process is started for it, with `FALLO_EN` in its environment, and gets one purchase straight from one customer: no
//! gateway sends that purchase again. When what was held is settled, the customer repeats the key.

use super::{Figure, Lab, Rule, Story};
use crate::history::{Op, Outcome};
use crate::http;
use crate::local::{INTERNAL_TOKEN, Local, ORPHAN_AGE, Replica};
use crate::measure::{End, Kind};
use crate::plan::Service;
use crate::reading;
use crate::t;
use crate::wire;
use crate::words::{listed, time};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Points of a purchase, in its order, as `transacciones` knows them.
pub const POINTS: [&str; 6] =
    ["tras-reserva", "tras-cargo", "tras-compra", "tras-venta", "tras-aborto", "tras-liberacion"];
/// Those that the naive shop has as well.
pub const OF_NAIVE: [&str; 4] = ["tras-reserva", "tras-cargo", "tras-compra", "tras-venta"];
/// Recovery looks once a second, and this machine may be busy.
const SETTLED_WITHIN: Duration = Duration::from_millis(ORPHAN_AGE.as_millis() as u64 + 10_000);
/// The longest that one look at what is held may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A service that does not say for so long what is held is not there.
const SILENCE: Duration = Duration::from_secs(20);
/// The customers of the experiment; others count from one.
const VICTIM: u64 = 1_000_000_000;

pub(super) async fn script(lab: &Lab<'_>, local: &Local, points: &[&'static str]) -> Result<Story, String> {
    let mut story = Story::default();
    let mut late = Vec::new();
    let mut longest = 0;
    let mut ways = [0_usize; 2];
    let mut done = 0_usize;
    while Instant::now() < lab.end && !lab.stop.heard() && done < lab.spare.len() {
        let Some(point) = points.get(done % points.len()) else { break };
        if !lab.stop.pause(lab.part(0.05).min(Duration::from_secs(1))).await {
            break;
        }
        lab.screen.next(t!("muerte en {point}", "a death at {point}"));
        let text = if local.naive() {
            naive(lab, local, point, done).await?
        } else {
            let (text, settled, way) = market(lab, local, point, done).await?;
            longest = longest.max(settled);
            if Duration::from_micros(settled) > SETTLED_WITHIN {
                late.push(format!("{point}: {}", time(settled)));
            }
            for (n, some) in ways.iter_mut().zip([way == Way::Released, way == Way::Confirmed]) {
                *n += usize::from(some);
            }
            text
        };
        story.figures.push(Figure::new(*point, text));
        done += 1;
    }
    let why = if lab.stop.heard() {
        t!("interrumpido", "interrupted")
    } else {
        t!("faltó tiempo (--segundos)", "no time was left (--segundos)")
    };
    let untried =
        points.iter().skip(done).map(|point| (*point, t!("no se probó: {why}", "not tried: {why}")));
    story.figures.extend(untried.map(|(point, text)| Figure::new(point, text)));
    if !local.naive() {
        let limit = SETTLED_WITHIN.as_secs();
        story.rules.push(Rule {
            regla: "retenidos".to_owned(),
            dice: t!(
                "Lo que la muerte dejó retenido se resuelve en {limit} s",
                "What the death left held is settled within {limit} s"
            ),
            correcto: late.is_empty(),
            unchecked: (longest == 0).then(|| t!("no quedó nada retenido", "nothing was left held")),
            veces: late.len() as u64,
            hallazgos: late,
        });
        story.sentence = seen(done, longest, ways);
    } else {
        story.sentence = t!(
            "Muertes a mitad de una compra: {done}. Nadie resuelve lo que dejan a medias.",
            "Deaths in the middle of a purchase: {done}. Nobody settles what they leave behind."
        );
    }
    Ok(story)
}

/// How what was held is settled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// There was no purchase: all goes back.
    Released,
    /// There was one: it is completed.
    Confirmed,
    /// Nothing was held, or nobody counted it.
    Unknown,
}

/// What the deaths came to.
fn seen(done: usize, longest: u64, [released, confirmed]: [usize; 2]) -> String {
    let deaths = t!("Muertes a mitad de una compra: {done}.", "Deaths in the middle of a purchase: {done}.");
    let rest = match (done, longest) {
        (0, _) => return deaths,
        (_, 0) => t!("No dejaron nada retenido.", "They left nothing held."),
        _ => {
            let longest = time(longest);
            t!(
                "Lo que dejaron retenido se resolvió en {longest} o menos: se soltó en {released} y se confirmó en {confirmed}.",
                "What they left held was settled within {longest}: released after {released}, and confirmed after {confirmed}."
            )
        }
    };
    format!("{deaths} {rest}")
}

/// Who settled it, how, and in what time.
fn settlement(who: &[String], way: Way, micros: u64) -> String {
    let took = time(micros);
    let by = listed(who);
    match (way, who) {
        (Way::Unknown, _) | (_, []) => {
            t!("se resolvió en {took}, y no se sabe quién lo hizo", "settled in {took}, by whom is not known")
        }
        (Way::Released, [_]) => t!("lo soltó {by} en {took}", "released by {by} in {took}"),
        (Way::Released, _) => t!("lo soltaron {by} en {took}", "released by {by} in {took}"),
        (Way::Confirmed, [_]) => t!("lo confirmó {by} en {took}", "confirmed by {by} in {took}"),
        (Way::Confirmed, _) => t!("lo confirmaron {by} en {took}", "confirmed by {by} in {took}"),
    }
}

/// What the customer was told under the same key; `sold` is whether the token was sold before that.
fn told(status: Option<u16>, reason: &str, sold: Option<bool>) -> String {
    let what = match (status, sold) {
        (Some(201), Some(true)) => {
            t!(": la compra que ya estaba hecha", ": the purchase that was already made")
        }
        (Some(201), Some(false)) => t!(": una compra nueva", ": a new purchase"),
        _ => String::new(),
    };
    t!("la misma clave obtuvo después {reason}{what}", "the same key was then answered {reason}{what}")
}

/// The experiment's own customer buys at a process that is about to die; the key, what was asked for, and when.
async fn strike(lab: &Lab<'_>, at: &Replica, point: &str, n: usize) -> Result<(String, Op, Instant), String> {
    let token = lab.spare.get(n).ok_or_else(|| t!("no quedan tokens", "no tokens are left"))?;
    // an abort needs a refusal: the last user has no money
    let poor = matches!(point, "tras-aborto" | "tras-liberacion");
    let which = lab.usuarios.len().saturating_sub(if poor { 1 } else { 2 });
    let usuario = lab.usuarios.get(which).map_or(1, |u| u.id);
    let op = Op::Buy { usuario, token: token.id, precio: None };
    let clave = format!("{point}-{}-{n}", token.id);
    let sent = Instant::now();
    let to = lab.load.at(&at.url());
    let (outcome, answer) = lab.load.ask(&to, VICTIM + n as u64, op.clone(), Some(&clave)).await;
    if outcome == Outcome::Open && answer.status.is_none() {
        return Ok((clave, op, sent));
    }
    let status = answer.status.unwrap_or_default();
    Err(t!(
        "el proceso no murió en {point} (contestó {status}): constrúyalo de este repositorio con «cargo build -p transacciones»",
        "the process did not die at {point} (it answered {status}): build it from this repository by \"cargo build -p transacciones\""
    ))
}

/// Repeats the key at everybody else's; what the customer is told.
async fn again(lab: &Lab<'_>, clave: &str, op: Op, n: usize, sent: Instant) -> String {
    let customer = VICTIM + n as u64;
    let sold = match op {
        // nobody else buys it
        Op::Buy { token, .. } => lab.load.look(customer, Op::ShowToken { token }).await,
        _ => None,
    };
    let answer = lab.load.insist(customer, &op, clave).await;
    lab.meter.sample(sent, Kind::Other, End::of(&answer), answer.pod.as_deref());
    told(answer.status, &answer.reason(), sold.and_then(|body| body.get("vendido")?.as_bool()))
}

/// What a death there left, in words; how long it was held, and how it was settled.
async fn market(lab: &Lab<'_>, local: &Local, point: &str, n: usize) -> Result<(String, u64, Way), String> {
    let armed = local.add(Service::Transacciones, Some(point)).await?;
    local.ready(&armed).await?;
    let victim = local.named(&armed)?;
    let before = settlers(local).await;
    let struck = strike(lab, &victim, point, n).await;
    let (from, died) = (lab.meter.now(), Instant::now());
    // before its supervisor starts another one that would die as well; how that one ends does not matter
    let _ = local.remove(&armed).await;
    let (clave, op, sent) = struck?;
    let left = held(local, &clave).await?;
    let [token, money] = left;
    let left = match (token, money) {
        (true, true) => {
            t!("quedaron retenidos el token y el dinero", "the token and the money were left held")
        }
        (true, false) => t!("quedó retenido el token", "the token was left held"),
        (false, true) => t!("quedó retenido el dinero", "the money was left held"),
        (false, false) => t!("no quedó nada retenido", "nothing was left held"),
    };
    let any = token || money;
    let deadline = died + SETTLED_WITHIN * 4;
    while held(local, &clave).await? != [false; 2] && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let settled = if any { u64::try_from(died.elapsed().as_micros()).unwrap_or(u64::MAX) } else { 0 };
    lab.did(from, t!("{armed} murió en {point}", "{armed} died at {point}"), true);
    // it is counted a moment after it is gone
    let counted = Instant::now() + PATIENCE;
    let (who, way) = loop {
        let found = settler(&before, &settlers(local).await);
        if !any || found.1 != Way::Unknown || Instant::now() > counted {
            break found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let (how, way) = match any {
        true => (settlement(&who, way, settled), way),
        false => (t!("no hubo nada que resolver", "nothing had to be settled"), Way::Unknown),
    };
    let then = again(lab, &clave, op, n, sent).await;
    Ok((format!("{left}; {how}; {then}"), settled, way))
}

/// Whose counts have grown meanwhile, and which of the two.
fn settler(before: &[Settled], after: &[Settled]) -> (Vec<String>, Way) {
    let grown = |pick: fn(&Settled) -> u64| -> Vec<String> {
        let known = |new: &&Settled| before.iter().find(|old| old.name == new.name).map(pick);
        after.iter().filter(|new| known(new).is_some_and(|n| pick(new) > n)).map(|s| s.name.clone()).collect()
    };
    let (confirmed, released) = (grown(|s| s.confirmed), grown(|s| s.released));
    match (confirmed.is_empty(), released.is_empty()) {
        (false, true) => (confirmed, Way::Confirmed),
        (true, false) => (released, Way::Released),
        _ => (Vec::new(), Way::Unknown),
    }
}

async fn naive(lab: &Lab<'_>, local: &Local, point: &str, n: usize) -> Result<String, String> {
    for replica in local.of(Service::Transacciones) {
        local.remove(&replica.name).await?;
    }
    let armed = local.add(Service::Transacciones, Some(point)).await?;
    local.ready(&armed).await?;
    let from = lab.meter.now();
    let struck = strike(lab, &local.named(&armed)?, point, n).await;
    let _ = local.remove(&armed).await;
    let (clave, op, sent) = struck?;
    let new = local.add(Service::Transacciones, None).await?;
    local.ready(&new).await?;
    lab.did(from, t!("{armed} murió en {point}", "{armed} died at {point}"), true);
    let then = again(lab, &clave, op, n, sent).await;
    Ok(t!("nadie resolvió nada; {then}", "nobody settled anything; {then}"))
}

/// Whether `tokens` and `usuarios` hold something for an attempt under this key.
async fn held(local: &Local, clave: &str) -> Result<[bool; 2], String> {
    let client = http::client(false)?;
    let mut held = [false; 2];
    for (held, (service, path)) in
        held.iter_mut().zip([(Service::Tokens, "reservas"), (Service::Usuarios, "cargos")])
    {
        let url = local.internal(service).unwrap_or_default();
        let holds = holds(&client, &format!("{url}/interno/{path}?pendientes=true"), SILENCE).await?;
        let prefix = format!("{clave}#");
        // where people log in, whose it is stands before it
        let attempt = |h: &Value| h.get("intento")?.as_str().map(|i| i.contains(&prefix));
        *held = holds.iter().any(|h| attempt(h) == Some(true));
    }
    Ok(held)
}

/// What a service holds. It is asked again for so long: a busy machine answers late, and a connection may be lost.
async fn holds(client: &reqwest::Client, url: &str, within: Duration) -> Result<Vec<Value>, String> {
    let deadline = Instant::now() + within;
    loop {
        let answer = wire::whole(client.get(url).bearer_auth(INTERNAL_TOKEN), PATIENCE).await;
        match (answer.status, answer.body.as_array()) {
            (Some(200), Some(holds)) => return Ok(holds.clone()),
            _ if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(100)).await,
            _ => {
                let (seconds, why) = (within.as_secs(), answer.reason());
                return Err(t!(
                    "{url} no dice en {seconds} s qué está retenido: {why}",
                    "{url} does not say within {seconds} s what is held: {why}"
                ));
            }
        }
    }
}

/// What a process of `transacciones` has settled in recovery.
struct Settled {
    name: String,
    confirmed: u64,
    released: u64,
}

async fn settlers(local: &Local) -> Vec<Settled> {
    let mut all = Vec::new();
    let Ok(client) = http::client(false) else { return all };
    for replica in local.of(Service::Transacciones) {
        if let Some(public) = replica.public() {
            let count = async |name| reading::counter(&client, public, name, PATIENCE).await.unwrap_or(0);
            all.push(Settled {
                name: replica.name,
                confirmed: count("recovery_confirmed_total").await,
                released: count("recovery_cancelled_total").await,
            });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{Settled, holds, seen, settlement, settler, told};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_look_that_fails_is_taken_again_until_the_market_is_gone() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = tokio::spawn(async move {
            // lost, busy, and then there
            for answer in ["", "HTTP/1.1 503 Busy\r\nconnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n[7]"]
            {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let client = crate::http::client(false).unwrap();
        let ask = async |seconds| holds(&client, &url, Duration::from_secs(seconds)).await;
        assert_eq!(ask(60).await, Ok(vec![7.into()]));
        service.await.unwrap();
        assert_eq!(ask(0).await, Err(format!("{url} no dice en 0 s qué está retenido: sin respuesta")));
    }

    fn settled(name: &str, confirmed: u64, released: u64) -> Settled {
        Settled { name: name.to_owned(), confirmed, released }
    }

    #[test]
    fn it_is_told_who_released_or_confirmed() {
        let said = |after: &[Settled]| {
            let (who, way) = settler(&[settled("a", 1, 1), settled("b", 1, 1)], after);
            settlement(&who, way, 4_400_000)
        };
        assert_eq!(said(&[settled("a", 1, 2), settled("b", 1, 1)]), "lo soltó a en 4.4 s");
        assert_eq!(said(&[settled("a", 3, 1), settled("b", 1, 1)]), "lo confirmó a en 4.4 s");
        assert_eq!(said(&[settled("a", 2, 1), settled("b", 2, 1)]), "lo confirmaron a y b en 4.4 s");
        assert_eq!(
            said(&[settled("a", 1, 1), settled("b", 1, 1)]),
            "se resolvió en 4.4 s, y no se sabe quién lo hizo"
        );
    }

    #[test]
    fn the_201_afterwards_is_a_purchase_that_was_there_or_a_new_one() {
        assert!(told(Some(201), "201", Some(true)).ends_with("201: la compra que ya estaba hecha"));
        assert!(told(Some(201), "201", Some(false)).ends_with("201: una compra nueva"));
        assert!(told(Some(409), "409 saldo-insuficiente", Some(false)).ends_with("409 saldo-insuficiente"));
    }

    #[test]
    fn deaths_that_left_nothing_have_no_time() {
        assert_eq!(seen(0, 0, [0, 0]), "Muertes a mitad de una compra: 0.");
        assert!(seen(2, 0, [0, 0]).ends_with("No dejaron nada retenido."));
        assert!(seen(2, 3_000_000, [1, 1]).contains("en 3.0 s o menos"));
    }
}
