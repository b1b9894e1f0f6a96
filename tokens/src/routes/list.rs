//! `GET /tokens`.

use super::tokens::TokenView;
use crate::cache::Cache;
use crate::domain::{MAX_NAME, fold};
use crate::store::{Cursor, ListQuery, SortBy, Store, VersionedPage};
use actix_web::{HttpRequest, HttpResponse, web::Data};
use http_kit::openapi::schema::{Limit, Name};
use http_kit::openapi::{WithParameters, WithStore};
use http_kit::paging::{self, Page, Written};
use http_kit::problem::{Problem, Text};
use http_kit::validate::{Fields, Parsed, Raw, boolean, line, one_of};
use market::fields::monto;
use market::openapi::schema::Credits;
use std::sync::Arc;
use utoipa::ToSchema;

/// By what to sort; `-` turns it round
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what one_of reads")]
#[schema(as = OrdenDeTokens, default = "id")]
pub enum SortByView {
    #[schema(rename = "id")]
    Id,
    #[schema(rename = "-id")]
    IdReversed,
    #[schema(rename = "precio")]
    Precio,
    #[schema(rename = "-precio")]
    PrecioReversed,
    #[schema(rename = "nombre")]
    Name,
    #[schema(rename = "-nombre")]
    NameReversed,
}

/// The place of a row in an order: `101`, `50.101` or `gato cosmico.101`
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what cursor reads")]
#[schema(as = LugarEnLaLista, pattern = r"^([^\x00-\x1f]*\.)?[1-9][0-9]{0,14}$", example = "101")]
pub struct CursorView(String);

const ORDERS: &[(&str, (SortBy, bool))] = &[
    ("id", (SortBy::Id, false)),
    ("-id", (SortBy::Id, true)),
    ("precio", (SortBy::Precio, false)),
    ("-precio", (SortBy::Precio, true)),
    ("nombre", (SortBy::Name, false)),
    ("-nombre", (SortBy::Name, true)),
];

/// List tokens
#[utoipa::path(get, operation_id = "listar", path = "/tokens", tag = "tokens",
    params(
        ("nombre" = Option<Name>, Query, description = "Part of the name, whatever its case and accents"),
        ("vendido" = Option<bool>, Query, description = "Only sold ones, or only others"),
        ("precioMin" = Option<Credits>, Query, description = "The lowest price"),
        ("precioMax" = Option<Credits>, Query, description = "The highest price; not below the lowest"),
        ("orden" = Option<SortByView>, Query, description = "By what to sort; the id breaks ties"),
        ("limite" = Option<Limit>, Query),
        ("despues" = Option<CursorView>, Query, description = "Where the page before ended, as its `Link` has it for the \
            same `orden`; by id that is its last id"),
    ),
    responses((status = 200, description = "A page; `Link` leads to the next, `X-Total-Count` counts all that pass the filters",
        body = Vec<TokenView>), WithParameters, WithStore))]
pub async fn list(req: HttpRequest, store: Data<Store>, cache: Data<Cache>) -> Result<HttpResponse, Problem> {
    let (version, query) = (store.version().await?, req.query_string());
    if let Some(response) = cache.get(version, query, |page| page.respond(&req)) {
        return Ok(response);
    }
    let wanted = list_query(&req)?;
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
    let page = page.read::<TokenView>()?;
    let tokens = page.rows.iter().map(TokenView::token).collect::<Option<Vec<_>>>()?;
    wanted.can_have(&tokens, page.next.as_deref(), page.total).then_some(page)
}

fn list_query(req: &HttpRequest) -> Result<ListQuery, Problem> {
    let mut f = Fields::query(req);
    let nombre = f.optional("nombre", line(1..=MAX_NAME));
    let vendido = f.optional("vendido", boolean);
    let precio_min = f.optional("precioMin", monto);
    let precio_max = f.optional("precioMax", monto);
    let sort_by = f.optional("orden", one_of(ORDERS)).map(Option::unwrap_or_default);
    let limit = paging::limit(&mut f);
    // the order says what a cursor looks like: without a legal order no cursor can be read
    let after = match sort_by {
        Some((sort_by, _)) => f.optional("despues", cursor(sort_by)),
        None => f.optional("despues", |_| Ok(None)).map(Option::flatten),
    };
    if let (Some(Some(min)), Some(Some(max))) = (precio_min, precio_max)
        && min > max
    {
        f.wrong("precioMin", Text::new("no puede pasar de precioMax", "must not be above precioMax"));
        f.wrong("precioMax", Text::new("no puede ser menor que precioMin", "must not be below precioMin"));
    }
    let read = (nombre, vendido, precio_min, precio_max, sort_by, limit, after);
    let (nombre, vendido, precio_min, precio_max, (sort_by, descending), limit, after) = f.finish(read)?;
    let nombre = nombre.as_deref().map(fold);
    Ok(ListQuery { nombre, vendido, precio_min, precio_max, sort_by, descending, after, limit })
}

fn cursor(sort_by: SortBy) -> impl FnOnce(&Raw) -> Parsed<Cursor> {
    move |raw| {
        let cursor = match raw {
            Raw::Plain(s) => Cursor::parse(sort_by, s),
            Raw::Json(_) => None,
        };
        cursor.ok_or_else(|| match sort_by {
            SortBy::Id => Text::new(
                "debe ser el último id de la página anterior",
                "must be the last id of the page before",
            ),
            SortBy::Precio | SortBy::Name => Text::new(
                "debe ser el del Link de la página anterior, con el mismo orden",
                "must be that of the Link of the page before, with the same orden",
            ),
        })
    }
}
