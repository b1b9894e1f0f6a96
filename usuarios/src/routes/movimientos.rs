//! `/usuarios/{id}/movimientos`.

use crate::domain::{Movimiento, Tipo};
use crate::store::Store;
use actix_web::{HttpRequest, HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use http_kit::openapi::schema::{Id, Limite};
use http_kit::openapi::{ConAlmacen, ConParametros};
use http_kit::paging;
use http_kit::problem::Problem;
use http_kit::validate::{Fields, integer};
use market::domain::MAX_ENTERO;
use market::fields::usuario_id;
use market::openapi::SinUsuario;
use serde::Serialize;
use utoipa::ToSchema;

/// A line of a ledger
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Movimiento)]
pub struct MovimientoVisto {
    #[schema(example = 7, minimum = 1)]
    id: u64,
    #[schema(value_type = Id)]
    usuario_id: u64,
    tipo: TipoVisto,
    /// Credits, signed: a user's lines sum to the balance
    #[schema(example = -50)]
    monto: i64,
    fecha: DateTime<Utc>,
    /// `false` while a debit waits for its purchase to be decided
    #[schema(example = true)]
    confirmado: bool,
}

/// What a line is
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TipoVisto {
    /// The opening balance
    Apertura,
    /// An edit of the file by hand
    Ajuste,
    /// Money added
    Abono,
    /// A purchase
    Cargo,
}

impl From<Movimiento> for MovimientoVisto {
    fn from(m: Movimiento) -> Self {
        Self {
            id: m.id,
            usuario_id: m.usuario_id.get(),
            monto: m.efecto(),
            fecha: m.fecha,
            confirmado: !matches!(m.tipo, Tipo::Cargo { confirmado: false, .. }),
            tipo: match m.tipo {
                Tipo::Apertura => TipoVisto::Apertura,
                Tipo::AjusteAlza | Tipo::AjusteBaja => TipoVisto::Ajuste,
                Tipo::Abono { .. } => TipoVisto::Abono,
                Tipo::Cargo { .. } => TipoVisto::Cargo,
            },
        }
    }
}

/// Read a user's ledger, oldest line first
#[utoipa::path(get, path = "/usuarios/{id}/movimientos", tag = "usuarios",
    params(
        ("id" = Id, Path),
        ("limite" = Option<Limite>, Query),
        ("despues" = Option<Id>, Query, description = "The last id of the page before"),
    ),
    responses((status = 200, description = "A page; `Link` leads to the next, `X-Total-Count` counts all",
        body = Vec<MovimientoVisto>), SinUsuario, ConParametros, ConAlmacen))]
pub async fn listar(req: HttpRequest, store: Data<Store>) -> Result<HttpResponse, Problem> {
    let mut f = Fields::query(&req);
    let id = f.path(&req, "id", usuario_id);
    let (limite, despues) = (paging::limit(&mut f), f.optional("despues", integer(1..=MAX_ENTERO)));
    let (id, limite, despues) = f.finish((id, limite, despues))?;
    let page = store.movimientos(id, despues.unwrap_or(0), limite).await?.map(MovimientoVisto::from);
    Ok(page.represent(&req)?.respond(&req))
}
