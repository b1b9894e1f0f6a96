//! Reads the market at the end: over the API, and from its files or tables after a clean stop.

use crate::checker::Verdict;
use crate::database::Database;
use crate::http::Addresses;
use crate::people::Subject;
use crate::shown::{AuditReport, DiskArrays, Final, Movimiento, Token, Transaccion, Usuario};
use crate::t;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

const PAGE: usize = 1000;
/// The longest that one page may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// As the office, which may read everything.
async fn get(client: &reqwest::Client, to: &Addresses, url: &str) -> Result<Option<Value>, String> {
    let answer = to.send(Subject::Office, client.get(url), PATIENCE).await;
    match answer.status {
        Some(200) => Ok(Some(answer.body)),
        Some(404) => Ok(None),
        _ => Err(format!("GET {url}: {}", answer.reason())),
    }
}

async fn list<T: DeserializeOwned>(
    client: &reqwest::Client,
    to: &Addresses,
    url: &str,
    id: impl Fn(&T) -> u64,
) -> Result<Option<Vec<T>>, String> {
    list_after(client, to, url, id, 0).await
}

async fn list_after<T: DeserializeOwned>(
    client: &reqwest::Client,
    to: &Addresses,
    url: &str,
    id: impl Fn(&T) -> u64,
    mut behind: u64,
) -> Result<Option<Vec<T>>, String> {
    let mut all = Vec::new();
    let query = if url.contains('?') { '&' } else { '?' };
    loop {
        let after = if behind > 0 { format!("&despues={behind}") } else { String::new() };
        let page = format!("{url}{query}limite={PAGE}{after}");
        let Some(body) = get(client, to, &page).await? else { return Ok(None) };
        let page: Vec<T> = serde_json::from_value(body).map_err(|e| format!("GET {url}: {e}"))?;
        let full = page.len() == PAGE;
        all.extend(page);
        match all.last() {
            Some(last) if full => behind = id(last),
            _ => return Ok(Some(all)),
        }
    }
}

async fn audit(client: &reqwest::Client, to: &Addresses) -> Result<Option<AuditReport>, String> {
    let url = format!("{}/transacciones/auditoria", to.transacciones);
    let Some(body) = get(client, to, &url).await? else { return Ok(None) };
    serde_json::from_value(body).map(Some).map_err(|e| format!("GET {url}: {e}"))
}

