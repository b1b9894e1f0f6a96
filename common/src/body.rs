//! JSON request bodies: at most 64 KiB, `application/json`, one object.

use crate::problem::{Codigo, Problem, Text};
use crate::text;
use crate::validate::Fields;
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;

/// The most bytes of a body.
pub const MAX_BODY: usize = 64 * 1024;

/// The members of the JSON object that came as the body, still to be read with [`Fields`].
pub struct JsonBody(pub Fields);

impl FromRequest for JsonBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind = check_type(req);
        let mut payload = payload.take();
        Box::pin(async move {
            let body = read(&mut payload).await;
            kind?;
            parse(&body?).map(Self)
        })
    }
}

fn check_type(req: &HttpRequest) -> Result<(), Problem> {
    let value = req.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(
        Codigo::TipoNoSoportado,
        Text::new("Envíe Content-Type: application/json.", "Send Content-Type: application/json."),
    ))
}

async fn read(payload: &mut Payload) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| malformed(&e))?;
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Problem::new(
                Codigo::CuerpoDemasiadoGrande,
                text!("El máximo es de {MAX_BODY} bytes.", "The limit is {MAX_BODY} bytes."),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn parse(body: &[u8]) -> Result<Fields, Problem> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(Fields::body(object)),
        Ok(_) => {
            let mut none = Fields::body(serde_json::Map::new());
            none.wrong("", Text::new("el cuerpo debe ser un objeto JSON", "the body must be a JSON object"));
            none.finish((Some(()),)).map(|_| Fields::body(serde_json::Map::new()))
        }
        Err(e) => Err(malformed(&e)),
    }
}

fn malformed(e: &dyn std::fmt::Display) -> Problem {
    Problem::new(Codigo::JsonInvalido, text!("No se puede leer: {e}.", "It cannot be read: {e}."))
}
