//! The state: tokens, and the indexes and running sums over them.

use super::indices::Indices;
use crate::domain::{Estado, Token, plegar};
use crate::error::Error;
use chrono::{DateTime, Utc};
use imbl::{HashMap, OrdMap, OrdSet};
use journal::{ArrayWriter, Model};
use market::contract::{Digest, Try};
use market::domain::{Intento, Resumen, TokenId};
use serde::{Deserialize, Serialize};
use std::io;
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

/// Everything that `tokens` knows.
#[derive(Clone, Default)]
pub struct Modelo {
    pub(super) fichas: OrdMap<TokenId, Arc<Ficha>>,
    intentos: HashMap<Intento, TokenId>,
    pendientes: OrdSet<(DateTime<Utc>, Intento)>,
    /// Made when the first reader or write wants them, and kept from then on: see [`Modelo::preparar`].
    indices: OnceLock<Indices>,
    confirmados: Resumen,
    pub(super) vendidos: usize,
    /// The greatest id that was ever given, where it is known.
    contador: Option<TokenId>,
}

/// A token, and its name as it is searched: folded once and not with each request.
#[derive(Debug)]
pub struct Ficha {
    /// The token.
    pub token: Token,
    pub(super) plegado: Arc<str>,
}

/// The name of the one record in `contadores.json`.
const CONTADOR: &str = "tokens";

/// The greatest id that was ever given: what keeps the id of a deleted token from being given again. One number, and
/// not a tombstone for each deleted token, since those would pile up for ever and say no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contador {
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
    QuitarToken(TokenId),
    /// Ids up to this one were given.
    Contador(Contador),
}

impl Change {
    /// Ids up to this one were given.
    pub fn contador(ultimo: TokenId) -> Self {
        Self::Contador(Contador { nombre: CONTADOR.to_owned(), ultimo })
    }
}

impl Modelo {
    /// One token.
    pub fn token(&self, id: TokenId) -> Result<&Token, Error> {
        self.fichas.get(&id).map(|f| &f.token).ok_or(Error::TokenNoEncontrado(id))
    }

    /// How many there are.
    pub fn cuantos(&self) -> usize {
        self.fichas.len()
    }

    /// The id of the next token, while there are any.
    pub fn siguiente(&self) -> Option<TokenId> {
        TokenId::new(self.contador.max(self.ultimo()).map_or(0, TokenId::get) + 1)
    }

    /// The token that an attempt holds or bought.
    pub fn de_intento(&self, intento: &Intento) -> Option<&Token> {
        self.fichas.get(self.intentos.get(intento)?).map(|f| &f.token)
    }

    /// Reservations neither confirmed nor cancelled, oldest first, behind one.
    pub fn pendientes(&self, despues: Option<(DateTime<Utc>, Intento)>) -> impl Iterator<Item = Try> {
        let start = despues.map_or(Bound::Unbounded, Bound::Excluded);
        self.pendientes
            .range((start, Bound::Unbounded))
            .filter_map(|(_, intento)| self.de_intento(intento)?.as_try())
    }

    /// Sales, by token, behind an attempt's; an attempt that is not here is an error and not the beginning.
    pub fn confirmados(&self, despues: Option<Intento>) -> Result<impl Iterator<Item = Try>, Error> {
        let found = |i: Intento| self.intentos.get(&i).copied().ok_or(Error::IntentoNoEncontrado(i));
        let start = despues.map(found).transpose()?.map_or(Bound::Unbounded, Bound::Excluded);
        let fichas = self.fichas.range((start, Bound::Unbounded)).map(|(_, f)| f);
        Ok(fichas.filter(|f| f.token.vendido()).filter_map(|f| f.token.as_try()))
    }

    /// The digest of the audit.
    pub fn resumen(&self) -> Digest {
        Digest {
            confirmados: self.confirmados,
            pendientes: self.pendientes.len() as u64,
            ..Digest::default()
        }
    }

    /// All tokens by id.
    pub fn todos(&self) -> impl ExactSizeIterator<Item = &Token> {
        self.fichas.values().map(|f| &f.token)
    }

    fn ultimo(&self) -> Option<TokenId> {
        self.fichas.get_max().map(|(id, _)| *id)
    }

    /// Sorts the tokens by price and by name, where that has not been done yet. While arrays load nothing is sorted: all at
    /// once afterwards is faster. Every write does this first, so that it is done once and not by each reader again.
    pub fn preparar(&self) {
        self.indices();
    }

    pub(super) fn indices(&self) -> &Indices {
        self.indices.get_or_init(|| Indices::new(&self.fichas))
    }

