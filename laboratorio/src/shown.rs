//! What a market shows of itself: its records, its own verdict, and all of it at the end.

use crate::t;
use crate::words::credits;
use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// A user, as the API and the file show one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the API's own words")]
pub struct Usuario {
    pub id: u64,
    pub nombre: String,
    pub saldo: i64,
}

/// A token, as the API and the file show one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the API's own words")]
pub struct Token {
    pub id: u64,
    pub nombre: String,
    pub precio: u64,
    pub vendido: bool,
}

/// A purchase, as the API and the file show one; the file names the attempt that bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own words")]
pub struct Transaccion {
    pub id: u64,
    pub usuario_id: u64,
    pub token_id: u64,
    pub fecha: String,
    pub precio: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intento: Option<String>,
}

impl Transaccion {
    /// The key that it was bought under, where the store tells.
    pub fn clave(&self) -> Option<&str> {
        Some(self.intento.as_deref()?.rsplit_once('#')?.0)
    }
}

/// A line of a ledger. The API signs the amount, the file does not; the file alone names keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the API's own words")]
pub struct Movimiento {
    pub id: u64,
    pub usuario_id: u64,
    pub tipo: String,
    pub monto: i64,
    #[serde(default)]
    pub confirmado: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clave: Option<String>,
}

/// The time of day of a purchase: shops write it as RFC 3339, or as milliseconds since 1970.
fn clock_time(fecha: &str) -> String {
    let moment = match fecha.parse() {
        Ok(millis) => DateTime::from_timestamp_millis(millis),
        Err(_) => DateTime::parse_from_rfc3339(fecha).ok().map(|at| at.to_utc()),
    };
    match moment.map(|at| at.format("%H:%M:%S%.3f UTC")) {
        Some(at) => t!("a las {at}", "at {at}"),
        None => fecha.to_owned(),
    }
}

/// As a finding says it.
impl fmt::Display for Usuario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, nombre, saldo } = self;
        f.write_str(&t!("{id} «{nombre}» con {}", "{id} \"{nombre}\" with {}", credits(*saldo)))
    }
}

/// As a finding says it.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, nombre, precio, vendido } = self;
        let precio = credits(*precio);
        f.write_str(&match vendido {
            true => t!("{id} «{nombre}» a {precio}, vendido", "{id} \"{nombre}\" at {precio}, sold"),
            false => t!("{id} «{nombre}» a {precio}, libre", "{id} \"{nombre}\" at {precio}, free"),
        })
    }
}

/// As a finding says it.
impl fmt::Display for Transaccion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, usuario_id, token_id, fecha, precio, intento } = self;
        let (when, precio) = (clock_time(fecha), credits(*precio));
        f.write_str(&t!(
            "transacción {id}, token {token_id} para el usuario {usuario_id} por {precio}, {when}",
            "transaction {id}, token {token_id} for user {usuario_id} at {precio}, {when}"
        ))?;
        match intento {
            Some(intento) => write!(f, " ({intento})"),
            None => Ok(()),
        }
    }
}

/// As a finding says it.
impl fmt::Display for Movimiento {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, usuario_id, tipo, monto, clave, .. } = self;
        f.write_str(&t!(
            "movimiento {id} ({tipo}) de {} del usuario {usuario_id}",
            "movement {id} ({tipo}) of {} of user {usuario_id}",
            credits(*monto)
        ))?;
        match clave {
            Some(clave) => write!(f, " ({clave})"),
            None => Ok(()),
        }
    }
}

/// As a finding says it.
impl fmt::Display for AuditReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pending, differences) = (self.pendientes, self.differences());
        f.write_str(&match self.correcto {
            true => t!("la auditoría cuadra; pendientes: {pending}", "the audit agrees; pending: {pending}"),
            false => t!(
                "la auditoría no cuadra ({differences}); pendientes: {pending}",
                "the audit disagrees ({differences}); pending: {pending}"
            ),
        })
    }
}

impl AuditReport {
    /// What the market itself says is wrong.
    pub fn differences(&self) -> String {
        self.diferencias.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// The market's own verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the API's own words")]
pub struct AuditReport {
    pub correcto: bool,
    pub transacciones: u64,
    pub pendientes: u64,
    pub diferencias: Vec<Value>,
}

/// The arrays on disk after a clean stop.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the files' own names")]
pub struct DiskArrays {
    pub usuarios: Vec<Usuario>,
    pub movimientos: Vec<Movimiento>,
    pub tokens: Vec<Token>,
    pub transacciones: Vec<Transaccion>,
}

/// The market at the end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Final {
    /// Over the API.
    pub usuarios: Vec<Usuario>,
    /// Over the API; a shop without ledgers has none.
    pub movimientos: Option<Vec<Movimiento>>,
    /// Over the API.
    pub tokens: Vec<Token>,
    /// Over the API.
    pub transacciones: Vec<Transaccion>,
    /// Over the API; a shop without an audit has none.
    pub auditoria: Option<AuditReport>,
    /// The files; a shop that keeps other ones has none.
    pub disco: Option<DiskArrays>,
}

#[cfg(test)]
mod tests {
    use super::Transaccion;

    #[test]
    fn a_finding_names_credits_and_a_time_of_day() {
        let mut bought = Transaccion {
            id: 5,
            usuario_id: 21,
            token_id: 8,
            fecha: "1795754161277".to_owned(),
            precio: 31,
            intento: None,
        };
        let said = "transacción 5, token 8 para el usuario 21 por 31 créditos, a las 04:36:01.277 UTC";
        assert_eq!(bought.to_string(), said);
        bought.fecha = "2026-11-27T04:36:01.277Z".to_owned();
        assert_eq!(bought.to_string(), said);
        bought.fecha = "ayer".to_owned();
        assert!(bought.to_string().ends_with("créditos, ayer"));
    }
}
