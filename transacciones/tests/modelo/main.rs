//! The purchase, checked in every state of a small market.
mod errores;
mod leyes;
mod mundo;
mod participantes;
mod soup;

use mundo::{Mundo, Network, Pedido};
use stateright::{Checker, HasDiscoveries, Model};
use std::time::Instant;

/// One token and one user: a clave that is retried at two replicas, and a competitor; money for one purchase, and for
/// another once it is added.
fn one_token(requests: [u8; 2]) -> Mundo {
    Mundo {
        pedidos: vec![Pedido::new(0, 0, 0), Pedido::new(1, 0, 0)],
        slots: vec![(0, 0), (0, 1), (1, 0)],
        requests: requests.to_vec(),
        tokens: 1,
        saldos: vec![mundo::PRECIO / 2],
        abonos: 1,
        network: Network::Wild,
        bug: None,
        law: true,
    }
}

fn explore(name: &str, mundo: Mundo) {
    let start = Instant::now();
    let checker = mundo.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "{name}: {} states, {} transitions, depth {}, {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        start.elapsed().as_secs_f64()
    );
    for (property, path) in checker.discoveries() {
        let actions = path.into_actions();
        println!("{property}: {} steps\n{actions:#?}", actions.len());
    }
    checker.assert_properties();
}

#[test]
fn tmp() {
    let n = |i: usize| {
        std::env::args()
            .nth(0)
            .map(|_| std::env::var(format!("N{i}")).unwrap().parse::<u8>().unwrap())
            .unwrap()
    };
    explore("one", one_token([n(0), n(1)]));
}
