//! `/tokens` (but for its list) and `/tokens/{id}`.

use crate::domain::{MAX_IMAGEN, MAX_NOMBRE, Token, es_imagen};
use crate::store::{Alta, Cambio, Store};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::body::JsonBody;
use http_kit::openapi::schema::{Id, Nombre};
use http_kit::openapi::{ConAlmacen, ConCuerpo, ConParametros};
use http_kit::problem::{Problem, Text};
use http_kit::reply::Representation;
use http_kit::text;
use http_kit::validate::{self, Parsed, Raw, line};
use market::fields::{monto, token_id};
use market::openapi::schema::Creditos;
use market::openapi::{SinToken, TokenOcupado};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A token
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenVisto {
    #[schema(value_type = Id)]
    id: u64,
    #[schema(value_type = Nombre)]
    nombre: Box<str>,
    #[schema(value_type = ImagenVista)]
    imagen: Box<str>,
    /// Credits
    #[schema(value_type = Creditos)]
    precio: u64,
    /// Whether somebody has bought it
    #[schema(example = false)]
    vendido: bool,
}

impl From<Token> for TokenVisto {
    fn from(t: Token) -> Self {
        let vendido = t.vendido();
        Self { id: t.id.get(), nombre: t.nombre, imagen: t.imagen, precio: t.precio.get(), vendido }
    }
}

/// The picture's file name
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what imagen reads")]
#[schema(
    as = Imagen,
    min_length = 1,
    max_length = 255,
    example = "gato.jpg",
    pattern = r"^[^/\x00-\x1f\x7f-\x9f]+$"
)]
pub struct ImagenVista(String);

/// A new token
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes what JsonBody reads")]
#[serde(deny_unknown_fields)]
pub struct TokenNuevo {
    #[schema(value_type = Nombre)]
    nombre: String,
    /// Credits
    #[schema(value_type = Creditos)]
    precio: u64,
    /// The picture's file name; `<id>.svg` if it is left out
    #[schema(value_type = ImagenVista, required = false)]
    imagen: String,
}

/// What to change; at least one of these
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes what JsonBody reads")]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub struct TokenCambio {
    #[schema(value_type = Nombre, required = false)]
    nombre: String,
    /// Credits
    #[schema(value_type = Creditos, required = false)]
    precio: u64,
    #[schema(value_type = ImagenVista, required = false)]
    imagen: String,
}

fn imagen(raw: &Raw) -> Parsed<String> {
    match raw {
        Raw::Json(Value::String(s)) if es_imagen(s) => Ok(s.clone()),
        _ => Err(text!(
            "debe ser un nombre de archivo de 1 a {MAX_IMAGEN} caracteres, sin / ni caracteres de control",
            "must be a file name of 1 to {MAX_IMAGEN} characters, without / and control characters"
        )),
    }
}

/// Read a token
#[utoipa::path(get, path = "/tokens/{id}", tag = "tokens",
    params(("id" = Id, Path)),
    responses((status = 200, description = "The token", body = TokenVisto), SinToken, ConParametros, ConAlmacen))]
pub async fn ver(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let id = validate::path(&req, "id", token_id)?;
    let token = TokenVisto::from(store.token(id).await?);
    Ok(Representation::json(&token)?.respond(&req))
}

/// Create a token
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = TokenNuevo,
    responses((status = 201, description = "Created; `Location` leads to it", body = TokenVisto), ConCuerpo, ConAlmacen))]
pub async fn crear(req: HttpRequest, body: JsonBody, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let JsonBody(mut f) = body;
    let read = (
        f.required("nombre", line(1..=MAX_NOMBRE)),
        f.required("precio", monto),
        f.optional("imagen", imagen),
    );
    let (nombre, precio, imagen) = f.finish(read)?;
    let token = TokenVisto::from(store.crear(Alta { nombre, precio, imagen }).await?);
    let location = HeaderValue::try_from(format!("/tokens/{}", token.id)).map_err(Problem::internal)?;
    Ok(Representation::json(&token)?.header(header::LOCATION, location).respond_as(&req, StatusCode::CREATED))
}

/// Change a token that is neither reserved nor sold
#[utoipa::path(patch, path = "/tokens/{id}", tag = "tokens", request_body = TokenCambio,
    params(("id" = Id, Path)),
    responses((status = 200, description = "The token as it is now", body = TokenVisto), SinToken, TokenOcupado, ConCuerpo, ConAlmacen))]
pub async fn cambiar(req: HttpRequest, body: JsonBody, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let JsonBody(mut f) = body;
    let read = (
        f.path(&req, "id", token_id),
        f.optional("nombre", line(1..=MAX_NOMBRE)),
        f.optional("precio", monto),
        f.optional("imagen", imagen),
    );
    if let (_, Some(None), Some(None), Some(None)) = &read {
        f.wrong(
            "",
            Text::new(
                "el cuerpo debe tener nombre, precio o imagen",
                "the body must have nombre, precio or imagen",
            ),
        );
    }
    let (id, nombre, precio, imagen) = f.finish(read)?;
    let token = TokenVisto::from(store.cambiar(id, Cambio { nombre, precio, imagen }).await?);
    Ok(Representation::json(&token)?.respond(&req))
}

/// Delete a token that is neither reserved nor sold
///
/// Its id is never given again.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens",
    params(("id" = Id, Path)),
    responses((status = 204, description = "Deleted"), SinToken, TokenOcupado, ConParametros, ConAlmacen))]
pub async fn borrar(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    store.borrar(validate::path(&req, "id", token_id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}