/// Waits until nothing is pending.
///
/// # Errors
/// What the last look said, at the deadline.
pub async fn settled(client: &reqwest::Client, to: &Addresses, within: Duration) -> Result<(), String> {
    let deadline = Instant::now() + within;
    loop {
        let why = match audit(client, to).await {
            Ok(None) => return Ok(()),
            Ok(Some(a)) if a.pendientes == 0 && a.correcto => return Ok(()),
            Ok(Some(a)) => a.to_string(),
            Err(e) => e,
        };
        if Instant::now() > deadline {
            let seconds = within.as_secs();
            return Err(t!(
                "{seconds} s después de la última falla aún hay pendientes: {why}",
                "not settled {seconds} s after the last fault: {why}"
            ));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The market that this laboratory has started, after its faults: it settles, and can be read. Where it is not so, the market
/// has not come back from what was mended, which breaks a rule.
///
/// # Errors
/// What could not be read.
pub async fn recovered(
    client: &reqwest::Client,
    to: &Addresses,
    within: Duration,
    verdict: &mut Verdict,
) -> Result<Final, String> {
    let settled = settled(client, to, within).await;
    let end = public(client, to).await;
    if let Err(why) = end.as_ref().map_or_else(|e| Err(e.clone()), |_| settled) {
        verdict.add("audit", why);
    }
    end
}

/// Waits until the three services answer.
///
/// # Errors
/// The last error, at the deadline.
pub async fn up(client: &reqwest::Client, to: &Addresses, within: Duration) -> Result<(), String> {
    let deadline = Instant::now() + within;
    for url in [
        format!("{}/usuarios", to.usuarios),
        format!("{}/tokens", to.tokens),
        format!("{}/transacciones", to.transacciones),
    ] {
        while let Err(e) = get(client, to, &url).await {
            if Instant::now() > deadline {
                return Err(e);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// The public API's view.
///
/// # Errors
/// What could not be read.
pub async fn public(client: &reqwest::Client, to: &Addresses) -> Result<Final, String> {
    let none = |what| move || t!("la API no tiene {what}", "no {what} over the API");
    let usuarios: Vec<Usuario> = list(client, to, &format!("{}/usuarios", to.usuarios), |u: &Usuario| u.id)
        .await?
        .ok_or_else(none("/usuarios"))?;
    let mut movimientos: Option<Vec<Movimiento>> = Some(Vec::new());
    for u in &usuarios {
        let url = format!("{}/usuarios/{}/movimientos", to.usuarios, u.id);
        movimientos = match (movimientos, list(client, to, &url, |m: &Movimiento| m.id).await?) {
            (Some(mut all), Some(some)) => {
                all.extend(some);
                Some(all)
            }
            _ => None,
        };
    }
    Ok(Final {
        usuarios,
        movimientos,
        tokens: list(client, to, &format!("{}/tokens", to.tokens), |t: &Token| t.id)
            .await?
            .ok_or_else(none("/tokens"))?,
        transacciones: list(client, to, &format!("{}/transacciones", to.transacciones), |t: &Transaccion| {
            t.id
        })
        .await?
        .ok_or_else(none("/transacciones"))?,
        auditoria: audit(client, to).await?,
        disco: None,
    })
}

/// The public API's view of these users and tokens, in a market that others use as well.
///
/// # Errors
/// What could not be read.
pub async fn own(
    client: &reqwest::Client,
    to: &Addresses,
    usuarios: &[Usuario],
    tokens: &[Token],
) -> Result<Final, String> {
    let (mut end, mut movimientos) = (Final::default(), Vec::new());
    for u in usuarios {
        let url = format!("{}/usuarios/{}", to.usuarios, u.id);
        if let Some(body) = get(client, to, &url).await? {
            end.usuarios.push(serde_json::from_value(body).map_err(|e| format!("GET {url}: {e}"))?);
        }
        let url = format!("{url}/movimientos");
        movimientos.extend(list(client, to, &url, |m: &Movimiento| m.id).await?.unwrap_or_default());
        let url = format!("{}/transacciones?usuarioId={}", to.transacciones, u.id);
        end.transacciones.extend(list(client, to, &url, |t: &Transaccion| t.id).await?.unwrap_or_default());
    }
    end.movimientos = Some(movimientos);
    let mine: HashSet<u64> = tokens.iter().map(|t| t.id).collect();
    let first = mine.iter().min().copied().unwrap_or(1);
    let url = format!("{}/tokens", to.tokens);
    let all =
        list_after(client, to, &url, |t: &Token| t.id, first.saturating_sub(1)).await?.unwrap_or_default();
    end.tokens = all.into_iter().filter(|t| mine.contains(&t.id)).collect();
    end.auditoria = audit(client, to).await?.map(|audit| AuditReport {
        // of everybody's purchases; those of others may be under way
        transacciones: end.transacciones.len() as u64,
        pendientes: 0,
        ..audit
    });
    Ok(end)
}

/// The arrays that a clean stop leaves.
///
/// # Errors
/// What could not be read.
pub fn disk(data: &Path) -> Result<DiskArrays, String> {
    fn array<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, String> {
        let text = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))
    }
    Ok(DiskArrays {
        usuarios: array(&data.join("usuarios/usuarios.json"))?,
        movimientos: array(&data.join("usuarios/movimientos.json"))?,
        tokens: array(&data.join("tokens/tokens.json"))?,
        transacciones: array(&data.join("transacciones/transacciones.json"))?,
    })
}

/// The same of tables, as a file would have it.
///
/// # Errors
/// What could not be read.
pub async fn tables(database: &Database) -> Result<DiskArrays, String> {
    async fn array<T: DeserializeOwned>(database: &Database, rows: &str) -> Result<Vec<T>, String> {
        let text = database.query(&format!("select coalesce(json_agg(r), '[]') from ({rows}) r")).await?;
        serde_json::from_str(&text).map_err(|e| format!("{rows}: {e}"))
    }
    Ok(DiskArrays {
        usuarios: array(database, "select id, nombre, saldo from usuarios.usuarios order by id").await?,
        movimientos: array(
            database,
            r#"select id, usuario_id "usuarioId", tipo, abs(efecto) monto, confirmado, clave from usuarios.movimientos"#,
        )
        .await?,
        tokens: array(
            database,
            "select id, nombre, precio, estado = 'vendido' vendido from tokens.tokens order by id",
        )
        .await?,
        transacciones: array(
            database,
            r#"select id, usuario_id "usuarioId", token_id "tokenId", precio, clave || '#' || numero intento,
                   replace(to_char(fecha at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), '.000Z', 'Z') fecha
               from transacciones.claves where id is not null order by asiento"#,
        )
        .await?,
    })
}

/// A counter of a process; nothing where it does not answer within so long.
pub async fn counter(
    client: &reqwest::Client,
    process: SocketAddr,
    name: &str,
    within: Duration,
) -> Option<u64> {
    let request = client.get(format!("http://{process}/metrics")).timeout(within);
    let text = request.send().await.ok()?.text().await.ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_market_that_does_not_come_back_breaks_a_rule() {
        let to = Addresses::one("http://127.0.0.1:1");
        let mut verdict = Verdict::default();
        let end = recovered(&reqwest::Client::new(), &to, Duration::ZERO, &mut verdict).await;
        assert!(end.is_err());
        assert_eq!(verdict.by_rule().into_iter().collect::<Vec<_>>(), [("audit", 1)]);
    }
}
