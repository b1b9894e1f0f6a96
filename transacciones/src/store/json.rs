//! In files: each write is one journal line, decided against the newest state.

use super::state::{Change, State};
use super::{Closing, Overtaken, Standing, may_commit, must_abort};

use crate::domain::{Aborted, Compra, Transaccion, Word};
use journal::{Journal, StoreError};
use market::domain::{Clave, Intento, Monto, TokenId, TransaccionId, UsuarioId, timestamp};
use std::sync::Arc;
use tokio::sync::watch;

/// The law is [`super::Store`]'s.
#[derive(Clone)]
pub struct Store {
    journal: Journal<State>,
    pod: Option<Arc<str>>,
}

impl Store {
    pub(super) fn new(journal: Journal<State>) -> Self {
        Self { journal, pod: None }
    }

    pub(super) fn sign(&mut self, pod: Arc<str>) {
        self.pod = Some(pod);
    }

    pub(super) async fn commit(
        &self,
        intento: Intento,
        compra: &Compra,
        precio: Monto,
    ) -> Result<Result<Transaccion, Overtaken>, StoreError> {
        let (usuario_id, token_id, pod) = (compra.usuario_id, compra.token_id, self.pod.clone());
        self.journal
            .write(move |tx| {
                may_commit(&tx.word(&intento.clave), intento.numero)?;
                let last = tx.transacciones.get_max().map_or(0, |(id, _)| id.get());
                // 2^53 purchases at 10,000 a second take 28,000 years
                let id = TransaccionId::new(last + 1).ok_or(Overtaken)?;
                let intento = Some(intento);
                // behind all places, which are ids of purchases
                let t = Transaccion {
                    id,
                    usuario_id,
                    token_id,
                    fecha: timestamp(),
                    precio,
                    intento,
                    lugar: None,
                    pod,
                };
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
        self.journal
            .write(move |tx| {
                let word = tx.word(&intento.clave);
                if must_abort(&word, intento.numero)? {
                    let Intento { clave, numero } = intento;
                    // recovery knows no token from a debit: what an earlier abort knew still binds the clave
                    let known = if let Word::Aborted(before) = word { before.token_id } else { None };
                    let token_id = token_id.or(known);
                    tx.put(Change::Aborted(Aborted { clave, numero, usuario_id, token_id }));
                }
                Ok(())
            })
            .await
    }

    pub(super) async fn word(&self, clave: &Clave) -> Result<Word, StoreError> {
        Ok(self.journal.read()?.word(clave))
    }

    pub(super) async fn under(&self, claves: &[Clave]) -> Result<Vec<Transaccion>, StoreError> {
        let state = self.journal.read()?;
        Ok(claves.iter().filter_map(|clave| state.bought(clave)).map(|t| t.as_ref().clone()).collect())
    }

    pub(super) async fn transaccion(&self, id: TransaccionId) -> Result<Option<Transaccion>, StoreError> {
        Ok(self.journal.read()?.transacciones.get(&id).map(|t| t.as_ref().clone()))
    }

    pub(super) async fn list(
        &self,
        usuario: Option<UsuarioId>,
        token: Option<TokenId>,
        after: Option<TransaccionId>,
        limit: usize,
    ) -> Result<(Vec<Transaccion>, usize), StoreError> {
        let state = self.journal.read()?;
        let rows = state.list(usuario, token, after).take(limit).map(|t| t.as_ref().clone()).collect();
        Ok((rows, state.count_of(usuario, token)))
    }

    pub(super) async fn following(
        &self,
        after: Option<TransaccionId>,
        limit: usize,
    ) -> Result<Vec<Transaccion>, StoreError> {
        let state = self.journal.read()?;
        Ok(state.list(None, None, after).take(limit).map(|t| t.as_ref().clone()).collect())
    }

    pub(super) async fn last(&self) -> Result<Option<TransaccionId>, StoreError> {
        Ok(self.journal.read()?.last())
    }

    pub(super) async fn closing(&self) -> Result<Closing, StoreError> {
        Ok(closing(&*self.journal.read()?))
    }

    pub(super) async fn standing(&self) -> Result<Standing, StoreError> {
        let state = self.journal.read()?;
        Ok(Standing { closing: closing(&state), last: state.last() })
    }

    pub(super) fn changed(&self) -> watch::Receiver<u64> {
        self.journal.changed()
    }
}

fn closing(state: &State) -> Closing {
    let transacciones = state.transacciones.len() as u64;
    Closing { transacciones, cargos: state.cargos, ventas: state.ventas }
}
