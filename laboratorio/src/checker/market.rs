//! The catalogue, readings and the market as a whole: `oversold`, `sold`, `read`, `edit`, `audit`, `disk`, `error`.

use super::{CONFIRMATION, Verdict};
use crate::history::{History, Op, Outcome, Request};
use crate::shown::{Final, Movimiento, Token, Transaccion};
use crate::t;
use crate::words::{Lang, credits, lang, listed, time};
use std::collections::{BTreeMap, HashMap};

pub(super) fn check(h: &History, f: &Final, v: &mut Verdict) {
    sales(f, v);
    catalogue(h, f, v);
    audit(f, v);
    disk(f, v);
}

pub(super) fn answers(h: &History, v: &mut Verdict) {
    readings(h, v);
    for p in h.requests.iter().filter(|p| p.is_bad()) {
        let body = if p.cuerpo.is_null() { t!("ilegible", "unreadable") } else { p.body() };
        v.add(
            "error",
            t!(
                "a {} ({}) se le contestó {} {body}",
                "{} ({}) was answered {} {body}",
                p.name(),
                p.op,
                p.status()
            ),
        );
    }
}

fn sales(f: &Final, v: &mut Verdict) {
    let mut of: BTreeMap<u64, Vec<&Transaccion>> = BTreeMap::new();
    for t in &f.transacciones {
        of.entry(t.token_id).or_default().push(t);
    }
    for (token, sales) in &of {
        if sales.len() > 1 {
            let who: Vec<_> = sales
                .iter()
                .map(|t| t!("transacción {} del usuario {}", "transaction {} of user {}", t.id, t.usuario_id))
                .collect();
            v.add(
                "oversold",
                t!(
                    "el token {token} se vendió {} veces: {}",
                    "token {token} was sold {} times: {}",
                    sales.len(),
                    who.join(", ")
                ),
            );
        }
    }
    for token in &f.tokens {
        match (token.vendido, of.remove(&token.id)) {
            (true, None) => v.add(
                "sold",
                t!("el token {} está vendido, a nadie", "token {} is sold, to nobody", token.id),
            ),
            (false, Some(to)) => {
                let ids: Vec<_> = to.iter().map(|t| t.id.to_string()).collect();
                let ids = listed(&ids);
                v.add(
                    "sold",
                    t!(
                        "el token {} está comprado (transacciones {ids}) y no vendido",
                        "token {} is bought (transactions {ids}) and not sold",
                        token.id
                    ),
                );
            }
            (true, Some(to)) => {
                if let Some(t) = to.iter().find(|t| t.precio != token.precio) {
                    let (id, at, costs) = (token.id, credits(t.precio), token.precio);
                    v.add(
                        "sold",
                        t!(
                            "el token {id} se compró por {at} (transacción {}) y cuesta {costs}",
                            "token {id} was bought for {at} (transaction {}) and costs {costs}",
                            t.id
                        ),
                    );
                }
            }
            (false, None) => {}
        }
    }
    for token in of.keys() {
        v.add(
            "sold",
            t!("el token {token} está comprado y no existe", "token {token} is bought and does not exist"),
        );
    }
}

/// From when on every reading must show a token as sold, and why.
fn readings(h: &History, v: &mut Verdict) {
    let mut sold: HashMap<u64, (u64, &Request)> = HashMap::new();
    for p in &h.requests {
        let token = match p.op {
            Op::Buy { token, .. } if p.outcome() == Outcome::Done && p.hasta - p.desde < CONFIRMATION => {
                token
            }
            Op::ShowToken { token } if is_sold(p) == Some(true) => token,
            _ => continue,
        };
        let first = sold.entry(token).or_insert((p.hasta, p));
        if p.hasta < first.0 {
            *first = (p.hasta, p);
        }
    }
    for p in &h.requests {
        if let Op::ShowToken { token } = p.op
            && is_sold(p) == Some(false)
            && let Some((since, why)) = sold.get(&token)
            && p.desde > *since
        {
            let why = match (lang(), matches!(why.op, Op::Buy { .. })) {
                (Lang::Es, true) => "se compró",
                (Lang::Es, false) => "se vio vendido",
                (Lang::En, true) => "was bought",
                (Lang::En, false) => "was seen sold",
            };
            v.add(
                "read",
                t!(
                    "el token {token} {why} en {} y apareció libre en la lectura del cliente {} en {}",
                    "token {token} {why} at {} and free in client {}'s reading of {}",
                    time(*since),
                    p.cliente,
                    time(p.desde)
                ),
            );
        }
    }
}

fn is_sold(p: &Request) -> Option<bool> {
    (p.estado == Some(200)).then(|| p.cuerpo.get("vendido")?.as_bool())?
}

