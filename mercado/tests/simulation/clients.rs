//! Who buys, adds money and edits the catalogue.

use crate::account::Seen;
use crate::chance::Rng;
use crate::history::{Deposit, Told};
use crate::process::{Does, Slot};
use crate::serving::{Call, Reply};
use crate::world::{Endpoint, Service, World};
use market::domain::{Clave, Monto, TokenId, UsuarioId};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use transacciones::domain::Compra;

/// Buys until the time is over.
pub async fn customer(world: Arc<World>, name: u64) {
    let mut number = 0;
    while busy(&world) {
        sleep(world.rng(|rng| rng.millis(1, 600))).await;
        number += 1;
        buy(&world, &format!("c{name}-{number}")).await;
    }
}

fn busy(world: &World) -> bool {
    world.elapsed() < Duration::from_millis(world.settings.activity)
}

fn token(world: &World, rng: &mut Rng) -> TokenId {
    // sometimes one that is not there, or was made meanwhile
    TokenId::new(rng.between(1, world.settings.tokens + 1)).unwrap()
}

fn usuario(world: &World, rng: &mut Rng) -> UsuarioId {
    let some = rng.between(1, world.settings.users);
    UsuarioId::new(if rng.happens(10) { 99 } else { some }).unwrap()
}

/// One purchase, sent until there is an answer for good or its customer has had enough.
async fn buy(world: &Arc<World>, clave: &str) {
    let mut compra = world.rng(|rng| Compra {
        clave: clave.parse().unwrap(),
        clave_from_client: rng.happens(850),
        usuario_id: usuario(world, rng),
        token_id: token(world, rng),
        precio: rng.happens(100).then(|| Monto::new(rng.between(5, 60)).unwrap()),
        session: None,
    });
    if world.rng(|rng| rng.happens(600)) {
        let free = world.slots_of(Service::Tokens).find_map(Slot::life).map(|life| life.free());
        if let Some(free) = free.filter(|free| !free.is_empty()) {
            compra.token_id = world.rng(|rng| rng.pick(&free)).0;
        }
    }
    if world.rng(|rng| rng.happens(100))
        && let Some(precio) = price(world, compra.token_id)
    {
        compra.precio = Some(precio);
    }
    for round in 0.. {
        if round > 0 && compra.precio.is_some() && world.rng(|rng| rng.happens(500)) {
            compra.precio = price(world, compra.token_id);
        }
        if world.rng(|rng| rng.happens(150)) {
            // a double click
            let (twin, world) = (compra.clone(), Arc::clone(world));
            let task = {
                let world = Arc::clone(&world);
                async move { drop(ask(&world, twin).await) }
            };
            world.spawn(task);
        }
        let answer = ask(world, compra.clone()).await;
        let enough = match answer {
            Some(answer) if answer.is_final() => world.rng(|rng| rng.happens(850)),
            _ => world.rng(|rng| rng.happens(150)),
        };
        // without a key there is nothing to repeat
        if enough || !compra.clave_from_client || !busy(world) {
            return;
        }
        if world.rng(|rng| rng.happens(40)) {
            // somebody else's request under the same key
            let other = world.rng(|rng| Compra {
                usuario_id: usuario(world, rng),
                token_id: token(world, rng),
                ..compra.clone()
            });
            ask(world, other).await;
        }
        sleep(world.rng(|rng| rng.millis(1, 400))).await;
    }
}

/// What the catalogue says, as far as a replica can be read.
fn price(world: &World, id: TokenId) -> Option<Monto> {
    let life = world.slots_of(Service::Tokens).find_map(Slot::life)?;
    life.price(id)
}

/// One request, as long as its client waits.
pub async fn ask(world: &Arc<World>, compra: Compra) -> Option<Told> {
    let sending = world.history.lock().unwrap().send(compra);
    let patience = world.rng(|rng| match rng.below(4) {
        0 => rng.millis(5, 60),
        1 => rng.millis(60, 700),
        _ => rng.millis(700, 9000),
    });
    let patience = if world.calm() { Duration::from_secs(60) } else { patience };
    match timeout(patience, world.send(Endpoint::Client, Service::Transacciones, Call::Buy(sending))).await {
        Ok(Ok(Reply::Purchase(answer))) => Some(answer),
        _ => None,
    }
}

/// Adds money, and asks again under the same key until it knows.
pub async fn benefactor(world: Arc<World>) {
    let mut number = 0;
    while busy(&world) {
        sleep(world.rng(|rng| rng.millis(1, 2 * world.settings.abono))).await;
        number += 1;
        let clave: Clave = format!("abono-{number}").parse().unwrap();
        let (usuario, monto) = world
            .rng(|rng| (UsuarioId::new(rng.between(1, world.settings.users)).unwrap(), rng.between(1, 50)));
        let monto = Monto::new(monto).unwrap();
        let deposit = Deposit { usuario, monto, acknowledged: false };
        world.history.lock().unwrap().deposits.insert(clave.to_string(), deposit);
        for _ in 0..world.rng(|rng| rng.between(1, 6)) {
            let call = Call::Deposit(usuario, monto, clave.clone());
            let answer =
                timeout(Duration::from_secs(1), world.send(Endpoint::Client, Service::Usuarios, call));
            if let Ok(Ok(Reply::Yes(serde_json::Value::Null))) = answer.await {
                world.count(Seen::Abono);
                if let Some(deposit) = world.history.lock().unwrap().deposits.get_mut(clave.as_str()) {
                    deposit.acknowledged = true;
                }
                if world.rng(|rng| rng.happens(800)) {
                    break;
                }
            }
        }
    }
}

/// Asks for the product's audit again and again: under way or after a crash, it accuses nobody.
pub async fn auditor(world: Arc<World>) {
    while busy(&world) {
        sleep(world.rng(|rng| rng.millis(1, 2500))).await;
        let lives: Vec<_> = world.slots_of(Service::Transacciones).filter_map(Slot::life).collect();
        let Some(life) = lives.get(usize::try_from(world.rng(|rng| rng.below(2))).unwrap()) else { continue };
        let Does::Transacciones(service, ..) = &life.does else { continue };
        if let Some(Ok(verdict)) = life.vital.lives_through(service.audit()).await
            && world.is_alive(&life.vital)
        {
            world.count(Seen::Audited);
            if !verdict.is_correct() && world.bug.is_none() {
                world.violation(format!("an audit under way accuses: {verdict:?}"));
            }
        }
    }
}

/// Changes prices, makes tokens, and deletes some.
pub async fn editor(world: Arc<World>) {
    while busy(&world) {
        sleep(world.rng(|rng| rng.millis(1, 2 * world.settings.edit))).await;
        let (id, precio, what) =
            world.rng(|rng| (token(&world, rng), Monto::new(rng.between(5, 60)).unwrap(), rng.below(10)));
        let call = match what {
            0 => Call::Delete(id),
            1..=3 => Call::Create(precio),
            _ => Call::Reprice(id, precio),
        };
        world.history.lock().unwrap().prices.insert(precio.get());
        let deletes = matches!(call, Call::Delete(_));
        let answer =
            timeout(Duration::from_secs(1), world.send(Endpoint::Client, Service::Tokens, call)).await;
        if let Ok(Ok(Reply::Yes(serde_json::Value::Null))) = answer {
            world.count(Seen::TokenEdited);
            if deletes {
                world.history.lock().unwrap().deleted.insert(id.get());
            }
        }
    }
}
