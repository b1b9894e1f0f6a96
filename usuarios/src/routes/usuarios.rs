//! `/usuarios` and `/usuarios/{id}`.

use crate::domain::{MAX_NAME, Usuario};
use crate::store::Store;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::body::JsonBody;
use http_kit::openapi::schema::{Id, Limit, Name};
use http_kit::openapi::{WithBody, WithParameters, WithStore};
use http_kit::paging;
use http_kit::problem::Problem;
use http_kit::reply::Representation;
use http_kit::validate::{self, Fields, line};
use market::fields::{monto, usuario_id};
use market::openapi::NoUsuario;
use market::openapi::schema::Credits;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A user
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usuario)]
pub struct UsuarioView {
    #[schema(value_type = Id)]
    id: u64,
    #[schema(value_type = Name)]
    nombre: String,
    /// Credits
    #[schema(value_type = Credits)]
    saldo: u64,
}

impl From<Usuario> for UsuarioView {
    fn from(u: Usuario) -> Self {
        Self { id: u.id.get(), nombre: u.nombre, saldo: u.saldo.get() }
    }
}

/// A new user
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes what JsonBody reads")]
#[serde(deny_unknown_fields)]
#[schema(as = UsuarioNuevo)]
pub struct NewUsuario {
    #[schema(value_type = Name)]
    nombre: String,
    /// The opening balance, in credits
    #[schema(value_type = Credits)]
    saldo: u64,
}

/// A new name
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes what JsonBody reads")]
#[serde(deny_unknown_fields)]
#[schema(as = UsuarioCambio)]
pub struct UsuarioPatch {
    #[schema(value_type = Name)]
    nombre: String,
}

/// List users by id
#[utoipa::path(get, operation_id = "listar", path = "/usuarios", tag = "usuarios",
    params(
        ("limite" = Option<Limit>, Query),
        ("despues" = Option<Id>, Query, description = "The last id of the page before"),
    ),
    responses((status = 200, description = "A page; `Link` leads to the next, `X-Total-Count` counts all",
        body = Vec<UsuarioView>), WithParameters, WithStore))]
pub async fn list(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let mut f = Fields::query(&req);
    let (limit, after) = (paging::limit(&mut f), f.optional("despues", usuario_id));
    let (limit, after) = f.finish((limit, after))?;
    let page = store.usuarios(after, limit).await?.map(UsuarioView::from);
    Ok(page.represent(&req)?.respond(&req))
}

/// Read a user
#[utoipa::path(get, operation_id = "ver", path = "/usuarios/{id}", tag = "usuarios",
    params(("id" = Id, Path)),
    responses((status = 200, description = "The user", body = UsuarioView), NoUsuario, WithParameters, WithStore))]
pub async fn show(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let id = validate::path(&req, "id", usuario_id)?;
    let usuario = UsuarioView::from(store.usuario(id).await?);
    Ok(Representation::json(&usuario)?.respond(&req))
}

/// Create a user with an opening balance
#[utoipa::path(post, operation_id = "crear", path = "/usuarios", tag = "usuarios", request_body = NewUsuario,
    responses((status = 201, description = "Created; `Location` leads to it", body = UsuarioView), WithBody, WithStore))]
pub async fn create(req: HttpRequest, body: JsonBody, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let JsonBody(mut f) = body;
    let (nombre, saldo) = (f.required("nombre", line(1..=MAX_NAME)), f.required("saldo", monto));
    let (nombre, saldo) = f.finish((nombre, saldo))?;
    let usuario = UsuarioView::from(store.create(nombre, saldo).await?);
    let location = HeaderValue::try_from(format!("/usuarios/{}", usuario.id)).map_err(Problem::internal)?;
    Ok(Representation::json(&usuario)?
        .header(header::LOCATION, location)
        .respond_as(&req, StatusCode::CREATED))
}

/// Rename a user
#[utoipa::path(patch, operation_id = "renombrar", path = "/usuarios/{id}", tag = "usuarios", request_body = UsuarioPatch,
    params(("id" = Id, Path)),
    responses((status = 200, description = "The user as it is now", body = UsuarioView), NoUsuario, WithBody, WithStore))]
pub async fn rename(req: HttpRequest, body: JsonBody, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let JsonBody(mut f) = body;
    let (id, nombre) = (f.path(&req, "id", usuario_id), f.required("nombre", line(1..=MAX_NAME)));
    let (id, nombre) = f.finish((id, nombre))?;
    let usuario = UsuarioView::from(store.rename(id, nombre).await?);
    Ok(Representation::json(&usuario)?.respond(&req))
}
