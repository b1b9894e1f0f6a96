//! `/usuarios` and `/usuarios/{id}`.

use crate::domain::Usuario;
use crate::store::Store;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::name::Name;
use http_kit::openapi::schema::Id;
use http_kit::openapi::{ConAlmacen, ConCuerpo, ConParametros};
use http_kit::paging::Limit;
use http_kit::problem::Problem;
use http_kit::reply::Representation;
use http_kit::request;
use market::domain::{Monto, UsuarioId};
use market::openapi::SinUsuario;
use market::openapi::schema::Creditos;
use serde::Serialize;
use utoipa::ToSchema;

/// A user
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usuario)]
pub struct UsuarioVisto {
    #[schema(value_type = Id)]
    id: u64,
    #[schema(value_type = Name)]
    nombre: String,
    /// Credits
    #[schema(value_type = Creditos)]
    saldo: u64,
}

impl From<Usuario> for UsuarioVisto {
    fn from(u: Usuario) -> Self {
        Self { id: u.id.get(), nombre: u.nombre, saldo: u.saldo.get() }
    }
}

request! {
    /// Which page
    pub struct ListUsuarios {
        query limite: Limit,
        /// The last id of the page before
        query despues: Option<UsuarioId>,
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
#[utoipa::path(get, path = "/usuarios", tag = "usuarios", params(ListUsuarios),
    responses((status = 200, description = "A page; `Link` leads to the next, `X-Total-Count` counts all",
        body = Vec<UsuarioVisto>), ConParametros, ConAlmacen))]
pub async fn listar(
    req: HttpRequest,
    asked: ListUsuarios,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let page = store.usuarios(asked.despues, asked.limite.rows()).await?.map(UsuarioVisto::from);
    Ok(page.represent(&req)?.respond(&req))
}

/// Read a user
#[utoipa::path(get, path = "/usuarios/{id}", tag = "usuarios", params(OneUsuario),
    responses((status = 200, description = "The user", body = UsuarioVisto), SinUsuario, ConParametros, ConAlmacen))]
pub async fn ver(req: HttpRequest, asked: OneUsuario, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let usuario = UsuarioVisto::from(store.usuario(asked.id).await?);
    Ok(Representation::json(&usuario)?.respond(&req))
}

/// Create a user with an opening balance
#[utoipa::path(post, path = "/usuarios", tag = "usuarios", request_body = NewUsuario,
    responses((status = 201, description = "Created; `Location` leads to it", body = UsuarioVisto), ConCuerpo, ConAlmacen))]
pub async fn crear(req: HttpRequest, asked: NewUsuario, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let NewUsuario { nombre, saldo } = asked;
    let usuario = UsuarioVisto::from(store.crear(nombre.into_string(), saldo).await?);
    let location = HeaderValue::try_from(format!("/usuarios/{}", usuario.id)).map_err(Problem::internal)?;
    Ok(Representation::json(&usuario)?
        .header(header::LOCATION, location)
        .respond_as(&req, StatusCode::CREATED))
}

/// Rename a user
#[utoipa::path(patch, path = "/usuarios/{id}", tag = "usuarios", request_body = UsuarioPatch, params(UsuarioPatch),
    responses((status = 200, description = "The user as it is now", body = UsuarioVisto), SinUsuario, ConCuerpo, ConAlmacen))]
pub async fn renombrar(
    req: HttpRequest,
    asked: UsuarioPatch,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let UsuarioPatch { id, nombre } = asked;
    let usuario = UsuarioVisto::from(store.renombrar(id, nombre.into_string()).await?);
    Ok(Representation::json(&usuario)?.respond(&req))
}
