//! Filtered, ordered pages, each with its state's number and the total: one statement, so all of one snapshot.

use super::Row;
use super::version::read_version;
use crate::domain::Token;
use crate::store::{Cursor, ListQuery, SortBy, VersionedPage};
use http_kit::paging::Page;
use market::domain::{MAX_INTEGER, Monto};
use pg::Link;
use pg::{row_limit, written};
use sqlx::Error as SqlError;

/// A row, or none: then only the state and the total are there.
struct PageRow {
    version: String,
    total: i64,
    id: Option<i64>,
    nombre: Option<String>,
    imagen: Option<String>,
    precio: Option<i64>,
    estado: Option<String>,
    clave: Option<String>,
    numero: Option<i64>,
    usuario_id: Option<i64>,
    desde: Option<chrono::DateTime<chrono::Utc>>,
}

impl PageRow {
    fn token(self) -> Result<Option<Token>, SqlError> {
        let (Some(id), Some(nombre), Some(imagen), Some(precio), Some(estado)) =
            (self.id, self.nombre, self.imagen, self.precio, self.estado)
        else {
            return Ok(None);
        };
        let Self { clave, numero, usuario_id, desde, .. } = self;
        let row = Row { id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde };
        row.token().map(Some)
    }
}

/// The statement of the rows after `$behind`, in the order of `$order`. It is a macro because statements are checked as
/// literals.
macro_rules! page_rows {
    ($filters:expr, $behind:literal, $order:literal, $($key:expr),+) => {
        sqlx::query_as!(
            PageRow,
            r#"with cuenta as (
                   select sum(version)::text as version, sum(tokens)::bigint as todos, sum(vendidos)::bigint as vendidos
                   from tokens.cuentas
               )
               select c.version as "version!",
                      case when $5 then (
                               select count(*) from tokens.tokens
                               where plegado like $1 and precio between $2 and $3
                                 and ($4::boolean is null or (estado = 'vendido') = $4)
                           )
                           when $4 then c.vendidos
                           when not $4 then c.todos - c.vendidos
                           else c.todos
                      end as "total!",
                      f.id as "id?", f.nombre as "nombre?", f.imagen as "imagen?", f.precio as "precio?", f.estado as "estado?", f.clave as "clave?", f.numero as "numero?",
                      f.usuario_id as "usuario_id?", f.desde as "desde?"
               from cuenta c left join lateral (
                   select id, nombre, orden, imagen, precio, estado, clave, numero, usuario_id, desde
                   from tokens.tokens
                   where plegado like $1 and precio between $2 and $3
                     and ($4::boolean is null or (estado = 'vendido') = $4) and "# + $behind + r#"
                   order by "# + $order + r#" limit $6
               ) f on true
               order by "# + $order,
            $filters.nombre,
            $filters.low,
            $filters.high,
            $filters.vendido,
            $filters.is_filtered,
            $filters.rows,
            $($key),+
        )
    };
}

struct Filters {
    nombre: String,
    low: i64,
    high: i64,
    vendido: Option<bool>,
    /// Whether the total has to be counted.
    is_filtered: bool,
    rows: i64,
}

pub(super) async fn list(c: &mut Link<'_>, query: &ListQuery) -> Result<VersionedPage, SqlError> {
    let ListQuery { precio_min, precio_max, vendido, limit, .. } = *query;
    let f = Filters {
        nombre: query.nombre.as_deref().map_or_else(|| "%".to_owned(), pattern),
        low: written(precio_min.unwrap_or(Monto::ZERO).get()),
        high: written(precio_max.unwrap_or(Monto::MAX).get()),
        vendido,
        is_filtered: query.nombre.is_some() || precio_min.is_some() || precio_max.is_some(),
        rows: row_limit(limit + 1),
    };
    let (id, precio, nombre) = behind(query);
    let rows = match (query.sort_by, query.descending) {
        (SortBy::Id, false) => page_rows!(f, "id > $7", "id", id).fetch_all(c).await?,
        (SortBy::Id, true) => page_rows!(f, "id < $7", "id desc", id).fetch_all(c).await?,
        (SortBy::Precio, false) => {
            page_rows!(f, "(precio, id) > ($7, $8)", "precio, id", precio, id).fetch_all(c).await?
        }
        (SortBy::Precio, true) => {
            page_rows!(f, "(precio, id) < ($7, $8)", "precio desc, id desc", precio, id).fetch_all(c).await?
        }
        (SortBy::Name, false) => {
            page_rows!(f, "(orden, id) > ($7, $8)", "orden, id", nombre, id).fetch_all(c).await?
        }
        (SortBy::Name, true) => {
            page_rows!(f, "(orden, id) < ($7, $8)", "orden desc, id desc", nombre, id).fetch_all(c).await?
        }
    };
    let first = rows.first().ok_or(SqlError::RowNotFound)?;
    let version = read_version(&first.version)?;
    let total = usize::try_from(first.total).unwrap_or_default();
    let tokens = rows.into_iter().filter_map(|r| r.token().transpose()).collect::<Result<Vec<_>, _>>()?;
    let page = Page::new(tokens, limit, total, |token| Cursor::at(query.sort_by, token).encode());
    Ok(VersionedPage { version, page })
}

/// A pattern of LIKE for what has this in it.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// The keys after which a page begins: those of the cursor, or keys that sort before every row. The condition always has
/// keys, so that an index serves it.
fn behind(query: &ListQuery) -> (i64, i64, Vec<u8>) {
    let end = written(MAX_INTEGER + 1);
    let (id, precio, nombre) = if query.descending {
        // no key begins with as many of this byte, so none sorts after it
        (end, end, vec![u8::MAX; 16])
    } else {
        (0, -1, Vec::new())
    };
    match &query.after {
        None => (id, precio, nombre),
        Some(Cursor::Id(id)) => (written(id.get()), precio, nombre),
        Some(Cursor::Precio(precio, id)) => (written(id.get()), written(precio.get()), nombre),
        Some(Cursor::Name(place, id)) => (written(id.get()), precio, place.key.to_vec()),
    }
}
