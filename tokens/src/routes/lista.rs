//! `GET /tokens`.

use super::tokens::TokenVisto;
use crate::cache::Cache;
use crate::domain::{MAX_NOMBRE, plegar};
use crate::store::{Consulta, Cursor, Orden, Store, Vista};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::openapi::schema::{Limite, Nombre};
use http_kit::openapi::{ConAlmacen, ConParametros};
use http_kit::paging;
use http_kit::problem::{Problem, Text};
use http_kit::validate::{Fields, Parsed, Raw, boolean, line, one_of};
use market::fields::monto;
use market::openapi::schema::Creditos;
use std::sync::Arc;
use utoipa::ToSchema;

/// By what to sort; `-` turns it round
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what one_of reads")]
#[schema(as = OrdenDeTokens, default = "id")]
pub enum OrdenVisto {
    #[schema(rename = "id")]
    Id,
    #[schema(rename = "-id")]
    IdInverso,
    #[schema(rename = "precio")]
    Precio,
    #[schema(rename = "-precio")]
    PrecioInverso,
    #[schema(rename = "nombre")]
    Nombre,
    #[schema(rename = "-nombre")]
    NombreInverso,
}

/// The place of a row in an order: `101`, `50.101` or `gato cosmico.101`
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what cursor reads")]
#[schema(as = LugarEnLaLista, pattern = r"^([^\x00-\x1f]*\.)?[1-9][0-9]{0,14}$", example = "101")]
pub struct CursorVisto(String);

const ORDENES: &[(&str, (Orden, bool))] = &[
    ("id", (Orden::Id, false)),
    ("-id", (Orden::Id, true)),
    ("precio", (Orden::Precio, false)),
    ("-precio", (Orden::Precio, true)),
    ("nombre", (Orden::Nombre, false)),
    ("-nombre", (Orden::Nombre, true)),
];

/// List tokens
#[utoipa::path(get, path = "/tokens", tag = "tokens",
    params(
        ("nombre" = Option<Nombre>, Query, description = "Part of the name, whatever its case and accents"),
        ("vendido" = Option<bool>, Query, description = "Only sold ones, or only others"),
        ("precioMin" = Option<Creditos>, Query, description = "The lowest price"),
        ("precioMax" = Option<Creditos>, Query, description = "The highest price; not below the lowest"),
        ("orden" = Option<OrdenVisto>, Query, description = "By what to sort; the id breaks ties"),
        ("limite" = Option<Limite>, Query),
        ("despues" = Option<CursorVisto>, Query, description = "Where the page before ended, as its `Link` has it for the \
            same `orden`; by id that is its last id"),
    ),
    responses((status = 200, description = "A page; `Link` leads to the next, `X-Total-Count` counts all that pass the filters",
        body = Vec<TokenVisto>), ConParametros, ConAlmacen))]
pub async fn listar(
    req: HttpRequest,
    store: Data<Store>,
    cache: Data<Cache>,
) -> Result<HttpResponse, Problem> {
    let (version, query) = (store.version().await?, req.query_string());
    if let Some(response) = cache.get(version, query, |page| page.respond(&req)) {
        return Ok(response);
    }
    let consulta = consulta(&req)?;
    if let Some(page) = cache.fetch(version, query).await {
        let page = Arc::new(page.represent(&req)?);
        cache.put(version, query, &page);
        return Ok(page.respond(&req));
    }
    // of a state that may be newer
    let Vista { version, page } = store.listar(consulta).await?;
    let page = page.map(TokenVisto::from).write()?;
    cache.offer(version, query, &page).await;
    let page = Arc::new(page.represent(&req)?);
    cache.put(version, query, &page);
    Ok(page.respond(&req))
}

fn consulta(req: &HttpRequest) -> Result<Consulta, Problem> {
    let mut f = Fields::query(req);
    let nombre = f.optional("nombre", line(1..=MAX_NOMBRE));
    let vendido = f.optional("vendido", boolean);
    let precio_min = f.optional("precioMin", monto);
    let precio_max = f.optional("precioMax", monto);
    let orden = f.optional("orden", one_of(ORDENES)).map(Option::unwrap_or_default);
    let limite = paging::limit(&mut f);
    // what a cursor looks like is the order's affair: without a legal one there is no telling
    let despues = match orden {
        Some((orden, _)) => f.optional("despues", cursor(orden)),
        None => f.optional("despues", |_| Ok(None)).map(Option::flatten),
    };
    if let (Some(Some(min)), Some(Some(max))) = (precio_min, precio_max)
        && min > max
    {
        f.wrong("precioMin", Text::new("no puede pasar de precioMax", "must not be above precioMax"));
        f.wrong("precioMax", Text::new("no puede ser menor que precioMin", "must not be below precioMin"));
    }
    let read = (nombre, vendido, precio_min, precio_max, orden, limite, despues);
    let (nombre, vendido, precio_min, precio_max, (orden, descendente), limite, despues) = f.finish(read)?;
    let nombre = nombre.as_deref().map(plegar);
    Ok(Consulta { nombre, vendido, precio_min, precio_max, orden, descendente, despues, limite })
}

fn cursor(orden: Orden) -> impl FnOnce(&Raw) -> Parsed<Cursor> {
    move |raw| {
        let cursor = match raw {
            Raw::Plain(s) => Cursor::parse(orden, s),
            Raw::Json(_) => None,
        };
        cursor.ok_or_else(|| match orden {
            Orden::Id => Text::new(
                "debe ser el último id de la página anterior",
                "must be the last id of the page before",
            ),
            Orden::Precio | Orden::Nombre => Text::new(
                "debe ser el del Link de la página anterior, con el mismo orden",
                "must be that of the Link of the page before, with the same orden",
            ),
        })
    }
}
