//! The coordinator's word: which purchases are committed, and which attempts never will be.

use crate::domain::{Abortado, Compra, Palabra, Suerte, Transaccion};
use common::domain::{Clave, Intento, Monto, Resumen, TokenId, TransaccionId, UsuarioId, ahora};
use common::journal::{ArrayWriter, Journal, Model, Snapshot, StoreError};
use imbl::{HashMap, OrdMap, OrdSet};
use serde::{Deserialize, Serialize};
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// Everything that `transacciones` knows.
#[derive(Clone, Default)]
pub struct Modelo {
    /// Purchases in the order of their commits.
    pub transacciones: OrdMap<TransaccionId, Arc<Transaccion>>,
    por_clave: HashMap<Clave, TransaccionId>,
    por_usuario: OrdSet<(UsuarioId, TransaccionId)>,
    por_token: OrdSet<(TokenId, TransaccionId)>,
    abortados: OrdMap<Clave, Arc<Abortado>>,
    /// What `usuarios` should have confirmed: attempt, user, price.
    pub cargos: Resumen,
    /// What `tokens` should have sold: attempt, user, token, price.
    pub ventas: Resumen,
}

/// One record's new image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// A committed purchase.
    Transaccion(Transaccion),
    /// Attempts that can never commit.
    Abortado(Abortado),
}

impl Modelo {
    /// What was decided under a clave. Bought beats aborted: earlier attempts of a bought clave may have been aborted.
    pub fn palabra(&self, clave: &Clave) -> Palabra {
        if let Some(transaccion) = self.comprado(clave) {
            return Palabra::Comprado(transaccion.as_ref().clone());
        }
        self.abortados.get(clave).map_or(Palabra::Nada, |a| Palabra::Abortado(a.as_ref().clone()))
    }

    /// The purchase under a clave.
    pub fn comprado(&self, clave: &Clave) -> Option<&Arc<Transaccion>> {
        self.transacciones.get(self.por_clave.get(clave)?)
    }

    /// A user's purchases behind an id, a token's, or all, in the order of their commits.
    pub fn lista(
        &self,
        de: Option<UsuarioId>,
        token: Option<TokenId>,
        despues: Option<TransaccionId>,
    ) -> impl Iterator<Item = &Arc<Transaccion>> {
        let from = |id: Option<TransaccionId>| id.map_or(Bound::Unbounded, Bound::Excluded);
        let by_index: Box<dyn Iterator<Item = &TransaccionId>> = match (de, token) {
            // a token is sold once: its list is the shorter one
            (_, Some(t)) => Box::new(self.por_token.range(within(t, despues)).map(|(_, id)| id)),
            (Some(u), None) => Box::new(self.por_usuario.range(within(u, despues)).map(|(_, id)| id)),
            (None, None) => {
                Box::new(self.transacciones.range((from(despues), Bound::Unbounded)).map(|(id, _)| id))
            }
        };
        by_index
            .filter_map(|id| self.transacciones.get(id))
            .filter(move |t| de.is_none_or(|de| t.usuario_id == de))
    }

    fn poner_transaccion(&mut self, nueva: Transaccion) {
        let id = nueva.id;
        self.contar(&nueva, Resumen::agregar);
        self.por_usuario.insert((nueva.usuario_id, id));
        self.por_token.insert((nueva.token_id, id));
        if let Some(intento) = &nueva.intento {
            self.por_clave.insert(intento.clave.clone(), id);
        }
        if let Some(old) = self.transacciones.insert(id, Arc::new(nueva)) {
            // a committed purchase never changes, so its index entries are the new one's
            self.contar(&old, Resumen::quitar);
        }
    }

    fn contar(
        &mut self,
        t: &Transaccion,
        count: fn(&mut Resumen, &Intento, UsuarioId, Option<TokenId>, Monto),
    ) {
        if let Some(intento) = &t.intento {
            count(&mut self.cargos, intento, t.usuario_id, None, t.precio);
            count(&mut self.ventas, intento, t.usuario_id, Some(t.token_id), t.precio);
        }
    }
}

/// The keys of an index under one id, behind a purchase.
fn within<K: Copy>(key: K, despues: Option<TransaccionId>) -> impl RangeBounds<(K, TransaccionId)> {
    let start = match despues {
        Some(id) => Bound::Excluded((key, id)),
        None => Bound::Included((key, TransaccionId::MIN)),
    };
    (start, Bound::Included((key, TransaccionId::MAX)))
}

