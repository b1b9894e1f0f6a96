//! `/cuenta`: who asks, their password and their API keys; and `/cuentas`, where a tesorero opens and revokes accounts.

use super::sessions::{GivenPassword, answer};
use crate::accounts::directory::Directory;
use crate::accounts::hasher::Password;
use crate::domain::account::{Account, AccountName, ApiKey};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use http_kit::access::Carrier;
use http_kit::name::Name;
use http_kit::openapi::schema::Id;
use http_kit::openapi::{WithBody, WithParameters, WithRoom, WithStore};
use http_kit::paging::Limit;
use http_kit::problem::{Problem, Text};
use http_kit::reply::Representation;
use http_kit::request;
use http_kit::request::Field;
use http_kit::validate::{Parsed, Raw, integer, no_query};
use market::accounts::rules::Role;
use market::accounts::{Accounts, Caller};
use market::domain::{MAX_INTEGER, UsuarioId};
use market::fields;
use market::openapi::{Cuenta as AccountProblems, NoClave, NoCuenta, Sesion as SessionProblems};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A password that somebody chooses.
pub struct NewPassword(Password);

impl Field for NewPassword {
    type Schema = NewPasswordSchema;

    fn read(raw: &Raw) -> Parsed<Self> {
        let Raw::Json(Value::String(text)) = raw else {
            return Err(Text::new("debe ser texto", "must be text"));
        };
        Password::chosen(text).map(Self)
    }
}

/// A new password
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes")]
#[schema(as = Contrasena, min_length = 8, max_length = 128, example = "gato-cosmico-7")]
pub struct NewPasswordSchema(String);

/// The name with which one logs in
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes")]
#[schema(as = NombreDeCuenta, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$", example = "ana")]
pub struct AccountNameSchema(String);

impl Field for AccountName {
    type Schema = AccountNameSchema;

    fn read(raw: &Raw) -> Parsed<Self> {
        let (Raw::Json(Value::String(text)) | Raw::Plain(text)) = raw else { return Err(Self::expected()) };
        text.parse().map_err(|_| Self::expected())
    }
}

/// The number of an API key.
struct KeyId(u32);

impl Field for KeyId {
    type Schema = Id;

    fn read(raw: &Raw) -> Parsed<Self> {
        // no account has so many: a larger number is nobody's, as any other that is not there
        integer(1..=MAX_INTEGER)(raw).map(|id| Self(u32::try_from(id).unwrap_or(u32::MAX)))
    }
}

/// The number of an account.
struct AccountId(u64);

impl Field for AccountId {
    type Schema = Id;

    fn read(raw: &Raw) -> Parsed<Self> {
        integer(1..=MAX_INTEGER)(raw).map(Self)
    }
}

/// Who asks
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QuienSoy)]
pub struct WhoView {
    /// Whether people log in here
    cuentas: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    nombre: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Id>)]
    usuario_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    roles: Option<Vec<Role>>,
    /// Until when the session is valid, unless it is renewed
    #[serde(skip_serializing_if = "Option::is_none")]
    expira: Option<DateTime<Utc>>,
}

/// An account
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Cuenta)]
pub struct AccountView {
    #[schema(value_type = Id)]
    id: u64,
    #[schema(value_type = AccountNameSchema)]
    nombre: String,
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Id>)]
    usuario_id: Option<u64>,
    /// Nobody logs in with it any more
    revocada: bool,
}

impl From<Account> for AccountView {
    fn from(a: Account) -> Self {
        Self {
            id: a.id,
            nombre: a.nombre.to_string(),
            roles: a.roles,
            usuario_id: a.usuario_id.map(UsuarioId::get),
            revocada: a.revocada,
        }
    }
}

