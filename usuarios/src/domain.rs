//! Users, and the ledger of what moved their balance.

use crate::error::Error;
use chrono::{DateTime, Utc};
use market::domain::{Clave, Intento, MAX_ENTERO, Monto, UsuarioId};
use serde::{Deserialize, Serialize};

/// The most characters of a name.
pub const MAX_NOMBRE: usize = 100;

/// A person with a balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usuario {
    /// Given in order, never used again.
    pub id: UsuarioId,
    /// 1 to 100 characters.
    pub nombre: String,
    /// What can be spent: debits are taken out when they are made, before they are confirmed.
    pub saldo: Monto,
}

/// A line of a user's ledger. The lines of a user sum to the balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Linea", into = "Linea")]
pub struct Movimiento {
    /// Unique in the service; grows with time.
    pub id: u64,
    /// Whose.
    pub usuario_id: UsuarioId,
    /// How many credits came (or went, where the kind is a debit).
    pub monto: Monto,
    /// When, by this service's clock.
    pub fecha: DateTime<Utc>,
    /// What it was.
    pub tipo: Tipo,
}

/// The kinds of movement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tipo {
    /// The opening balance.
    Apertura,
    /// Somebody edited the balance upwards in the file while the service was stopped.
    AjusteAlza,
    /// The same, downwards.
    AjusteBaja,
    /// Money added; the key under which it was asked for makes it happen once.
    Abono {
        /// The client's key, or one made here.
        clave: Clave,
    },
    /// A debit for one attempt at a purchase: held until it is confirmed; a cancelled one is taken out of the ledger.
    Cargo {
        /// Of which attempt.
        intento: Intento,
        /// Whether the purchase was committed.
        confirmado: bool,
    },
}

/// A [`Movimiento`] as it stands in the file: flat, and strict, since people edit it. serde's `flatten` would do
/// the first only (it excludes `deny_unknown_fields`), and reads several times slower.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Linea {
    id: u64,
    usuario_id: UsuarioId,
    monto: Monto,
    fecha: DateTime<Utc>,
    tipo: Nombre,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clave: Option<Clave>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intento: Option<Intento>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirmado: Option<bool>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Nombre {
    Apertura,
    AjusteAlza,
    AjusteBaja,
    Abono,
    Cargo,
}

impl From<Movimiento> for Linea {
    fn from(m: Movimiento) -> Self {
        let (tipo, clave, intento, confirmado) = match m.tipo {
            Tipo::Apertura => (Nombre::Apertura, None, None, None),
            Tipo::AjusteAlza => (Nombre::AjusteAlza, None, None, None),
            Tipo::AjusteBaja => (Nombre::AjusteBaja, None, None, None),
            Tipo::Abono { clave } => (Nombre::Abono, Some(clave), None, None),
            Tipo::Cargo { intento, confirmado } => (Nombre::Cargo, None, Some(intento), Some(confirmado)),
        };
        let Movimiento { id, usuario_id, monto, fecha, .. } = m;
        Self { id, usuario_id, monto, fecha, tipo, clave, intento, confirmado }
    }
}

impl TryFrom<Linea> for Movimiento {
    type Error = &'static str;

    fn try_from(linea: Linea) -> Result<Self, Self::Error> {
        let Linea { id, usuario_id, monto, fecha, tipo, clave, intento, confirmado } = linea;
        if !(1..=MAX_ENTERO).contains(&id) {
            return Err("the id of a movimiento is 1 to 9007199254740991");
        }
        let tipo = match (tipo, clave, intento, confirmado) {
            (Nombre::Apertura, None, None, None) => Tipo::Apertura,
            (Nombre::AjusteAlza, None, None, None) => Tipo::AjusteAlza,
            (Nombre::AjusteBaja, None, None, None) => Tipo::AjusteBaja,
            (Nombre::Abono, Some(clave), None, None) => Tipo::Abono { clave },
            (Nombre::Cargo, None, Some(intento), Some(confirmado)) => Tipo::Cargo { intento, confirmado },
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
    /// The balance with money added.
    pub fn con(&self, monto: Monto) -> Result<Monto, Error> {
        self.saldo.sumar(monto).ok_or(Error::SaldoExcedido { saldo: self.saldo, monto })
    }

    /// The balance with money taken.
    pub fn sin(&self, monto: Monto) -> Result<Monto, Error> {
        self.saldo.restar(monto).ok_or(Error::SaldoInsuficiente { saldo: self.saldo, monto })
    }
}

impl Movimiento {
    /// Whether a call under this line's key or attempt asks for this line; `bajo` is what it asks under.
    pub fn responde_a(&self, de: UsuarioId, monto: Monto, bajo: &impl ToString) -> Result<(), Error> {
        let same = (self.usuario_id, self.monto) == (de, monto);
        if same { Ok(()) } else { Err(Error::ClaveReutilizada(bajo.to_string())) }
    }

    /// Credits added to the balance; negative where they were taken.
    pub fn efecto(&self) -> i64 {
        // a Monto is below 2^53
        let monto = i64::try_from(self.monto.get()).unwrap_or(i64::MAX);
        match self.tipo {
            Tipo::Apertura | Tipo::AjusteAlza | Tipo::Abono { .. } => monto,
            Tipo::AjusteBaja | Tipo::Cargo { .. } => -monto,
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
