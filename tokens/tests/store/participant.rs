//! `tokens` as a participant: the law of [`market::participant::HoldStore`].

use crate::world::{free, id, monto, open, request};
use chrono::{DateTime, Utc};
use http_kit::exit::StartError;
use market::contract::{Refusal, ReservaRequest};
use market::domain::{MAX_INTEGER, Monto, TokenId, UsuarioId};
use market::host::{HostOptions, Serving};
use serde_json::{Value, json};
use testkit::data::TestData;
use testkit::participant::{Subject, THINGS};
use tokens::config::Config;
use tokens::store::Store;

/// User 7 reserves; the n-th token costs n credits.
struct Tokens;

impl Subject for Tokens {
    type Store = Store;

    fn seed(pending: &[(&str, u64, DateTime<Utc>)]) -> Vec<(&'static str, Value)> {
        let mut tokens: Vec<_> = (1..=THINGS).map(|n| free(n, &format!("Token {n}"), n)).collect();
        for (intento, n, since) in pending {
            let token = tokens.iter_mut().find(|token| token["id"] == *n).unwrap();
            token["reserva"] = json!({"intento": intento, "usuarioId": 7, "desde": since});
        }
        vec![("tokens", tokens.into())]
    }

    fn request(n: u64) -> ReservaRequest {
        request(n, 7)
    }

    fn refused() -> (ReservaRequest, Refusal) {
        (request(MAX_INTEGER, 7), Refusal::TokenNotFound)
    }

    fn facts(n: u64) -> (UsuarioId, Option<TokenId>, Monto) {
        (UsuarioId::new(7).unwrap(), Some(id(n)), monto(n))
    }

    fn open(data: &TestData) -> Store {
        open(data)
    }

    fn serve(host: HostOptions) -> Result<Serving, StartError> {
        tokens::app::build(&Config {
            usuarios_url: "http://127.0.0.1:1".parse().unwrap(),
            pictures: None,
            redis_url: None,
            searches_at_once: tokens::store::AT_ONCE,
            host,
        })
    }
}

testkit::participant_suite!(super::Tokens);