    fn cargar(&mut self, token: Token) -> Result<(), String> {
        let id = token.id;
        if let Some((intento, _)) = token.intento()
            && let Some(other) = self.intentos.get(intento)
        {
            return Err(format!("the intento {intento} of id {id} is also that of id {other}"));
        }
        self.contar(&token);
        let plegado = plegar(&token.nombre).into();
        match self.fichas.insert(id, Arc::new(Ficha { token, plegado })) {
            None => Ok(()),
            Some(_) => Err(format!("id {id} is there twice")),
        }
    }

    fn poner(&mut self, token: Token) {
        let id = token.id;
        let old = self.fichas.get(&id).cloned();
        let plegado = match &old {
            Some(old) if old.token.nombre == token.nombre => Arc::clone(&old.plegado),
            _ => plegar(&token.nombre).into(),
        };
        let new = Arc::new(Ficha { token, plegado });
        if let Some(old) = &old {
            self.descontar(old);
        }
        self.contar(&new.token);
        if let Some(indices) = self.indices.get_mut() {
            indices.cambiar(old.as_deref(), Some(&new));
        }
        self.fichas.insert(id, new);
    }

    fn quitar(&mut self, id: TokenId) {
        let Some(old) = self.fichas.remove(&id) else { return };
        self.descontar(&old);
        if let Some(indices) = self.indices.get_mut() {
            indices.cambiar(Some(&old), None);
        }
    }

    fn contar(&mut self, token: &Token) {
        self.vendidos += usize::from(token.vendido());
        match &token.estado {
            Estado::Reservado(r) => {
                self.intentos.insert(r.intento.clone(), token.id);
                self.pendientes.insert((r.desde, r.intento.clone()));
            }
            Estado::Vendido(Some(v)) => {
                self.intentos.insert(v.intento.clone(), token.id);
                self.confirmados.agregar(&v.intento, v.usuario_id, Some(token.id), token.precio);
            }
            Estado::Libre | Estado::Vendido(None) => {}
        }
    }

    fn descontar(&mut self, Ficha { token, .. }: &Ficha) {
        self.vendidos = self.vendidos.saturating_sub(usize::from(token.vendido()));
        match &token.estado {
            Estado::Reservado(r) => {
                self.intentos.remove(&r.intento);
                self.pendientes.remove(&(r.desde, r.intento.clone()));
            }
            Estado::Vendido(Some(v)) => {
                self.intentos.remove(&v.intento);
                self.confirmados.quitar(&v.intento, v.usuario_id, Some(token.id), token.precio);
            }
            Estado::Libre | Estado::Vendido(None) => {}
        }
    }
}

impl Model for Modelo {
    const NAME: &'static str = "tokens";
    const COLLECTIONS: &'static [&'static str] = &["tokens", "contadores"];
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Token(token) => self.poner(token.clone()),
            Change::QuitarToken(id) => self.quitar(*id),
            Change::Contador(contador) => self.contador = Some(contador.ultimo),
        }
    }

    fn load(&mut self, collection: &str, element: &str) -> Result<(), String> {
        if collection == "tokens" {
            let token: Token = serde_json::from_str(element).map_err(|e| e.to_string())?;
            self.cargar(token)?;
        } else {
            let contador: Contador = serde_json::from_str(element).map_err(|e| e.to_string())?;
            if contador.nombre != CONTADOR {
                return Err(format!("there is no contador {:?}, only {CONTADOR:?}", contador.nombre));
            }
            if self.contador.replace(contador.ultimo).is_some() {
                return Err(format!("the contador {CONTADOR:?} is there twice"));
            }
        }
        Ok(())
    }

    fn dump(&self, collection: &str, array: &mut ArrayWriter<'_>) -> io::Result<()> {
        if collection == "tokens" {
            self.fichas.values().try_for_each(|f| array.element(&f.token))
        } else {
            let contador = self.contador.map(|ultimo| Contador { nombre: CONTADOR.to_owned(), ultimo });
            contador.iter().try_for_each(|c| array.element(c))
        }
    }

    fn count(&self, collection: &str) -> usize {
        if collection == "tokens" { self.fichas.len() } else { usize::from(self.contador.is_some()) }
    }

    /// Ids that come by a seed or by hand count as given, also once a person takes them out of the file again.
    fn on_open(&self, _edited: &[&'static str]) -> Result<Vec<Change>, String> {
        let ahead = self.ultimo().filter(|ultimo| Some(*ultimo) > self.contador);
        Ok(ahead.map(Change::contador).into_iter().collect())
    }
}
