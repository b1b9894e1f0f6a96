//! The state in memory: purchases, aborted attempts, and the indexes and running digests over them.

use crate::domain::{Abortado, Palabra, Transaccion};
use imbl::{HashMap, OrdMap, OrdSet};
use journal::{ArrayWriter, Model};
use market::domain::{Clave, Intento, Monto, Resumen, TokenId, TransaccionId, UsuarioId};
use serde::{Deserialize, Serialize};
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// Everything that `transacciones` knows.
#[derive(Clone, Default)]
pub struct Modelo {
    /// Purchases by id.
    pub transacciones: OrdMap<TransaccionId, Arc<Transaccion>>,
    por_clave: HashMap<Clave, TransaccionId>,
    // these two by place, which is nearly always the id
    por_usuario: OrdSet<(UsuarioId, TransaccionId)>,
    por_token: OrdSet<(TokenId, TransaccionId)>,
    /// The purchases at the places that are not their ids.
    desplazadas: OrdMap<TransaccionId, TransaccionId>,
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

    /// Aborted attempts by clave, also of claves that were bought by a later one.
    pub fn abortados(&self) -> impl Iterator<Item = &Abortado> {
        self.abortados.values().map(AsRef::as_ref)
    }

    /// The purchase under a clave.
    pub fn comprado(&self, clave: &Clave) -> Option<&Arc<Transaccion>> {
        self.transacciones.get(self.por_clave.get(clave)?)
    }

    /// A user's purchases behind one, a token's, or all, in the order of their commits.
    pub fn lista(
        &self,
        de: Option<UsuarioId>,
        token: Option<TokenId>,
        despues: Option<TransaccionId>,
    ) -> impl Iterator<Item = &Arc<Transaccion>> {
        let despues = despues.map(|id| self.transacciones.get(&id).map_or(id, |t| t.lugar()));
        let from = |lugar: Option<TransaccionId>| lugar.map_or(Bound::Unbounded, Bound::Excluded);
        let lugares: Box<dyn Iterator<Item = &TransaccionId>> = match (de, token) {
            // a token is sold once: its list is the shorter one
            (_, Some(t)) => Box::new(self.por_token.range(within(t, despues)).map(|(_, lugar)| lugar)),
            (Some(u), None) => Box::new(self.por_usuario.range(within(u, despues)).map(|(_, lugar)| lugar)),
            // all places are ids of purchases
            (None, None) => {
                Box::new(self.transacciones.range((from(despues), Bound::Unbounded)).map(|(id, _)| id))
            }
        };
        lugares.filter_map(|lugar| self.en(*lugar)).filter(move |t| de.is_none_or(|de| t.usuario_id == de))
    }

    /// The last purchase of the order.
    pub fn ultima(&self) -> Option<TransaccionId> {
        self.transacciones.get_max().and_then(|(lugar, _)| self.en(*lugar)).map(|t| t.id)
    }

    /// The purchase at a place.
    fn en(&self, lugar: TransaccionId) -> Option<&Arc<Transaccion>> {
        self.transacciones.get(self.desplazadas.get(&lugar).unwrap_or(&lugar))
    }

    fn poner_transaccion(&mut self, nueva: Transaccion) {
        let (id, lugar) = (nueva.id, nueva.lugar());
        self.contar(&nueva, Resumen::agregar);
        self.por_usuario.insert((nueva.usuario_id, lugar));
        self.por_token.insert((nueva.token_id, lugar));
        if nueva.lugar.is_some() {
            self.desplazadas.insert(lugar, id);
        }
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

/// The keys of an index under one id, behind a place.
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
            if let Some(other) = t.lugar.and_then(|lugar| self.desplazadas.get(&lugar)) {
                return Err(format!("the lugar of id {} is also that of id {other}", t.id));
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

    /// A place stands for one purchase, and is a purchase's id: so who goes by places finds each purchase once.
    fn on_open(&self, _edited: &[&'static str]) -> Result<Vec<Change>, String> {
        let own = |lugar: &TransaccionId| self.transacciones.get(lugar).is_some_and(|t| t.lugar.is_some());
        match self.desplazadas.iter().find(|(lugar, _)| !own(lugar)) {
            Some((lugar, id)) => Err(format!(
                "transacciones.json: id {id} has lugar {lugar}, and no purchase with that id has another lugar; a purchase \
                 that has one cannot be taken out alone"
            )),
            None => Ok(Vec::new()),
        }
    }
}