/// An API key, without what is secret in it
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClaveApi)]
pub struct KeyView {
    #[schema(value_type = Id)]
    id: u32,
    #[schema(value_type = Name)]
    nombre: String,
    creada: DateTime<Utc>,
    /// When somebody logged in with it, to the minute
    #[serde(skip_serializing_if = "Option::is_none")]
    uso: Option<DateTime<Utc>>,
    /// The key: it is in no other answer
    #[serde(skip_serializing_if = "Option::is_none")]
    clave_api: Option<String>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        let ApiKey { id, nombre, creada, uso, .. } = key;
        Self { id, nombre, creada, uso, clave_api: None }
    }
}

request! {
    /// Another password
    pub struct PasswordChange as "ContrasenaCambio" {
        /// The password until now
        body actual: GivenPassword,
        /// From now on
        body nueva: NewPassword,
    }
}

request! {
    /// A new API key
    pub struct NewKey as "ClaveApiNueva" {
        refused clave "Idempotency-Key": fields::NoClave,
        /// What it is for
        body nombre: Name,
    }
}

request! {
    /// Which API key
    pub struct OneKey {
        path id: KeyId,
    }
}

request! {
    /// A comprador's account
    pub struct NewAccountBody as "CuentaNueva" {
        refused clave "Idempotency-Key": fields::NoClave,
        body nombre: AccountName,
        body contrasena: NewPassword,
        /// Whose money it spends
        body usuario_id "usuarioId": UsuarioId,
    }
}

request! {
    /// Which account
    pub struct OneAccount {
        path nombre: AccountName,
    }
}

request! {
    /// Which page
    pub struct ListAccounts {
        query limit "limite": Limit,
        /// The last id of the page before
        query after "despues": Option<AccountId>,
    }
}

/// See who one is, and whether people log in here
#[utoipa::path(get, operation_id = "ver", summary = "Ver quién soy, y si aquí hay que iniciar sesión", path = "/cuenta", tag = "cuenta",
    responses((status = 200, description = "Who asks", body = WhoView), WithParameters, WithStore))]
pub async fn who(
    req: HttpRequest,
    caller: Caller,
    directory: Option<Data<Directory>>,
) -> Result<HttpResponse, Problem> {
    no_query(&req)?;
    let view = match (caller.claims(), directory) {
        (Ok(claims), Some(directory)) => match directory.who(claims).await {
            Ok(account) => WhoView {
                cuentas: true,
                nombre: Some(account.nombre.to_string()),
                usuario_id: account.usuario_id.map(UsuarioId::get),
                roles: Some(account.roles),
                expira: DateTime::from_timestamp(claims.exp, 0),
            },
            // a cookie may be older than the end of its session
            Err(crate::error::Error::SessionEnded) => WhoView { cuentas: true, ..WhoView::default() },
            Err(e) => return Err(e.into()),
        },
        (_, directory) => WhoView { cuentas: directory.is_some(), ..WhoView::default() },
    };
    Ok(Representation::json(&view)?.respond(&req))
}

/// Change one's password
///
/// All sessions of the account end; the answer has a new one.
#[utoipa::path(put, operation_id = "cambiar", summary = "Cambiar mi contraseña", path = "/cuenta/contrasena", tag = "cuenta", request_body = PasswordChange,
    responses((status = 201, description = "A new session", body = super::sessions::SessionView), SessionProblems, WithBody,
        WithStore))]
pub async fn change_password(
    req: HttpRequest,
    asked: PasswordChange,
    caller: Caller,
    directory: Data<Directory>,
    accounts: Accounts,
) -> Result<HttpResponse, Problem> {
    let PasswordChange { actual, nueva } = asked;
    let address = accounts.client_address(&req);
    let session = directory.change_password(caller.claims()?, actual.0, nueva.0, address).await?;
    answer(&req, &accounts, session, caller.carrier().unwrap_or(Carrier::Header))
}

/// List one's API keys
#[utoipa::path(get, operation_id = "listar", summary = "Listar mis claves de API", path = "/cuenta/claves-api", tag = "cuenta",
    responses((status = 200, description = "The keys, without what is secret", body = Vec<KeyView>), SessionProblems,
        WithParameters, WithStore))]
