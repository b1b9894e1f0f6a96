//! `usuarios` as a participant: the law of [`market::participant::HoldStore`].

use crate::law::{id, monto, request};
use chrono::{DateTime, Utc};
use http_kit::exit::StartError;
use market::contract::{CargoRequest, Refusal};
use market::domain::{MAX_INTEGER, Monto, TokenId, UsuarioId};
use market::host::{HostOptions, Serving};
use serde_json::{Value, json};
use testkit::data::TestData;
use testkit::participant::Subject;
use usuarios::accounts::options::LoginOptions;
use usuarios::config::Config;
use usuarios::store::Store;

const SALDO: u64 = 1_000_000;

/// Ana (1), who can pay for all of the debits: the n-th is of n credits.
struct Usuarios;

impl Subject for Usuarios {
    type Store = Store;

    fn seed(pending: &[(&str, u64, DateTime<Utc>)]) -> Vec<(&'static str, Value)> {
        let held: u64 = pending.iter().map(|(_, n, _)| n).sum();
        let ana = json!([{"id": 1, "nombre": "Ana", "saldo": SALDO - held}]);
        let opening = json!({
            "id": 1, "usuarioId": 1, "monto": SALDO, "fecha": "2025-09-10T17:00:00Z", "tipo": "apertura"
        });
        let cargos = pending.iter().zip(2..).map(|((intento, n, since), id)| {
            json!({
                "id": id, "usuarioId": 1, "monto": n, "fecha": since, "tipo": "cargo", "intento": intento,
                "confirmado": false
            })
        });
        let movimientos: Vec<_> = std::iter::once(opening).chain(cargos).collect();
        vec![("usuarios", ana), ("movimientos", movimientos.into())]
    }

    fn request(n: u64) -> CargoRequest {
        request(1, n)
    }

    fn refused() -> (CargoRequest, Refusal) {
        (request(1, MAX_INTEGER), Refusal::SaldoTooLow)
    }

    fn facts(n: u64) -> (UsuarioId, Option<TokenId>, Monto) {
        (id(1), None, monto(n))
    }

    fn open(data: &TestData) -> Store {
        Store::new(data.open())
    }

    fn serve(host: HostOptions) -> Result<Serving, StartError> {
        let logins = LoginOptions { logins_at_once: 1, signing_seed: None, first_account: None };
        usuarios::app::build(&Config { command: None, logins, host })
    }
}

testkit::participant_suite!(super::Usuarios);
