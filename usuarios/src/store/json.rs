//! The store in files: each operation is one journal line, decided and written against the newest state.

mod accounts;

use super::state::{self, Change, Reference, State};
use crate::domain::{Movimiento, MovimientoKind, Usuario};
use crate::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use http_kit::paging::Page;
use journal::{Journal, Need, Snapshot, StoreError, Tx};
use market::contract::{CargoRequest, Digest, Hold, PAGE};
use market::domain::{Clave, Intento, Monto, UsuarioId, timestamp};
use market::participant::Recorded;

/// Keeps the law of [`super::Store`].
#[derive(Clone)]
pub struct Store(Journal<State>);

impl Store {
    pub(super) fn new(journal: Journal<State>) -> Self {
        Self(journal)
    }

    fn read(&self) -> Result<Snapshot<State>, StoreError> {
        self.0.read()
    }

    async fn write<T: Send + 'static>(
        &self,
        need: Need,
        f: impl FnOnce(&mut Tx<'_, State>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.0.write_for(need, f).await?
    }

    pub(super) async fn usuario(&self, id: UsuarioId) -> Result<Usuario, Error> {
        self.read()?.usuario(id).cloned()
    }

    pub(super) async fn usuarios(
        &self,
        after: Option<UsuarioId>,
        limit: usize,
    ) -> Result<Page<Usuario>, Error> {
        let state = self.read()?;
        let rows = state::entries_after(&state.usuarios, after)
            .take(limit + 1)
            .map(|(_, u)| u.as_ref().clone())
            .collect();
        Ok(Page::new(rows, limit, state.usuarios.len(), |u: &Usuario| u.id.to_string()))
    }

    pub(super) async fn movimientos(
        &self,
        usuario: UsuarioId,
        after: u64,
        limit: usize,
    ) -> Result<Page<Movimiento>, Error> {
        let state = self.read()?;
        state.usuario(usuario)?;
        let rows = state.movimientos_of(usuario, after).take(limit + 1).map(|m| m.as_ref().clone()).collect();
        Ok(Page::new(rows, limit, state.movimientos_count(usuario), |m: &Movimiento| m.id.to_string()))
    }

    pub(super) async fn create(&self, nombre: String, saldo: Monto) -> Result<Usuario, Error> {
        self.write(Need::Add, move |tx| {
            let id = tx.next_usuario_id().ok_or(Error::NoIdsLeft)?;
            let usuario = Usuario { id, nombre, saldo };
            let apertura = Movimiento {
                id: tx.next_movimiento_id().ok_or(Error::NoIdsLeft)?,
                usuario_id: id,
                monto: saldo,
                fecha: timestamp(),
                tipo: MovimientoKind::Opening,
            };
            tx.put(Change::Usuario(usuario.clone()));
            tx.put(Change::Movimiento(apertura));
            Ok(usuario)
        })
        .await
    }

    pub(super) async fn rename(&self, id: UsuarioId, nombre: String) -> Result<Usuario, Error> {
        self.write(Need::Add, move |tx| {
            let usuario = Usuario { nombre, ..tx.usuario(id)?.clone() };
            tx.put(Change::Usuario(usuario.clone()));
            Ok(usuario)
        })
        .await
    }

    pub(super) async fn credit(
        &self,
        id: UsuarioId,
        monto: Monto,
        clave: Clave,
    ) -> Result<Recorded<Movimiento>, Error> {
        self.write(Need::Add, move |tx| {
            if let Some(recorded) = tx.referred(&Reference::Abono(clave.clone())) {
                recorded.answers(id, monto, &clave)?;
                return Ok(Recorded { value: recorded.as_ref().clone(), is_new: false });
            }
            let usuario = tx.usuario(id)?.clone();
            let saldo = usuario.saldo_plus(monto)?;
            let abono = Movimiento {
                id: tx.next_movimiento_id().ok_or(Error::NoIdsLeft)?,
                usuario_id: id,
                monto,
                fecha: timestamp(),
                tipo: MovimientoKind::Abono { clave },
            };
            tx.put(Change::Usuario(Usuario { saldo, ..usuario }));
            tx.put(Change::Movimiento(abono.clone()));
            Ok(Recorded { value: abono, is_new: true })
        })
        .await
    }

    pub(super) async fn hold(&self, intento: Intento, request: CargoRequest) -> Result<bool, Error> {
        self.write(Need::Begin, move |tx| {
            let CargoRequest { usuario_id, monto, .. } = request;
            if let Some(recorded) = tx.referred(&Reference::Cargo(intento.clone())) {
                return recorded.answers(usuario_id, monto, &intento).map(|()| false);
            }
            let usuario = tx.usuario(usuario_id)?.clone();
            let saldo = usuario.saldo_minus(monto)?;
            let cargo = Movimiento {
                id: tx.next_movimiento_id().ok_or(Error::NoIdsLeft)?,
                usuario_id,
                monto,
                fecha: timestamp(),
                tipo: MovimientoKind::Cargo { intento, confirmado: false },
            };
            tx.put(Change::Usuario(Usuario { saldo, ..usuario }));
            tx.put(Change::Movimiento(cargo));
            Ok(true)
        })
        .await
    }

    pub(super) async fn confirm(&self, intento: Intento) -> Result<(), Error> {
        self.write(Need::End, move |tx| {
            let cargo = tx
                .referred(&Reference::Cargo(intento.clone()))
                .ok_or(Error::IntentoNotFound(intento.clone()))?;
            if let MovimientoKind::Cargo { confirmado: false, .. } = cargo.tipo {
                let tipo = MovimientoKind::Cargo { intento, confirmado: true };
                let settled = Movimiento { tipo, ..cargo.as_ref().clone() };
                tx.put(Change::Movimiento(settled));
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn cancel(&self, intento: Intento) -> Result<(), Error> {
        self.write(Need::End, move |tx| {
            let Some(cargo) = tx.referred(&Reference::Cargo(intento.clone())).cloned() else {
                return Ok(());
            };
            if let MovimientoKind::Cargo { confirmado: true, .. } = cargo.tipo {
                return Err(Error::IntentoConfirmed(intento));
            }
            let usuario = tx.usuario(cargo.usuario_id)?.clone();
            let saldo = usuario.saldo_plus(cargo.monto)?;
            tx.put(Change::Usuario(Usuario { saldo, ..usuario }));
            tx.put(Change::RemoveMovimiento { usuario_id: cargo.usuario_id, id: cargo.id });
            Ok(())
        })
        .await
    }

    pub(super) async fn pending(
        &self,
        age: TimeDelta,
        after: Option<(DateTime<Utc>, Intento)>,
    ) -> Result<Vec<Hold>, Error> {
        let state = self.read()?;
        let now = timestamp();
        let latest = now.checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC);
        let old = |t: &Hold| t.desde <= latest || t.desde > now;
        Ok(state.pending(after).filter(old).take(PAGE).collect())
    }

    pub(super) async fn settled(&self, after: Option<Intento>) -> Result<Vec<Hold>, Error> {
        Ok(self.read()?.settled(after)?.take(PAGE).collect())
    }

    pub(super) async fn digest(&self) -> Result<Digest, Error> {
        Ok(self.read()?.digest())
    }
}
