//! The health check of a container; what it says of a process that is not well is tested in `usuarios`.

use crate::helpers::{Process, run};
use http_kit::salud;

#[tokio::test]
async fn it_finds_the_market_by_its_port() {
    let market = Process::start().await;
    let port = market.address.port().to_string();
    let (code, said, errors) = run(market.dir.path(), &["salud", "--port", &port]);
    assert_eq!((code, errors.as_str()), (0, ""), "{said}");
    assert!(said.contains(&market.address.to_string()), "{said}");
}

#[test]
fn every_binary_has_it_with_the_port_that_it_serves_on() {
    for (command, port) in [
        (salud::command::<usuarios::config::Config>(), "8000"),
        (salud::command::<tokens::config::Config>(), "8000"),
        (salud::command::<transacciones::config::Config>(), "8000"),
        (salud::command::<mercado::config::Config>(), "8080"),
    ] {
        let mut options: Vec<_> = command.get_arguments().map(|a| a.get_id().as_str()).collect();
        options.sort_unstable();
        assert_eq!(options, ["host", "port"]);
        let of_port = command.get_arguments().find(|a| a.get_id() == "port").unwrap();
        assert_eq!(of_port.get_default_values(), [port]);
    }
}
