//! `tokens` and `usuarios` by their rules alone. `contraste.rs` holds them against the services.

use market::contract::Refusal;

/// An attempt: its clave by position in the configuration, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Try {
    pub clave: u8,
    pub numero: u8,
}

/// What `tokens` knows of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Estado {
    Libre,
    Reservado(Try, u8),
    Vendido(Try, u8),
}

impl Estado {
    pub fn de(self) -> Option<Try> {
        match self {
            Self::Libre => None,
            Self::Reservado(t, _) | Self::Vendido(t, _) => Some(t),
        }
    }
}

/// `tokens`: its tokens by position.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tokens(pub Vec<Estado>);

impl Tokens {
    pub fn position(&self, t: Try) -> Option<usize> {
        self.0.iter().position(|estado| estado.de() == Some(t))
    }

    pub fn reserve(&mut self, t: Try, token: u8, usuario: u8) -> Result<(), Refusal> {
        match self.position(t).map(|at| (at, self.0[at])) {
            Some((at, Estado::Reservado(_, de) | Estado::Vendido(_, de)))
                if (at, de) == (usize::from(token), usuario) =>
            {
                Ok(())
            }
            Some(_) => Err(Refusal::ClaveReutilizada),
            None => match &mut self.0[usize::from(token)] {
                libre @ Estado::Libre => {
                    *libre = Estado::Reservado(t, usuario);
                    Ok(())
                }
                _ => Err(Refusal::TokenNoDisponible),
            },
        }
    }

    pub fn confirm(&mut self, t: Try) -> Result<(), Refusal> {
        let at = self.position(t).ok_or(Refusal::IntentoNoEncontrado)?;
        if let Estado::Reservado(t, usuario) = self.0[at] {
            self.0[at] = Estado::Vendido(t, usuario);
        }
        Ok(())
    }

    pub fn cancel(&mut self, t: Try) -> Result<(), Refusal> {
        match self.position(t).map(|at| &mut self.0[at]) {
            None => Ok(()),
            Some(Estado::Vendido(..)) => Err(Refusal::IntentoConfirmado),
            Some(held) => {
                *held = Estado::Libre;
                Ok(())
            }
        }
    }

    pub fn pending(&self) -> impl Iterator<Item = Try> {
        self.0.iter().filter_map(|estado| match estado {
            Estado::Reservado(t, _) => Some(*t),
            Estado::Libre | Estado::Vendido(..) => None,
        })
    }
}

/// A debit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cargo {
    pub intento: Try,
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
    pub fn charge(&mut self, intento: Try, usuario: u8, monto: u8) -> Result<(), Refusal> {
        match self.cargos.iter().find(|c| c.intento == intento) {
            Some(c) if (c.usuario, c.monto) == (usuario, monto) => Ok(()),
            Some(_) => Err(Refusal::ClaveReutilizada),
            None => self.charge_again(intento, usuario, monto),
        }
    }

    /// Without looking whether it was done: what a participant without idempotency would do.
    pub fn charge_again(&mut self, intento: Try, usuario: u8, monto: u8) -> Result<(), Refusal> {
        let saldo = &mut self.saldos[usize::from(usuario)];
        *saldo = saldo.checked_sub(monto).ok_or(Refusal::SaldoInsuficiente)?;
        self.cargos.push(Cargo { intento, usuario, monto, confirmado: false });
        self.cargos.sort_unstable();
        Ok(())
    }

    pub fn confirm(&mut self, intento: Try) -> Result<(), Refusal> {
        let cargo =
            self.cargos.iter_mut().find(|c| c.intento == intento).ok_or(Refusal::IntentoNoEncontrado)?;
        cargo.confirmado = true;
        Ok(())
    }

    pub fn cancel(&mut self, intento: Try) -> Result<(), Refusal> {
        let Some(at) = self.cargos.iter().position(|c| c.intento == intento) else { return Ok(()) };
        if self.cargos[at].confirmado {
            return Err(Refusal::IntentoConfirmado);
        }
        let cargo = self.cargos.remove(at);
        self.saldos[usize::from(cargo.usuario)] += cargo.monto;
        Ok(())
    }

    pub fn pending(&self) -> impl Iterator<Item = Try> {
        self.cargos.iter().filter(|c| !c.confirmado).map(|c| c.intento)
    }
}
