//! `/usuarios` and `/usuarios/{id}`.

use crate::domain::{MAX_NOMBRE, Usuario};
use crate::store::Store;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::body::JsonBody;
use http_kit::openapi::schema::{Id, Limite, Nombre};
use http_kit::openapi::{ConAlmacen, ConCuerpo, ConParametros};
use http_kit::paging;
use http_kit::problem::Problem;
use http_kit::reply::Representation;
use http_kit::validate::{self, Fields, line};
use market::fields::{monto, usuario_id};
use market::openapi::SinUsuario;
use market::openapi::schema::Creditos;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A user
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usuario)]
pub struct UsuarioVisto {
    #[schema(value_type = Id)]
    id: u64,
    #[schema(value_type = Nombre)]
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

/// A new user
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes what JsonBody reads")]
#[serde(deny_unknown_fields)]
pub struct UsuarioNuevo {
    #[schema(value_type = Nombre)]
    nombre: String,
    /// The opening balance, in credits
    #[schema(value_type = Creditos)]
    saldo: u64,
}

/// A new name
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes what JsonBody reads")]
#[serde(deny_unknown_fields)]
pub struct UsuarioCambio {
    #[schema(value_type = Nombre)]
    nombre: String,
}

/// List users by id
#[utoipa::path(get, path = "/usuarios", tag = "usuarios",
    params(
        ("limite" = Option<Limite>, Query),
        ("despues" = Option<Id>, Query, description = "The last id of the page before"),
    ),
    responses((status = 200, description = "A page; `Link` leads to the next, `X-Total-Count` counts all",
        body = Vec<UsuarioVisto>), ConParametros, ConAlmacen))]
pub async fn listar(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let mut f = Fields::query(&req);
    let (limite, despues) = (paging::limit(&mut f), f.optional("despues", usuario_id));
    let (limite, despues) = f.finish((limite, despues))?;
    let page = store.usuarios(despues, limite).await?.map(UsuarioVisto::from);
    Ok(page.represent(&req)?.respond(&req))
}

/// Read a user
#[utoipa::path(get, path = "/usuarios/{id}", tag = "usuarios",
    params(("id" = Id, Path)),
    responses((status = 200, description = "The user", body = UsuarioVisto), SinUsuario, ConParametros, ConAlmacen))]
pub async fn ver(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let id = validate::path(&req, "id", usuario_id)?;
    let usuario = UsuarioVisto::from(store.usuario(id).await?);
    Ok(Representation::json(&usuario)?.respond(&req))
}

/// Create a user with an opening balance
#[utoipa::path(post, path = "/usuarios", tag = "usuarios", request_body = UsuarioNuevo,
    responses((status = 201, description = "Created; `Location` leads to it", body = UsuarioVisto), ConCuerpo, ConAlmacen))]
pub async fn crear(req: HttpRequest, body: JsonBody, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let JsonBody(mut f) = body;
    let (nombre, saldo) = (f.required("nombre", line(1..=MAX_NOMBRE)), f.required("saldo", monto));
    let (nombre, saldo) = f.finish((nombre, saldo))?;
    let usuario = UsuarioVisto::from(store.crear(nombre, saldo).await?);
    let location = HeaderValue::try_from(format!("/usuarios/{}", usuario.id)).map_err(Problem::internal)?;
    Ok(Representation::json(&usuario)?
        .header(header::LOCATION, location)
        .respond_as(&req, StatusCode::CREATED))
}

/// Rename a user
#[utoipa::path(patch, path = "/usuarios/{id}", tag = "usuarios", request_body = UsuarioCambio,
    params(("id" = Id, Path)),
    responses((status = 200, description = "The user as it is now", body = UsuarioVisto), SinUsuario, ConCuerpo, ConAlmacen))]
pub async fn renombrar(
    req: HttpRequest,
    body: JsonBody,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let JsonBody(mut f) = body;
    let (id, nombre) = (f.path(&req, "id", usuario_id), f.required("nombre", line(1..=MAX_NOMBRE)));
    let (id, nombre) = f.finish((id, nombre))?;
    let usuario = UsuarioVisto::from(store.renombrar(id, nombre).await?);
    Ok(Representation::json(&usuario)?.respond(&req))
}
