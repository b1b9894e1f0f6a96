//! `/tokens/{id}/imagen`.

use crate::drawing;
use crate::pictures::{self, Picture, Pictures};
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
/// The most bytes of a file that is read as a whole, to compress it. Other formats compress already.
const SMALL: u64 = 64 * 1024;

/// An SVG file can hold scripts: opened by itself it must not run them under this site's name.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

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
        web::block(move || files.open_picture(&name)).await.map_err(Problem::internal)?
    } else {
        None
    };
    let policy = (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    let text = match (file, sample) {
        (Some(Picture { file, media_type }), _) if media_type != SVG || file.length() > SMALL => {
            return Ok(file.header(policy.0, policy.1).respond(&req));
        }
        (Some(Picture { file, .. }), _) => {
            web::block(move || file.read()).await.map_err(Problem::internal)?.map_err(Problem::internal)?
        }
        (None, Some(sample)) => Representation::new(sample, HeaderValue::from_static(SVG)),
        (None, None) => {
            let drawing = drawing::svg(asked.id, &token.nombre).map_err(Problem::internal)?;
            Representation::new(drawing, HeaderValue::from_static(SVG))
        }
    };
    Ok(text.header(policy.0, policy.1).respond(&req))
}
