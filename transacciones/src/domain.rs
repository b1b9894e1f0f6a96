//! Purchases.

use chrono::{DateTime, Utc};
use market::contract::SessionRef;
use market::domain::{Clave, Intento, Monto, TokenId, TransaccionId, UsuarioId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a buyer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Compra {
    /// The key that makes it happen once.
    pub clave: Clave,
    /// Whether the client chose the key. Only then may a second request with it be under way somewhere.
    pub clave_from_client: bool,
    /// Who buys.
    pub usuario_id: UsuarioId,
    /// What.
    pub token_id: TokenId,
    /// What the buyer believes it costs.
    pub precio: Option<Monto>,
    /// In whose session, where people log in.
    pub session: Option<SessionRef>,
}

/// A committed purchase.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transaccion {
    /// Unique. In files ids are given in the order of commits; a database gives them before the commits, so there they are
    /// nearly in that order.
    pub id: TransaccionId,
    /// Who bought.
    pub usuario_id: UsuarioId,
    /// What.
    pub token_id: TokenId,
    /// When, by the coordinator's clock.
    pub fecha: DateTime<Utc>,
    /// For how much.
    #[serde(default)]
    pub precio: Monto,
    /// The attempt that was committed; a purchase that was put into the file by hand has none, and the audit leaves it
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intento: Option<Intento>,
    /// In files, the purchase's place in the order of commits, where the place is not the purchase's own id but that of
    /// another such purchase. Such purchases come from a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lugar: Option<TransaccionId>,
    /// The host name of the process that committed it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Arc<str>>,
}

impl Transaccion {
    /// Its place in the order of commits, in files.
    pub fn lugar(&self) -> TransaccionId {
        self.lugar.unwrap_or(self.id)
    }

    /// Whether this is what was asked for: a price counts where the buyer named one.
    pub fn answers(&self, compra: &Compra) -> bool {
        (self.usuario_id, self.token_id) == (compra.usuario_id, compra.token_id)
            && compra.precio.is_none_or(|p| p == self.precio)
    }
}

/// A purchase as it was recorded, for its client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bought {
    /// What was recorded.
    pub transaccion: Transaccion,
    /// Whether an earlier request with this key did it.
    pub replayed: bool,
}

/// The attempts of a clave that can never commit: all up to `numero`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Aborted {
    /// Whose.
    pub clave: Clave,
    /// The last one.
    pub numero: u32,
    /// What was asked for under the clave, as far as whoever aborted knew it.
    pub usuario_id: UsuarioId,
    /// `usuarios` does not know what its debits were for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
}

/// The store's word on a clave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// Nothing was decided yet.
    Nothing,
    /// Attempts up to this one are aborted.
    Aborted(Aborted),
    /// It is bought.
    Bought(Transaccion),
}

/// What has become of one attempt. Every word but [`Fate::Open`] is for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It may yet be committed.
    Open,
    /// It is committed.
    Bought,
    /// It never will be: aborted, or another attempt of its clave is bought.
    Lost,
}

impl Word {
    /// What this word on a clave says of one of its attempts. Whoever decides asks this: the store before each of its two
    /// writes, and recovery before it settles a hold.
    pub fn fate(&self, numero: u32) -> Fate {
        match self {
            Self::Bought(t) if t.intento.as_ref().is_some_and(|i| i.numero == numero) => Fate::Bought,
            Self::Bought(_) => Fate::Lost,
            Self::Aborted(a) if a.numero >= numero => Fate::Lost,
            Self::Aborted(_) | Self::Nothing => Fate::Open,
        }
    }
}
