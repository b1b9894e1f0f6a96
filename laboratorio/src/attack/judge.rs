//! What every kind is asked when it is over.

use super::arena::{Arena, PATIENCE, Service};
use super::kinds::{Attack, Kind};
use super::probes;
use super::raw;
use super::seen::Seen;
use crate::t;
use std::time::{Duration, Instant};

/// A purchase's deadline: an attack that is over sooner may have met none that ended.
const A_PURCHASE: Duration = Duration::from_secs(3);

/// A kind's row of the table.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Of the list; 0 for what is none of it.
    pub row: u8,
    /// The kind's name.
    pub name: String,
    /// Purchases a second before and during it.
    pub rates: Option<(f64, f64)>,
    /// 99th percentile of the probes.
    pub p99: Option<Duration>,
    /// The most MiB of one service.
    pub peak_mib: Option<u64>,
    /// What was seen.
    pub seen: Seen,
    /// Whether something else attacks it.
    pub elsewhere: bool,
}

impl Verdict {
    /// Of a kind that something else attacks.
    pub fn elsewhere(kind: &Kind, where_: String) -> Self {
        Self { elsewhere: true, ..Self::of(kind.row, kind.name, Seen { what: where_, wrong: Vec::new() }) }
    }

    fn of(row: u8, name: &str, seen: Seen) -> Self {
        Self { row, name: name.to_owned(), rates: None, p99: None, peak_mib: None, seen, elsewhere: false }
    }
}

/// Runs one kind and judges it.
///
/// # Errors
/// Why it could not be run.
pub async fn attack(kind: &Kind, attack: Attack, arena: &mut Arena) -> Result<Verdict, String> {
    arena.revive().await?;
    arena.peaks();
    let shopping = arena.customers.shop();
    tokio::time::sleep(arena.scale.before).await;
    let before = shopping.end();

    let (shopping, probes) = (arena.customers.shop(), arena.probe(kind.silent));
    let begun = Instant::now();
    let mut seen = attack(arena).await?;
    if !kind.no_purchases {
        shopping.first_purchase(A_PURCHASE.saturating_sub(begun.elapsed()), PATIENCE).await;
    }
    let (during, (silence, met)) = (shopping.end(), Arena::met(probes));
    let peak = arena.peaks().into_iter().map(|(_, mib)| mib).max();

    seen.wrong.extend(arena.bury());
    if seen.wrong.is_empty() {
        seen.rule(silence < 3, || {
            t!("{} sondas seguidas sin respuesta", "{} probes in a row without an answer", silence)
        });
        seen.rule(met.p99() < probes::PATIENCE, || {
            t!(
                "{} de {} sondas sin respuesta en {} s",
                "{} of {} probes not answered within {} s",
                met.unanswered(),
                met.times.len(),
                probes::PATIENCE.as_secs()
            )
        });
        seen.rule(during > 0.0 || kind.no_purchases, || t!("nadie pudo comprar", "nobody could buy"));
        afterwards(arena, &mut seen).await;
        seen.wrong.extend(arena.bury());
    }
    if !arena.scale.short || !seen.wrong.is_empty() {
        kept(arena, &mut seen).await?;
    }
    let rates = Some((before, during));
    Ok(Verdict { rates, p99: Some(met.p99()), peak_mib: peak, ..Verdict::of(kind.row, kind.name, seen) })
}

/// `kill -9` of everything, a start, and what is there then.
///
/// # Errors
/// Where the market cannot be read.
pub async fn restart(arena: &mut Arena) -> Result<Verdict, String> {
    let mut seen = Seen::default();
    kept(arena, &mut seen).await?;
    afterwards(arena, &mut seen).await;
    settled(arena, &mut seen).await;
    let promises = arena.customers.promises();
    seen.rule(promises > 0, || t!("no se vendió nada", "nothing was sold"));
    seen.what = t!(
        "kill -9 y arranque: {} compras prometidas, todas están",
        "kill -9 and start: {} purchases promised, all there",
        promises
    );
    Ok(Verdict::of(0, "reinicio", seen))
}

/// Ready, selling, and right.
async fn afterwards(arena: &Arena, seen: &mut Seen) {
    if !arena.becomes_ready(PATIENCE).await {
        seen.wrong.push(t!("no vuelve a estar listo", "it does not become ready again"));
        return;
    }
    // a breaker, and what recovery has to settle, may refuse one for a while
    let start = Instant::now();
    while let Err(why) = arena.customers.buy_one(1, Duration::from_secs(10)).await {
        if start.elapsed() > PATIENCE {
            seen.wrong.push(t!("no vende después: {}", "it does not sell afterwards: {}", why));
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    match audit(arena).await {
        Ok(audit) => seen.rule(audit["correcto"] == true, || t!("auditoría: {}", "audit: {}", audit)),
        Err(e) => seen.wrong.push(t!("auditoría: {}", "audit: {}", e)),
    }
}

/// Until nothing is pending, and the audit is right then.
async fn settled(arena: &Arena, seen: &mut Seen) {
    let start = Instant::now();
    loop {
        match audit(arena).await {
            Ok(audit) if audit["correcto"] == true && audit["pendientes"] == 0 => return,
            other if start.elapsed() > PATIENCE => {
                seen.wrong.push(t!("auditoría al final: {:?}", "audit at the end: {:?}", other));
                return;
            }
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

async fn audit(arena: &Arena) -> Result<serde_json::Value, String> {
    let path = "/transacciones/auditoria";
    let reply = raw::get(arena.public(Service::Transacciones), path).await.map_err(|e| e.to_string())?;
    serde_json::from_slice(&reply.body).map_err(|e| format!("{}: {e}", reply.status))
}

async fn kept(arena: &mut Arena, seen: &mut Seen) -> Result<(), String> {
    if let Err(e) = arena.restart().await {
        seen.wrong.push(t!("no vuelve a arrancar: {}", "it does not start again: {}", e));
        // nothing can be attacked after that
        return Err(seen.wrong.join("; "));
    }
    let tokens = arena.missing_tokens().await?;
    seen.rule(tokens.is_empty(), || {
        t!("faltan tokens creados, como {}", "tokens that were made are missing, as {}", tokens[0])
    });
    let missing = arena.customers.missing().await?;
    seen.rule(missing.is_empty(), || {
        t!(
            "{} prometidas faltan, la primera {}",
            "{} that were promised are missing, the first {}",
            missing.len(),
            missing[0]
        )
    });
    Ok(())
}
