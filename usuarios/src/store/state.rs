//! The service's state: users, their ledger, accounts, and the indexes and running sums over them.

use crate::domain::account::{Account, AccountName, SigningKey};
use crate::domain::{Movimiento, MovimientoKind, Usuario};
use crate::error::Error;
use chrono::{DateTime, Utc};
use imbl::{HashMap, OrdMap, OrdSet};
use journal::{ArrayWriter, Model};
use market::contract::{Digest, Hold, PAGE};
use market::domain::{Clave, Intento, MAX_INTEGER, Monto, RunningDigest, UsuarioId, timestamp};
use market::index::KeyIndex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::ops::Bound;
use std::sync::Arc;

/// The key of a line that was asked for and is made once: the same call again finds the line by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reference {
    /// The key of an abono.
    Abono(Clave),
    /// The attempt of a debit.
    Cargo(Intento),
}

/// The place of a line: whose ledger, and its id.
type LineKey = (UsuarioId, u64);

/// Everything that `usuarios` knows.
#[derive(Clone, Default)]
pub struct State {
    /// Users by id.
    pub usuarios: OrdMap<UsuarioId, Arc<Usuario>>,
    movimientos: OrdMap<LineKey, Arc<Movimiento>>,
    references: KeyIndex<LineKey>,
    pendientes: OrdSet<(DateTime<Utc>, Intento)>,
    sums: OrdMap<UsuarioId, Sums>,
    descuadrados: OrdSet<UsuarioId>,
    confirmados: RunningDigest,
    last_movimiento: u64,
    /// What the records take: see [`Model::memory`].
    memory: u64,
    /// Accounts by id.
    pub cuentas: OrdMap<u64, Arc<Account>>,
    by_name: HashMap<AccountName, u64>,
    /// The account of a usuario that is not revoked.
    by_usuario: HashMap<UsuarioId, u64>,
    firmas: OrdMap<String, Arc<SigningKey>>,
}

/// Bytes of memory that a user takes besides the name: measured with a million of them, see `mercado/tests/process/full.rs`.
const USUARIO_BYTES: u64 = 170;
/// Bytes that a line takes; one with a key has it in an index.
const MOVIMIENTO_BYTES: u64 = 170;
/// Bytes that a key takes besides its own: its place in the index, and what the allocator adds.
const REFERENCE_BYTES: u64 = 70;

fn bytes_of_usuario(u: &Usuario) -> u64 {
    USUARIO_BYTES + u.nombre.len() as u64
}

/// Bytes that an account takes with its password's hash, its place by name and by usuario.
const ACCOUNT_BYTES: u64 = 500;
/// Bytes that each of its API keys, and each of its ended sessions, takes.
const ACCOUNT_PART_BYTES: u64 = 170;

fn bytes_of_account(a: &Account) -> u64 {
    let names = a.nombre.as_str().len() + a.claves.iter().map(|key| key.nombre.len()).sum::<usize>();
    let parts = a.claves.len() + a.cerradas.len();
    ACCOUNT_BYTES + names as u64 + ACCOUNT_PART_BYTES * parts as u64
}

fn bytes_of_movimiento(m: &Movimiento) -> u64 {
    let key = match &m.tipo {
        MovimientoKind::Abono { clave } => Some(clave),
        MovimientoKind::Cargo { intento, .. } => Some(&intento.clave),
        MovimientoKind::Opening | MovimientoKind::AdjustmentUp | MovimientoKind::AdjustmentDown => None,
    };
    MOVIMIENTO_BYTES + key.map_or(0, |clave| REFERENCE_BYTES + clave.as_str().len() as u64)
}

/// A user's ledger in two numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    suma: i64,
    lines: usize,
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
    #[serde(rename = "quitarMovimiento")]
    RemoveMovimiento {
        /// Whose ledger.
        usuario_id: UsuarioId,
        /// Which line.
        id: u64,
    },
    /// An account as it is now.
    #[serde(rename = "cuenta")]
    Account(Account),
    /// A key that signs sessions.
    #[serde(rename = "firma")]
    SigningKey(SigningKey),
    /// A key signs no more, and what it signed does not count.
    #[serde(rename = "quitarFirma")]
    RemoveSigningKey {
        /// Its name.
        kid: String,
    },
}

