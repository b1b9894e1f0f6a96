//! The state in memory: purchases, aborted attempts, and the indexes and running digests over them.

use crate::domain::{ATTEMPTS, Aborted, Era, EraRecord, Transaccion, Word};
use chrono::{DateTime, TimeDelta, Utc};
use imbl::{OrdMap, OrdSet};
use journal::{ArrayWriter, Model};
use market::domain::{Clave, Intento, Monto, RunningDigest, TokenId, TransaccionId, UsuarioId, timestamp};
use market::index::KeyIndex;
use serde::{Deserialize, Serialize};
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// Everything that `transacciones` knows.
#[derive(Clone, Default)]
pub struct State {
    /// Purchases by id.
    pub transacciones: OrdMap<TransaccionId, Arc<Transaccion>>,
    by_clave: KeyIndex<TransaccionId>,
    // these two by place, which is nearly always the id
    by_usuario: OrdSet<(UsuarioId, TransaccionId)>,
    by_token: OrdSet<(TokenId, TransaccionId)>,
    /// How many purchases a user has made.
    count_by_usuario: OrdMap<UsuarioId, usize>,
    /// How many times more than once a token was bought: no service sells it twice, and people may write what they like.
    repeated_by_token: OrdMap<TokenId, usize>,
    /// The pods that committed purchases: each name is in memory once.
    pods: OrdSet<Arc<str>>,
    /// The purchases at the places that are not their ids.
    displaced: OrdMap<TransaccionId, TransaccionId>,
    aborted: OrdMap<Clave, Arc<Aborted>>,
    /// The first era where there is none.
    era: Option<EraRecord>,
    /// What `usuarios` should have confirmed: attempt, user, price.
    pub cargos: RunningDigest,
    /// What `tokens` should have sold: attempt, user, token, price.
    pub ventas: RunningDigest,
    /// What the records take: see [`Model::memory`].
    memory: u64,
}

/// Bytes of memory that a purchase takes besides its key: measured, see `mercado/tests/process/full.rs`.
const TRANSACCION_BYTES: u64 = 300;
/// Bytes that an aborted attempt takes besides its key.
const ABORTED_BYTES: u64 = 170;

fn bytes_of_transaccion(t: &Transaccion) -> u64 {
    TRANSACCION_BYTES + t.intento.as_ref().map_or(0, |i| i.clave.as_str().len() as u64)
}

fn bytes_of_aborted(a: &Aborted) -> u64 {
    ABORTED_BYTES + a.clave.as_str().len() as u64
}

/// One record's new image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// A committed purchase.
    Transaccion(Transaccion),
    /// Attempts that can never commit.
    #[serde(rename = "abortado")]
    Aborted(Aborted),
    /// The abort under a clave was forgotten.
    #[serde(rename = "olvidado")]
    Forgotten(Clave),
    /// The era as it is now.
    #[serde(rename = "epoca")]
    Era(EraRecord),
}

impl State {
    /// What was decided under a clave. Bought beats aborted: earlier attempts of a bought clave may have been aborted.
    pub fn word(&self, clave: &Clave) -> Word {
        if let Some(transaccion) = self.bought(clave) {
            return Word::Bought(transaccion.as_ref().clone());
        }
        self.aborted.get(clave).map_or(Word::Nothing, |a| Word::Aborted(a.as_ref().clone()))
    }

    /// The era now.
    pub fn era(&self) -> Era {
        Era::new(self.era.map_or(0, |era| era.epoca))
    }

    /// The era with its beginning, where one is recorded.
    pub fn era_record(&self) -> Option<EraRecord> {
        self.era
    }

    /// The era that is to be recorded now. While nothing is aborted, there is nothing that could become due.
    pub fn next_era(&self, now: DateTime<Utc>, length: TimeDelta) -> Option<EraRecord> {
        if self.aborted.is_empty() {
            return None;
        }
        self.era.map_or(Some(EraRecord { epoca: 0, desde: now }), |era| era.next(now, length))
    }

    /// Whether the abort under a clave is to be forgotten.
    pub fn is_due(&self, clave: &Clave) -> bool {
        self.aborted.get(clave).is_some_and(|a| a.numero <= self.era().forgotten())
    }

    /// Aborted attempts by clave, also of claves that were bought by a later one.
    pub fn aborted(&self) -> impl Iterator<Item = &Aborted> {
        self.aborted.values().map(AsRef::as_ref)
    }

