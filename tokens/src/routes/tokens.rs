//! `/tokens` (but for its list) and `/tokens/{id}`.

use crate::domain::{Availability, MAX_PICTURE_NAME, Token, is_name, is_picture_name};
use crate::store::{NewToken, Store, TokenChange};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::name::Name;
use http_kit::openapi::{WithBody, WithParameters, WithStore};
use http_kit::problem::Problem;
use http_kit::reply::Representation;
use http_kit::request::Field;
use http_kit::validate::{Parsed, Raw};
use http_kit::{request, text};
use market::domain::{Monto, TokenId};
use market::openapi::schema::{self, Credits};
use market::openapi::{NoToken, TokenTaken};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A token
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    #[schema(value_type = schema::TokenId)]
    id: u64,
    #[schema(value_type = Name)]
    nombre: Box<str>,
    #[schema(value_type = PictureName)]
    imagen: Box<str>,
    /// Credits
    #[schema(value_type = Credits)]
    precio: u64,
    /// Whether somebody has bought it
    #[schema(example = false)]
    vendido: bool,
}

/// A token as pods share it: with the members that this version writes, and no other. Clients are told of no such rule, since
/// later versions may add members.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedToken {
    id: u64,
    nombre: Box<str>,
    imagen: Box<str>,
    precio: u64,
    vendido: bool,
}

impl From<SharedToken> for TokenView {
    fn from(SharedToken { id, nombre, imagen, precio, vendido }: SharedToken) -> Self {
        Self { id, nombre, imagen, precio, vendido }
    }
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

request! {
    /// Which token
    pub struct OneToken {
        path id: TokenId,
    }
}

request! {
    /// A new token
    pub struct NewTokenBody as "TokenNuevo" {
        body nombre: Name,
        /// Credits
        body precio: Monto,
        /// The picture's file name; `<id>.svg` if it is left out
        body imagen: Option<PictureName>,
    }
}

request! {
    /// What to change; at least one of these
    pub struct TokenPatch as "TokenCambio" with any {
        path id: TokenId,
        body nombre: Option<Name>,
        /// Credits
        body precio: Option<Monto>,
        body imagen: Option<PictureName>,
    }
}

/// The picture's file name
#[derive(ToSchema)]
#[schema(
    as = Imagen,
    min_length = 1,
    max_length = 255,
    example = "gato.jpg",
    pattern = r"^[^/\x00-\x1f\x7f-\x9f]+$"
)]
pub struct PictureName(String);

impl Field for PictureName {
    type Schema = Self;

    fn read(raw: &Raw) -> Parsed<Self> {
        match raw {
            Raw::Json(Value::String(s)) if is_picture_name(s) && s.len() <= MAX_PICTURE_NAME => {
                Ok(Self(s.clone()))
            }
            _ => Err(text!(
                "debe ser un nombre de archivo de 1 a {MAX_PICTURE_NAME} bytes, sin / ni caracteres de control",
                "must be a file name of 1 to {MAX_PICTURE_NAME} bytes, without / and control characters"
            )),
        }
    }
}

/// Read a token
#[utoipa::path(get, operation_id = "ver", summary = "Ver un token", path = "/tokens/{id}", tag = "tokens", params(OneToken),
    responses((status = 200, description = "The token", body = TokenView), NoToken, WithParameters, WithStore))]
pub async fn show(req: HttpRequest, asked: OneToken, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let token = TokenView::from(store.token(asked.id).await?);
    Ok(Representation::json(&token)?.respond(&req))
}

/// Create a token
#[utoipa::path(post, operation_id = "crear", summary = "Publicar un token", path = "/tokens", tag = "tokens", request_body = NewTokenBody,
    responses((status = 201, description = "Created; `Location` leads to it", body = TokenView), WithBody, WithStore))]
pub async fn create(
    req: HttpRequest,
    asked: NewTokenBody,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let (nombre, imagen) = (asked.nombre.into_string(), asked.imagen.map(|name| name.0));
    let token = TokenView::from(store.create(NewToken { nombre, precio: asked.precio, imagen }).await?);
    let location = HeaderValue::try_from(format!("/tokens/{}", token.id)).map_err(Problem::internal)?;
    Ok(Representation::json(&token)?.header(header::LOCATION, location).respond_as(&req, StatusCode::CREATED))
}

/// Change a token that is neither reserved nor sold
#[utoipa::path(patch, operation_id = "cambiar", summary = "Cambiar un token que nadie apartó ni compró", path = "/tokens/{id}", tag = "tokens", request_body = TokenPatch, params(TokenPatch),
    responses((status = 200, description = "The token as it is now", body = TokenView), NoToken, TokenTaken, WithBody, WithStore))]
pub async fn change(
    req: HttpRequest,
    asked: TokenPatch,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let (nombre, imagen) = (asked.nombre.map(Name::into_string), asked.imagen.map(|name| name.0));
    let change = TokenChange { nombre, precio: asked.precio, imagen };
    let token = TokenView::from(store.change(asked.id, change).await?);
    Ok(Representation::json(&token)?.respond(&req))
}

/// Delete a token that is neither reserved nor sold
///
/// Its id is never given again.
#[utoipa::path(delete, operation_id = "borrar", summary = "Borrar un token que nadie apartó ni compró", path = "/tokens/{id}", tag = "tokens", params(OneToken),
    responses((status = 204, description = "Deleted"), NoToken, TokenTaken, WithParameters, WithStore))]
pub async fn delete(asked: OneToken, store: Data<Store>) -> Result<HttpResponse, Problem> {
    store.delete(asked.id).await?;
    Ok(HttpResponse::NoContent().finish())
}