/// The entries after a key, in order.
pub(super) fn entries_after<K: Ord + Clone, V: Clone>(
    map: &OrdMap<K, V>,
    key: Option<K>,
) -> impl Iterator<Item = (&K, &V)> {
    map.range((key.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
}

impl State {
    /// One user.
    pub fn usuario(&self, id: UsuarioId) -> Result<&Usuario, Error> {
        self.usuarios.get(&id).map(AsRef::as_ref).ok_or(Error::UsuarioNotFound(id))
    }

    /// The id of the next user, while there are any.
    pub fn next_usuario_id(&self) -> Option<UsuarioId> {
        UsuarioId::new(self.usuarios.get_max().map_or(0, |(id, _)| id.get()) + 1)
    }

    /// The id of the next ledger line, while there are any. The id of a cancelled debit may be given again after a restart:
    /// nobody refers to it.
    pub fn next_movimiento_id(&self) -> Option<u64> {
        Some(self.last_movimiento + 1).filter(|id| *id <= MAX_INTEGER)
    }

    /// Notes that ids of ledger lines were given up to this one.
    pub fn numbered_up_to(&mut self, up_to: u64) {
        self.last_movimiento = self.last_movimiento.max(up_to);
    }

    fn line_of(&self, key: &Reference) -> Option<LineKey> {
        let is_of = |line| self.movimientos.get(&line).is_some_and(|m| was_made_under(m, key));
        self.references.get(key, is_of)
    }

    /// The line that was made under a key.
    pub(super) fn referred(&self, reference: &Reference) -> Option<&Arc<Movimiento>> {
        self.movimientos.get(&self.line_of(reference)?)
    }

    /// A user's ledger after a line.
    pub fn movimientos_of(&self, usuario: UsuarioId, after: u64) -> impl Iterator<Item = &Arc<Movimiento>> {
        self.movimientos
            .range((Bound::Excluded((usuario, after)), Bound::Included((usuario, u64::MAX))))
            .map(|(_, m)| m)
    }

    /// The lines of all ledgers.
    pub fn all(&self) -> impl Iterator<Item = &Movimiento> {
        self.movimientos.values().map(AsRef::as_ref)
    }

    /// How many lines a user's ledger has.
    pub fn movimientos_count(&self, usuario: UsuarioId) -> usize {
        self.sums.get(&usuario).map_or(0, |c| c.lines)
    }

    /// Pending debits, oldest first, after a time and an attempt.
    pub fn pending(&self, after: Option<(DateTime<Utc>, Intento)>) -> impl Iterator<Item = Hold> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = |(_, intento): &(_, Intento)| self.referred(&Reference::Cargo(intento.clone()));
        self.pendientes.range((start, Bound::Unbounded)).filter_map(found).filter_map(|m| as_hold(m))
    }

    /// Confirmed debits in the order of the ledgers, after an attempt's debit. An attempt without a debit is an error, since a
    /// list that began anywhere else would skip debits or count them twice.
    pub fn settled(&self, after: Option<Intento>) -> Result<impl Iterator<Item = Hold>, Error> {
        let found = |i: Intento| {
            let key = self.line_of(&Reference::Cargo(i.clone()));
            key.ok_or(Error::IntentoNotFound(i))
        };
        let lines = entries_after(&self.movimientos, after.map(found).transpose()?).map(|(_, m)| m);
        let settled = lines.filter(|m| matches!(m.tipo, MovimientoKind::Cargo { confirmado: true, .. }));
        Ok(settled.filter_map(|m| as_hold(m)))
    }

    /// This service's side of the audit.
    pub fn digest(&self) -> Digest {
        Digest {
            confirmados: self.confirmados,
            pendientes: self.pendientes.len() as u64,
            descuadrados: self.descuadrados.len() as u64,
            in_flight: self.pending(None).take(PAGE).collect(),
            oldest: None,
        }
    }

    /// The account of a name.
    pub fn account_named(&self, name: &AccountName) -> Option<&Account> {
        self.cuentas.get(self.by_name.get(name)?).map(AsRef::as_ref)
    }

    /// The account of a usuario that is not revoked.
    pub fn account_of(&self, usuario: UsuarioId) -> Option<&Account> {
        self.cuentas.get(self.by_usuario.get(&usuario)?).map(AsRef::as_ref)
    }

    /// The keys that sign sessions, the newest last.
    pub fn signing_keys(&self) -> Vec<SigningKey> {
        let mut keys: Vec<_> = self.firmas.values().map(|key| key.as_ref().clone()).collect();
        keys.sort_by_key(|key| key.creada);
        keys
    }

    fn put_account(&mut self, account: Account) {
        let id = account.id;
        self.by_name.insert(account.nombre.clone(), id);
        if let Some(usuario) = account.usuario_id {
            if !account.revocada {
                self.by_usuario.insert(usuario, id);
            } else if self.by_usuario.get(&usuario) == Some(&id) {
                self.by_usuario.remove(&usuario);
            }
        }
        self.memory += bytes_of_account(&account);
        if let Some(old) = self.cuentas.insert(id, Arc::new(account)) {
            self.memory = self.memory.saturating_sub(bytes_of_account(&old));
        }
    }

    fn put_usuario(&mut self, usuario: Usuario) {
        let id = usuario.id;
        self.memory += bytes_of_usuario(&usuario);
        if let Some(old) = self.usuarios.insert(id, Arc::new(usuario)) {
            self.memory = self.memory.saturating_sub(bytes_of_usuario(&old));
        }
        self.check_balance(id);
    }

    fn put_movimiento(&mut self, is_new: Movimiento) {
        let key = (is_new.usuario_id, is_new.id);
        self.last_movimiento = self.last_movimiento.max(is_new.id);
        self.tally(&is_new, 1);
        let made_under = reference(&is_new);
        let old = self.movimientos.insert(key, Arc::new(is_new));
        // a debit that is confirmed has its place already
        if let Some(reference) = made_under
            && !old.as_ref().is_some_and(|old| was_made_under(old, &reference))
        {
            self.references.insert(&reference, key);
        }
        if let Some(old) = old {
            self.untally(&old);
        }
        self.check_balance(key.0);
    }

    fn remove_movimiento(&mut self, key: LineKey) {
        let Some(old) = self.movimientos.remove(&key) else { return };
        if let Some(reference) = reference(&old) {
            self.references.remove(&reference, key);
        }
        self.untally(&old);
        self.check_balance(key.0);
    }

    fn tally(&mut self, m: &Movimiento, sign: i64) {
        let bytes = bytes_of_movimiento(m);
        self.memory = if sign > 0 { self.memory + bytes } else { self.memory.saturating_sub(bytes) };
        let account = self.sums.entry(m.usuario_id).or_default();
        account.suma = account.suma.wrapping_add(sign * m.effect());
        account.lines = if sign > 0 { account.lines + 1 } else { account.lines.saturating_sub(1) };
        let MovimientoKind::Cargo { intento, confirmado } = &m.tipo else { return };
        match (confirmado, sign > 0) {
            (true, true) => self.confirmados.add(intento, m.usuario_id, None, m.monto),
            (true, false) => self.confirmados.remove(intento, m.usuario_id, None, m.monto),
            (false, true) => {
                self.pendientes.insert((m.fecha, intento.clone()));
            }
            (false, false) => {
                self.pendientes.remove(&(m.fecha, intento.clone()));
            }
        }
    }

    fn untally(&mut self, old: &Movimiento) {
        self.tally(old, -1);
    }

    fn check_balance(&mut self, id: UsuarioId) {
        if self.difference(id) == 0 {
            self.descuadrados.remove(&id);
        } else {
            self.descuadrados.insert(id);
        }
    }

    /// The balance less the sum of the ledger.
    fn difference(&self, id: UsuarioId) -> i64 {
        let saldo = self.usuarios.get(&id).map_or(0, |u| i64::try_from(u.saldo.get()).unwrap_or(i64::MAX));
        saldo.wrapping_sub(self.sums.get(&id).map_or(0, |c| c.suma))
    }
}

fn reference(m: &Movimiento) -> Option<Reference> {
    match &m.tipo {
        MovimientoKind::Abono { clave } => Some(Reference::Abono(clave.clone())),
        MovimientoKind::Cargo { intento, .. } => Some(Reference::Cargo(intento.clone())),
        MovimientoKind::Opening | MovimientoKind::AdjustmentUp | MovimientoKind::AdjustmentDown => None,
    }
}

fn was_made_under(m: &Movimiento, key: &Reference) -> bool {
    match (&m.tipo, key) {
        (MovimientoKind::Abono { clave }, Reference::Abono(key)) => clave == key,
        (MovimientoKind::Cargo { intento, .. }, Reference::Cargo(key)) => intento == key,
        _ => false,
    }
}

fn as_hold(m: &Movimiento) -> Option<Hold> {
    match &m.tipo {
        MovimientoKind::Cargo { intento, .. } => Some(Hold {
            intento: intento.clone(),
            usuario_id: m.usuario_id,
            token_id: None,
            monto: m.monto,
            desde: m.fecha,
        }),
        _ => None,
    }
}

fn parsed<T: DeserializeOwned>(element: &str) -> Result<T, String> {
    serde_json::from_str(element).map_err(|e| e.to_string())
}

/// The same of a record with secrets in it: the error says where it is wrong, and not what stands there.
fn secret<T: DeserializeOwned>(element: &str) -> Result<T, String> {
    serde_json::from_str(element).map_err(|e| format!("no such record (at column {})", e.column()))
}

/// The elements of array files.
impl State {
    fn load_usuario(&mut self, usuario: Usuario) -> Result<(), String> {
        if self.usuarios.contains_key(&usuario.id) {
            return Err(format!("id {} is there twice", usuario.id));
        }
        self.put_usuario(usuario);
        Ok(())
    }

    fn load_movimiento(&mut self, movimiento: Movimiento) -> Result<(), String> {
        let (usuario, id) = (movimiento.usuario_id, movimiento.id);
        if !self.usuarios.contains_key(&usuario) {
            return Err(format!("usuarioId {usuario} is not in usuarios.json"));
        }
        if self.movimientos.contains_key(&(usuario, id)) {
            return Err(format!("id {id} of usuarioId {usuario} is there twice"));
        }
        if reference(&movimiento).is_some_and(|r| self.line_of(&r).is_some()) {
            return Err(format!("the clave or intento of id {id} is there twice"));
        }
        self.put_movimiento(movimiento);
        Ok(())
    }

    fn load_account(&mut self, account: Account) -> Result<(), String> {
        let (id, nombre) = (account.id, &account.nombre);
        if !(1..=MAX_INTEGER).contains(&id) || self.cuentas.contains_key(&id) {
            return Err(format!("id {id} is out of range, or there twice"));
        }
        if self.by_name.contains_key(nombre) {
            return Err(format!("nombre {nombre} is there twice"));
        }
        if let Some(usuario) = account.usuario_id {
            if !self.usuarios.contains_key(&usuario) {
                return Err(format!("usuarioId {usuario} is not in usuarios.json"));
            }
            if !account.revocada && self.by_usuario.contains_key(&usuario) {
                return Err(format!("usuarioId {usuario} has two accounts"));
            }
        }
        self.put_account(account);
        Ok(())
    }

    fn load_signing_key(&mut self, key: SigningKey) -> Result<(), String> {
        if self.firmas.contains_key(&key.kid) {
            return Err(format!("kid {} is there twice", key.kid));
        }
        self.firmas.insert(key.kid.clone(), Arc::new(key));
        Ok(())
    }
}

impl Model for State {
    const NAME: &'static str = "usuarios";
    const COLLECTIONS: &'static [&'static str] = &["usuarios", "movimientos", "cuentas", "firmas"];
    type Change = Change;

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Usuario(usuario) => self.put_usuario(usuario.clone()),
            Change::Movimiento(movimiento) => self.put_movimiento(movimiento.clone()),
            Change::RemoveMovimiento { usuario_id, id } => self.remove_movimiento((*usuario_id, *id)),
            Change::Account(account) => self.put_account(account.clone()),
            Change::SigningKey(key) => {
                self.firmas.insert(key.kid.clone(), Arc::new(key.clone()));
            }
            Change::RemoveSigningKey { kid } => {
                self.firmas.remove(kid);
            }
        }
    }

    fn load(&mut self, collection: &str, element: &str) -> Result<(), String> {
        match collection {
            "usuarios" => self.load_usuario(parsed(element)?),
            "movimientos" => self.load_movimiento(parsed(element)?),
            "cuentas" => self.load_account(secret(element)?),
            _ => self.load_signing_key(secret(element)?),
        }
    }

    fn dump(&self, collection: &str, array: &mut ArrayWriter<'_>) -> io::Result<()> {
        match collection {
            "usuarios" => self.usuarios.values().try_for_each(|u| array.element(u.as_ref())),
            "movimientos" => self.movimientos.values().try_for_each(|m| array.element(m.as_ref())),
            "cuentas" => self.cuentas.values().try_for_each(|a| array.element(a.as_ref())),
            _ => self.firmas.values().try_for_each(|k| array.element(k.as_ref())),
        }
    }

    fn count(&self, collection: &str) -> usize {
        match collection {
            "usuarios" => self.usuarios.len(),
            "movimientos" => self.movimientos.len(),
            "cuentas" => self.cuentas.len(),
            _ => self.firmas.len(),
        }
    }

    fn memory(&self) -> u64 {
        self.memory
    }

    /// A person may edit balances while the service is stopped: the ledger then gets a line that says so, the opening
    /// balance where there was none. A disagreement that nobody edited in is a bug: it stays, for the audit to show.
    fn on_open(&self, edited: &[&'static str]) -> Result<Vec<Change>, String> {
        if edited.is_empty() {
            return Ok(Vec::new());
        }
        let fecha = timestamp();
        let mut id = self.last_movimiento;
        let (mut lines, mut edits) = (Vec::new(), 0);
        for usuario in self.usuarios.values() {
            let difference = self.difference(usuario.id);
            let first = self.movimientos_count(usuario.id) == 0;
            let tipo = match difference {
                0 if !first => continue,
                _ if first => MovimientoKind::Opening,
                d if d > 0 => MovimientoKind::AdjustmentUp,
                _ => MovimientoKind::AdjustmentDown,
            };
            edits += usize::from(!first);
            id += 1;
            if id > MAX_INTEGER {
                return Err(format!("usuario {}: the ids of movimientos.json are used up", usuario.id));
            }
            let monto = Monto::new(difference.unsigned_abs())
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
