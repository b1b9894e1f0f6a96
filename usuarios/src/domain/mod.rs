//! Users, and the ledger of what moved their balances. Who may log in: [`account`].

pub mod account;

use crate::error::Error;
use chrono::{DateTime, Utc};
use market::domain::{Clave, Intento, MAX_INTEGER, Monto, UsuarioId};
use serde::{Deserialize, Serialize};

/// A person with a balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usuario {
    /// Given in order, never used again.
    pub id: UsuarioId,
    /// 1 to 100 characters.
    pub nombre: String,
    /// What the user can spend: a debit is taken out when it is made, before it is confirmed.
    pub saldo: Monto,
}

/// A line of a user's ledger. A user's lines sum to the balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "MovimientoRecord", into = "MovimientoRecord")]
pub struct Movimiento {
    /// Unique in the service; grows with time.
    pub id: u64,
    /// Whose ledger.
    pub usuario_id: UsuarioId,
    /// How many credits came, or went where the kind is a debit.
    pub monto: Monto,
    /// When, by this service's clock.
    pub fecha: DateTime<Utc>,
    /// Why the balance moved.
    pub tipo: MovimientoKind,
}

/// The kinds of movement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MovimientoKind {
    /// The opening balance.
    Opening,
    /// Somebody edited the balance upwards in the file while the service was stopped.
    AdjustmentUp,
    /// Somebody edited it downwards.
    AdjustmentDown,
    /// Money was added. The key under which it was asked for makes it happen once.
    Abono {
        /// The client's key, or one that was made here.
        clave: Clave,
    },
    /// A debit for one attempt at a purchase, held until it is confirmed. A debit that is cancelled is taken out of the ledger.
    Cargo {
        /// Which attempt.
        intento: Intento,
        /// Whether the purchase was committed.
        confirmado: bool,
    },
}

/// A [`Movimiento`] as it stands in the file: flat, and strict, since people edit the file. serde's `flatten` would make it
/// flat and not strict (it excludes `deny_unknown_fields`), and reads several times slower.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MovimientoRecord {
    id: u64,
    usuario_id: UsuarioId,
    monto: Monto,
    fecha: DateTime<Utc>,
    tipo: KindName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clave: Option<Clave>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intento: Option<Intento>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirmado: Option<bool>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum KindName {
    #[serde(rename = "apertura")]
    Opening,
    #[serde(rename = "ajusteAlza")]
    AdjustmentUp,
    #[serde(rename = "ajusteBaja")]
    AdjustmentDown,
    Abono,
    Cargo,
}

impl From<Movimiento> for MovimientoRecord {
    fn from(m: Movimiento) -> Self {
        let (tipo, clave, intento, confirmado) = match m.tipo {
            MovimientoKind::Opening => (KindName::Opening, None, None, None),
            MovimientoKind::AdjustmentUp => (KindName::AdjustmentUp, None, None, None),
            MovimientoKind::AdjustmentDown => (KindName::AdjustmentDown, None, None, None),
            MovimientoKind::Abono { clave } => (KindName::Abono, Some(clave), None, None),
            MovimientoKind::Cargo { intento, confirmado } => {
                (KindName::Cargo, None, Some(intento), Some(confirmado))
            }
        };
        let Movimiento { id, usuario_id, monto, fecha, .. } = m;
        Self { id, usuario_id, monto, fecha, tipo, clave, intento, confirmado }
    }
}

impl TryFrom<MovimientoRecord> for Movimiento {
    type Error = &'static str;

    fn try_from(record: MovimientoRecord) -> Result<Self, Self::Error> {
        let MovimientoRecord { id, usuario_id, monto, fecha, tipo, clave, intento, confirmado } = record;
        if !(1..=MAX_INTEGER).contains(&id) {
            return Err("the id of a movimiento is 1 to 9007199254740991");
        }
        let tipo = match (tipo, clave, intento, confirmado) {
            (KindName::Opening, None, None, None) => MovimientoKind::Opening,
            (KindName::AdjustmentUp, None, None, None) => MovimientoKind::AdjustmentUp,
            (KindName::AdjustmentDown, None, None, None) => MovimientoKind::AdjustmentDown,
            (KindName::Abono, Some(clave), None, None) => MovimientoKind::Abono { clave },
            (KindName::Cargo, None, Some(intento), Some(confirmado)) => {
                MovimientoKind::Cargo { intento, confirmado }
            }
            _ => {
                return Err(
                    "an abono has a `clave`; a cargo an `intento` and `confirmado`; the others neither",
                );
            }
        };
        Ok(Self { id, usuario_id, monto, fecha, tipo })
    }
}

impl Usuario {
    /// What the balance would be with money added.
    pub fn saldo_plus(&self, monto: Monto) -> Result<Monto, Error> {
        self.saldo.plus(monto).ok_or(Error::SaldoTooHigh { saldo: self.saldo, monto })
    }

    /// What the balance would be with money taken.
    pub fn saldo_minus(&self, monto: Monto) -> Result<Monto, Error> {
        self.saldo.minus(monto).ok_or(Error::SaldoTooLow { saldo: self.saldo, monto })
    }
}

impl Movimiento {
    /// Whether a call under this line's key or attempt asks for this very line. `bajo` is the key or attempt of the call.
    pub fn answers(&self, usuario: UsuarioId, monto: Monto, under: &impl ToString) -> Result<(), Error> {
        let same = (self.usuario_id, self.monto) == (usuario, monto);
        if same { Ok(()) } else { Err(Error::ClaveReused(under.to_string())) }
    }

    /// The credits that the line added to the balance; negative where it took them.
    pub fn effect(&self) -> i64 {
        // a Monto is below 2^53
        let monto = i64::try_from(self.monto.get()).unwrap_or(i64::MAX);
        match self.tipo {
            MovimientoKind::Opening | MovimientoKind::AdjustmentUp | MovimientoKind::Abono { .. } => monto,
            MovimientoKind::AdjustmentDown | MovimientoKind::Cargo { .. } => -monto,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_and_is_strict() {
        let common = r#""id":7,"usuarioId":1,"monto":5,"fecha":"2026-01-31T12:00:00.123Z""#;
        for rest in [
            r#""tipo":"apertura""#,
            r#""tipo":"ajusteAlza""#,
            r#""tipo":"ajusteBaja""#,
            r#""tipo":"abono","clave":"k""#,
            r#""tipo":"cargo","intento":"k#1","confirmado":false"#,
        ] {
            let json = format!("{{{common},{rest}}}");
            let line: Movimiento = serde_json::from_str(&json).expect(rest);
            assert_eq!(serde_json::to_string(&line).unwrap(), json);
        }
        for rest in [
            r#""tipo":"otro""#,
            r#""tipo":"abono""#,
            r#""tipo":"apertura","clave":"k""#,
            r#""tipo":"cargo","intento":"k#1""#,
            r#""tipo":"apertura","nota":"x""#,
        ] {
            assert!(serde_json::from_str::<Movimiento>(&format!("{{{common},{rest}}}")).is_err(), "{rest}");
        }
    }
}
