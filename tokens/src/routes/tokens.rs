//! `/tokens` (but for its list) and `/tokens/{id}`.

use crate::domain::{Availability, MAX_NAME, MAX_PICTURE_NAME, Token, is_name, is_picture_name};
use crate::store::{NewToken, Store, TokenChange};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::body::JsonBody;
use http_kit::openapi::schema::{Id, Name};
use http_kit::openapi::{WithBody, WithParameters, WithStore};
use http_kit::problem::{Problem, Text};
use http_kit::reply::Representation;
use http_kit::text;
use http_kit::validate::{self, Parsed, Raw, line};
use market::domain::{Monto, TokenId};
use market::fields::{monto, token_id};
use market::openapi::schema::Credits;
use market::openapi::{NoToken, TokenTaken};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A token
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Token)]
pub struct TokenView {
    #[schema(value_type = Id)]
    id: u64,
    #[schema(value_type = Name)]
    nombre: Box<str>,
    #[schema(value_type = PictureNameView)]
    imagen: Box<str>,
    /// Credits
    #[schema(value_type = Credits)]
    precio: u64,
    /// Whether somebody has bought it
    #[schema(example = false)]
    vendido: bool,
}

impl From<Token> for TokenView {
    fn from(t: Token) -> Self {
        let vendido = t.is_sold();
        Self { id: t.id.get(), nombre: t.nombre, imagen: t.imagen, precio: t.precio.get(), vendido }
    }
}

impl TokenView {
    /// The token that it shows, as far as it shows it, where there can be such a token.
    pub fn token(&self) -> Option<Token> {
        let legal = is_name(&self.nombre) && is_picture_name(&self.imagen);
        let estado = if self.vendido { Availability::Sold(None) } else { Availability::Free };
        let (nombre, imagen) = (self.nombre.clone(), self.imagen.clone());
        let (id, precio) = (TokenId::new(self.id)?, Monto::new(self.precio)?);
        legal.then_some(Token { id, nombre, imagen, precio, estado })
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
pub struct PictureNameView(String);

/// A new token
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes what JsonBody reads")]
#[serde(deny_unknown_fields)]
#[schema(as = TokenNuevo)]
pub struct NewTokenBody {
    #[schema(value_type = Name)]
    nombre: String,
    /// Credits
    #[schema(value_type = Credits)]
    precio: u64,
    /// The picture's file name; `<id>.svg` if it is left out
    #[schema(value_type = PictureNameView, required = false)]
    imagen: String,
}

/// What to change; at least one of these
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes what JsonBody reads")]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
#[schema(as = TokenCambio)]
pub struct TokenPatch {
    #[schema(value_type = Name, required = false)]
    nombre: String,
    /// Credits
    #[schema(value_type = Credits, required = false)]
    precio: u64,
    #[schema(value_type = PictureNameView, required = false)]
    imagen: String,
}

fn imagen(raw: &Raw) -> Parsed<String> {
    match raw {
        Raw::Json(Value::String(s)) if is_picture_name(s) => Ok(s.clone()),
        _ => Err(text!(
            "debe ser un nombre de archivo de 1 a {MAX_PICTURE_NAME} caracteres, sin / ni caracteres de control",
            "must be a file name of 1 to {MAX_PICTURE_NAME} characters, without / and control characters"
        )),
    }
}

/// Read a token
#[utoipa::path(get, operation_id = "ver", path = "/tokens/{id}", tag = "tokens",
    params(("id" = Id, Path)),
    responses((status = 200, description = "The token", body = TokenView), NoToken, WithParameters, WithStore))]
pub async fn show(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let id = validate::path(&req, "id", token_id)?;
    let token = TokenView::from(store.token(id).await?);
    Ok(Representation::json(&token)?.respond(&req))
}

/// Create a token
#[utoipa::path(post, operation_id = "crear", path = "/tokens", tag = "tokens", request_body = NewTokenBody,
    responses((status = 201, description = "Created; `Location` leads to it", body = TokenView), WithBody, WithStore))]
pub async fn create(req: HttpRequest, body: JsonBody, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let JsonBody(mut f) = body;
    let read =
        (f.required("nombre", line(1..=MAX_NAME)), f.required("precio", monto), f.optional("imagen", imagen));
    let (nombre, precio, imagen) = f.finish(read)?;
    let token = TokenView::from(store.create(NewToken { nombre, precio, imagen }).await?);
    let location = HeaderValue::try_from(format!("/tokens/{}", token.id)).map_err(Problem::internal)?;
    Ok(Representation::json(&token)?.header(header::LOCATION, location).respond_as(&req, StatusCode::CREATED))
}

/// Change a token that is neither reserved nor sold
#[utoipa::path(patch, operation_id = "cambiar", path = "/tokens/{id}", tag = "tokens", request_body = TokenPatch,
    params(("id" = Id, Path)),
    responses((status = 200, description = "The token as it is now", body = TokenView), NoToken, TokenTaken, WithBody, WithStore))]
pub async fn change(req: HttpRequest, body: JsonBody, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let JsonBody(mut f) = body;
    let read = (
        f.path(&req, "id", token_id),
        f.optional("nombre", line(1..=MAX_NAME)),
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
    let token = TokenView::from(store.change(id, TokenChange { nombre, precio, imagen }).await?);
    Ok(Representation::json(&token)?.respond(&req))
}

/// Delete a token that is neither reserved nor sold
///
/// Its id is never given again.
#[utoipa::path(delete, operation_id = "borrar", path = "/tokens/{id}", tag = "tokens",
    params(("id" = Id, Path)),
    responses((status = 204, description = "Deleted"), NoToken, TokenTaken, WithParameters, WithStore))]
pub async fn delete(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    store.delete(validate::path(&req, "id", token_id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}
