//! Purchases: `kept`, `replay`, `once`, `refusal`, `invented`.

use super::Veredicto;
use crate::history::{Fin, Final, Historia, Op, Peticion, Transaccion};
use std::collections::{BTreeMap, HashMap};

pub(super) fn check(h: &Historia, f: &Final, v: &mut Veredicto) {
    let compras: Vec<_> = h.peticiones.iter().filter(|p| matches!(p.op, Op::Comprar { .. })).collect();
    let by_id: HashMap<u64, &Transaccion> = f.transacciones.iter().map(|t| (t.id, t)).collect();
    kept(&compras, &by_id, v);
    ids(&compras, v);
    let mut by_key: BTreeMap<&str, Vec<&Peticion>> = BTreeMap::new();
    for p in &compras {
        if let Some(clave) = &p.clave {
            by_key.entry(clave).or_default().push(p);
        }
    }
    let bought = bought(&by_key, f, v);
    for (clave, requests) in &by_key {
        replays(clave, requests, v);
        refusal(clave, requests, bought.get(clave).copied(), h, v);
    }
    invented(&compras, &by_key, f, v);
}

fn pedido(p: &Peticion) -> (u64, u64, Option<u64>) {
    match p.op {
        Op::Comprar { usuario, token, precio } => (usuario, token, precio),
        _ => (0, 0, None),
    }
}

fn kept(compras: &[&Peticion], by_id: &HashMap<u64, &Transaccion>, v: &mut Veredicto) {
    for p in compras.iter().filter(|p| p.fin() == Fin::Hecho) {
        let (usuario, token, precio) = pedido(p);
        let said = (p.numero("usuarioId"), p.numero("tokenId"));
        if said != (Some(usuario), Some(token))
            || precio.is_some_and(|precio| p.numero("precio") != Some(precio))
        {
            v.add("once", format!("{} asked for {:?} and got {}", p.nombre(), p.op, p.cuerpo));
        }
        let Some(id) = p.numero("id") else {
            v.add("kept", format!("{} got a 201 without an id: {}", p.nombre(), p.cuerpo));
            continue;
        };
        match by_id.get(&id) {
            None => v.add("kept", format!("{} was told 201, transaction {id}: it is gone", p.nombre())),
            Some(t) => {
                let same = (Some(t.usuario_id), Some(t.token_id), Some(t.precio))
                    == (p.numero("usuarioId"), p.numero("tokenId"), p.numero("precio"))
                    && p.cuerpo.get("fecha").and_then(|f| f.as_str()) == Some(&t.fecha);
                if !same {
                    v.add("kept", format!("{} was told {}, and now it is {t:?}", p.nombre(), p.cuerpo));
                }
            }
        }
    }
}

/// No id for two purchases: of two keys, or of two requests without one.
fn ids(compras: &[&Peticion], v: &mut Veredicto) {
    let mut given: HashMap<u64, &Peticion> = HashMap::new();
    for p in compras.iter().filter(|p| p.fin() == Fin::Hecho) {
        let Some(id) = p.numero("id") else { continue };
        if let Some(other) = given.insert(id, p)
            && (other.clave.is_none() || other.clave != p.clave)
        {
            let (a, b) = (other.nombre(), p.nombre());
            v.add("replay", format!("{a} and {b} were both told that they are transaction {id}"));
        }
    }
}

