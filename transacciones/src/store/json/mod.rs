//! In files: each write is one journal line, decided against the newest state.

mod modelo;

pub use modelo::{Change, Modelo};

use super::{Cierre, Overtaken, may_commit, must_abort};
use crate::domain::{Abortado, Compra, Palabra, Transaccion};
use journal::{Journal, StoreError};
use market::domain::{Clave, Intento, Monto, TokenId, TransaccionId, UsuarioId, ahora};
use tokio::sync::watch;

/// The law is [`super::Store`]'s.
#[derive(Clone)]
pub struct Store(Journal<Modelo>);

impl Store {
    pub(super) fn new(journal: Journal<Modelo>) -> Self {
        Self(journal)
    }

    pub(super) async fn commit(
        &self,
        intento: Intento,
        compra: &Compra,
        precio: Monto,
    ) -> Result<Result<Transaccion, Overtaken>, StoreError> {
        let (usuario_id, token_id) = (compra.usuario_id, compra.token_id);
        self.0
            .write(move |tx| {
                may_commit(&tx.palabra(&intento.clave), intento.numero)?;
                let last = tx.transacciones.get_max().map_or(0, |(id, _)| id.get());
                // 2^53 purchases at 10,000 a second take 28,000 years
                let id = TransaccionId::new(last + 1).ok_or(Overtaken)?;
                let intento = Some(intento);
                // behind all places, which are ids of purchases
                let t =
                    Transaccion { id, usuario_id, token_id, fecha: ahora(), precio, intento, lugar: None };
                tx.put(Change::Transaccion(t.clone()));
                Ok(t)
            })
            .await
    }

    pub(super) async fn abort(
        &self,
        intento: Intento,
        usuario_id: UsuarioId,
        token_id: Option<TokenId>,
    ) -> Result<Result<(), Overtaken>, StoreError> {
        self.0
            .write(move |tx| {
                let palabra = tx.palabra(&intento.clave);
                if must_abort(&palabra, intento.numero)? {
                    let Intento { clave, numero } = intento;
                    // recovery knows no token from a debit: what an earlier abort knew still binds the clave
                    let known = if let Palabra::Abortado(before) = palabra { before.token_id } else { None };
                    let token_id = token_id.or(known);
                    tx.put(Change::Abortado(Abortado { clave, numero, usuario_id, token_id }));
                }
                Ok(())
            })
            .await
    }

    pub(super) async fn palabra(&self, clave: &Clave) -> Result<Palabra, StoreError> {
        Ok(self.0.read()?.palabra(clave))
    }

    pub(super) async fn bajo(&self, claves: &[Clave]) -> Result<Vec<Transaccion>, StoreError> {
        let modelo = self.0.read()?;
        Ok(claves.iter().filter_map(|clave| modelo.comprado(clave)).map(|t| t.as_ref().clone()).collect())
    }

    pub(super) async fn transaccion(&self, id: TransaccionId) -> Result<Option<Transaccion>, StoreError> {
        Ok(self.0.read()?.transacciones.get(&id).map(|t| t.as_ref().clone()))
    }

    pub(super) async fn lista(
        &self,
        de: Option<UsuarioId>,
        token: Option<TokenId>,
        despues: Option<TransaccionId>,
        limite: usize,
    ) -> Result<(Vec<Transaccion>, usize), StoreError> {
        let modelo = self.0.read()?;
        let rows = modelo.lista(de, token, despues).take(limite).map(|t| t.as_ref().clone()).collect();
        let total = match (de, token) {
            (None, None) => modelo.transacciones.len(),
            _ => modelo.lista(de, token, None).count(),
        };
        Ok((rows, total))
    }

    pub(super) async fn siguientes(
        &self,
        despues: Option<TransaccionId>,
        limite: usize,
    ) -> Result<Vec<Transaccion>, StoreError> {
        let modelo = self.0.read()?;
        Ok(modelo.lista(None, None, despues).take(limite).map(|t| t.as_ref().clone()).collect())
    }

    pub(super) async fn ultima(&self) -> Result<Option<TransaccionId>, StoreError> {
        Ok(self.0.read()?.ultima())
    }

    pub(super) async fn cierre(&self) -> Result<Cierre, StoreError> {
        let modelo = self.0.read()?;
        let transacciones = modelo.transacciones.len() as u64;
        Ok(Cierre { transacciones, cargos: modelo.cargos, ventas: modelo.ventas })
    }

    pub(super) fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed()
    }
}
