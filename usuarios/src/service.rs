//! What `usuarios` does, without HTTP: its routes call this, and so does `mercado` from the same process.
//!
//! Each operation is one journal line, decided and written against the newest state.

use crate::domain::{Movimiento, Tipo, Usuario};
use crate::error::Error;
use crate::store::{self, Change, Modelo, Referencia};
use chrono::{DateTime, TimeDelta, Utc};
use common::contract::{Digest, PAGE, PedidoCargo, Try};
use common::domain::{Clave, Intento, Monto, UsuarioId, ahora};
use common::journal::{Journal, Snapshot, StoreError, Tx};
use common::paging::Page;

/// The users and their ledger. Clones share them.
#[derive(Clone)]
pub struct Service(Journal<Modelo>);

/// What was there already, or was made just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hecho<T> {
    /// It.
    pub valor: T,
    /// Whether this call made it.
    pub nuevo: bool,
}

impl Service {
    /// Over an open store.
    pub fn new(journal: Journal<Modelo>) -> Self {
        Self(journal)
    }

    fn read(&self) -> Result<Snapshot<Modelo>, StoreError> {
        self.0.read()
    }

    async fn write<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Tx<'_, Modelo>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.0.write(f).await?
    }

    /// One user.
    pub fn usuario(&self, id: UsuarioId) -> Result<Usuario, Error> {
        self.read()?.usuario(id).cloned()
    }

    /// Users by id.
    pub fn usuarios(&self, despues: Option<UsuarioId>, limite: usize) -> Result<Page<Usuario>, Error> {
        let modelo = self.read()?;
        let rows = store::after(&modelo.usuarios, despues)
            .take(limite + 1)
            .map(|(_, u)| u.as_ref().clone())
            .collect();
        Ok(Page::new(rows, limite, modelo.usuarios.len(), |u: &Usuario| u.id.to_string()))
    }

    /// A user's ledger, oldest first.
    pub fn movimientos(&self, de: UsuarioId, despues: u64, limite: usize) -> Result<Page<Movimiento>, Error> {
        let modelo = self.read()?;
        modelo.usuario(de)?;
        let rows = modelo.movimientos_de(de, despues).take(limite + 1).map(|m| m.as_ref().clone()).collect();
        Ok(Page::new(rows, limite, modelo.cuantos_movimientos(de), |m: &Movimiento| m.id.to_string()))
    }

    /// Adds a user with an opening balance.
    pub async fn crear(&self, nombre: String, saldo: Monto) -> Result<Usuario, Error> {
        self.write(move |tx| {
            let id = tx.siguiente_usuario().ok_or(Error::SinIds)?;
            let usuario = Usuario { id, nombre, saldo };
            let apertura = Movimiento {
                id: tx.siguiente_movimiento().ok_or(Error::SinIds)?,
                usuario_id: id,
                monto: saldo,
                fecha: ahora(),
                tipo: Tipo::Apertura,
            };
            tx.put(Change::Usuario(usuario.clone()));
            tx.put(Change::Movimiento(apertura));
            Ok(usuario)
        })
        .await
    }

    /// Gives a user another name.
    pub async fn renombrar(&self, id: UsuarioId, nombre: String) -> Result<Usuario, Error> {
        self.write(move |tx| {
            let usuario = Usuario { nombre, ..tx.usuario(id)?.clone() };
            tx.put(Change::Usuario(usuario.clone()));
            Ok(usuario)
        })
        .await
    }

    /// Adds money, once for each key.
    pub async fn abonar(
        &self,
        id: UsuarioId,
        monto: Monto,
        clave: Clave,
    ) -> Result<Hecho<Movimiento>, Error> {
        self.write(move |tx| {
            if let Some(hecho) = tx.referido(&Referencia::Abono(clave.clone())) {
                return if (hecho.usuario_id, hecho.monto) == (id, monto) {
                    Ok(Hecho { valor: hecho.as_ref().clone(), nuevo: false })
                } else {
                    Err(Error::ClaveReutilizada(clave.to_string()))
                };
            }
            let usuario = tx.usuario(id)?.clone();
            let saldo =
                usuario.saldo.sumar(monto).ok_or(Error::SaldoExcedido { saldo: usuario.saldo, monto })?;
            let abono = Movimiento {
                id: tx.siguiente_movimiento().ok_or(Error::SinIds)?,
                usuario_id: id,
                monto,
                fecha: ahora(),
                tipo: Tipo::Abono { clave },
            };
            tx.put(Change::Usuario(Usuario { saldo, ..usuario }));
            tx.put(Change::Movimiento(abono.clone()));
            Ok(Hecho { valor: abono, nuevo: true })
        })
        .await
    }

    /// Takes the money of an attempt, once; whether this call did it.
    pub async fn cargar(&self, intento: Intento, pedido: PedidoCargo) -> Result<bool, Error> {
        self.write(move |tx| {
            let PedidoCargo { usuario_id, monto } = pedido;
            if let Some(hecho) = tx.referido(&Referencia::Cargo(intento.clone())) {
                return if (hecho.usuario_id, hecho.monto) == (usuario_id, monto) {
                    Ok(false)
                } else {
                    Err(Error::ClaveReutilizada(intento.to_string()))
                };
            }
            let usuario = tx.usuario(usuario_id)?.clone();
            let saldo = usuario
                .saldo
                .restar(monto)
                .ok_or(Error::SaldoInsuficiente { saldo: usuario.saldo, monto })?;
            let cargo = Movimiento {
                id: tx.siguiente_movimiento().ok_or(Error::SinIds)?,
                usuario_id,
                monto,
                fecha: ahora(),
                tipo: Tipo::Cargo { intento, confirmado: false },
            };
            tx.put(Change::Usuario(Usuario { saldo, ..usuario }));
            tx.put(Change::Movimiento(cargo));
            Ok(true)
        })
        .await
    }

    /// Settles the debit of a committed attempt; again and again, to the same effect.
    pub async fn confirmar(&self, intento: Intento) -> Result<(), Error> {
        self.write(move |tx| {
            let cargo = tx
                .referido(&Referencia::Cargo(intento.clone()))
                .ok_or(Error::IntentoNoEncontrado(intento.clone()))?;
            if let Tipo::Cargo { confirmado: false, .. } = cargo.tipo {
                let tipo = Tipo::Cargo { intento, confirmado: true };
                let settled = Movimiento { tipo, ..cargo.as_ref().clone() };
                tx.put(Change::Movimiento(settled));
            }
            Ok(())
        })
        .await
    }

    /// Gives the money of an aborted attempt back; again and again, to the same effect.
    pub async fn cancelar(&self, intento: Intento) -> Result<(), Error> {
        self.write(move |tx| {
            let Some(cargo) = tx.referido(&Referencia::Cargo(intento.clone())).cloned() else {
                return Ok(());
            };
            if let Tipo::Cargo { confirmado: true, .. } = cargo.tipo {
                return Err(Error::IntentoConfirmado(intento));
            }
            let usuario = tx.usuario(cargo.usuario_id)?.clone();
            // abonos made meanwhile may have filled the balance to its limit: the refund waits for room
            let saldo = usuario
                .saldo
                .sumar(cargo.monto)
                .ok_or(Error::SaldoExcedido { saldo: usuario.saldo, monto: cargo.monto })?;
            tx.put(Change::Usuario(Usuario { saldo, ..usuario }));
            tx.put(Change::QuitarMovimiento { usuario_id: cargo.usuario_id, id: cargo.id });
            Ok(())
        })
        .await
    }

    /// Debits that wait for their end for `edad` or longer, oldest first, behind one. One from the future (the clock was
    /// set back) counts as old: nobody should wait until the clock comes round again.
    pub fn pendientes(
        &self,
        edad: TimeDelta,
        despues: Option<(DateTime<Utc>, Intento)>,
    ) -> Result<Vec<Try>, Error> {
        let modelo = self.read()?;
        let now = ahora();
        let old = |t: &Try| t.desde <= now - edad || t.desde > now;
        Ok(modelo.pendientes(despues).filter(old).take(PAGE).collect())
    }

    /// Confirmed debits behind an attempt's, in an order that stays.
    pub fn confirmados(&self, despues: Option<Intento>) -> Result<Vec<Try>, Error> {
        Ok(self.read()?.confirmados(despues)?.take(PAGE).collect())
    }

    /// This service's side of the audit.
    pub fn resumen(&self) -> Result<Digest, Error> {
        Ok(self.read()?.resumen())
    }
}
