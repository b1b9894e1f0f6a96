//! Filtered, ordered pages, each with its state's number and the total: one statement, so all of one snapshot.

use super::version::leer;
use super::{Fila, rows};
use crate::domain::Token;
use crate::store::{Consulta, Cursor, Orden, Vista};
use http_kit::paging::Page;
use market::domain::{MAX_ENTERO, Monto};
use pg::written;
use sqlx::{Error as SqlError, PgConnection};
use std::sync::Arc;

/// A row, or none: then only the state and the total are there.
struct Renglon {
    version: String,
    total: i64,
    id: Option<i64>,
    nombre: Option<String>,
    plegado: Option<String>,
    imagen: Option<String>,
    precio: Option<i64>,
    estado: Option<String>,
    clave: Option<String>,
    numero: Option<i64>,
    usuario_id: Option<i64>,
    desde: Option<chrono::DateTime<chrono::Utc>>,
}

impl Renglon {
    /// Its token with the folded name.
    fn token(self) -> Result<Option<(Token, Arc<str>)>, SqlError> {
        let (Some(id), Some(nombre), Some(plegado), Some(imagen), Some(precio), Some(estado)) =
            (self.id, self.nombre, self.plegado, self.imagen, self.precio, self.estado)
        else {
            return Ok(None);
        };
        let Self { clave, numero, usuario_id, desde, .. } = self;
        let fila = Fila { id, nombre, imagen, precio, estado, clave, numero, usuario_id, desde };
        Ok(Some((fila.token()?, plegado.into())))
    }
}

/// The statement with rows behind `$behind`, in the order of `$order`; a macro, since statements are checked as literals.
macro_rules! pagina {
    ($filtros:expr, $behind:literal, $order:literal, $($key:expr),+) => {
        sqlx::query_as!(
            Renglon,
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
                      f.id as "id?", f.nombre as "nombre?", f.plegado as "plegado?", f.imagen as "imagen?",
                      f.precio as "precio?", f.estado as "estado?", f.clave as "clave?", f.numero as "numero?",
                      f.usuario_id as "usuario_id?", f.desde as "desde?"
               from cuenta c left join lateral (
                   select id, nombre, plegado, imagen, precio, estado, clave, numero, usuario_id, desde
                   from tokens.tokens
                   where plegado like $1 and precio between $2 and $3
                     and ($4::boolean is null or (estado = 'vendido') = $4) and "# + $behind + r#"
                   order by "# + $order + r#" limit $6
               ) f on true
               order by "# + $order,
            $filtros.nombre,
            $filtros.desde,
            $filtros.hasta,
            $filtros.vendido,
            $filtros.filtrado,
            $filtros.filas,
            $($key),+
        )
    };
}

struct Filtros {
    nombre: String,
    desde: i64,
    hasta: i64,
    vendido: Option<bool>,
    /// Whether the total has to be counted.
    filtrado: bool,
    filas: i64,
}

pub(super) async fn listar(c: &mut PgConnection, consulta: &Consulta) -> Result<Vista, SqlError> {
    let Consulta { precio_min, precio_max, vendido, limite, .. } = *consulta;
    let f = Filtros {
        nombre: consulta.nombre.as_deref().map_or_else(|| "%".to_owned(), parte),
        desde: written(precio_min.unwrap_or(Monto::CERO).get()),
        hasta: written(precio_max.unwrap_or(Monto::MAX).get()),
        vendido,
        filtrado: consulta.nombre.is_some() || precio_min.is_some() || precio_max.is_some(),
        filas: rows(limite + 1),
    };
    let (id, precio, nombre) = behind(consulta);
    let filas = match (consulta.orden, consulta.descendente) {
        (Orden::Id, false) => pagina!(f, "id > $7", "id", id).fetch_all(c).await?,
        (Orden::Id, true) => pagina!(f, "id < $7", "id desc", id).fetch_all(c).await?,
        (Orden::Precio, false) => {
            pagina!(f, "(precio, id) > ($7, $8)", "precio, id", precio, id).fetch_all(c).await?
        }
        (Orden::Precio, true) => {
            pagina!(f, "(precio, id) < ($7, $8)", "precio desc, id desc", precio, id).fetch_all(c).await?
        }
        (Orden::Nombre, false) => {
            pagina!(f, "(plegado, id) > ($7, $8)", "plegado, id", nombre, id).fetch_all(c).await?
        }
        (Orden::Nombre, true) => {
            pagina!(f, "(plegado, id) < ($7, $8)", "plegado desc, id desc", nombre, id).fetch_all(c).await?
        }
    };
    let first = filas.first().ok_or(SqlError::RowNotFound)?;
    let version = leer(&first.version)?;
    let total = usize::try_from(first.total).unwrap_or_default();
    let tokens = filas.into_iter().filter_map(|r| r.token().transpose()).collect::<Result<Vec<_>, _>>()?;
    let page = Page::new(tokens, limite, total, |(token, plegado)| {
        Cursor::at(consulta.orden, token, plegado).encode()
    });
    Ok(Vista { version, page: page.map(|(token, _)| token) })
}

/// A pattern of LIKE for what has this in it.
fn parte(text: &str) -> String {
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

/// The keys behind which a page begins: those of the cursor, or such as stand before the first row. They are always there,
/// so that an index serves the condition.
fn behind(consulta: &Consulta) -> (i64, i64, String) {
    let end = written(MAX_ENTERO + 1);
    let (id, precio, nombre) = if consulta.descendente {
        // no name is as long, so none sorts behind it
        (end, end, char::MAX.to_string().repeat(1000))
    } else {
        (0, -1, String::new())
    };
    match &consulta.despues {
        None => (id, precio, nombre),
        Some(Cursor::Id(id)) => (written(id.get()), precio, nombre),
        Some(Cursor::Precio(precio, id)) => (written(id.get()), written(precio.get()), nombre),
        Some(Cursor::Nombre(nombre, id)) => (written(id.get()), precio, nombre.to_string()),
    }
}
