//! `/sesiones` and `/.well-known/jwks.json`.

use crate::accounts::directory::{Directory, Session};
use crate::accounts::hasher::Password;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use http_kit::access::{Carrier, check_origin};
use http_kit::openapi::schema::Id;
use http_kit::openapi::{WithBody, WithParameters, WithStore};
use http_kit::problem::{Problem, Text};
use http_kit::reply::Representation;
use http_kit::request;
use http_kit::request::Field;
use http_kit::validate::{Fields, Parsed, Raw, no_query};
use market::accounts::token::LIFE;
use market::accounts::{Accounts, Caller};
use market::fields::NoClave;
use market::openapi::Sesion as SessionProblems;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The longest name or key that somebody logs in with.
const MAX_SECRET: usize = 1024;

/// A text that is not kept, and of which no error says anything.
#[derive(ToSchema)]
#[schema(as = Secreto, min_length = 1, max_length = 1024, example = "ana")]
pub struct SecretText(String);

impl SecretText {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Field for SecretText {
    type Schema = Self;

    fn read(raw: &Raw) -> Parsed<Self> {
        match raw {
            Raw::Json(Value::String(text)) if (1..=MAX_SECRET).contains(&text.len()) => {
                Ok(Self(text.clone()))
            }
            _ => Err(Text::new("debe ser un texto de 1 a 1024 bytes", "must be a text of 1 to 1024 bytes")),
        }
    }
}

/// A password that somebody has, or says they have.
pub struct GivenPassword(pub Password);

impl Field for GivenPassword {
    type Schema = GivenPasswordSchema;

    fn read(raw: &Raw) -> Parsed<Self> {
        let Raw::Json(Value::String(text)) = raw else {
            return Err(Text::new("debe ser texto", "must be text"));
        };
        Password::typed(text).map(Self)
    }
}

/// The password of an account
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes")]
#[schema(as = ContrasenaActual, min_length = 1, max_length = 128, example = "demo-ana")]
pub struct GivenPasswordSchema(String);

request! {
    /// A name and its password, or an API key
    pub struct NewSession as "SesionNueva" {
        refused clave "Idempotency-Key": NoClave,
        body nombre: Option<SecretText>,
        body contrasena: Option<GivenPassword>,
        body api_key "claveApi": Option<SecretText>,
        /// Whether the token comes in a cookie that only the browser sees, and not in the answer
        body cookie: Option<bool>,
    }
    check |f| {
        if let (Some(nombre), Some(contrasena), Some(key)) = (&nombre, &contrasena, &api_key) {
            one_way_in(f, nombre.is_some(), contrasena.is_some(), key.is_some());
        }
    }
}

request! {
    /// Another token
    pub struct Renewal {
        refused clave "Idempotency-Key": NoClave,
    }
}

/// Notes what is missing, or too much: a name with its password, or a key.
fn one_way_in(f: &mut Fields, name: bool, password: bool, key: bool) {
    if key && (name || password) {
        f.wrong(
            "claveApi",
            Text::new("no va con nombre y contrasena", "does not go with nombre and contrasena"),
        );
    }
    if !key && !name {
        f.wrong("nombre", Text::new("falta", "is missing"));
    }
    if !key && !password {
        f.wrong("contrasena", Text::new("falta", "is missing"));
    }
}

/// A session
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Sesion)]
pub struct SessionView {
    /// For `Authorization: Bearer`; left out where it came in a cookie
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Until when, unless it is renewed
    expira: DateTime<Utc>,
    /// The usuario of a comprador
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Id>)]
    usuario_id: Option<u64>,
    #[schema(value_type = Vec<String>, example = json!(["comprador"]))]
    roles: Vec<market::accounts::rules::Role>,
}

