//! The state: users, their ledger, and the indexes and running sums over them.

use crate::domain::{Movimiento, Tipo, Usuario};
use crate::error::Error;
use chrono::{DateTime, Utc};
use imbl::{HashMap, OrdMap, OrdSet};
use journal::{ArrayWriter, Model};
use market::contract::{Digest, Try};
use market::domain::{Clave, Intento, MAX_ENTERO, Monto, Resumen, UsuarioId, ahora};
use serde::{Deserialize, Serialize};
use std::io;
use std::ops::Bound;
use std::sync::Arc;

/// What happens once only: found again by the key under which it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Referencia {
    /// Money added.
    Abono(Clave),
    /// A debit.
    Cargo(Intento),
}

type Clave2 = (UsuarioId, u64);

/// Everything that `usuarios` knows.
#[derive(Clone, Default)]
pub struct Modelo {
    /// Users by id.
    pub usuarios: OrdMap<UsuarioId, Arc<Usuario>>,
    movimientos: OrdMap<Clave2, Arc<Movimiento>>,
    // by hash: keys are random, and a million of them in order cost three times as long to load
    referencias: HashMap<Referencia, Clave2>,
    pendientes: OrdSet<(DateTime<Utc>, Intento)>,
    cuentas: OrdMap<UsuarioId, Cuenta>,
    descuadrados: OrdSet<UsuarioId>,
    confirmados: Resumen,
    ultimo_movimiento: u64,
}

/// A user's ledger in two numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Cuenta {
    suma: i64,
    lineas: usize,
}

/// One record's new image, or its removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// A user as it is now.
    Usuario(Usuario),
    /// A ledger line as it is now.
    Movimiento(Movimiento),
    /// A debit was cancelled.
    #[serde(rename_all = "camelCase")]
    QuitarMovimiento {
        /// Whose ledger.
        usuario_id: UsuarioId,
        /// Which line.
        id: u64,
    },
}

