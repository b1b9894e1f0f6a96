//! Purchases.

use chrono::{DateTime, Utc};
use market::domain::{Clave, Intento, Monto, TokenId, TransaccionId, UsuarioId};
use serde::{Deserialize, Serialize};

/// What a buyer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Compra {
    /// The key that makes it happen once.
    pub clave: Clave,
    /// Whether the client chose the key. Only then may a second request with it be under way somewhere.
    pub clave_del_cliente: bool,
    /// Who buys.
    pub usuario_id: UsuarioId,
    /// What.
    pub token_id: TokenId,
    /// What the buyer believes it costs.
    pub precio: Option<Monto>,
}

/// A committed purchase.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transaccion {
    /// In files given in the order of commits, in a database before the commit.
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
    /// In files, its place in the order of commits where that is not its id: that of another such purchase. They come from a
    /// database, where ids are given before commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lugar: Option<TransaccionId>,
}

impl Transaccion {
    /// Its place among those in files.
    pub fn lugar(&self) -> TransaccionId {
        self.lugar.unwrap_or(self.id)
    }

    /// Whether this is what was asked for: a price counts where the buyer named one.
    pub fn responde_a(&self, compra: &Compra) -> bool {
        (self.usuario_id, self.token_id) == (compra.usuario_id, compra.token_id)
            && compra.precio.is_none_or(|p| p == self.precio)
    }
}

/// The attempts of a clave that can never commit: all up to `numero`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Abortado {
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
pub enum Palabra {
    /// Nothing was decided yet.
    Nada,
    /// Attempts up to this one are aborted.
    Abortado(Abortado),
    /// It is bought.
    Comprado(Transaccion),
}

/// What has become of one attempt. But for [`Suerte::Abierta`] it is for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suerte {
    /// It may yet be committed.
    Abierta,
    /// It is committed.
    Comprada,
    /// It never will be: aborted, or another attempt of its clave is bought.
    Perdida,
}

impl Palabra {
    /// What this word on a clave says of one of its attempts. Whoever decides asks this: the store before each of its two
    /// writes, and recovery before it settles a try.
    pub fn suerte(&self, numero: u32) -> Suerte {
        match self {
            Self::Comprado(t) if t.intento.as_ref().is_some_and(|i| i.numero == numero) => Suerte::Comprada,
            Self::Comprado(_) => Suerte::Perdida,
            Self::Abortado(a) if a.numero >= numero => Suerte::Perdida,
            Self::Abortado(_) | Self::Nada => Suerte::Abierta,
        }
    }
}
