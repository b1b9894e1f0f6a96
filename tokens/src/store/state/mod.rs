//! The service's state: tokens, and the indexes and running sums over them.

mod indexes;
mod listing;

use crate::collation::fold;
use crate::domain::{Availability, Token};
use crate::error::Error;
use chrono::{DateTime, Utc};
use imbl::{OrdMap, OrdSet};
use indexes::{Entry, Indexes};
use journal::{ArrayWriter, Model};
use market::contract::{Digest, Hold, PAGE};
use market::domain::{Intento, RunningDigest, TokenId};
use market::index::KeyIndex;
use serde::{Deserialize, Serialize};
use std::io;
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

/// Everything that `tokens` knows.
#[derive(Clone, Default)]
pub struct State {
    entries: OrdMap<TokenId, Arc<Entry>>,
    intentos: KeyIndex<TokenId>,
    pendientes: OrdSet<(DateTime<Utc>, Intento)>,
    /// Sorted when a reader or a write first needs them, and kept up to date from then on: see [`State::prepare`].
    indexes: OnceLock<Indexes>,
    confirmados: RunningDigest,
    vendidos: usize,
    /// The greatest id that was ever given, where that is known.
    counter: Option<TokenId>,
    /// What the records take: see [`Model::memory`].
    memory: u64,
}

/// Bytes of memory that a token takes besides its texts: measured, see `mercado/tests/process/full.rs`.
const TOKEN_BYTES: u64 = 380;
/// Bytes that a hold or a sale takes besides its key.
const INTENTO_BYTES: u64 = 130;

fn bytes_of(Entry { token, folded }: &Entry) -> u64 {
    // the name's place in the order of names takes as much as the name
    let texts = 2 * token.nombre.len() + token.imagen.len() + folded.len();
    let intento = token.intento().map_or(0, |(i, _)| INTENTO_BYTES + i.clave.as_str().len() as u64);
    TOKEN_BYTES + texts as u64 + intento
}

/// The name of the one record in `contadores.json`.
const COUNTER: &str = "tokens";

/// The greatest id that was ever given, so that the id of a deleted token is not given again. One number, and not a tombstone
/// for each deleted token: tombstones would pile up for ever and say no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counter {
    nombre: String,
    ultimo: TokenId,
}

/// One record's new image, or its removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// A token as it is now.
    Token(Token),
    /// A token was deleted.
    #[serde(rename = "quitarToken")]
    RemoveToken(TokenId),
    /// Ids up to this one were given.
    #[serde(rename = "contador")]
    Counter(Counter),
}

impl Change {
    /// Ids up to this one were given.
    pub fn counter(ultimo: TokenId) -> Self {
        Self::Counter(Counter { nombre: COUNTER.to_owned(), ultimo })
    }
}

impl State {
    /// One token.
    pub fn token(&self, id: TokenId) -> Result<&Token, Error> {
        self.entries.get(&id).map(|f| &f.token).ok_or(Error::TokenNotFound(id))
    }

    /// How many tokens there are.
    pub fn token_count(&self) -> usize {
        self.entries.len()
    }

    /// The id of the next token, while there are any.
    pub fn next_id(&self) -> Option<TokenId> {
        TokenId::new(self.counter.max(self.last_id()).map_or(0, TokenId::get) + 1)
    }

    /// The token that an attempt holds or bought.
    pub fn of_intento(&self, intento: &Intento) -> Option<&Token> {
        let of = |id| self.token(id).ok().filter(|token| token.intento().is_some_and(|(i, _)| i == intento));
        of(self.intentos.get(intento, |id| of(id).is_some())?)
    }

