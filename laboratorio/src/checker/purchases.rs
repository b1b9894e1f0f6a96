//! Purchases: `kept`, `replay`, `once`, `refusal`, `own`, `invented`.

use super::Verdict;
use crate::history::{History, Op, Outcome, Request};
use crate::shown::{Final, Transaccion};
use crate::t;
use crate::words::time;
use std::collections::{BTreeMap, HashMap, HashSet};

pub(super) fn check(h: &History, f: &Final, v: &mut Verdict) {
    let compras = compras(h);
    let by_id: HashMap<u64, &Transaccion> = f.transacciones.iter().map(|t| (t.id, t)).collect();
    kept(&compras, &by_id, v);
    let by_key = by_key(&compras);
    let bought = bought(&by_key, f, v);
    for (clave, requests) in &by_key {
        refusal(clave, requests, bought.get(clave).copied(), h, v);
    }
    own(&compras, &by_key, f, v);
    invented(&compras, &by_key, f, v);
}

pub(super) fn answers(h: &History, v: &mut Verdict) {
    let compras = compras(h);
    ids(&compras, v);
    for (clave, requests) in &by_key(&compras) {
        replays(clave, requests, v);
    }
}

fn compras(h: &History) -> Vec<&Request> {
    h.requests.iter().filter(|p| matches!(p.op, Op::Buy { .. })).collect()
}

fn by_key<'a>(compras: &[&'a Request]) -> BTreeMap<&'a str, Vec<&'a Request>> {
    let mut by_key: BTreeMap<&str, Vec<&Request>> = BTreeMap::new();
    for p in compras {
        if let Some(clave) = &p.clave {
            by_key.entry(clave).or_default().push(p);
        }
    }
    by_key
}

fn asked_for(p: &Request) -> (u64, u64, Option<u64>) {
    match p.op {
        Op::Buy { usuario, token, precio } => (usuario, token, precio),
        _ => (0, 0, None),
    }
}

fn kept(compras: &[&Request], by_id: &HashMap<u64, &Transaccion>, v: &mut Verdict) {
    for p in compras.iter().filter(|p| p.outcome() == Outcome::Done) {
        let (usuario, token, precio) = asked_for(p);
        let said = (p.number("usuarioId"), p.number("tokenId"));
        if said != (Some(usuario), Some(token))
            || precio.is_some_and(|precio| p.number("precio") != Some(precio))
        {
            v.add(
                "once",
                t!("{} pidió {} y obtuvo {}", "{} asked for {} and got {}", p.name(), p.op, p.body()),
            );
        }
        let Some(id) = p.number("id") else {
            v.add(
                "kept",
                t!("{} obtuvo un 201 sin id: {}", "{} got a 201 without an id: {}", p.name(), p.body()),
            );
            continue;
        };
        match by_id.get(&id) {
            None => v.add(
                "kept",
                t!(
                    "{} recibió 201, transacción {id}: ya no existe",
                    "{} was told 201, transaction {id}: it is gone",
                    p.name()
                ),
            ),
            Some(t) => {
                let same = (Some(t.usuario_id), Some(t.token_id), Some(t.precio))
                    == (p.number("usuarioId"), p.number("tokenId"), p.number("precio"))
                    && p.cuerpo.get("fecha").and_then(|f| f.as_str()) == Some(&t.fecha);
                if !same {
                    v.add(
                        "kept",
                        t!(
                            "a {} se le dijo {}, y ahora es: {t}",
                            "{} was told {}, and now it is: {t}",
                            p.name(),
                            p.body()
                        ),
                    );
                }
            }
        }
    }
}

/// No id for two purchases: of two keys, or of two requests without one.
fn ids(compras: &[&Request], v: &mut Verdict) {
    let mut given: HashMap<u64, &Request> = HashMap::new();
    for p in compras.iter().filter(|p| p.outcome() == Outcome::Done) {
        let Some(id) = p.number("id") else { continue };
        if let Some(other) = given.insert(id, p)
            && (other.clave.is_none() || other.clave != p.clave)
        {
            let (a, b) = (other.name(), p.name());
            v.add(
                "replay",
                t!(
                    "a {a} y a {b} se les dijo que son la transacción {id}",
                    "{a} and {b} were both told that they are transaction {id}"
                ),
            );
        }
    }
}