fn catalogue(h: &History, f: &Final, v: &mut Verdict) {
    let tokens: HashMap<u64, &Token> = f.tokens.iter().map(|t| (t.id, t)).collect();
    let mut names: HashMap<u64, Vec<&Request>> = HashMap::new();
    let mut precios: HashMap<u64, Vec<&Request>> = HashMap::new();
    let mut opening: BTreeMap<u64, (&str, u64)> =
        h.tokens.iter().map(|t| (t.id, (t.nombre.as_str(), t.precio))).collect();
    for p in &h.requests {
        match &p.op {
            Op::Rename { usuario, .. } => names.entry(*usuario).or_default().push(p),
            Op::ChangePrecio { token, .. } => precios.entry(*token).or_default().push(p),
            Op::CreateToken { nombre, precio } if p.outcome() == Outcome::Done => match p.number("id") {
                Some(id) => {
                    if opening.insert(id, (nombre, *precio)).is_some() {
                        v.add(
                            "replay",
                            t!("dos tokens recibieron el id {id}", "two tokens were given the id {id}"),
                        );
                    }
                }
                None => v.add(
                    "kept",
                    t!(
                        "un 201 por un token nuevo, sin id: {}",
                        "a 201 for a new token without an id: {}",
                        p.body()
                    ),
                ),
            },
            _ => {}
        }
    }
    for (id, (nombre, precio)) in opening {
        let Some(token) = tokens.get(&id) else {
            v.add("kept", t!("el token {id} «{nombre}» ya no existe", "token {id} \"{nombre}\" is gone"));
            continue;
        };
        if token.nombre != nombre {
            v.add(
                "edit",
                t!(
                    "el token {id} se llama «{}»; se creó como «{nombre}»",
                    "token {id} is \"{}\"; it was made as \"{nombre}\"",
                    token.nombre
                ),
            );
        }
        let changes = precios.get(&id).map(Vec::as_slice).unwrap_or_default();
        let is = |p: &Request| matches!(p.op, Op::ChangePrecio { precio, .. } if precio == token.precio);
        if !explained(changes, is, token.precio == precio) {
            v.add(
                "edit",
                t!(
                    "el token {id} cuesta {}, que no es su último precio confirmado",
                    "token {id} costs {}, which is not its last acknowledged price",
                    credits(token.precio)
                ),
            );
        }
    }
    for opening in &h.usuarios {
        let Some(user) = f.usuarios.iter().find(|u| u.id == opening.id) else { continue };
        let changes = names.get(&user.id).map(Vec::as_slice).unwrap_or_default();
        let is = |p: &Request| matches!(&p.op, Op::Rename { nombre, .. } if *nombre == user.nombre);
        if !explained(changes, is, user.nombre == opening.nombre) {
            v.add(
                "edit",
                t!(
                    "el usuario {} se llama «{}», que no es el último nombre confirmado",
                    "user {} is \"{}\", not the last acknowledged name",
                    user.id,
                    user.nombre
                ),
            );
        }
    }
}

/// Whether a value is that of a change which may have been the last: none that was acknowledged began after its end. An
/// unanswered one may take effect at any time.
fn explained(changes: &[&Request], is: impl Fn(&Request) -> bool, opening: bool) -> bool {
    let newest = changes.iter().filter(|p| p.outcome() == Outcome::Done).map(|p| p.desde).max();
    match newest {
        None if opening => true,
        _ => changes.iter().filter(|p| is(p)).any(|p| match p.outcome() {
            Outcome::Refused => false,
            Outcome::Open => true,
            Outcome::Done => newest.is_none_or(|newest| p.hasta >= newest),
        }),
    }
}

fn audit(f: &Final, v: &mut Verdict) {
    let Some(a) = &f.auditoria else { return };
    if !a.correcto {
        v.add(
            "audit",
            t!(
                "el propio mercado dice que no cuadra: {}",
                "the market says itself that it is wrong: {}",
                a.differences()
            ),
        );
    }
    if a.pendientes > 0 {
        v.add("audit", t!("quedaron pendientes para siempre: {}", "left pending for ever: {}", a.pendientes));
    }
    if a.transacciones != f.transacciones.len() as u64 {
        let listed = f.transacciones.len();
        v.add(
            "audit",
            t!(
                "la auditoría cuenta {} transacciones; la lista tiene {listed}",
                "the audit counts {} transactions, the list has {listed}",
                a.transacciones
            ),
        );
    }
}

fn disk(f: &Final, v: &mut Verdict) {
    let Some(d) = &f.disco else { return };
    let bare = |t: &Transaccion| Transaccion { intento: None, ..t.clone() };
    same(
        &t!("transacciones", "transactions"),
        &f.transacciones,
        &d.transacciones.iter().map(bare).collect::<Vec<_>>(),
        v,
    );
    same(&t!("usuarios", "users"), &f.usuarios, &d.usuarios, v);
    same("tokens", &f.tokens, &d.tokens, v);
    if let Some(movimientos) = &f.movimientos {
        // the file has no signs and more kinds
        let bare = |m: &Movimiento| (m.id, m.usuario_id, m.monto.abs());
        let mut api: Vec<_> = movimientos.iter().map(bare).collect();
        let mut disk: Vec<_> = d.movimientos.iter().map(bare).collect();
        api.sort_unstable();
        disk.sort_unstable();
        if api != disk {
            let (n, m) = (api.len(), disk.len());
            v.add(
                "disk",
                t!(
                    "{n} movimientos por la API y {m} en disco, y no son los mismos",
                    "{n} movements over the API and {m} on disk, not the same"
                ),
            );
        }
    }
}

fn same<T: PartialEq + std::fmt::Display>(what: &str, api: &[T], disk: &[T], v: &mut Verdict) {
    if api.len() != disk.len() {
        v.add(
            "disk",
            t!(
                "{what}: {} por la API, {} en disco",
                "{what}: {} over the API, {} on disk",
                api.len(),
                disk.len()
            ),
        );
    }
    for (a, d) in api.iter().zip(disk).filter(|(a, d)| a != d).take(10) {
        v.add("disk", t!("{what}: {a} por la API, {d} en disco", "{what}: {a} over the API, {d} on disk"));
    }
}
