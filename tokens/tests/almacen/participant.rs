//! `tokens` as a participant: the law of [`market::participant::HoldStore`].

use crate::mundo::{abierto, id, libre, monto, pedido};
use chrono::{DateTime, Utc};
use http_kit::exit::StartError;
use market::contract::{PedidoReserva, Refusal};
use market::domain::{MAX_ENTERO, Monto, TokenId, UsuarioId};
use market::host::{HostOptions, Serving};
use serde_json::{Value, json};
use testkit::almacen::Almacen;
use testkit::participant::{Subject, THINGS};
use tokens::config::Config;
use tokens::store::Store;

/// User 7 reserves; the n-th token costs n credits.
struct Tokens;

impl Subject for Tokens {
    type Store = Store;

    fn seed(pending: &[(&str, u64, DateTime<Utc>)]) -> Vec<(&'static str, Value)> {
        let mut tokens: Vec<_> = (1..=THINGS).map(|n| libre(n, &format!("Token {n}"), n)).collect();
        for (intento, n, since) in pending {
            let token = tokens.iter_mut().find(|token| token["id"] == *n).unwrap();
            token["reserva"] = json!({"intento": intento, "usuarioId": 7, "desde": since});
        }
        vec![("tokens", tokens.into())]
    }

    fn request(n: u64) -> PedidoReserva {
        pedido(n, 7)
    }

    fn refused() -> (PedidoReserva, Refusal) {
        (pedido(MAX_ENTERO, 7), Refusal::TokenNoEncontrado)
    }

    fn facts(n: u64) -> (UsuarioId, Option<TokenId>, Monto) {
        (UsuarioId::new(7).unwrap(), Some(id(n)), monto(n))
    }

    fn open(almacen: &Almacen) -> Store {
        abierto(almacen)
    }

    fn serve(host: HostOptions) -> Result<Serving, StartError> {
        tokens::app::build(&Config { imagenes: None, redis_url: None, host })
    }
}

testkit::participant_suite!(super::Tokens);
