//! What was asked for and what was answered, in one order: the material of the judge.

use market::domain::{Monto, UsuarioId};
use std::collections::{BTreeMap, BTreeSet};
use transacciones::domain::{Bought, Compra, Transaccion};
use transacciones::error::Error;

/// What a client is told of a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Bought(Transaccion, bool),
    Refused(Error),
    KeyMisused,
    Silence,
    Overtaken,
    NoStore,
    Bug(String),
}

impl Told {
    pub fn of(result: Result<Bought, Error>) -> Self {
        match result {
            Ok(done) => Self::Bought(done.transaccion, done.replayed),
            Err(e @ (Error::Refused { .. } | Error::PrecioChanged { .. })) => Self::Refused(e),
            Err(Error::ClaveReused(_)) => Self::KeyMisused,
            Err(Error::NoAnswer | Error::TooManyPurchases) => Self::Silence,
            Err(Error::GivenUp) => Self::Overtaken,
            Err(Error::NoStore | Error::StoreFull | Error::Busy | Error::Store(_)) => Self::NoStore,
            Err(e @ (Error::Bug(_) | Error::TransaccionNotFound(_) | Error::TooManyReaders)) => {
                Self::Bug(e.to_string())
            }
        }
    }

    /// Whether the client need not ask again.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Bought(..) | Self::Refused(_) | Self::KeyMisused)
    }
}

/// One request for a purchase: a client's, or its repetition by the network.
#[derive(Clone, Debug)]
pub struct Sending {
    pub compra: Compra,
    /// Its place in the order, once a process has taken it up.
    pub begun: Option<u64>,
    /// What that process answered, whether or not it reached the client.
    pub answer: Option<Told>,
}

/// Money that somebody wanted to add.
#[derive(Clone, Debug)]
pub struct Deposit {
    pub usuario: UsuarioId,
    pub monto: Monto,
    pub acknowledged: bool,
}

#[derive(Default)]
pub struct History {
    order: u64,
    pub sendings: Vec<Sending>,
    pub deposits: BTreeMap<String, Deposit>,
    pub opening: BTreeMap<u64, u64>,
    /// Every price that somebody gave a token.
    pub prices: BTreeSet<u64>,
    /// Tokens whose deletion was acknowledged.
    pub deleted: BTreeSet<u64>,
}

impl History {
    /// A request is on its way.
    pub fn send(&mut self, mut compra: Compra) -> usize {
        if !compra.clave_from_client {
            // the server makes one for each
            compra.clave = format!("uuid-{}", self.sendings.len()).parse().unwrap();
        }
        self.sendings.push(Sending { compra, begun: None, answer: None });
        self.sendings.len() - 1
    }

    /// A process begins with it.
    pub fn begin(&mut self, sending: usize) {
        self.order += 1;
        self.sendings[sending].begun = Some(self.order);
    }
}