    /// Reservations, oldest first, after a time and an attempt.
    pub fn pending(&self, after: Option<(DateTime<Utc>, Intento)>) -> impl Iterator<Item = Hold> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.pendientes
            .range((start, Bound::Unbounded))
            .filter_map(|(_, intento)| self.of_intento(intento)?.as_hold())
    }

    /// Sales by token, after an attempt's token. An attempt without a token is an error, since a list that began anywhere else
    /// would skip sales or count them twice.
    pub fn settled(&self, after: Option<Intento>) -> Result<impl Iterator<Item = Hold>, Error> {
        let found = |i: Intento| self.of_intento(&i).map(|token| token.id).ok_or(Error::IntentoNotFound(i));
        let start = after.map(found).transpose()?.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.entries.range((start, Bound::Unbounded)).map(|(_, f)| f);
        Ok(entries.filter(|f| f.token.is_sold()).filter_map(|f| f.token.as_hold()))
    }

    /// This service's side of the audit.
    pub fn digest(&self) -> Digest {
        Digest {
            confirmados: self.confirmados,
            pendientes: self.pendientes.len() as u64,
            in_flight: self.pending(None).take(PAGE).collect(),
            oldest: None,
            ..Digest::default()
        }
    }

    /// All tokens by id.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &Token> {
        self.entries.values().map(|f| &f.token)
    }

    fn last_id(&self) -> Option<TokenId> {
        self.entries.get_max().map(|(id, _)| *id)
    }

    /// Sorts the tokens by price and by name, where that has not been done yet. While arrays load nothing is sorted: to sort all
    /// tokens at once afterwards is faster. Every write prepares first, so that the tokens are sorted once and not by each
    /// reader again.
    pub fn prepare(&self) {
        self.indexes();
    }

    fn indexes(&self) -> &Indexes {
        self.indexes.get_or_init(|| Indexes::new(&self.entries))
    }

    fn load_token(&mut self, token: Token) -> Result<(), String> {
        let id = token.id;
        if let Some((intento, _)) = token.intento()
            && let Some(other) = self.of_intento(intento).map(|token| token.id)
        {
            return Err(format!("the intento {intento} of id {id} is also that of id {other}"));
        }
        let folded = fold(&token.nombre).into();
        let entry = Arc::new(Entry { token, folded });
        self.note_intento(None, Some(&entry));
        self.tally(&entry);
        match self.entries.insert(id, entry) {
            None => Ok(()),
            Some(_) => Err(format!("id {id} is there twice")),
        }
    }

    fn put(&mut self, token: Token) {
        let id = token.id;
        let old = self.entries.get(&id).cloned();
        let folded = match &old {
            Some(old) if old.token.nombre == token.nombre => old.folded.clone(),
            _ => fold(&token.nombre).into(),
        };
        let new = Arc::new(Entry { token, folded });
        if let Some(old) = &old {
            self.untally(old);
        }
        self.tally(&new);
        self.note_intento(old.as_deref(), Some(&new));
        if let Some(indexes) = self.indexes.get_mut() {
            indexes.change(old.as_deref(), Some(&new));
        }
        self.entries.insert(id, new);
    }

    fn remove(&mut self, id: TokenId) {
        let Some(old) = self.entries.remove(&id) else { return };
        self.untally(&old);
        self.note_intento(Some(&old), None);
        if let Some(indexes) = self.indexes.get_mut() {
            indexes.change(Some(&old), None);
        }
    }

    /// Notes which attempt has a token. To sell what is reserved changes nothing.
    fn note_intento(&mut self, old: Option<&Entry>, new: Option<&Entry>) {
        fn intento(entry: &Entry) -> Option<(&Intento, TokenId)> {
            entry.token.intento().map(|(intento, _)| (intento, entry.token.id))
        }
        let (before, after) = (old.and_then(intento), new.and_then(intento));
        if before != after {
            if let Some((intento, id)) = before {
                self.intentos.remove(intento, id);
            }
            if let Some((intento, id)) = after {
                self.intentos.insert(intento, id);
            }
        }
    }

    fn tally(&mut self, entry: &Entry) {
        self.memory += bytes_of(entry);
        let token = &entry.token;
        self.vendidos += usize::from(token.is_sold());
        match &token.estado {
            Availability::Reserved(r) => {
                self.pendientes.insert((r.desde, r.intento.clone()));
            }
            Availability::Sold(Some(v)) => {
                self.confirmados.add(&v.intento, v.usuario_id, Some(token.id), token.precio);
            }
            Availability::Free | Availability::Sold(None) => {}
        }
    }

    fn untally(&mut self, entry: &Entry) {
        self.memory = self.memory.saturating_sub(bytes_of(entry));
        let token = &entry.token;
        self.vendidos = self.vendidos.saturating_sub(usize::from(token.is_sold()));
        match &token.estado {
            Availability::Reserved(r) => {
                self.pendientes.remove(&(r.desde, r.intento.clone()));
            }
            Availability::Sold(Some(v)) => {
                self.confirmados.remove(&v.intento, v.usuario_id, Some(token.id), token.precio);
            }
            Availability::Free | Availability::Sold(None) => {}
        }
    }
}

impl Model for State {
    const NAME: &'static str = "tokens";
    const COLLECTIONS: &'static [&'static str] = &["tokens", "contadores"];
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Token(token) => self.put(token.clone()),
            Change::RemoveToken(id) => self.remove(*id),
            Change::Counter(counter) => self.counter = Some(counter.ultimo),
        }
    }

    fn load(&mut self, collection: &str, element: &str) -> Result<(), String> {
        if collection == "tokens" {
            let token: Token = serde_json::from_str(element).map_err(|e| e.to_string())?;
            self.load_token(token)?;
        } else {
            let counter: Counter = serde_json::from_str(element).map_err(|e| e.to_string())?;
            if counter.nombre != COUNTER {
                return Err(format!("there is no contador {:?}, only {COUNTER:?}", counter.nombre));
            }
            if self.counter.replace(counter.ultimo).is_some() {
                return Err(format!("the contador {COUNTER:?} is there twice"));
            }
        }
        Ok(())
    }

    fn dump(&self, collection: &str, array: &mut ArrayWriter<'_>) -> io::Result<()> {
        if collection == "tokens" {
            self.entries.values().try_for_each(|f| array.element(&f.token))
        } else {
            let counter = self.counter.map(|ultimo| Counter { nombre: COUNTER.to_owned(), ultimo });
            counter.iter().try_for_each(|c| array.element(c))
        }
    }

    fn count(&self, collection: &str) -> usize {
        if collection == "tokens" { self.entries.len() } else { usize::from(self.counter.is_some()) }
    }

    fn memory(&self) -> u64 {
        self.memory
    }

    /// Ids that come from a seed or from a person's edit count as given, also after somebody takes them out of the file again.
    fn on_open(&self, _edited: &[&'static str]) -> Result<Vec<Change>, String> {
        let ahead = self.last_id().filter(|ultimo| Some(*ultimo) > self.counter);
        Ok(ahead.map(Change::counter).into_iter().collect())
    }
}