/// What each of the clients' keys bought, by the store's word, or where it keeps no keys, by the answers'.
fn bought<'a>(
    by_key: &BTreeMap<&'a str, Vec<&Request>>,
    f: &Final,
    v: &mut Verdict,
) -> HashMap<&'a str, u64> {
    let mut bought = HashMap::new();
    let Some(disco) = &f.disco else {
        for (clave, requests) in by_key {
            if let Some(id) =
                requests.iter().filter(|p| p.outcome() == Outcome::Done).find_map(|p| p.number("id"))
            {
                bought.insert(*clave, id);
                continue;
            }
            // a store without keys: the transaction of this user and token is this key's where no other asked for it
            let Some((usuario, token, _)) = requests.first().map(|p| asked_for(p)) else { continue };
            let alone = by_key.iter().all(|(other, of)| {
                other == clave
                    || of.first().is_none_or(|p| {
                        let (u, t, _) = asked_for(p);
                        (u, t) != (usuario, token)
                    })
            });
            let found = f.transacciones.iter().find(|t| (t.usuario_id, t.token_id) == (usuario, token));
            if let (true, Some(t)) = (alone, found) {
                bought.insert(*clave, t.id);
            }
        }
        return bought;
    };
    for t in &disco.transacciones {
        let Some((clave, requests)) = t.clave().and_then(|c| by_key.get_key_value(c)) else { continue };
        if let Some(other) = bought.insert(*clave, t.id) {
            v.add(
                "once",
                t!(
                    "la clave {clave} compró dos veces: transacciones {other} y {}",
                    "key {clave} bought twice: transactions {other} and {}",
                    t.id
                ),
            );
        }
        let asked = requests.iter().any(|p| {
            let (usuario, token, precio) = asked_for(p);
            (usuario, token) == (t.usuario_id, t.token_id) && precio.is_none_or(|p| p == t.precio)
        });
        if !asked {
            v.add(
                "once",
                t!(
                    "la clave {clave} compró lo que nadie pidió con ella: {t}",
                    "key {clave} bought what was not asked for under it: {t}"
                ),
            );
        }
    }
    bought
}

fn replays(clave: &str, requests: &[&Request], v: &mut Verdict) {
    let mut done = requests.iter().filter(|p| p.outcome() == Outcome::Done);
    let Some(first) = done.next() else { return };
    if let Some(other) = done.find(|p| p.cuerpo != first.cuerpo) {
        v.add(
            "replay",
            t!(
                "a la clave {clave} se le contestó {} y después {}",
                "key {clave} was answered {} and then {}",
                first.body(),
                other.body()
            ),
        );
    }
    let told =
        requests.iter().filter(|p| p.outcome() == Outcome::Done).map(|p| p.hasta).min().unwrap_or(u64::MAX);
    if let Some(p) = requests.iter().find(|p| p.outcome() == Outcome::Refused && p.desde > told) {
        v.add(
            "replay",
            t!(
                "a la clave {clave} se le contestó 201 ({}) y, al repetirla, {}",
                "key {clave} was told 201 ({}) and, asked again, {}",
                first.body(),
                p.status()
            ),
        );
    }
}

/// The last refusal that nothing was sent after binds every request that was over before it was asked for.
fn refusal(clave: &str, requests: &[&Request], bought: Option<u64>, h: &History, v: &mut Verdict) {
    let Some(id) = bought else { return };
    let last = requests.iter().filter(|p| p.outcome() == Outcome::Refused).max_by_key(|p| p.hasta);
    let Some(no) = last.filter(|no| requests.iter().all(|p| p.desde <= no.hasta)) else { return };
    let told = requests.iter().any(|p| p.outcome() == Outcome::Done);
    // who bought? One of these, and none was sent after the refusal
    let others = || requests.iter().filter(|p| !std::ptr::eq(**p, *no) && p.outcome() != Outcome::Refused);
    let at_once = others().any(|p| p.hasta >= no.desde);
    let overtaken = others().any(|p| h.delayed(p.desde, no.hasta));
    if at_once || overtaken {
        v.overtaken += 1;
    } else if !told {
        let code = no.cuerpo.get("codigo").and_then(|c| c.as_str()).unwrap_or("no code");
        let status = no.estado.unwrap_or_default();
        v.add(
            "refusal",
            t!(
                "la clave {clave} fue rechazada ({status} {code}) en {} y no se repitió, y sin embargo compró: transacción {id}",
                "key {clave} was refused ({status} {code}) at {} and not sent again, and it has bought: transaction {id}",
                time(no.hasta)
            ),
        );
    }
}

