//! In files: each operation is one journal line, decided and written against the newest state.

mod modelo;

pub use modelo::{Change, Modelo};

use crate::domain::{Movimiento, Tipo, Usuario};
use crate::error::Error;
use crate::store::Hecho;
use chrono::{DateTime, TimeDelta, Utc};
use http_kit::paging::Page;
use journal::{Journal, Snapshot, StoreError, Tx};
use market::contract::{Digest, PAGE, PedidoCargo, Try};
use market::domain::{Clave, Intento, Monto, UsuarioId, ahora};
use modelo::Referencia;

/// The law is [`super::Store`]'s.
#[derive(Clone)]
pub struct Store(Journal<Modelo>);

impl Store {
    pub(super) fn new(journal: Journal<Modelo>) -> Self {
        Self(journal)
    }

    fn read(&self) -> Result<Snapshot<Modelo>, StoreError> {
        self.0.read()
    }

    async fn write<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Tx<'_, Modelo>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.0.write(f).await?
    }

    pub(super) async fn usuario(&self, id: UsuarioId) -> Result<Usuario, Error> {
        self.read()?.usuario(id).cloned()
    }

    pub(super) async fn usuarios(
        &self,
        despues: Option<UsuarioId>,
        limite: usize,
    ) -> Result<Page<Usuario>, Error> {
        let modelo = self.read()?;
        let rows = modelo::after(&modelo.usuarios, despues)
            .take(limite + 1)
            .map(|(_, u)| u.as_ref().clone())
            .collect();
        Ok(Page::new(rows, limite, modelo.usuarios.len(), |u: &Usuario| u.id.to_string()))
    }

    pub(super) async fn movimientos(
        &self,
        de: UsuarioId,
        despues: u64,
        limite: usize,
    ) -> Result<Page<Movimiento>, Error> {
        let modelo = self.read()?;
        modelo.usuario(de)?;
        let rows = modelo.movimientos_de(de, despues).take(limite + 1).map(|m| m.as_ref().clone()).collect();
        Ok(Page::new(rows, limite, modelo.cuantos_movimientos(de), |m: &Movimiento| m.id.to_string()))
    }

    pub(super) async fn crear(&self, nombre: String, saldo: Monto) -> Result<Usuario, Error> {
        self.write(move |tx| {
            let id = tx.siguiente_usuario().ok_or(Error::SinIds)?;
            let usuario = Usuario { id, nombre, saldo };
            let apertura = Movimiento {
                id: tx.siguiente_movimiento().ok_or(Error::SinIds)?,
                usuario_id: id,
                monto: saldo,
                fecha: ahora(),
                tipo: Tipo::Apertura,
            };
            tx.put(Change::Usuario(usuario.clone()));
            tx.put(Change::Movimiento(apertura));
            Ok(usuario)
        })
        .await
    }

    pub(super) async fn renombrar(&self, id: UsuarioId, nombre: String) -> Result<Usuario, Error> {
        self.write(move |tx| {
            let usuario = Usuario { nombre, ..tx.usuario(id)?.clone() };
            tx.put(Change::Usuario(usuario.clone()));
            Ok(usuario)
        })
        .await
    }

    pub(super) async fn abonar(
        &self,
        id: UsuarioId,
        monto: Monto,
        clave: Clave,
    ) -> Result<Hecho<Movimiento>, Error> {
        self.write(move |tx| {
            if let Some(hecho) = tx.referido(&Referencia::Abono(clave.clone())) {
                hecho.responde_a(id, monto, &clave)?;
                return Ok(Hecho { valor: hecho.as_ref().clone(), nuevo: false });
            }
            let usuario = tx.usuario(id)?.clone();
            let saldo = usuario.con(monto)?;
            let abono = Movimiento {
                id: tx.siguiente_movimiento().ok_or(Error::SinIds)?,
                usuario_id: id,
                monto,
                fecha: ahora(),
                tipo: Tipo::Abono { clave },
            };
            tx.put(Change::Usuario(Usuario { saldo, ..usuario }));
            tx.put(Change::Movimiento(abono.clone()));
            Ok(Hecho { valor: abono, nuevo: true })
        })
        .await
    }

    pub(super) async fn cargar(&self, intento: Intento, pedido: PedidoCargo) -> Result<bool, Error> {
        self.write(move |tx| {
            let PedidoCargo { usuario_id, monto } = pedido;
            if let Some(hecho) = tx.referido(&Referencia::Cargo(intento.clone())) {
                return hecho.responde_a(usuario_id, monto, &intento).map(|()| false);
            }
            let usuario = tx.usuario(usuario_id)?.clone();
            let saldo = usuario.sin(monto)?;
            let cargo = Movimiento {
                id: tx.siguiente_movimiento().ok_or(Error::SinIds)?,
                usuario_id,
                monto,
                fecha: ahora(),
                tipo: Tipo::Cargo { intento, confirmado: false },
            };
            tx.put(Change::Usuario(Usuario { saldo, ..usuario }));
            tx.put(Change::Movimiento(cargo));
            Ok(true)
        })
        .await
    }

    pub(super) async fn confirmar(&self, intento: Intento) -> Result<(), Error> {
        self.write(move |tx| {
            let cargo = tx
                .referido(&Referencia::Cargo(intento.clone()))
                .ok_or(Error::IntentoNoEncontrado(intento.clone()))?;
            if let Tipo::Cargo { confirmado: false, .. } = cargo.tipo {
                let tipo = Tipo::Cargo { intento, confirmado: true };
                let settled = Movimiento { tipo, ..cargo.as_ref().clone() };
                tx.put(Change::Movimiento(settled));
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn cancelar(&self, intento: Intento) -> Result<(), Error> {
        self.write(move |tx| {
            let Some(cargo) = tx.referido(&Referencia::Cargo(intento.clone())).cloned() else {
                return Ok(());
            };
            if let Tipo::Cargo { confirmado: true, .. } = cargo.tipo {
                return Err(Error::IntentoConfirmado(intento));
            }
            let usuario = tx.usuario(cargo.usuario_id)?.clone();
            let saldo = usuario.con(cargo.monto)?;
            tx.put(Change::Usuario(Usuario { saldo, ..usuario }));
            tx.put(Change::QuitarMovimiento { usuario_id: cargo.usuario_id, id: cargo.id });
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