impl Model for Modelo {
    const NAME: &'static str = "transacciones";
    const COLLECTIONS: &'static [&'static str] = &["transacciones", "intentos"];
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Transaccion(t) => self.poner_transaccion(t.clone()),
            Change::Abortado(a) => {
                self.abortados.insert(a.clave.clone(), Arc::new(a.clone()));
            }
        }
    }

    fn load(&mut self, collection: &str, element: &str) -> Result<(), String> {
        if collection == "transacciones" {
            let t: Transaccion = serde_json::from_str(element).map_err(|e| e.to_string())?;
            if self.transacciones.contains_key(&t.id) {
                return Err(format!("id {} is there twice", t.id));
            }
            if let Some(intento) = t.intento.as_ref().filter(|i| self.por_clave.contains_key(&i.clave)) {
                return Err(format!("clave {} is there twice", intento.clave));
            }
            self.poner_transaccion(t);
        } else {
            let a: Abortado = serde_json::from_str(element).map_err(|e| e.to_string())?;
            if self.abortados.contains_key(&a.clave) {
                return Err(format!("clave {} is there twice", a.clave));
            }
            self.apply(&Change::Abortado(a));
        }
        Ok(())
    }

    fn dump(&self, collection: &str, array: &mut ArrayWriter<'_>) -> io::Result<()> {
        if collection == "transacciones" {
            self.transacciones.values().try_for_each(|t| array.element(t.as_ref()))
        } else {
            self.abortados.values().try_for_each(|a| array.element(a.as_ref()))
        }
    }

    fn count(&self, collection: &str) -> usize {
        if collection == "transacciones" { self.transacciones.len() } else { self.abortados.len() }
    }

    fn on_open(&self, _edited: &[&'static str]) -> Result<Vec<Change>, String> {
        Ok(Vec::new())
    }
}

/// Whether an attempt may be committed: its clave is not bought, and it is not aborted.
///
/// # Errors
/// [`Overtaken`] where it may not.
pub fn may_commit(palabra: &Palabra, numero: u32) -> Result<(), Overtaken> {
    if palabra.suerte(numero) == Suerte::Abierta { Ok(()) } else { Err(Overtaken) }
}

/// Whether an attempt's abort has yet to be written.
///
/// # Errors
/// [`Overtaken`] where its clave is bought.
pub fn must_abort(palabra: &Palabra, numero: u32) -> Result<bool, Overtaken> {
    match palabra {
        Palabra::Comprado(_) => Err(Overtaken),
        Palabra::Nada | Palabra::Abortado(_) => Ok(palabra.suerte(numero) == Suerte::Abierta),
    }
}

/// The store with the two writes that decide.
#[derive(Clone)]
pub struct Store(Journal<Modelo>);

/// The store has decided otherwise: ask it for its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overtaken;

impl Store {
    /// Over an open journal.
    pub fn new(journal: Journal<Modelo>) -> Self {
        Self(journal)
    }

    /// The newest durable state.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read(&self) -> Result<Snapshot<Modelo>, StoreError> {
        self.0.read()
    }

    /// Tells of each change of the state.
    pub fn changed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.changed()
    }

    /// Decides for an attempt: records the purchase, unless its clave is bought or the attempt aborted.
    ///
    /// # Errors
    /// [`StoreError`] where it is not known, or known not, to be on disk.
    pub async fn commit(
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
                let t =
                    Transaccion { id, usuario_id, token_id, fecha: ahora(), precio, intento: Some(intento) };
                tx.put(Change::Transaccion(t.clone()));
                Ok(t)
            })
            .await
    }

    /// Decides against an attempt, and all before it, unless its clave is bought.
    ///
    /// # Errors
    /// [`StoreError`] where it is not known, or known not, to be on disk: nothing may be cancelled then.
    pub async fn abort(
        &self,
        intento: Intento,
        usuario_id: UsuarioId,
        token_id: Option<TokenId>,
    ) -> Result<Result<(), Overtaken>, StoreError> {
        self.0
            .write(move |tx| {
                if must_abort(&tx.palabra(&intento.clave), intento.numero)? {
                    let Intento { clave, numero } = intento;
                    tx.put(Change::Abortado(Abortado { clave, numero, usuario_id, token_id }));
                }
                Ok(())
            })
            .await
    }
}
