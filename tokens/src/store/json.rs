//! The store in files: each operation is one journal line, decided and written against the newest state.

use super::searches::Searches;
use super::state::{Change, State};
use super::{ListQuery, NewToken, TokenChange, Version, VersionedPage};
use crate::domain::{Availability, Reserva, Token, Venta};
use crate::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use journal::{Journal, Need, Snapshot, StoreError, Tx};
use market::contract::{Digest, HeldToken, Hold, PAGE, ReservaRequest};
use market::domain::{Intento, TokenId, timestamp};
use market::participant::Recorded;

/// Keeps the law of [`super::Store`].
#[derive(Clone)]
pub struct Store {
    journal: Journal<State>,
    pub(super) searches: Searches,
}

impl Store {
    /// Blocks while a large catalogue is sorted: for the start of the process.
    pub(super) fn new(journal: Journal<State>) -> Self {
        // a store that cannot be read tells the next reader
        if let Ok(state) = journal.read() {
            state.prepare();
        }
        Self { journal, searches: Searches::of_files() }
    }

    fn read(&self) -> Result<Snapshot<State>, StoreError> {
        self.journal.read()
    }

    async fn write<T: Send + 'static>(
        &self,
        need: Need,
        f: impl FnOnce(&mut Tx<'_, State>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let prepared = move |tx: &mut Tx<'_, State>| {
            tx.prepare();
            f(tx)
        };
        self.journal.write_for(need, prepared).await?
    }

    pub(super) async fn version(&self) -> Result<Version, Error> {
        Ok(Version(self.read()?.seq().into()))
    }

    pub(super) async fn list(&self, query: ListQuery) -> Result<VersionedPage, Error> {
        let state = self.read()?;
        let version = Version(state.seq().into());
        if !query.is_slow(state.token_count()) {
            return Ok(VersionedPage { version, page: state.list(&query) });
        }
        // a search that waits keeps no old state
        drop(state);
        let search = self.searches.begin().await?;
        let state = self.read()?;
        let version = Version(state.seq().into());
        // on a thread of its own: other requests should not wait for it. A client that hangs up does not end it
        let listed = tokio::task::spawn_blocking(move || {
            let page = state.list(&query);
            drop(search);
            page
        });
        let listed = listed.await;
        let page = listed.map_err(|e| match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => StoreError::Closed,
        })?;
        Ok(VersionedPage { version, page })
    }

    pub(super) async fn token(&self, id: TokenId) -> Result<Token, Error> {
        self.read()?.token(id).cloned()
    }

    pub(super) async fn create(&self, new_token: NewToken) -> Result<Token, Error> {
        self.write(Need::Add, move |tx| {
            let id = tx.next_id().ok_or(Error::NoIdsLeft)?;
            let imagen = new_token.imagen.unwrap_or_else(|| format!("{id}.svg"));
            let (nombre, imagen) = (new_token.nombre.into(), imagen.into());
            let token = Token { id, nombre, imagen, precio: new_token.precio, estado: Availability::Free };
            tx.put(Change::Token(token.clone()));
            tx.put(Change::counter(id));
            Ok(token)
        })
        .await
    }

    pub(super) async fn change(&self, id: TokenId, change: TokenChange) -> Result<Token, Error> {
        self.write(Need::Add, move |tx| {
            let old = tx.token(id)?.free()?;
            let token = Token {
                nombre: change.nombre.map_or_else(|| old.nombre.clone(), Into::into),
                imagen: change.imagen.map_or_else(|| old.imagen.clone(), Into::into),
                precio: change.precio.unwrap_or(old.precio),
                ..old.clone()
            };
            if token != *old {
                tx.put(Change::Token(token.clone()));
            }
            Ok(token)
        })
        .await
    }

    pub(super) async fn delete(&self, id: TokenId) -> Result<(), Error> {
        self.write(Need::End, move |tx| {
            tx.token(id)?.free()?;
            tx.put(Change::RemoveToken(id));
            Ok(())
        })
        .await
    }

    /// Refusals and repeats are answered from what is on disk already. In a rush for one token, only the calls that may still
    /// get it go to the writer.
    pub(super) async fn hold(
        &self,
        intento: Intento,
        request: ReservaRequest,
    ) -> Result<Recorded<HeldToken>, Error> {
        if let Decision::Done(value) = decide(&*self.read()?, &intento, request)? {
            return Ok(Recorded { value, is_new: false });
        }
        self.write(Need::Begin, move |tx| match decide(tx, &intento, request)? {
            Decision::Done(value) => Ok(Recorded { value, is_new: false }),
            Decision::Hold(token) => {
                let value = HeldToken { precio: token.precio };
                let reserva = Reserva { intento, usuario_id: request.usuario_id, desde: timestamp() };
                let token = Token { estado: Availability::Reserved(Box::new(reserva)), ..token.clone() };
                tx.put(Change::Token(token));
                Ok(Recorded { value, is_new: true })
            }
        })
        .await
    }

    pub(super) async fn confirm(&self, intento: Intento) -> Result<(), Error> {
        if self.read()?.of_intento(&intento).is_some_and(Token::is_sold) {
            return Ok(());
        }
        self.write(Need::End, move |tx| {
            let token = tx.of_intento(&intento).ok_or_else(|| Error::IntentoNotFound(intento.clone()))?;
            if let Availability::Reserved(reserva) = &token.estado {
                let Reserva { intento, usuario_id, .. } = reserva.as_ref().clone();
                let venta = Venta { intento, usuario_id, fecha: timestamp() };
                let token = Token { estado: Availability::Sold(Some(Box::new(venta))), ..token.clone() };
                tx.put(Change::Token(token));
            }
            Ok(())
        })
        .await
    }

    /// Always by way of the writer: the reservation may still be in the writer's queue, sent by a caller who gave up waiting.
    pub(super) async fn cancel(&self, intento: Intento) -> Result<(), Error> {
        self.write(Need::End, move |tx| {
            let Some(token) = tx.of_intento(&intento) else { return Ok(()) };
            if token.is_sold() {
                return Err(Error::IntentoConfirmed(intento));
            }
            let token = Token { estado: Availability::Free, ..token.clone() };
            tx.put(Change::Token(token));
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

/// What a reservation comes to.
enum Decision<'a> {
    /// The attempt has it, reserved or sold.
    Done(HeldToken),
    /// Nothing is in the way of reserving this token.
    Hold(&'a Token),
}

fn decide<'a>(state: &'a State, intento: &Intento, request: ReservaRequest) -> Result<Decision<'a>, Error> {
    match state.of_intento(intento) {
        Some(token) => token.answers(intento, request).map(Decision::Done),
        None => state.token(request.token_id)?.free().map(Decision::Hold),
    }
}
