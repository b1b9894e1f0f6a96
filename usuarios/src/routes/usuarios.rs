//! `/usuarios` and `/usuarios/{id}`.

use crate::domain::Usuario;
use crate::store::Store;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::name::Name;
use http_kit::openapi::schema::Id;
use http_kit::openapi::{WithBody, WithParameters, WithStore};
use http_kit::paging::Limit;
use http_kit::problem::Problem;
use http_kit::reply::Representation;
use http_kit::request;
use market::domain::{Monto, UsuarioId};
use market::openapi::NoUsuario;
use market::openapi::schema::Credits;
use serde::Serialize;
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

request! {
    /// Which page
    pub struct ListUsuarios {
        query limit "limite": Limit,
        /// The last id of the page before
        query after "despues": Option<UsuarioId>,
    }
}

request! {
    /// Which user
    pub struct OneUsuario {
        path id: UsuarioId,
    }
}

request! {
    /// A new user
    pub struct NewUsuario as "UsuarioNuevo" {
        body nombre: Name,
        /// The opening balance, in credits
        body saldo: Monto,
    }
}

request! {
    /// A new name
    pub struct UsuarioPatch as "UsuarioCambio" {
        path id: UsuarioId,
        body nombre: Name,
    }
}

/// List users by id
#[utoipa::path(get, operation_id = "listar", summary = "Listar los usuarios por número", path = "/usuarios", tag = "usuarios", params(ListUsuarios),
    responses((status = 200, description = "A page; `Link` leads to the next, `X-Total-Count` counts all",
        body = Vec<UsuarioView>), WithParameters, WithStore))]
pub async fn list(
    req: HttpRequest,
    asked: ListUsuarios,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let page = store.usuarios(asked.after, asked.limit.rows()).await?.map(UsuarioView::from);
    Ok(page.represent(&req)?.respond(&req))
}

/// Read a user
#[utoipa::path(get, operation_id = "ver", summary = "Ver un usuario", path = "/usuarios/{id}", tag = "usuarios", params(OneUsuario),
    responses((status = 200, description = "The user", body = UsuarioView), NoUsuario, WithParameters, WithStore))]
pub async fn show(req: HttpRequest, asked: OneUsuario, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let usuario = UsuarioView::from(store.usuario(asked.id).await?);
    Ok(Representation::json(&usuario)?.respond(&req))
}

/// Create a user with an opening balance
#[utoipa::path(post, operation_id = "crear", summary = "Crear un usuario con su saldo inicial", path = "/usuarios", tag = "usuarios", request_body = NewUsuario,
    responses((status = 201, description = "Created; `Location` leads to it", body = UsuarioView), WithBody, WithStore))]
pub async fn create(
    req: HttpRequest,
    asked: NewUsuario,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let NewUsuario { nombre, saldo } = asked;
    let usuario = UsuarioView::from(store.create(nombre.into_string(), saldo).await?);
    let location = HeaderValue::try_from(format!("/usuarios/{}", usuario.id)).map_err(Problem::internal)?;
    Ok(Representation::json(&usuario)?
        .header(header::LOCATION, location)
        .respond_as(&req, StatusCode::CREATED))
}

/// Rename a user
#[utoipa::path(patch, operation_id = "renombrar", summary = "Cambiar el nombre de un usuario", path = "/usuarios/{id}", tag = "usuarios", request_body = UsuarioPatch, params(UsuarioPatch),
    responses((status = 200, description = "The user as it is now", body = UsuarioView), NoUsuario, WithBody, WithStore))]
pub async fn rename(
    req: HttpRequest,
    asked: UsuarioPatch,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let UsuarioPatch { id, nombre } = asked;
    let usuario = UsuarioView::from(store.rename(id, nombre.into_string()).await?);
    Ok(Representation::json(&usuario)?.respond(&req))
}
