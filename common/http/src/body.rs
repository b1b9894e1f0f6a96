//! JSON request bodies: at most 8 KiB, `application/json`, one object, and they come in time.

use crate::connection::Connection;
use crate::problem::{FieldError, General, Problem, Text};
use crate::text;
use crate::validate::{Fields, Raw, whole};
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// The most bytes of a body.
pub const MAX_BODY: usize = 8 * 1024;

/// The members of the JSON object that came as the body, still to be read with [`Fields`].
pub struct JsonBody(pub Fields);

impl FromRequest for JsonBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move { members(&req, payload).await.map(Self) })
    }
}

/// Reads the members of the JSON object that is a request's body. Such a request has no field in its query.
///
/// # Errors
/// 400, 408, 413, 415 or 422 of a body that is none.
pub async fn members(req: &HttpRequest, mut payload: Payload) -> Result<Fields, Problem> {
    let body = read(req, &mut payload).await;
    check_type(req)?;
    let mut fields = parse(&body?)?;
    fields.refuse_query(req);
    Ok(fields)
}

fn check_type(req: &HttpRequest) -> Result<(), Problem> {
    let value = req.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(
        General::UnsupportedType,
        Text::new("Envíe Content-Type: application/json.", "Send Content-Type: application/json."),
    ))
}

async fn read(req: &HttpRequest, payload: &mut Payload) -> Result<Vec<u8>, Problem> {
    let length = req.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    let Some(connection) = req.conn_data::<Arc<Connection>>() else { return collect(payload).await };
    let body = tokio::time::timeout(connection.client_time(), collect(payload)).await.map_err(|_| {
        let seconds = connection.client_time().as_secs();
        Problem::new(
            General::RequestTimeout,
            text!("El cuerpo no llegó en {seconds} s.", "The body did not come within {seconds} s."),
        )
    })??;
    connection.body_ends();
    Ok(body)
}

async fn collect(payload: &mut Payload) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|e| malformed(&e))?;
        if body.len() + chunk.len() > MAX_BODY {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn too_large() -> Problem {
    Problem::new(
        General::BodyTooLarge,
        text!("El máximo es de {MAX_BODY} bytes.", "The limit is {MAX_BODY} bytes."),
    )
}

fn parse(body: &[u8]) -> Result<Fields, Problem> {
    match serde_json::from_slice(body) {
        Ok(Members::Object(members)) => Ok(fields(members, body)),
        Ok(Members::Other) => {
            let detalle = Text::new("el cuerpo debe ser un objeto JSON", "the body must be a JSON object");
            Err(Problem::invalid(vec![FieldError { campo: String::new(), detalle }]))
        }
        Err(e) => Err(malformed(&e)),
    }
}

/// The members as fields. A number that is whole by its text is one, also where it is written as a fraction.
fn fields(members: Vec<(String, Value)>, body: &[u8]) -> Fields {
    // few bodies have such a number, so the others are read once
    let texts: HashMap<Cow<str>, &RawValue> = if members.iter().any(|(_, value)| value.is_f64()) {
        serde_json::from_slice(body).unwrap_or_default()
    } else {
        HashMap::new()
    };
    let mut fields = Fields::default();
    for (name, value) in members {
        let text = texts.get(name.as_str()).filter(|_| value.is_f64());
        let value = match text.and_then(|text| whole(text.get())) {
            Some(n) => n.into(),
            None => value,
        };
        fields.add(name, Raw::Json(value));
    }
    fields
}

/// A JSON value, of which only the members of an object matter. serde_json's own map would let the last of two equal
/// members win without a word: the buyer of `{"buyer":1,"buyer":2}` would be anybody's guess.
enum Members {
    Object(Vec<(String, Value)>),
    Other,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Members, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Members::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Members, E> {
        Ok(Members::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Members, E> {
        Ok(Members::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Members, E> {
        Ok(Members::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Members, E> {
        Ok(Members::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Members, E> {
        Ok(Members::Other)
    }

    fn visit_unit<E>(self) -> Result<Members, E> {
        Ok(Members::Other)
    }
}

fn malformed(e: &dyn std::fmt::Display) -> Problem {
    Problem::new(General::InvalidJson, text!("No se puede leer: {e}.", "It cannot be read: {e}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::{MAX_INTEGER, integer};

    #[test]
    fn a_member_that_comes_twice_is_an_error_that_names_it() {
        let mut f = parse(br#"{"amount":1,"amount":2}"#).unwrap();
        let amount = f.required("amount", integer(0..=9));
        let problem = f.finish((amount,)).unwrap_err();
        assert_eq!(problem.errores.len(), 1);
        assert_eq!(
            (problem.errores[0].campo.as_str(), &*problem.errores[0].detalle.en),
            ("amount", "comes twice")
        );
    }

    #[test]
    fn a_fraction_is_no_whole_number_however_little_is_missing() {
        let read = |number: &str| {
            let mut f = parse(format!(r#"{{"a":"x","am\u006funt":{number}}}"#).as_bytes()).unwrap();
            f.required("amount", integer(0..=MAX_INTEGER))
        };
        for (written, n) in
            [("7.0", 7), ("1e2", 100), ("100e-2", 1), ("-0", 0), ("9007199254740991.0", MAX_INTEGER)]
        {
            assert_eq!(read(written), Some(n), "{written}");
        }
        for wrong in [
            "4503599627370497.5",
            "0.99999999999999999999",
            "1.9999999999999999",
            "1e-400",
            "9007199254740991.1",
            "9007199254740992.0",
            "-1",
            "\"7.0\"",
            "[7.0]",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(parse(br#"{"amount":1e400}"#).unwrap_err().codigo, General::InvalidJson);
    }

    #[test]
    fn only_an_object_will_do() {
        for other in ["[]", "[1,{}]", "\"a\"", "1", "-1", "1.5", "true", "null"] {
            assert_eq!(parse(other.as_bytes()).unwrap_err().codigo, General::InvalidData, "{other}");
        }
        for no_json in ["", "{", "{\"a\":}", "[1", "{}x"] {
            assert_eq!(parse(no_json.as_bytes()).unwrap_err().codigo, General::InvalidJson, "{no_json}");
        }
    }
}
