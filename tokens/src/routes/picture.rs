//! `/tokens/{id}/imagen`.

use crate::drawing;
use crate::pictures::Pictures;
use crate::store::Store;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web, web::Data};
use http_kit::openapi::schema::Id;
use http_kit::openapi::{WithParameters, WithStore};
use http_kit::problem::Problem;
use http_kit::reply::Representation;
use http_kit::validate;
use market::fields::token_id;
use market::openapi::NoToken;
use utoipa::ToSchema;

const SVG: &str = "image/svg+xml";

/// A picture's bytes
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what a file is")]
#[schema(as = ArchivoDeImagen, value_type = String, format = Binary)]
struct PictureFile(Vec<u8>);

/// See a token: its picture's file where there is one, else a drawing from its name
#[utoipa::path(get, operation_id = "ver", path = "/tokens/{id}/imagen", tag = "tokens",
    params(("id" = Id, Path)),
    responses((status = 200, description = "The picture", content(
        (String = "image/svg+xml"), (PictureFile = "image/jpeg"), (PictureFile = "image/png"), (PictureFile = "image/webp"),
        (PictureFile = "image/gif"), (PictureFile = "image/avif"))), NoToken, WithParameters, WithStore))]
pub async fn show(
    req: HttpRequest,
    store: Data<Store>,
    pictures: Data<Pictures>,
) -> Result<HttpResponse, Problem> {
    let id = validate::path(&req, "id", token_id)?;
    let token = store.token(id).await?;
    let file = if pictures.is_set() {
        let name = token.imagen;
        web::block(move || pictures.read(&name)).await.map_err(Problem::internal)?
    } else {
        None
    };
    let picture = match file {
        Some(file) => {
            let picture = Representation::new(file.bytes, HeaderValue::from_static(file.media_type));
            if file.media_type == SVG { picture } else { picture.compressed_already() }
        }
        None => {
            let drawing = drawing::svg(id, &token.nombre).map_err(Problem::internal)?;
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
