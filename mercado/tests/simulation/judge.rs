//! What must hold, by code that does not use the product's audit. While a run goes on: every answer. At its end: the stores,
//! as a power failure leaves them, against each other and against the history.

use crate::account::Seen;
use crate::history::{History, Told};
use crate::process::{Does, at_once};
use crate::serving::Call;
use crate::world::{SERVICES, Service, World};
use journal::simulation::Survives;
use market::domain::{TransaccionId, UsuarioId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokens::domain::{Availability, Token};
use tokio::time::sleep;
use transacciones::domain::{ATTEMPTS, Compra, Transaccion};
use transacciones::error::Error;
use usuarios::domain::{Movimiento, MovimientoKind, Usuario};

impl World {
    /// A process that is alive has answered a purchase.
    pub fn answered(self: &Arc<Self>, sending: usize, answer: &Told) {
        let compra = {
            let mut history = self.history.lock().unwrap();
            history.sendings[sending].answer = Some(answer.clone());
            history.sendings[sending].compra.clone()
        };
        match answer {
            Told::Bought(t, repeated) => {
                self.count(if *repeated { Seen::Replayed } else { Seen::Bought });
                if t.intento.as_ref().is_some_and(|i| i.numero > 1) {
                    self.count(Seen::LaterAttempt);
                }
                if t.intento.as_ref().is_some_and(|i| i.numero > ATTEMPTS) {
                    self.count(Seen::BoughtInLaterEra);
                }
                self.is_seen_everywhere(t);
                if !is_for(t, &compra) {
                    self.violation(format!("{compra:?} was answered with {t:?}"));
                }
            }
            Told::Refused(why) => {
                self.count(Seen::Refused);
                if matches!(why, Error::PrecioChanged { .. }) {
                    self.count(Seen::PriceChanged);
                }
            }
            Told::KeyMisused => self.count(Seen::KeyMisused),
            Told::Silence => self.count(Seen::NoAnswer),
            Told::NoStore => self.count(Seen::NoStore),
            Told::Overtaken => {
                self.count(Seen::Overtaken);
                let history = self.history.lock().unwrap();
                if history.sendings.iter().filter(|s| s.compra.clave == compra.clave).count() == 1 {
                    self.count(Seen::AbortedAlive);
                }
            }
            Told::Bug(what) => self.violation(format!("{compra:?} was answered with a bug: {what}")),
        }
    }

    /// What was acknowledged, every replica shows from then on.
    fn is_seen_everywhere(self: &Arc<Self>, t: &Transaccion) {
        for slot in self.slots_of(Service::Transacciones) {
            let Some(life) = slot.life().filter(|life| self.is_alive(&life.vital)) else { continue };
            let Does::Transacciones(service, ..) = &life.does else { continue };
            match at_once(service.transaccion(t.id)) {
                Ok(seen) if seen == *t => {}
                Err(Error::Store(_)) => {}
                other => self.violation(format!("{t:?} was acknowledged, and {slot} shows {other:?}")),
            }
        }
    }

    /// Waits until recovery has nothing left to do. It must come to that.
    pub async fn quiet(self: &Arc<Self>) {
        let mut calm = 0;
        for _ in 0..400 {
            sleep(Duration::from_millis(250)).await;
            // recovery asks for ever
            let asks = |call: &Call| matches!(call, Call::Pending(..));
            let still = self.flying.lock().unwrap().values().all(|(_, _, call)| asks(call))
                && self.slots.iter().all(|slot| {
                    slot.life().is_some_and(|life| {
                        self.is_alive(&life.vital)
                            && !life.vital.leaving.load(Ordering::Relaxed)
                            && life.pending() == Some(0)
                            && !life.store_state().0
                    })
                });
            calm = if still { calm + 1 } else { 0 };
            // a purchase that nobody waits for may be between two messages: at most 0.5 s
            if calm == 4 {
                return;
            }
        }
        let pending: Vec<_> = self
            .slots
            .iter()
            .map(|slot| (slot.to_string(), slot.life().map(|life| life.pending())))
            .collect();
        let flying = self.flying.lock().unwrap().clone();
        self.violation(format!(
            "it never comes to rest: messages under way {flying:?}, tries pending {pending:?}"
        ));
    }

    /// The product's own verdict.
    pub async fn audit(self: &Arc<Self>) {
        if self.bug.is_some() {
            // the judge is to find it
            return;
        }
        let Some(life) = self.slots_of(Service::Transacciones).find_map(crate::process::Slot::life) else {
            return;
        };
        let Does::Transacciones(service, ..) = &life.does else { return };
        match service.audit().await {
            Ok(verdict) if verdict.is_correct() && verdict.pendientes == 0 => {}
            other => self.violation(format!("the product's audit says {other:?}")),
        }
    }

    /// Fails the power of everything, and judges what is left.
    pub fn judge(self: &Arc<Self>) {
        for slot in &self.slots {
            if let Some(life) = slot.life.lock().unwrap().take() {
                life.writer.abort();
                life.count_recovery(self);
                life.vital.die();
            }
        }
        for service in SERVICES {
            self.cut_power(service, Survives::Synced);
        }
        let end = match End::read(self) {
            Ok(end) => end,
            Err(e) => return self.violation(format!("after the last power failure: {e}")),
        };
        let history = self.history.lock().unwrap();
        for what in end.violations(&history) {
            self.violation(what);
        }
        let silent = end.transactions.iter().filter(|t| {
            !history
                .sendings
                .iter()
                .any(|s| matches!(&s.answer, Some(Told::Bought(b, false)) if b.id == t.id))
        });
        silent.for_each(|_| self.count(Seen::CommittedThenSilent));
    }
}

fn is_for(t: &Transaccion, compra: &Compra) -> bool {
    t.intento.as_ref().is_some_and(|i| i.clave == compra.clave)
        && (t.usuario_id, t.token_id) == (compra.usuario_id, compra.token_id)
        && compra.precio.is_none_or(|precio| precio == t.precio)
}

/// Everything that is in the three stores.
struct End {
    transactions: Vec<Transaccion>,
    tokens: Vec<Token>,
    users: Vec<(Usuario, Vec<Movimiento>)>,
}

impl End {
    fn read(world: &Arc<World>) -> Result<Self, String> {
        const ALL: usize = usize::MAX / 2;
        let gather = || std::future::ready(());
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let open = |service: Service| (world.disk(service), u32::MAX);
        let (disk, pid) = open(Service::Transacciones);
        let (journal, _writer) = disk
            .open::<transacciones::store::state::State, _, _>(pid, u64::MAX, gather)
            .map_err(|e| text(&e))?;
        let state = journal.read().map_err(|e| text(&e))?;
        let transactions = state.transacciones.values().map(|t| t.as_ref().clone()).collect();
        let (disk, pid) = open(Service::Usuarios);
        let (journal, _writer) =
            disk.open::<usuarios::store::state::State, _, _>(pid, u64::MAX, gather).map_err(|e| text(&e))?;
        let service = usuarios::store::Store::json(journal);
        let mut users = Vec::new();
        for usuario in at_once(service.usuarios(None, ALL)).map_err(|e| text(&e))?.rows {
            let lines = at_once(service.movimientos(usuario.id, 0, ALL)).map_err(|e| text(&e))?.rows;
            users.push((usuario, lines));
        }
        let (disk, pid) = open(Service::Tokens);
        let (journal, _writer) =
            disk.open::<tokens::store::state::State, _, _>(pid, u64::MAX, gather).map_err(|e| text(&e))?;
        let query = tokens::store::ListQuery {
            nombre: None,
            vendido: None,
            precio_min: None,
            precio_max: None,
            sort_by: tokens::store::SortBy::Id,
            descending: false,
            after: None,
            limit: ALL,
        };
        let tokens = journal.read().map_err(|e| text(&e))?.list(&query).rows;
        Ok(Self { transactions, tokens, users })
    }

    fn violations(&self, history: &History) -> Vec<String> {
        let mut found = Vec::new();
        self.money(history, &mut found);
        self.sales(history, &mut found);
        self.answers(history, &mut found);
        self.refusals(history, &mut found);
        found
    }

    /// Each debit is confirmed and belongs to one transaction, each abono happened as often as its key says, and each balance
    /// is what all of that comes to.
    fn money(&self, history: &History, found: &mut Vec<String>) {
        let mut deposits: BTreeMap<&str, u32> = BTreeMap::new();
        let mut charged: BTreeSet<TransaccionId> = BTreeSet::new();
        for (usuario, lines) in &self.users {
            let id = usuario.id.get();
            let Some(opening) = history.opening.get(&id) else {
                found.push(format!("nobody made user {id}"));
                continue;
            };
            let mut balance = i128::from(*opening);
            let mut ledger = 0;
            for line in lines {
                let monto = i128::from(line.monto.get());
                match &line.tipo {
                    MovimientoKind::Opening => ledger += monto,
                    MovimientoKind::AdjustmentUp | MovimientoKind::AdjustmentDown => {
                        found.push(format!("nobody edited user {id}: {line:?}"));
                    }
                    MovimientoKind::Abono { clave } => {
                        balance += monto;
                        ledger += monto;
                        // a bug puts something behind the client's key
                        let clave = clave.as_str().split('~').next().unwrap();
                        *deposits.entry(clave).or_default() += 1;
                        let asked = history.deposits.get(clave);
                        if asked.is_none_or(|d| (d.usuario, d.monto) != (line.usuario_id, line.monto)) {
                            found.push(format!("nobody asked for {line:?}"));
                        }
                    }
                    MovimientoKind::Cargo { intento, confirmado } => {
                        balance -= monto;
                        ledger -= monto;
                        let bought = self.transactions.iter().find(|t| t.intento.as_ref() == Some(intento));
                        match bought {
                            _ if !confirmado => found.push(format!("a debit is left for ever: {line:?}")),
                            Some(t) if (t.usuario_id, t.precio) == (line.usuario_id, line.monto) => {
                                if !charged.insert(t.id) {
                                    found.push(format!("{t:?} is charged twice"));
                                }
                            }
                            other => found.push(format!("{line:?} is charged for {other:?}")),
                        }
                    }
                }
            }
            let shown = i128::from(usuario.saldo.get());
            if shown != balance || shown != ledger {
                found.push(format!(
                    "user {id} has {shown}; by abonos and purchases it is {balance}, by the ledger {ledger}"
                ));
            }
        }
        for t in self.transactions.iter().filter(|t| !charged.contains(&t.id)) {
            found.push(format!("{t:?} is not paid"));
        }
        for (clave, deposit) in &history.deposits {
            let times = deposits.get(clave.as_str()).copied().unwrap_or_default();
            if times > 1 || (times == 0 && deposit.acknowledged) {
                found.push(format!("abono {clave} was made {times} times: {deposit:?}"));
            }
        }
    }

    /// A token is sold once, and sold means bought.
    fn sales(&self, history: &History, found: &mut Vec<String>) {
        let mut sold = BTreeSet::new();
        for t in &self.transactions {
            if !sold.insert(t.token_id) {
                found.push(format!("token {} is sold twice", t.token_id));
            }
            match self.tokens.iter().find(|token| token.id == t.token_id) {
                Some(Token { estado: Availability::Sold(Some(venta)), precio, .. })
                    if (Some(&venta.intento), venta.usuario_id, *precio)
                        == (t.intento.as_ref(), t.usuario_id, t.precio) => {}
                other => found.push(format!("{t:?} has bought {other:?}")),
            }
        }
        for token in &self.tokens {
            if token.is_sold() != sold.contains(&token.id) {
                found.push(format!("{token:?} is sold to nobody"));
            }
            if matches!(token.estado, Availability::Reserved(_)) {
                found.push(format!("{token:?} is held for ever"));
            }
            if !history.prices.contains(&token.precio.get()) {
                found.push(format!("nobody gave {token:?} its price"));
            }
            if history.deleted.contains(&token.id.get()) {
                found.push(format!("{token:?} was deleted"));
            }
        }
    }

    /// A key has bought at most once, what was asked for under it; and what was acknowledged is there.
    fn answers(&self, history: &History, found: &mut Vec<String>) {
        let mut keys = BTreeSet::new();
        for t in &self.transactions {
            if !t.intento.as_ref().is_some_and(|i| keys.insert(i.clave.clone())) {
                found.push(format!("{t:?} is under a key that has bought before, or none"));
            }
            if !history.sendings.iter().any(|s| s.begun.is_some() && is_for(t, &s.compra)) {
                found.push(format!("nobody asked for {t:?}"));
            }
        }
        for sending in &history.sendings {
            if let Some(Told::Bought(t, _)) = &sending.answer
                && !self.transactions.contains(t)
            {
                found.push(format!("{t:?} was acknowledged and is not there"));
            }
        }
        let firsts = history.sendings.iter().filter_map(|s| match &s.answer {
            Some(Told::Bought(t, false)) => Some(t.id),
            _ => None,
        });
        let mut first = BTreeSet::new();
        for id in firsts {
            if !first.insert(id) {
                found.push(format!("two requests say that they made transaction {id}"));
            }
        }
    }

    /// No request buys after one that began later was refused: whoever hears 409 last is not charged afterwards.
    fn refusals(&self, history: &History, found: &mut Vec<String>) {
        for t in &self.transactions {
            let Some(intento) = &t.intento else { continue };
            let of_key = || history.sendings.iter().filter(|s| s.compra.clave == intento.clave);
            let refused =
                of_key().filter(|s| matches!(s.answer, Some(Told::Refused(_)))).filter_map(|s| s.begun).max();
            let Some(refused) = refused else { continue };
            let said = of_key().find(|s| matches!(&s.answer, Some(Told::Bought(b, false)) if b.id == t.id));
            let may = of_key().filter(|s| is_for(t, &s.compra)).filter(|s| match said {
                Some(said) => s.begun == said.begun,
                // whoever bought it never said so: one that died, or was told that its outcome is open
                None => matches!(s.answer, None | Some(Told::NoStore)),
            });
            if may.filter_map(|s| s.begun).all(|begun| begun < refused) {
                found.push(format!("{t:?} was bought by a request older than one that was refused"));
            }
        }
    }
}

/// Asks once more under each key that a client chose: the market must still know what came of it.
pub async fn ask_again(world: &Arc<World>) {
    let keys: BTreeMap<_, Compra> = {
        let history = world.history.lock().unwrap();
        let asked = history.sendings.iter().filter(|s| s.compra.clave_from_client && s.begun.is_some());
        asked.map(|s| (s.compra.clave.clone(), s.compra.clone())).collect()
    };
    for compra in keys.into_values() {
        let mut answer = crate::clients::ask(world, compra.clone()).await;
        // an era may be 200 ms here, and a request that outlives its era and the next is to be sent again (7.5 minutes at the
        // least outside)
        for _ in 0..5 {
            if matches!(answer, Some(Told::Overtaken)) {
                answer = crate::clients::ask(world, compra.clone()).await;
            }
        }
        match answer {
            Some(answer) if answer.is_final() => {}
            other => world.violation(format!("{compra:?} in a market at rest was answered {other:?}")),
        }
    }
}

/// Whether a user can pay for a token, after all: a fresh purchase must work.
pub async fn buy_afresh(world: &Arc<World>) {
    let usuario = UsuarioId::new(1).unwrap();
    let free = world
        .slots_of(Service::Tokens)
        .find_map(crate::process::Slot::life)
        .and_then(|life| life.free().into_iter().min_by_key(|(_, precio)| *precio));
    let saldo = world
        .slots_of(Service::Usuarios)
        .find_map(crate::process::Slot::life)
        .and_then(|life| life.saldo(usuario));
    let (Some((token_id, precio)), Some(saldo)) = (free, saldo) else { return };
    let clave = "al-final".parse().unwrap();
    let compra =
        Compra { clave, clave_from_client: true, usuario_id: usuario, token_id, precio: None, session: None };
    let answer = crate::clients::ask(world, compra).await;
    let bought = matches!(answer, Some(Told::Bought(_, false)));
    if bought != (saldo >= precio) {
        world.violation(format!("token {token_id} for {precio}, with {saldo}: {answer:?}"));
    }
}