pub async fn list_keys(
    req: HttpRequest,
    caller: Caller,
    directory: Data<Directory>,
) -> Result<HttpResponse, Problem> {
    no_query(&req)?;
    let account = directory.who(caller.claims()?).await?;
    let keys: Vec<_> = account.claves.into_iter().map(KeyView::from).collect();
    Ok(Representation::json(&keys)?.respond(&req))
}

/// Make an API key
///
/// The key stands in this answer and nowhere else.
#[utoipa::path(post, operation_id = "crear", summary = "Crear una clave de API", path = "/cuenta/claves-api", tag = "cuenta", request_body = NewKey,
    responses((status = 201, description = "The key", body = KeyView), SessionProblems, AccountProblems, WithBody, WithStore))]
pub async fn make_key(
    req: HttpRequest,
    asked: NewKey,
    caller: Caller,
    directory: Data<Directory>,
) -> Result<HttpResponse, Problem> {
    let NewKey { clave: fields::NoClave, nombre } = asked;
    let (key, text) = directory.make_key(caller.claims()?, nombre.into_string()).await?;
    let view = KeyView { clave_api: Some(text.expose().to_owned()), ..key.into() };
    let reply =
        Representation::json(&view)?.header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(reply.respond_as(&req, StatusCode::CREATED))
}

/// Revoke an API key, and the sessions that were begun with it
#[utoipa::path(delete, operation_id = "revocar", summary = "Revocar una clave de API y sus sesiones", path = "/cuenta/claves-api/{id}", tag = "cuenta", params(OneKey),
    responses((status = 204, description = "Revoked"), SessionProblems, NoClave, WithParameters, WithStore))]
pub async fn revoke_key(
    asked: OneKey,
    caller: Caller,
    directory: Data<Directory>,
) -> Result<HttpResponse, Problem> {
    directory.revoke_key(caller.claims()?, asked.id.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// List accounts by id
#[utoipa::path(get, operation_id = "listar", summary = "Listar las cuentas por número", path = "/cuentas", tag = "cuentas", params(ListAccounts),
    responses((status = 200, description = "A page; `Link` leads to the next, `X-Total-Count` counts all",
        body = Vec<AccountView>), WithParameters, WithStore))]
pub async fn list(
    req: HttpRequest,
    asked: ListAccounts,
    directory: Data<Directory>,
) -> Result<HttpResponse, Problem> {
    let after = asked.after.map_or(0, |id| id.0);
    let page = directory.accounts(after, asked.limit.rows()).await?.map(AccountView::from);
    Ok(page.represent(&req)?.respond(&req))
}

/// Open a comprador's account
#[utoipa::path(post, operation_id = "abrir", summary = "Abrir la cuenta de un comprador", path = "/cuentas", tag = "cuentas", request_body = NewAccountBody,
    responses((status = 201, description = "Opened", body = AccountView), AccountProblems, market::openapi::NoUsuario, WithBody,
        WithStore, WithRoom))]
pub async fn open(
    req: HttpRequest,
    asked: NewAccountBody,
    directory: Data<Directory>,
) -> Result<HttpResponse, Problem> {
    let NewAccountBody { clave: fields::NoClave, nombre, contrasena, usuario_id } = asked;
    let account = directory.open(nombre, contrasena.0, vec![Role::Buyer], Some(usuario_id)).await?;
    let view = AccountView::from(account);
    Ok(Representation::json(&view)?.respond_as(&req, StatusCode::CREATED))
}

/// Revoke a comprador's account for good
///
/// Its sessions buy nothing from now on, and its usuario may be given another account.
#[utoipa::path(delete, operation_id = "revocar", summary = "Revocar para siempre la cuenta de un comprador", path = "/cuentas/{nombre}", tag = "cuentas", params(OneAccount),
    responses((status = 204, description = "Revoked"), NoCuenta, WithParameters, WithStore))]
pub async fn revoke(asked: OneAccount, directory: Data<Directory>) -> Result<HttpResponse, Problem> {
    directory.revoke_buyer(asked.nombre).await?;
    Ok(HttpResponse::NoContent().finish())
}