/// The entries behind a key, in order.
pub(super) fn after<K: Ord + Clone, V: Clone>(
    map: &OrdMap<K, V>,
    key: Option<K>,
) -> impl Iterator<Item = (&K, &V)> {
    map.range((key.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
}

impl Modelo {
    /// One user.
    pub fn usuario(&self, id: UsuarioId) -> Result<&Usuario, Error> {
        self.usuarios.get(&id).map(AsRef::as_ref).ok_or(Error::UsuarioNoEncontrado(id))
    }

    /// The id of the next user, while there are any.
    pub fn siguiente_usuario(&self) -> Option<UsuarioId> {
        UsuarioId::new(self.usuarios.get_max().map_or(0, |(id, _)| id.get()) + 1)
    }

    /// The id of the next ledger line, while there are any. That of a cancelled debit may come again after a restart: nobody
    /// refers to it.
    pub fn siguiente_movimiento(&self) -> Option<u64> {
        Some(self.ultimo_movimiento + 1).filter(|id| *id <= MAX_ENTERO)
    }

    /// Ids of ledger lines up to this one were given.
    pub fn numerados(&mut self, hasta: u64) {
        self.ultimo_movimiento = self.ultimo_movimiento.max(hasta);
    }

    /// What was done under a key.
    pub(super) fn referido(&self, referencia: &Referencia) -> Option<&Arc<Movimiento>> {
        self.movimientos.get(self.referencias.get(referencia)?)
    }

    /// A user's ledger behind a line.
    pub fn movimientos_de(&self, de: UsuarioId, despues: u64) -> impl Iterator<Item = &Arc<Movimiento>> {
        self.movimientos
            .range((Bound::Excluded((de, despues)), Bound::Included((de, u64::MAX))))
            .map(|(_, m)| m)
    }

    /// All ledgers.
    pub fn todos(&self) -> impl Iterator<Item = &Movimiento> {
        self.movimientos.values().map(AsRef::as_ref)
    }

    /// How many lines a user's ledger has.
    pub fn cuantos_movimientos(&self, de: UsuarioId) -> usize {
        self.cuentas.get(&de).map_or(0, |c| c.lineas)
    }

    /// Debits neither confirmed nor cancelled, oldest first, behind one.
    pub fn pendientes(&self, despues: Option<(DateTime<Utc>, Intento)>) -> impl Iterator<Item = Try> {
        let start = despues.map_or(Bound::Unbounded, Bound::Excluded);
        let found = |(_, intento): &(_, Intento)| self.referido(&Referencia::Cargo(intento.clone()));
        self.pendientes.range((start, Bound::Unbounded)).filter_map(found).filter_map(|m| as_try(m))
    }

    /// Confirmed debits, in the ledger's order, behind an attempt's; an attempt that is not here is an error and not the
    /// beginning.
    pub fn confirmados(&self, despues: Option<Intento>) -> Result<impl Iterator<Item = Try>, Error> {
        let found = |i: Intento| {
            let key = self.referencias.get(&Referencia::Cargo(i.clone())).copied();
            key.ok_or(Error::IntentoNoEncontrado(i))
        };
        let lines = after(&self.movimientos, despues.map(found).transpose()?).map(|(_, m)| m);
        let settled = lines.filter(|m| matches!(m.tipo, Tipo::Cargo { confirmado: true, .. }));
        Ok(settled.filter_map(|m| as_try(m)))
    }

    /// The digest of the audit.
    pub fn resumen(&self) -> Digest {
        Digest {
            confirmados: self.confirmados,
            pendientes: self.pendientes.len() as u64,
            descuadrados: self.descuadrados.len() as u64,
        }
    }

    fn poner_usuario(&mut self, usuario: Usuario) {
        let id = usuario.id;
        self.usuarios.insert(id, Arc::new(usuario));
        self.cuadrar(id);
    }

    fn poner_movimiento(&mut self, nuevo: Movimiento) {
        let key = (nuevo.usuario_id, nuevo.id);
        self.ultimo_movimiento = self.ultimo_movimiento.max(nuevo.id);
        if let Some(referencia) = referencia(&nuevo) {
            self.referencias.insert(referencia, key);
        }
        self.contar(&nuevo, 1);
        if let Some(old) = self.movimientos.insert(key, Arc::new(nuevo)) {
            self.descontar(&old);
        }
        self.cuadrar(key.0);
    }

    fn quitar_movimiento(&mut self, key: Clave2) {
        let Some(old) = self.movimientos.remove(&key) else { return };
        if let Some(referencia) = referencia(&old) {
            self.referencias.remove(&referencia);
        }
        self.descontar(&old);
        self.cuadrar(key.0);
    }

    fn contar(&mut self, m: &Movimiento, sign: i64) {
        let cuenta = self.cuentas.entry(m.usuario_id).or_default();
        cuenta.suma = cuenta.suma.wrapping_add(sign * m.efecto());
        cuenta.lineas = if sign > 0 { cuenta.lineas + 1 } else { cuenta.lineas.saturating_sub(1) };
        let Tipo::Cargo { intento, confirmado } = &m.tipo else { return };
        match (confirmado, sign > 0) {
            (true, true) => self.confirmados.agregar(intento, m.usuario_id, None, m.monto),
            (true, false) => self.confirmados.quitar(intento, m.usuario_id, None, m.monto),
            (false, true) => {
                self.pendientes.insert((m.fecha, intento.clone()));
            }
            (false, false) => {
                self.pendientes.remove(&(m.fecha, intento.clone()));
            }
        }
    }

    fn descontar(&mut self, old: &Movimiento) {
        self.contar(old, -1);
    }

    fn cuadrar(&mut self, id: UsuarioId) {
        if self.diferencia(id) == 0 {
            self.descuadrados.remove(&id);
        } else {
            self.descuadrados.insert(id);
        }
    }

    /// The balance less the sum of the ledger.
    fn diferencia(&self, id: UsuarioId) -> i64 {
        let saldo = self.usuarios.get(&id).map_or(0, |u| i64::try_from(u.saldo.get()).unwrap_or(i64::MAX));
        saldo.wrapping_sub(self.cuentas.get(&id).map_or(0, |c| c.suma))
    }
}

fn referencia(m: &Movimiento) -> Option<Referencia> {
    match &m.tipo {
        Tipo::Abono { clave } => Some(Referencia::Abono(clave.clone())),
        Tipo::Cargo { intento, .. } => Some(Referencia::Cargo(intento.clone())),
        Tipo::Apertura | Tipo::AjusteAlza | Tipo::AjusteBaja => None,
    }
}

fn as_try(m: &Movimiento) -> Option<Try> {
    match &m.tipo {
        Tipo::Cargo { intento, .. } => Some(Try {
            intento: intento.clone(),
            usuario_id: m.usuario_id,
            token_id: None,
            monto: m.monto,
            desde: m.fecha,
        }),
        _ => None,
    }
}

impl Model for Modelo {
    const NAME: &'static str = "usuarios";
    const COLLECTIONS: &'static [&'static str] = &["usuarios", "movimientos"];
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Usuario(usuario) => self.poner_usuario(usuario.clone()),
            Change::Movimiento(movimiento) => self.poner_movimiento(movimiento.clone()),
            Change::QuitarMovimiento { usuario_id, id } => self.quitar_movimiento((*usuario_id, *id)),
        }
    }

    fn load(&mut self, collection: &str, element: &str) -> Result<(), String> {
        if collection == "usuarios" {
            let usuario: Usuario = serde_json::from_str(element).map_err(|e| e.to_string())?;
            if self.usuarios.contains_key(&usuario.id) {
                return Err(format!("id {} is there twice", usuario.id));
            }
            self.poner_usuario(usuario);
        } else {
            let movimiento: Movimiento = serde_json::from_str(element).map_err(|e| e.to_string())?;
            let (de, id) = (movimiento.usuario_id, movimiento.id);
            if !self.usuarios.contains_key(&de) {
                return Err(format!("usuarioId {de} is not in usuarios.json"));
            }
            if self.movimientos.contains_key(&(de, id)) {
                return Err(format!("id {id} of usuarioId {de} is there twice"));
            }
            if referencia(&movimiento).is_some_and(|r| self.referencias.contains_key(&r)) {
                return Err(format!("the clave or intento of id {id} is there twice"));
            }
            self.poner_movimiento(movimiento);
        }
        Ok(())
    }

    fn dump(&self, collection: &str, array: &mut ArrayWriter<'_>) -> io::Result<()> {
        if collection == "usuarios" {
            self.usuarios.values().try_for_each(|u| array.element(u.as_ref()))
        } else {
            self.movimientos.values().try_for_each(|m| array.element(m.as_ref()))
        }
    }

    fn count(&self, collection: &str) -> usize {
        if collection == "usuarios" { self.usuarios.len() } else { self.movimientos.len() }
    }

    /// A person may edit balances while the service is stopped: the ledger then gets a line that says so, the opening
    /// balance where there was none. A disagreement that nobody edited in is a bug: it stays, for the audit to show.
    fn on_open(&self, edited: &[&'static str]) -> Result<Vec<Change>, String> {
        if edited.is_empty() {
            return Ok(Vec::new());
        }
        let fecha = ahora();
        let mut id = self.ultimo_movimiento;
        let (mut lines, mut edits) = (Vec::new(), 0);
        for usuario in self.usuarios.values() {
            let diferencia = self.diferencia(usuario.id);
            let first = self.cuantos_movimientos(usuario.id) == 0;
            let tipo = match diferencia {
                0 if !first => continue,
                _ if first => Tipo::Apertura,
                d if d > 0 => Tipo::AjusteAlza,
                _ => Tipo::AjusteBaja,
            };
            edits += usize::from(!first);
            id += 1;
            if id > MAX_ENTERO {
                return Err(format!("usuario {}: the ids of movimientos.json are used up", usuario.id));
            }
            let monto = Monto::new(diferencia.unsigned_abs())
                .ok_or_else(|| format!("usuario {}: the ledger's sum is out of range", usuario.id))?;
            lines.push(Change::Movimiento(Movimiento { id, usuario_id: usuario.id, monto, fecha, tipo }));
        }
        if edits > 0 {
            log::warn!(
                "{edits} balances were edited by hand: each ledger has a line of type ajuste that says so"
            );
        }
        Ok(lines)
    }
}
