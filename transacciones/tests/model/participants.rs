//! `tokens` and `usuarios` by their rules alone. `contrast.rs` holds them against the services.

use market::contract::Refusal;

/// An attempt: its clave by position in the configuration, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hold {
    pub clave: u8,
    pub numero: u8,
}

/// What `tokens` knows of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Availability {
    Free,
    Reserved(Hold, u8),
    Sold(Hold, u8),
}

impl Availability {
    pub fn owner_of(self) -> Option<Hold> {
        match self {
            Self::Free => None,
            Self::Reserved(t, _) | Self::Sold(t, _) => Some(t),
        }
    }
}

/// `tokens`: its tokens by position.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tokens(pub Vec<Availability>);

impl Tokens {
    pub fn position(&self, t: Hold) -> Option<usize> {
        self.0.iter().position(|estado| estado.owner_of() == Some(t))
    }

    pub fn reserve(&mut self, t: Hold, token: u8, usuario: u8) -> Result<(), Refusal> {
        match self.position(t).map(|at| (at, self.0[at])) {
            Some((at, Availability::Reserved(_, owner) | Availability::Sold(_, owner)))
                if (at, owner) == (usize::from(token), usuario) =>
            {
                Ok(())
            }
            Some(_) => Err(Refusal::ClaveReused),
            None => match &mut self.0[usize::from(token)] {
                libre @ Availability::Free => {
                    *libre = Availability::Reserved(t, usuario);
                    Ok(())
                }
                _ => Err(Refusal::TokenNotAvailable),
            },
        }
    }

    pub fn confirm(&mut self, t: Hold) -> Result<(), Refusal> {
        let at = self.position(t).ok_or(Refusal::IntentoNotFound)?;
        if let Availability::Reserved(t, usuario) = self.0[at] {
            self.0[at] = Availability::Sold(t, usuario);
        }
        Ok(())
    }

    pub fn cancel(&mut self, t: Hold) -> Result<(), Refusal> {
        match self.position(t).map(|at| &mut self.0[at]) {
            None => Ok(()),
            Some(Availability::Sold(..)) => Err(Refusal::IntentoConfirmed),
            Some(held) => {
                *held = Availability::Free;
                Ok(())
            }
        }
    }

    pub fn pending(&self) -> impl Iterator<Item = Hold> {
        self.0.iter().filter_map(|estado| match estado {
            Availability::Reserved(t, _) => Some(*t),
            Availability::Free | Availability::Sold(..) => None,
        })
    }
}

/// A debit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cargo {
    pub intento: Hold,
    pub usuario: u8,
    pub monto: u8,
    pub confirmado: bool,
}

/// `usuarios`: balances by position, and the debits of the ledger in the order of their attempts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Usuarios {
    pub saldos: Vec<u8>,
    pub cargos: Vec<Cargo>,
}

impl Usuarios {
    pub fn charge(&mut self, intento: Hold, usuario: u8, monto: u8) -> Result<(), Refusal> {
        match self.cargos.iter().find(|c| c.intento == intento) {
            Some(c) if (c.usuario, c.monto) == (usuario, monto) => Ok(()),
            Some(_) => Err(Refusal::ClaveReused),
            None => self.charge_again(intento, usuario, monto),
        }
    }

    /// Without looking whether it was done: what a participant without idempotency would do.
    pub fn charge_again(&mut self, intento: Hold, usuario: u8, monto: u8) -> Result<(), Refusal> {
        let saldo = &mut self.saldos[usize::from(usuario)];
        *saldo = saldo.checked_sub(monto).ok_or(Refusal::SaldoTooLow)?;
        self.cargos.push(Cargo { intento, usuario, monto, confirmado: false });
        self.cargos.sort_unstable();
        Ok(())
    }

    pub fn confirm(&mut self, intento: Hold) -> Result<(), Refusal> {
        let cargo = self.cargos.iter_mut().find(|c| c.intento == intento).ok_or(Refusal::IntentoNotFound)?;
        cargo.confirmado = true;
        Ok(())
    }

    pub fn cancel(&mut self, intento: Hold) -> Result<(), Refusal> {
        let Some(at) = self.cargos.iter().position(|c| c.intento == intento) else { return Ok(()) };
        if self.cargos[at].confirmado {
            return Err(Refusal::IntentoConfirmed);
        }
        let cargo = self.cargos.remove(at);
        self.saldos[usize::from(cargo.usuario)] += cargo.monto;
        Ok(())
    }

    pub fn pending(&self) -> impl Iterator<Item = Hold> {
        self.cargos.iter().filter(|c| !c.confirmado).map(|c| c.intento)
    }
}
