//! In files: each operation is one journal line, decided and written against the newest state.

mod indices;
mod listado;
mod modelo;

pub use modelo::{Change, Modelo};

use super::{Alta, Cambio, Consulta, Hecho, Version, Vista};
use crate::domain::{Estado, Reserva, Token, Venta};
use crate::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use journal::{Journal, Snapshot, StoreError, Tx};
use market::contract::{Digest, PAGE, PedidoReserva, Reservado, Try};
use market::domain::{Intento, TokenId, ahora};

/// The law is [`super::Store`]'s.
#[derive(Clone)]
pub struct Store(Journal<Modelo>);

impl Store {
    /// Blocks while a large catalogue is sorted: for the start of the process.
    pub(super) fn new(journal: Journal<Modelo>) -> Self {
        // a store that cannot be read says so to whoever reads it next
        if let Ok(modelo) = journal.read() {
            modelo.preparar();
        }
        Self(journal)
    }

    fn read(&self) -> Result<Snapshot<Modelo>, StoreError> {
        self.0.read()
    }

    async fn write<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Tx<'_, Modelo>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let prepared = move |tx: &mut Tx<'_, Modelo>| {
            tx.preparar();
            f(tx)
        };
        self.0.write(prepared).await?
    }

    pub(super) async fn version(&self) -> Result<Version, Error> {
        Ok(Version(self.read()?.seq().into()))
    }

    pub(super) async fn listar(&self, consulta: Consulta) -> Result<Vista, Error> {
        let modelo = self.read()?;
        let version = Version(modelo.seq().into());
        if !modelo.es_larga(&consulta) {
            return Ok(Vista { version, page: modelo.listar(&consulta) });
        }
        // other requests should not wait behind it
        let listed = tokio::task::spawn_blocking(move || modelo.listar(&consulta)).await;
        let page = listed.map_err(|e| match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => StoreError::Closed,
        })?;
        Ok(Vista { version, page })
    }

    pub(super) async fn token(&self, id: TokenId) -> Result<Token, Error> {
        self.read()?.token(id).cloned()
    }

    pub(super) async fn crear(&self, alta: Alta) -> Result<Token, Error> {
        self.write(move |tx| {
            let id = tx.siguiente().ok_or(Error::SinIds)?;
            let imagen = alta.imagen.unwrap_or_else(|| format!("{id}.svg"));
            let (nombre, imagen) = (alta.nombre.into(), imagen.into());
            let token = Token { id, nombre, imagen, precio: alta.precio, estado: Estado::Libre };
            tx.put(Change::Token(token.clone()));
            tx.put(Change::contador(id));
            Ok(token)
        })
        .await
    }

    pub(super) async fn cambiar(&self, id: TokenId, cambio: Cambio) -> Result<Token, Error> {
        self.write(move |tx| {
            let old = tx.token(id)?.libre()?;
            let token = Token {
                nombre: cambio.nombre.map_or_else(|| old.nombre.clone(), Into::into),
                imagen: cambio.imagen.map_or_else(|| old.imagen.clone(), Into::into),
                precio: cambio.precio.unwrap_or(old.precio),
                ..old.clone()
            };
            if token != *old {
                tx.put(Change::Token(token.clone()));
            }
            Ok(token)
        })
        .await
    }

    pub(super) async fn borrar(&self, id: TokenId) -> Result<(), Error> {
        self.write(move |tx| {
            tx.token(id)?.libre()?;
            tx.put(Change::QuitarToken(id));
            Ok(())
        })
        .await
    }

    /// Refusals and repeats are answered from what is on disk already: in a rush for one token only those go to the writer
    /// who may yet get it.
    pub(super) async fn reservar(
        &self,
        intento: Intento,
        pedido: PedidoReserva,
    ) -> Result<Hecho<Reservado>, Error> {
        if let Decision::Hecha(valor) = decidir(&*self.read()?, &intento, pedido)? {
            return Ok(Hecho { valor, nuevo: false });
        }
        self.write(move |tx| match decidir(tx, &intento, pedido)? {
            Decision::Hecha(valor) => Ok(Hecho { valor, nuevo: false }),
            Decision::Reservar(token) => {
                let valor = Reservado { precio: token.precio };
                let reserva = Reserva { intento, usuario_id: pedido.usuario_id, desde: ahora() };
                let token = Token { estado: Estado::Reservado(Box::new(reserva)), ..token.clone() };
                tx.put(Change::Token(token));
                Ok(Hecho { valor, nuevo: true })
            }
        })
        .await
    }

    pub(super) async fn confirmar(&self, intento: Intento) -> Result<(), Error> {
        if self.read()?.de_intento(&intento).is_some_and(Token::vendido) {
            return Ok(());
        }
        self.write(move |tx| {
            let token = tx.de_intento(&intento).ok_or_else(|| Error::IntentoNoEncontrado(intento.clone()))?;
            if let Estado::Reservado(reserva) = &token.estado {
                let Reserva { intento, usuario_id, .. } = reserva.as_ref().clone();
                let venta = Venta { intento, usuario_id, fecha: ahora() };
                let token = Token { estado: Estado::Vendido(Some(Box::new(venta))), ..token.clone() };
                tx.put(Change::Token(token));
            }
            Ok(())
        })
        .await
    }

    /// Always by way of the writer: the reservation may be in its queue still, sent by a caller who gave up waiting.
    pub(super) async fn cancelar(&self, intento: Intento) -> Result<(), Error> {
        self.write(move |tx| {
            let Some(token) = tx.de_intento(&intento) else { return Ok(()) };
            if token.vendido() {
                return Err(Error::IntentoConfirmado(intento));
            }
            let token = Token { estado: Estado::Libre, ..token.clone() };
            tx.put(Change::Token(token));
            Ok(())
        })
        .await
    }

    pub(super) async fn pendientes(
        &self,
        edad: TimeDelta,
        despues: Option<(DateTime<Utc>, Intento)>,
    ) -> Result<Vec<Try>, Error> {
        let modelo = self.read()?;
        let now = ahora();
        let latest = now.checked_sub_signed(edad).unwrap_or(DateTime::<Utc>::MIN_UTC);
        let old = |t: &Try| t.desde <= latest || t.desde > now;
        Ok(modelo.pendientes(despues).filter(old).take(PAGE).collect())
    }

    pub(super) async fn confirmados(&self, despues: Option<Intento>) -> Result<Vec<Try>, Error> {
        Ok(self.read()?.confirmados(despues)?.take(PAGE).collect())
    }

    pub(super) async fn resumen(&self) -> Result<Digest, Error> {
        Ok(self.read()?.resumen())
    }
}

/// What a reservation comes to.
enum Decision<'a> {
    /// It is there, or was and is a sale now.
    Hecha(Reservado),
    /// Nothing is in its way.
    Reservar(&'a Token),
}

fn decidir<'a>(modelo: &'a Modelo, intento: &Intento, pedido: PedidoReserva) -> Result<Decision<'a>, Error> {
    match modelo.de_intento(intento) {
        Some(token) => token.responde_a(intento, pedido).map(Decision::Hecha),
        None => modelo.token(pedido.token_id)?.libre().map(Decision::Reservar),
    }
}
