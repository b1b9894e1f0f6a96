//! What `tokens` does, without HTTP: its routes call this, and so does `mercado` from the same process.
//!
//! Each operation is one journal line, decided and written against the newest state.

use crate::domain::{Estado, Reserva, Token, Venta};
use crate::error::Error;
use crate::store::{Change, Consulta, Modelo};
use chrono::{DateTime, TimeDelta, Utc};
use common::contract::{Digest, PAGE, PedidoReserva, Reservado, Try};
use common::domain::{Intento, Monto, TokenId, ahora};
use common::journal::{Journal, Snapshot, StoreError, Tx};
use common::paging::Page;

/// The catalogue and its reservations. Clones share them.
#[derive(Clone)]
pub struct Service(Journal<Modelo>);

/// One consistent state of the catalogue, to list from.
pub struct Vista(Snapshot<Modelo>);

/// What was there already, or was made just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hecho<T> {
    /// It.
    pub valor: T,
    /// Whether this call made it.
    pub nuevo: bool,
}

/// A new token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alta {
    /// Its name.
    pub nombre: String,
    /// Its price.
    pub precio: Monto,
    /// Its picture's file name; `<id>.svg` if it is left out.
    pub imagen: Option<String>,
}

/// What to change of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cambio {
    /// Its name.
    pub nombre: Option<String>,
    /// Its price.
    pub precio: Option<Monto>,
    /// Its picture's file name.
    pub imagen: Option<String>,
}

impl Vista {
    /// The state's number: what was listed from one is good for all of the same number.
    pub fn seq(&self) -> u64 {
        self.0.seq()
    }

    /// A page of tokens.
    pub fn listar(&self, consulta: &Consulta) -> Page<Token> {
        self.0.listar(consulta)
    }

    /// Whether that takes so long that other requests should not wait behind it.
    pub fn es_larga(&self, consulta: &Consulta) -> bool {
        self.0.es_larga(consulta)
    }
}

impl Service {
    /// Over an open store. Blocks while a large catalogue is sorted: for the start of the process.
    pub fn new(journal: Journal<Modelo>) -> Self {
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

    /// The catalogue as it is now.
    pub fn vista(&self) -> Result<Vista, Error> {
        Ok(Vista(self.read()?))
    }

    /// One token.
    pub fn token(&self, id: TokenId) -> Result<Token, Error> {
        self.read()?.token(id).cloned()
    }

    /// Adds a token.
    pub async fn crear(&self, alta: Alta) -> Result<Token, Error> {
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

    /// Changes a token that nobody holds or has bought.
    pub async fn cambiar(&self, id: TokenId, cambio: Cambio) -> Result<Token, Error> {
        self.write(move |tx| {
            let old = libre(tx, id)?;
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

    /// Deletes a token that nobody holds or has bought.
    pub async fn borrar(&self, id: TokenId) -> Result<(), Error> {
        self.write(move |tx| {
            libre(tx, id)?;
            tx.put(Change::QuitarToken(id));
            Ok(())
        })
        .await
    }

    /// Holds a token for an attempt, once. Refusals and repeats are answered from what is on disk already: in a rush for
    /// one token only those go to the writer who may yet get it.
    pub async fn reservar(&self, intento: Intento, pedido: PedidoReserva) -> Result<Hecho<Reservado>, Error> {
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

    /// Sells the token of a committed attempt; again and again, to the same effect.
    pub async fn confirmar(&self, intento: Intento) -> Result<(), Error> {
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

    /// Lets the token of an aborted attempt go; again and again, to the same effect. Always by way of the writer: the
    /// reservation may be in its queue still, sent by a caller who gave up waiting.
    pub async fn cancelar(&self, intento: Intento) -> Result<(), Error> {
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

    /// Reservations that wait for their end for `edad` or longer, oldest first, behind one. One from the future (the clock
    /// was set back) counts as old: nobody should wait until the clock comes round again.
    pub fn pendientes(
        &self,
        edad: TimeDelta,
        despues: Option<(DateTime<Utc>, Intento)>,
    ) -> Result<Vec<Try>, Error> {
        let modelo = self.read()?;
        let now = ahora();
        let old = |t: &Try| t.desde <= now - edad || t.desde > now;
        Ok(modelo.pendientes(despues).filter(old).take(PAGE).collect())
    }

    /// Sales behind an attempt's, in an order that stays.
    pub fn confirmados(&self, despues: Option<Intento>) -> Result<Vec<Try>, Error> {
        Ok(self.read()?.confirmados(despues)?.take(PAGE).collect())
    }

    /// This service's side of the audit.
    pub fn resumen(&self) -> Result<Digest, Error> {
        Ok(self.read()?.resumen())
    }
}

fn libre(modelo: &Modelo, id: TokenId) -> Result<&Token, Error> {
    let token = modelo.token(id)?;
    match token.estado {
        Estado::Libre => Ok(token),
        Estado::Reservado(_) => Err(Error::TokenReservado(id)),
        Estado::Vendido(_) => Err(Error::TokenVendido(id)),
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
    let Some(token) = modelo.de_intento(intento) else {
        return libre(modelo, pedido.token_id).map(Decision::Reservar);
    };
    let same = token.intento().map(|(_, usuario)| (token.id, usuario));
    if same == Some((pedido.token_id, pedido.usuario_id)) {
        Ok(Decision::Hecha(Reservado { precio: token.precio }))
    } else {
        Err(Error::ClaveReutilizada(intento.clone()))
    }
}