/// Where people log in, a transaction is one that its usuario has asked for, and a key is used for what its own person has asked.
fn own(compras: &[&Request], by_key: &BTreeMap<&str, Vec<&Request>>, f: &Final, v: &mut Verdict) {
    if compras.iter().all(|p| p.sujeto.is_none()) {
        return;
    }
    let disk = f.disco.iter().flat_map(|d| &d.transacciones);
    let recorded: HashMap<u64, &str> = disk.filter_map(|t| Some((t.id, t.clave()?))).collect();
    for (clave, requests) in by_key {
        let told = requests.iter().filter(|p| p.outcome() == Outcome::Done).filter_map(|p| p.number("id"));
        let strangers =
            told.filter_map(|id| recorded.get_key_value(&id)).filter(|(_, other)| *other != clave);
        for (id, other) in strangers {
            v.add(
                "own",
                t!(
                    "a la clave {clave} se le dijo la transacción {id}, que es de la clave {other}",
                    "key {clave} was told transaction {id}, which is key {other}'s"
                ),
            );
        }
        let used =
            |p: &&Request| p.cuerpo.get("codigo").and_then(|c| c.as_str()) == Some("clave-reutilizada");
        let one = requests.iter().all(|p| requests.first().is_some_and(|first| first.op == p.op));
        if one && requests.iter().any(used) {
            v.add(
                "own",
                t!(
                    "la clave {clave} fue rechazada por usada para otra cosa, y su dueño no la usó para otra",
                    "key {clave} was refused as used for something else, and its owner has not used it so"
                ),
            );
        }
    }
    let mut asked = HashSet::new();
    for p in compras {
        let Some(subject) = p.sujeto else { continue };
        let (usuario, token, _) = asked_for(p);
        if subject == usuario {
            asked.insert((usuario, token));
        } else if p.outcome() == Outcome::Done {
            v.add(
                "own",
                t!(
                    "{} compró para el usuario {usuario} con la sesión del {subject}",
                    "{} bought for user {usuario} with the session of {subject}",
                    p.name()
                ),
            );
        }
    }
    for t in f.transacciones.iter().filter(|t| !asked.contains(&(t.usuario_id, t.token_id))) {
        v.add("own", t!("el usuario no la pidió: {t}", "its user has not asked for it: {t}"));
    }
}

/// A transaction under no client's key must be an unkeyed request's that was not refused.
fn invented(compras: &[&Request], by_key: &BTreeMap<&str, Vec<&Request>>, f: &Final, v: &mut Verdict) {
    let keys_known = f.disco.is_some();
    let list = f.disco.as_ref().map_or(&f.transacciones, |d| &d.transacciones);
    let acknowledged: HashMap<u64, &Request> = compras
        .iter()
        .filter(|p| p.outcome() == Outcome::Done)
        .filter_map(|p| Some((p.number("id")?, *p)))
        .collect();
    // unanswered requests by what they asked for; each explains one transaction
    let mut open: HashMap<(u64, u64), u64> = HashMap::new();
    for p in compras {
        if p.outcome() == Outcome::Open && (p.clave.is_none() || !keys_known) {
            let (usuario, token, _) = asked_for(p);
            *open.entry((usuario, token)).or_default() += 1;
        }
    }
    for t in list {
        if t.clave().is_some_and(|c| by_key.contains_key(c)) || acknowledged.contains_key(&t.id) {
            continue;
        }
        match open.get_mut(&(t.usuario_id, t.token_id)) {
            Some(left) if *left > 0 => *left -= 1,
            _ => v.add(
                "invented",
                t!(
                    "nadie que la pidiera se quedó sin respuesta: {t}",
                    "nobody who asked for it was left waiting: {t}"
                ),
            ),
        }
    }
}
