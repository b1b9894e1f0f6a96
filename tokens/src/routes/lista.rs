//! `GET /tokens`.

use super::tokens::TokenVisto;
use crate::cache::Cache;
use crate::domain::plegar;
use crate::store::{Consulta, Cursor, Orden, Store, Vista};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::name::Name;
use http_kit::openapi::{ConAlmacen, ConParametros};
use http_kit::paging::Limit;
use http_kit::problem::{Problem, Text};
use http_kit::request;
use http_kit::request::{Field, Request};
use http_kit::validate::{Parsed, Raw, one_of};
use market::domain::Monto;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

request! {
    /// Which page of which tokens, and in which order
    pub struct ListTokens {
        /// Part of the name, whatever its case and accents
        query nombre: Option<Name>,
        /// Only sold ones, or only others
        query vendido: Option<bool>,
        /// The lowest price
        query precio_min "precioMin": Option<Monto>,
        /// The highest price; not below the lowest
        query precio_max "precioMax": Option<Monto>,
        /// By what to sort; the id breaks ties
        query orden: Sorting,
        query limite: Limit,
        /// Where the page before ended, as its `Link` has it for the same `orden`; by id that is its last id
        query despues: Option<Cursor> = cursor(orden.map(|sorting| sorting.by)),
    }
    check |f| {
        if let (Some(Some(min)), Some(Some(max))) = (precio_min, precio_max)
            && min > max
        {
            f.wrong("precioMin", Text::new("no puede pasar de precioMax", "must not be above precioMax"));
            f.wrong("precioMax", Text::new("no puede ser menor que precioMin", "must not be below precioMin"));
        }
    }
}

impl From<ListTokens> for Consulta {
    fn from(asked: ListTokens) -> Self {
        Self {
            nombre: asked.nombre.map(|nombre| plegar(&nombre.into_string())),
            vendido: asked.vendido,
            precio_min: asked.precio_min,
            precio_max: asked.precio_max,
            orden: asked.orden.by,
            descendente: asked.orden.descending,
            despues: asked.despues,
            limite: asked.limite.rows(),
        }
    }
}

/// By what to sort; `-` turns it round
#[derive(Clone, Copy)]
struct Sorting {
    by: Orden,
    descending: bool,
}

const fn sorting(by: Orden, descending: bool) -> Sorting {
    Sorting { by, descending }
}

const SORTINGS: &[(&str, Sorting)] = &[
    ("id", sorting(Orden::Id, false)),
    ("-id", sorting(Orden::Id, true)),
    ("precio", sorting(Orden::Precio, false)),
    ("-precio", sorting(Orden::Precio, true)),
    ("nombre", sorting(Orden::Nombre, false)),
    ("-nombre", sorting(Orden::Nombre, true)),
];

impl Field for Sorting {
    type Schema = SortingSchema;

    fn read(raw: &Raw) -> Parsed<Self> {
        one_of(SORTINGS)(raw)
    }

    fn absent() -> Option<Self> {
        Some(sorting(Orden::Id, false))
    }
}

/// Describes [`SORTINGS`].
pub struct SortingSchema;

impl utoipa::PartialSchema for SortingSchema {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("By what to sort; `-` turns it round"))
            .enum_values(Some(SORTINGS.iter().map(|(word, _)| *word)))
            .default(Some("id".into()));
        RefOr::T(schema.build().into())
    }
}

impl ToSchema for SortingSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "OrdenDeTokens".into()
    }
}

/// The place of a row in an order: `101`, `50.101` or `gato cosmico.101`
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a Cursor")]
#[schema(as = LugarEnLaLista, pattern = r"^([^\x00-\x1f]*\.)?[1-9][0-9]{0,14}$", example = "101")]
pub struct CursorVisto(String);

impl Field for Cursor {
    type Schema = CursorVisto;

    fn read(raw: &Raw) -> Parsed<Self> {
        place(Orden::Id, raw)
    }
}

/// Reads a cursor. What one looks like is the order's affair: where the order is wrong, no cursor is.
fn cursor(orden: Option<Orden>) -> impl FnOnce(&Raw) -> Parsed<Option<Cursor>> {
    move |raw| orden.map(|orden| place(orden, raw)).transpose()
}

fn place(orden: Orden, raw: &Raw) -> Parsed<Cursor> {
    let cursor = match raw {
        Raw::Plain(s) => Cursor::parse(orden, s),
        Raw::Json(_) => None,
    };
    cursor.ok_or_else(|| match orden {
        Orden::Id => {
            Text::new("debe ser el último id de la página anterior", "must be the last id of the page before")
        }
        Orden::Precio | Orden::Nombre => Text::new(
            "debe ser el del Link de la página anterior, con el mismo orden",
            "must be that of the Link of the page before, with the same orden",
        ),
    })
}

/// List tokens
#[utoipa::path(get, path = "/tokens", tag = "tokens", params(ListTokens),
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
    let consulta = ListTokens::of(&req)?.into();
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
