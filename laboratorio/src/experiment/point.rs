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
use crate::words::time;
use std::time::{Duration, Instant};

/// Points of a purchase, in its order, as `transacciones` knows them.
pub const POINTS: [&str; 6] =
    ["tras-reserva", "tras-cargo", "tras-compra", "tras-venta", "tras-aborto", "tras-liberacion"];
/// Points that the naive shop has as well.
const OF_NAIVE: usize = 4;
/// Recovery looks once a second, and this machine may be busy.
const SETTLED_WITHIN: Duration = Duration::from_millis(ORPHAN_AGE.as_millis() as u64 + 5000);
/// The customers of the experiment; others count from one.
const VICTIM: u64 = 1_000_000_000;

pub(super) async fn script(lab: &Lab<'_>, local: &Local, points: &[&'static str]) -> Result<Story, String> {
    let mut story = Story::default();
    let mut late = Vec::new();
    let mut longest = 0;
    let mut done = 0_usize;
    let points: Vec<_> =
        points.iter().filter(|p| !local.naive() || POINTS.iter().take(OF_NAIVE).any(|k| k == *p)).collect();
    if points.is_empty() {
        return Err(t!("la tienda ingenua no tiene ese punto", "the naive shop has no such point"));
    }
    while Instant::now() < lab.end && !lab.stop.heard() && done < lab.spare.len() {
        let Some(point) = points.get(done % points.len()) else { break };
        if !lab.stop.pause(lab.part(0.05).min(Duration::from_secs(1))).await {
            break;
        }
        lab.screen.next(t!("muerte en {point}", "a death at {point}"));
        let (text, settled) = if local.naive() {
            (naive(lab, local, point, done).await?, None)
        } else {
            let (text, settled) = market(lab, local, point, done).await?;
            (text, Some(settled))
        };
        if let Some(settled) = settled {
            longest = longest.max(settled);
            if Duration::from_micros(settled) > SETTLED_WITHIN {
                late.push(format!("{point}: {}", time(settled)));
            }
        }
        story.figures.push(Figure::new(**point, text));
        done += 1;
    }
    if !local.naive() {
        let limit = SETTLED_WITHIN.as_secs();
        story.rules.push(Rule {
            regla: "retenidos".to_owned(),
            dice: t!(
                "Lo que la muerte dejó retenido se resuelve en {limit} s",
                "What the death left held is settled within {limit} s"
            ),
            correcto: late.is_empty(),
            veces: late.len() as u64,
            hallazgos: late,
        });
        let longest = time(longest);
        story.sentence = t!(
            "Muertes a mitad de una compra: {done}. Lo que dejaron retenido se resolvió en {longest} o menos.",
            "Deaths in the middle of a purchase: {done}. What they left held was settled within {longest}."
        );
    } else {
        story.sentence = t!(
            "Muertes a mitad de una compra: {done}. Nadie resuelve lo que dejan a medias.",
            "Deaths in the middle of a purchase: {done}. Nobody settles what they leave behind."
        );
    }
    Ok(story)
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
    let answer = lab.load.insist(VICTIM + n as u64, &op, clave).await;
    lab.meter.sample(sent, Kind::Other, End::of(answer.status), answer.pod.as_deref());
    let status = answer.reason();
    t!("la misma clave obtuvo después {status}", "the same key was then answered {status}")
}

async fn market(lab: &Lab<'_>, local: &Local, point: &str, n: usize) -> Result<(String, u64), String> {
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
    let after = settlers(local).await;
    let who: Vec<_> = after
        .iter()
        .filter(|(name, n)| before.iter().find(|(known, _)| known == name).is_some_and(|(_, m)| n > m))
        .map(|(name, _)| name.clone())
        .collect();
    let by = if who.is_empty() { t!("la recuperación", "recovery") } else { who.join(", ") };
    let took = time(settled);
    let how = if any {
        t!("lo resolvió {by} en {took}", "settled by {by} in {took}")
    } else {
        t!("no hubo nada que resolver", "nothing had to be settled")
    };
    let then = again(lab, &clave, op, n, sent).await;
    Ok((format!("{left}; {how}; {then}"), settled))
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
        let request = client.get(format!("{url}/interno/{path}?pendientes=true")).bearer_auth(INTERNAL_TOKEN);
        let answer =
            request.timeout(Duration::from_secs(5)).send().await.map_err(|e| format!("{path}: {e}"))?;
        let holds: Vec<serde_json::Value> = answer.json().await.map_err(|e| format!("{path}: {e}"))?;
        let prefix = format!("{clave}#");
        // where people log in, whose it is stands before it
        let attempt = |h: &serde_json::Value| h.get("intento")?.as_str().map(|i| i.contains(&prefix));
        *held = holds.iter().any(|h| attempt(h) == Some(true));
    }
    Ok(held)
}

/// How many holds each process of `transacciones` has settled in recovery.
async fn settlers(local: &Local) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    let Ok(client) = http::client(false) else { return all };
    for replica in local.of(Service::Transacciones) {
        if let Some(public) = replica.public() {
            let mut n = 0;
            for name in ["recovery_confirmed_total", "recovery_cancelled_total"] {
                n += reading::counter(&client, public, name).await.unwrap_or(0);
            }
            all.push((replica.name, n));
        }
    }
    all
}
