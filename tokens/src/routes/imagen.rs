//! `/tokens/{id}/imagen`.

use crate::dibujo;
use crate::imagenes::{self, Imagenes};
use crate::store::Store;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web, web::Data};
use http_kit::openapi::schema::Id;
use http_kit::openapi::{ConAlmacen, ConParametros};
use http_kit::problem::Problem;
use http_kit::reply::Representation;
use http_kit::validate;
use market::fields::token_id;
use market::openapi::SinToken;
use utoipa::ToSchema;

const SVG: &str = "image/svg+xml";

/// A picture's bytes
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what a file is")]
#[schema(as = ArchivoDeImagen, value_type = String, format = Binary)]
struct Archivo(Vec<u8>);

/// See a token: its picture's file where there is one, else the sample market's, else a drawing from its name
#[utoipa::path(get, path = "/tokens/{id}/imagen", tag = "tokens",
    params(("id" = Id, Path)),
    responses((status = 200, description = "The picture", content(
        (String = "image/svg+xml"), (Archivo = "image/jpeg"), (Archivo = "image/png"), (Archivo = "image/webp"),
        (Archivo = "image/gif"), (Archivo = "image/avif"))), SinToken, ConParametros, ConAlmacen))]
pub async fn ver(
    req: HttpRequest,
    store: Data<Store>,
    files: Data<Imagenes>,
) -> Result<HttpResponse, Problem> {
    let id = validate::path(&req, "id", token_id)?;
    let token = store.token(id).await?;
    let sample = imagenes::sample(&token.imagen);
    let file = if files.hay() {
        let name = token.imagen;
        web::block(move || files.leer(&name)).await.map_err(Problem::internal)?
    } else {
        None
    };
    let picture = match file.or(sample) {
        Some(file) => {
            let picture = Representation::new(file.bytes, HeaderValue::from_static(file.tipo));
            if file.tipo == SVG { picture } else { picture.compressed_already() }
        }
        None => {
            let drawing = dibujo::svg(id, &token.nombre).map_err(Problem::internal)?;
            Representation::new(drawing, HeaderValue::from_static(SVG))
        }
    };
    // an SVG file can hold scripts: opened by itself it must not run them under this site's name
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
    let picture = picture
        .header(header::CONTENT_SECURITY_POLICY, policy)
        .header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(picture.respond(&req))
}