/// The answer that has a session in it: in the body, or in a cookie.
pub(super) fn answer(
    req: &HttpRequest,
    accounts: &Accounts,
    session: Session,
    carrier: Carrier,
) -> Result<HttpResponse, Problem> {
    let Session { claims, token } = session;
    let by_cookie = carrier == Carrier::Cookie;
    let view = SessionView {
        token: (!by_cookie).then(|| token.expose().to_owned()),
        expira: DateTime::from_timestamp(claims.exp, 0).unwrap_or_default(),
        usuario_id: claims.usuario_id.map(|id| id.get()),
        roles: claims.roles,
    };
    let mut reply =
        Representation::json(&view)?.header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if by_cookie {
        let cookie = accounts.cookie(req, token.expose(), LIFE);
        reply = reply.header(header::SET_COOKIE, HeaderValue::try_from(cookie).map_err(Problem::internal)?);
    }
    Ok(reply.respond_as(req, StatusCode::CREATED))
}

/// Log in
///
/// With `nombre` and `contrasena`, or with `claveApi`. The token is valid for 15 minutes; renew it before that. A wrong name and
/// a wrong password are the same error, which takes the same time.
#[utoipa::path(post, operation_id = "iniciar", summary = "Iniciar una sesión", path = "/sesiones", tag = "sesiones", request_body = NewSession,
    responses((status = 201, description = "The session", body = SessionView), SessionProblems, WithBody, WithStore))]
pub async fn log_in(
    req: HttpRequest,
    asked: NewSession,
    directory: Data<Directory>,
    accounts: Accounts,
) -> Result<HttpResponse, Problem> {
    let NewSession { clave: NoClave, nombre, contrasena, api_key, cookie } = asked;
    let carrier = if cookie == Some(true) { Carrier::Cookie } else { Carrier::Header };
    if carrier == Carrier::Cookie {
        // another site's page must not log anybody in, under a name of its own
        check_origin(&req)?;
    }
    let address = accounts.client_address(&req);
    let session = match (nombre, contrasena, api_key) {
        (_, _, Some(key)) => directory.log_in_by_key(key.expose(), address).await?,
        (Some(nombre), Some(contrasena), None) => {
            directory.log_in(nombre.expose(), contrasena.0, address).await?
        }
        // whoever sends less was told so
        _ => return Err(Problem::internal("a session was asked for with neither a name nor a key")),
    };
    answer(&req, &accounts, session, carrier)
}

/// Renew a session
///
/// A session can be renewed for twelve hours; then its person logs in again.
#[utoipa::path(post, operation_id = "renovar", summary = "Renovar la sesión", path = "/sesiones/renovacion", tag = "sesiones",
    responses((status = 201, description = "The session with a new token", body = SessionView), SessionProblems, WithParameters,
        WithStore))]
pub async fn renew(
    req: HttpRequest,
    Renewal { clave: NoClave }: Renewal,
    caller: Caller,
    directory: Data<Directory>,
    accounts: Accounts,
) -> Result<HttpResponse, Problem> {
    let session = directory.renew(caller.claims()?).await?;
    answer(&req, &accounts, session, caller.carrier().unwrap_or(Carrier::Header))
}

/// Log out
///
/// The session is not renewed and buys nothing any more. What other services read with its token ends with the token.
#[utoipa::path(delete, operation_id = "terminar", summary = "Cerrar la sesión", path = "/sesiones", tag = "sesiones",
    responses((status = 204, description = "Ended"), SessionProblems, WithParameters, WithStore))]
pub async fn log_out(
    req: HttpRequest,
    caller: Caller,
    directory: Data<Directory>,
    accounts: Accounts,
) -> Result<HttpResponse, Problem> {
    no_query(&req)?;
    directory.log_out(caller.claims()?).await?;
    let mut reply = HttpResponse::NoContent();
    if caller.carrier() == Some(Carrier::Cookie) {
        reply.insert_header((header::SET_COOKIE, accounts.cookie(&req, "", 0)));
    }
    Ok(reply.finish())
}

/// Read the public keys that verify tokens (RFC 7517)
#[utoipa::path(get, operation_id = "clavesPublicas", summary = "Ver las claves públicas que comprueban los tokens (RFC 7517)", path = "/.well-known/jwks.json", tag = "sesiones",
    responses((status = 200, description = "The keys", body = Object), WithStore))]
pub async fn key_set(req: HttpRequest, directory: Data<Directory>) -> Result<HttpResponse, Problem> {
    Ok(Representation::json(&directory.wait_for_keys().await?)?.respond(&req))
}