/// What each of the clients' keys bought, by the store's word, or where it keeps no keys, by the answers'.
fn bought<'a>(
    by_key: &BTreeMap<&'a str, Vec<&Peticion>>,
    f: &Final,
    v: &mut Veredicto,
) -> HashMap<&'a str, u64> {
    let mut bought = HashMap::new();
    let Some(disco) = &f.disco else {
        for (clave, requests) in by_key {
            if let Some(id) = requests.iter().filter(|p| p.fin() == Fin::Hecho).find_map(|p| p.numero("id")) {
                bought.insert(*clave, id);
                continue;
            }
            // a store without keys: the transaction of this user and token is this key's where no other asked for it
            let Some((usuario, token, _)) = requests.first().map(|p| pedido(p)) else { continue };
            let alone = by_key.iter().all(|(other, of)| {
                other == clave
                    || of.first().is_none_or(|p| {
                        let (u, t, _) = pedido(p);
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
            v.add("once", format!("key {clave} bought twice: transactions {other} and {}", t.id));
        }
        let asked = requests.iter().any(|p| {
            let (usuario, token, precio) = pedido(p);
            (usuario, token) == (t.usuario_id, t.token_id) && precio.is_none_or(|p| p == t.precio)
        });
        if !asked {
            v.add("once", format!("key {clave} bought what was not asked for under it: {t:?}"));
        }
    }
    bought
}

fn replays(clave: &str, requests: &[&Peticion], v: &mut Veredicto) {
    let mut done = requests.iter().filter(|p| p.fin() == Fin::Hecho);
    let Some(first) = done.next() else { return };
    if let Some(other) = done.find(|p| p.cuerpo != first.cuerpo) {
        v.add("replay", format!("key {clave} was answered {} and then {}", first.cuerpo, other.cuerpo));
    }
    let told = requests.iter().filter(|p| p.fin() == Fin::Hecho).map(|p| p.hasta).min().unwrap_or(u64::MAX);
    if let Some(p) = requests.iter().find(|p| p.fin() == Fin::Rechazado && p.desde > told) {
        v.add(
            "replay",
            format!("key {clave} was told 201 ({}) and, asked again, {:?}", first.cuerpo, p.estado),
        );
    }
}

/// The last refusal that nothing was sent after binds every request that was over before it was asked for.
fn refusal(clave: &str, requests: &[&Peticion], bought: Option<u64>, h: &Historia, v: &mut Veredicto) {
    let Some(id) = bought else { return };
    let last = requests.iter().filter(|p| p.fin() == Fin::Rechazado).max_by_key(|p| p.hasta);
    let Some(no) = last.filter(|no| requests.iter().all(|p| p.desde <= no.hasta)) else { return };
    let told = requests.iter().any(|p| p.fin() == Fin::Hecho);
    // who bought? One of these, and none was sent after the refusal
    let others = || requests.iter().filter(|p| !std::ptr::eq(**p, *no) && p.fin() != Fin::Rechazado);
    let at_once = others().any(|p| p.hasta >= no.desde);
    let overtaken = others().any(|p| h.demorada(p.desde, no.hasta));
    if at_once || overtaken {
        v.rezagadas += 1;
    } else if !told {
        let codigo = no.cuerpo.get("codigo").and_then(|c| c.as_str()).unwrap_or("no code");
        let estado = no.estado.unwrap_or_default();
        v.add(
            "refusal",
            format!(
                "key {clave} was refused ({estado} {codigo}) at {} µs and not sent again, and it has bought: transaction {id}",
                no.hasta
            ),
        );
    }
}

/// A transaction under no client's key must be an unkeyed request's that was not refused.
fn invented(compras: &[&Peticion], by_key: &BTreeMap<&str, Vec<&Peticion>>, f: &Final, v: &mut Veredicto) {
    let keys_known = f.disco.is_some();
    let list = f.disco.as_ref().map_or(&f.transacciones, |d| &d.transacciones);
    let acknowledged: HashMap<u64, &Peticion> = compras
        .iter()
        .filter(|p| p.fin() == Fin::Hecho)
        .filter_map(|p| Some((p.numero("id")?, *p)))
        .collect();
    // unanswered requests by what they asked for; each explains one transaction
    let mut open: HashMap<(u64, u64), u64> = HashMap::new();
    for p in compras {
        if p.fin() == Fin::Abierto && (p.clave.is_none() || !keys_known) {
            let (usuario, token, _) = pedido(p);
            *open.entry((usuario, token)).or_default() += 1;
        }
    }
    for t in list {
        if t.clave().is_some_and(|c| by_key.contains_key(c)) || acknowledged.contains_key(&t.id) {
            continue;
        }
        match open.get_mut(&(t.usuario_id, t.token_id)) {
            Some(left) if *left > 0 => *left -= 1,
            _ => v.add("invented", format!("nobody who asked for it was left waiting: {t:?}")),
        }
    }
}
