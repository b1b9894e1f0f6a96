//! `/usuarios/{id}/movimientos`.

use crate::domain::{Movimiento, MovimientoKind};
use crate::store::Store;
use actix_web::{HttpRequest, HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use http_kit::openapi::schema::Id;
use http_kit::openapi::{WithParameters, WithStore};
use http_kit::paging::Limit;
use http_kit::problem::Problem;
use http_kit::request;
use http_kit::request::Field;
use http_kit::validate::{Parsed, Raw, integer};
use market::domain::{MAX_INTEGER, UsuarioId};
use market::openapi::NoUsuario;
use serde::Serialize;
use utoipa::ToSchema;

/// A line of a ledger
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Movimiento)]
pub struct MovimientoView {
    #[schema(example = 7, minimum = 1)]
    id: u64,
    #[schema(value_type = Id)]
    usuario_id: u64,
    tipo: KindView,
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
#[schema(as = TipoVisto)]
pub enum KindView {
    /// The opening balance
    #[serde(rename = "apertura")]
    Opening,
    /// An edit of the file by hand
    #[serde(rename = "ajuste")]
    Adjustment,
    /// Money added
    Abono,
    /// A purchase
    Cargo,
}

impl From<Movimiento> for MovimientoView {
    fn from(m: Movimiento) -> Self {
        Self {
            id: m.id,
            usuario_id: m.usuario_id.get(),
            monto: m.effect(),
            fecha: m.fecha,
            confirmado: !matches!(m.tipo, MovimientoKind::Cargo { confirmado: false, .. }),
            tipo: match m.tipo {
                MovimientoKind::Opening => KindView::Opening,
                MovimientoKind::AdjustmentUp | MovimientoKind::AdjustmentDown => KindView::Adjustment,
                MovimientoKind::Abono { .. } => KindView::Abono,
                MovimientoKind::Cargo { .. } => KindView::Cargo,
            },
        }
    }
}

request! {
    /// Which page of whose ledger
    pub struct ListMovimientos {
        path id: UsuarioId,
        query limit "limite": Limit,
        /// The last id of the page before
        query after "despues": Option<MovimientoId>,
    }
}

/// The id of a line.
struct MovimientoId(u64);

impl Field for MovimientoId {
    type Schema = Id;

    fn read(raw: &Raw) -> Parsed<Self> {
        integer(1..=MAX_INTEGER)(raw).map(Self)
    }
}

/// Read a user's ledger, oldest line first
#[utoipa::path(get, operation_id = "listar", summary = "Listar los movimientos de un usuario, del más antiguo al más nuevo", path = "/usuarios/{id}/movimientos", tag = "usuarios", params(ListMovimientos),
    responses((status = 200, description = "A page; `Link` leads to the next, `X-Total-Count` counts all",
        body = Vec<MovimientoView>), NoUsuario, WithParameters, WithStore))]
pub async fn list(
    req: HttpRequest,
    asked: ListMovimientos,
    store: Data<Store>,
) -> Result<HttpResponse, Problem> {
    let after = asked.after.map_or(0, |id| id.0);
    let page = store.movimientos(asked.id, after, asked.limit.rows()).await?.map(MovimientoView::from);
    Ok(page.represent(&req)?.respond(&req))
}
