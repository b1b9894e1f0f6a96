//! `/tokens/{id}/imagen`.

use crate::drawing;
use crate::pictures::{self, Pictures};
use crate::store::Store;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web, web::Data};
use http_kit::openapi::{WithParameters, WithStore};
use http_kit::problem::Problem;
use http_kit::reply::Representation;
use http_kit::request;
use market::domain::TokenId;
use market::openapi::NoToken;
use utoipa::ToSchema;

request! {
    /// Whose picture
    pub struct ShowPicture {
        path id: TokenId,
    }
}

const SVG: &str = "image/svg+xml";

/// A picture's bytes
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what a file is")]
#[schema(as = ArchivoDeImagen, value_type = String, format = Binary)]
struct PictureFile(Vec<u8>);

/// See a token: its picture's file where there is one, else the sample market's, else a drawing from its name
#[utoipa::path(get, operation_id = "ver", summary = "Ver la imagen de un token: su archivo, o un dibujo hecho de su nombre", path = "/tokens/{id}/imagen", tag = "tokens", params(ShowPicture),
    responses((status = 200, description = "The picture", content(
        (String = "image/svg+xml"), (PictureFile = "image/jpeg"), (PictureFile = "image/png"), (PictureFile = "image/webp"),
        (PictureFile = "image/gif"), (PictureFile = "image/avif"))), NoToken, WithParameters, WithStore))]
pub async fn show(
    req: HttpRequest,
    asked: ShowPicture,
    store: Data<Store>,
    files: Data<Pictures>,
) -> Result<HttpResponse, Problem> {
    let token = store.token(asked.id).await?;
    let sample = pictures::sample(&token.imagen);
    let file = if files.is_set() {
        let name = token.imagen;
        web::block(move || files.read(&name)).await.map_err(Problem::internal)?
    } else {
        None
    };
    let picture = match file.or(sample) {
        Some(file) => {
            let picture = Representation::new(file.bytes, HeaderValue::from_static(file.media_type));
            if file.media_type == SVG { picture } else { picture.compressed_already() }
        }
        None => {
            let drawing = drawing::svg(asked.id, &token.nombre).map_err(Problem::internal)?;
            Representation::new(drawing, HeaderValue::from_static(SVG))
        }
    };
    // an SVG file can hold scripts: opened by itself it must not run them under this site's name
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
    Ok(picture.header(header::CONTENT_SECURITY_POLICY, policy).respond(&req))
}