    /// The purchase under a clave.
    pub fn bought(&self, clave: &Clave) -> Option<&Arc<Transaccion>> {
        let of = |id| {
            self.transacciones.get(&id).filter(|t| t.intento.as_ref().is_some_and(|i| i.clave == *clave))
        };
        of(self.by_clave.get(clave, |id| of(id).is_some())?)
    }

    /// A user's purchases behind one, a token's, or all, in the order of their commits.
    pub fn list(
        &self,
        usuario: Option<UsuarioId>,
        token: Option<TokenId>,
        after: Option<TransaccionId>,
    ) -> impl Iterator<Item = &Arc<Transaccion>> {
        let after = after.map(|id| self.transacciones.get(&id).map_or(id, |t| t.lugar()));
        let from = |lugar: Option<TransaccionId>| lugar.map_or(Bound::Unbounded, Bound::Excluded);
        let places: Box<dyn Iterator<Item = &TransaccionId>> = match (usuario, token) {
            // a token is sold once: its list is the shorter one
            (_, Some(t)) => Box::new(self.by_token.range(within(t, after)).map(|(_, lugar)| lugar)),
            (Some(u), None) => Box::new(self.by_usuario.range(within(u, after)).map(|(_, lugar)| lugar)),
            // all places are ids of purchases
            (None, None) => {
                Box::new(self.transacciones.range((from(after), Bound::Unbounded)).map(|(id, _)| id))
            }
        };
        places
            .filter_map(|lugar| self.at(*lugar))
            .filter(move |t| usuario.is_none_or(|usuario| t.usuario_id == usuario))
    }

    /// How many purchases such a list has.
    pub fn count_of(&self, usuario: Option<UsuarioId>, token: Option<TokenId>) -> usize {
        match (usuario, token) {
            (None, None) => self.transacciones.len(),
            (Some(u), None) => self.count_by_usuario.get(&u).copied().unwrap_or_default(),
            (None, Some(t)) if self.is_bought(t) => {
                1 + self.repeated_by_token.get(&t).copied().unwrap_or_default()
            }
            (None, Some(_)) => 0,
            // a token's list has one row, but for what people wrote
            (Some(_), Some(_)) => self.list(usuario, token, None).count(),
        }
    }

    fn is_bought(&self, token: TokenId) -> bool {
        self.by_token.range(within(token, None)).next().is_some()
    }

    /// The last purchase of the order.
    pub fn last(&self) -> Option<TransaccionId> {
        self.transacciones.get_max().and_then(|(lugar, _)| self.at(*lugar)).map(|t| t.id)
    }

    /// The purchase at a place.
    fn at(&self, lugar: TransaccionId) -> Option<&Arc<Transaccion>> {
        self.transacciones.get(self.displaced.get(&lugar).unwrap_or(&lugar))
    }

    /// Where people took the era away, or put in an attempt of a later one: the era that its clave can go on in.
    fn era_of_people(&self) -> Option<EraRecord> {
        let epoca = self.aborted.values().map(|a| a.numero.saturating_sub(1) / ATTEMPTS).max()?;
        (epoca > self.era.map_or(0, |era| era.epoca)).then(|| EraRecord { epoca, desde: timestamp() })
    }

    fn put_transaccion(&mut self, mut new: Transaccion) {
        new.pod = new.pod.map(|pod| self.pod(pod));
        let (id, lugar) = (new.id, new.lugar());
        self.tally(&new, RunningDigest::add);
        let (usuario_id, token_id, repeated) = (new.usuario_id, new.token_id, self.is_bought(new.token_id));
        self.by_usuario.insert((new.usuario_id, lugar));
        self.by_token.insert((new.token_id, lugar));
        if new.lugar.is_some() {
            self.displaced.insert(lugar, id);
        }
        if let Some(intento) = &new.intento {
            self.by_clave.insert(&intento.clave, id);
        }
        self.memory += bytes_of_transaccion(&new);
        if let Some(old) = self.transacciones.insert(id, Arc::new(new)) {
            self.memory = self.memory.saturating_sub(bytes_of_transaccion(&old));
            // a committed purchase never changes, so its index entries and its place in the counts are the new one's
            self.tally(&old, RunningDigest::remove);
            return;
        }
        *self.count_by_usuario.entry(usuario_id).or_default() += 1;
        if repeated {
            *self.repeated_by_token.entry(token_id).or_default() += 1;
        }
    }

