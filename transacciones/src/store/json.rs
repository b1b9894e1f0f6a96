//! In files: each write is one journal line, decided against the newest state.

use super::state::{Change, State};
use super::{Closing, Overtaken, Standing, may_commit, must_abort};

use crate::domain::{Aborted, Compra, Era, Transaccion, Word};
use chrono::TimeDelta;
use journal::{Journal, Need, StoreError};
use market::domain::{Clave, Intento, Monto, TokenId, TransaccionId, UsuarioId, timestamp};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::watch;

/// Claves that are forgotten by one line: few enough that no purchase waits long for them.
const LOT: usize = 200;

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
            .write_for(Need::End, move |tx| {
                may_commit(&tx.word(&intento.clave), tx.era(), intento.numero)?;
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
        need: Need,
        intento: Intento,
        usuario_id: UsuarioId,
        token_id: Option<TokenId>,
    ) -> Result<Result<(), Overtaken>, StoreError> {
        self.journal
            .write_for(need, move |tx| {
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

    pub(super) async fn era(&self) -> Result<Era, StoreError> {
        Ok(self.journal.read()?.era())
    }

    pub(super) async fn forget(&self, length: TimeDelta) -> Result<u64, StoreError> {
        if self.journal.read()?.aborted().next().is_some() {
            let begun = self.journal.write_for(Need::End, move |tx| {
                if let Some(era) = tx.next_era(timestamp(), length) {
                    tx.put(Change::Era(era));
                }
                Ok(())
            });
            begun.await?.unwrap_or_else(never);
        }
        let due: Vec<_> = {
            let state = self.journal.read()?;
            let last = state.era().forgotten();
            state.aborted().filter(|a| a.numero <= last).map(|a| a.clave.clone()).collect()
        };
        for some in due.chunks(LOT) {
            let some = some.to_vec();
            let forgotten = self.journal.write_for(Need::End, move |tx| {
                for clave in some {
                    if tx.is_due(&clave) {
                        tx.put(Change::Forgotten(clave));
                    }
                }
                Ok(())
            });
            forgotten.await?.unwrap_or_else(never);
        }
        Ok(due.len() as u64)
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

/// What a write comes to that refuses nothing.
fn never(refused: Infallible) {
    match refused {}
}

fn closing(state: &State) -> Closing {
    let transacciones = state.transacciones.len() as u64;
    Closing { transacciones, cargos: state.cargos, ventas: state.ventas }
}
