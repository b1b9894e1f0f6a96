//! `GET /tokens`.

use super::tokens::{SharedToken, TokenView};
use crate::cache::Cache;
use crate::domain::fold;
use crate::store::{Cursor, ListQuery, SortBy, Store, VersionedPage};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::name::Name;
use http_kit::openapi::{WithParameters, WithStore};
use http_kit::paging::{Limit, Page, Written};
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
        query sort_by "orden": Sorting,
        query limit "limite": Limit,
        /// Where the page before ended, as its `Link` has it for the same `orden`; by id that is its last id
        query after "despues": Option<Cursor> = cursor(sort_by.map(|sorting| sorting.by)),
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

impl From<ListTokens> for ListQuery {
    fn from(asked: ListTokens) -> Self {
        Self {
            nombre: asked.nombre.map(|nombre| fold(&nombre.into_string())),
            vendido: asked.vendido,
            precio_min: asked.precio_min,
            precio_max: asked.precio_max,
            sort_by: asked.sort_by.by,
            descending: asked.sort_by.descending,
            after: asked.after,
            limit: asked.limit.rows(),
        }
    }
}

/// By what to sort; `-` turns it round
#[derive(Clone, Copy)]
struct Sorting {
    by: SortBy,
    descending: bool,
}

const fn sorting(by: SortBy, descending: bool) -> Sorting {
    Sorting { by, descending }
}

const SORTINGS: &[(&str, Sorting)] = &[
    ("id", sorting(SortBy::Id, false)),
    ("-id", sorting(SortBy::Id, true)),
    ("precio", sorting(SortBy::Precio, false)),
    ("-precio", sorting(SortBy::Precio, true)),
    ("nombre", sorting(SortBy::Name, false)),
    ("-nombre", sorting(SortBy::Name, true)),
];

impl Field for Sorting {
    type Schema = SortingSchema;

    fn read(raw: &Raw) -> Parsed<Self> {
        one_of(SORTINGS)(raw)
    }

    fn absent() -> Option<Self> {
        Some(sorting(SortBy::Id, false))
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
pub struct CursorView(String);

impl Field for Cursor {
    type Schema = CursorView;

    fn read(raw: &Raw) -> Parsed<Self> {
        place(SortBy::Id, raw)
    }
}

/// Reads a cursor. What one looks like is the order's affair: where the order is wrong, no cursor is.
fn cursor(sort_by: Option<SortBy>) -> impl FnOnce(&Raw) -> Parsed<Option<Cursor>> {
    move |raw| sort_by.map(|sort_by| place(sort_by, raw)).transpose()
}

fn place(sort_by: SortBy, raw: &Raw) -> Parsed<Cursor> {
    let cursor = match raw {
        Raw::Plain(s) => Cursor::parse(sort_by, s),
        Raw::Json(_) => None,
    };
    cursor.ok_or_else(|| match sort_by {
        SortBy::Id => {
            Text::new("debe ser el último id de la página anterior", "must be the last id of the page before")
        }
        SortBy::Precio | SortBy::Name => Text::new(
            "debe ser el del Link de la página anterior, con el mismo orden",
            "must be that of the Link of the page before, with the same orden",
        ),
    })
}

/// List tokens
#[utoipa::path(get, operation_id = "listar", summary = "Buscar y listar tokens", path = "/tokens", tag = "tokens", params(ListTokens),
    responses((status = 200, description = "A page; `Link` leads to the next, `X-Total-Count` counts all that pass the filters",
        body = Vec<TokenView>), WithParameters, WithStore))]
pub async fn list(req: HttpRequest, store: Data<Store>, cache: Data<Cache>) -> Result<HttpResponse, Problem> {
    let (version, query) = (store.version().await?, req.query_string());
    if let Some(response) = cache.get(version, query, |page| page.respond(&req)) {
        return Ok(response);
    }
    let wanted: ListQuery = ListTokens::of(&req)?.into();
    if let Some(page) = cache.fetch(version, query).await.and_then(|page| answer(&wanted, &page)) {
        let page = Arc::new(page.write()?.represent(&req)?);
        cache.put(version, query, &page);
        return Ok(page.respond(&req));
    }
    // the page may show a newer state than the one that was asked for
    let VersionedPage { version, page } = store.list(wanted).await?;
    let page = page.map(TokenView::from).write()?;
    cache.offer(version, query, &page).await;
    let page = Arc::new(page.represent(&req)?);
    cache.put(version, query, &page);
    Ok(page.respond(&req))
}

/// A page that pods share, where it can be the answer to this query. Somebody else may have written it, so it is checked as
/// what a client sends is.
fn answer(wanted: &ListQuery, page: &Written) -> Option<Page<TokenView>> {
    let page = page.read::<SharedToken>()?.map(TokenView::from);
    let tokens = page.rows.iter().map(TokenView::token).collect::<Option<Vec<_>>>()?;
    wanted.can_have(&tokens, page.next.as_deref(), page.total).then_some(page)
}