    /// The one copy of a pod's name.
    fn pod(&mut self, name: Arc<str>) -> Arc<str> {
        if let Some(known) = self.pods.get(&name) {
            return Arc::clone(known);
        }
        self.pods.insert(Arc::clone(&name));
        name
    }

    fn tally(
        &mut self,
        t: &Transaccion,
        count: fn(&mut RunningDigest, &Intento, UsuarioId, Option<TokenId>, Monto),
    ) {
        if let Some(intento) = &t.intento {
            count(&mut self.cargos, intento, t.usuario_id, None, t.precio);
            count(&mut self.ventas, intento, t.usuario_id, Some(t.token_id), t.precio);
        }
    }
}

/// The keys of an index under one id, behind a place.
fn within<K: Copy>(key: K, after: Option<TransaccionId>) -> impl RangeBounds<(K, TransaccionId)> {
    let start = match after {
        Some(id) => Bound::Excluded((key, id)),
        None => Bound::Included((key, TransaccionId::MIN)),
    };
    (start, Bound::Included((key, TransaccionId::MAX)))
}

impl Model for State {
    const NAME: &'static str = "transacciones";
    const COLLECTIONS: &'static [&'static str] = &["transacciones", "intentos", "epocas"];
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Transaccion(t) => self.put_transaccion(t.clone()),
            Change::Aborted(a) => {
                self.memory += bytes_of_aborted(a);
                if let Some(old) = self.aborted.insert(a.clave.clone(), Arc::new(a.clone())) {
                    self.memory = self.memory.saturating_sub(bytes_of_aborted(&old));
                }
            }
            Change::Forgotten(clave) => {
                if let Some(old) = self.aborted.remove(clave) {
                    self.memory = self.memory.saturating_sub(bytes_of_aborted(&old));
                }
            }
            Change::Era(era) => self.era = Some(*era),
        }
    }

    fn load(&mut self, collection: &str, element: &str) -> Result<(), String> {
        if collection == "transacciones" {
            let t: Transaccion = serde_json::from_str(element).map_err(|e| e.to_string())?;
            if self.transacciones.contains_key(&t.id) {
                return Err(format!("id {} is there twice", t.id));
            }
            if let Some(intento) = t.intento.as_ref().filter(|i| self.bought(&i.clave).is_some()) {
                return Err(format!("clave {} is there twice", intento.clave));
            }
            if let Some(other) = t.lugar.and_then(|lugar| self.displaced.get(&lugar)) {
                return Err(format!("the lugar of id {} is also that of id {other}", t.id));
            }
            self.put_transaccion(t);
        } else if collection == "epocas" {
            let era: EraRecord = serde_json::from_str(element).map_err(|e| e.to_string())?;
            if self.era.replace(era).is_some() {
                return Err("there is one epoca at most".to_owned());
            }
        } else {
            let a: Aborted = serde_json::from_str(element).map_err(|e| e.to_string())?;
            if self.aborted.contains_key(&a.clave) {
                return Err(format!("clave {} is there twice", a.clave));
            }
            self.apply(&Change::Aborted(a));
        }
        Ok(())
    }

    fn dump(&self, collection: &str, array: &mut ArrayWriter<'_>) -> io::Result<()> {
        if collection == "transacciones" {
            self.transacciones.values().try_for_each(|t| array.element(t.as_ref()))
        } else if collection == "epocas" {
            self.era.iter().try_for_each(|era| array.element(era))
        } else {
            self.aborted.values().try_for_each(|a| array.element(a.as_ref()))
        }
    }

    fn count(&self, collection: &str) -> usize {
        match collection {
            "transacciones" => self.transacciones.len(),
            "epocas" => usize::from(self.era.is_some()),
            _ => self.aborted.len(),
        }
    }

    fn memory(&self) -> u64 {
        self.memory
    }

    /// A place stands for one purchase, and is a purchase's id: so who goes by places finds each purchase once.
    fn on_open(&self, _edited: &[&'static str]) -> Result<Vec<Change>, String> {
        let own = |lugar: &TransaccionId| self.transacciones.get(lugar).is_some_and(|t| t.lugar.is_some());
        match self.displaced.iter().find(|(lugar, _)| !own(lugar)) {
            Some((lugar, id)) => Err(format!(
                "transacciones.json: id {id} has lugar {lugar}, and no purchase with that id has another lugar; a purchase \
                 that has one cannot be taken out alone"
            )),
            None => Ok(self.era_of_people().into_iter().map(Change::Era).collect()),
        }
    }
}
