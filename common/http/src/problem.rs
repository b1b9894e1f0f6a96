//! Errors as a client sees them: RFC 9457 `application/problem+json` with a stable `codigo`.
//!
//! [`General`] is the table of what any service answers; a product adds a table of its own with [`codes!`](crate::codes). A
//! handler returns a [`Problem`]; the middleware in [`crate::edge`] writes it in the reader's language, since only there is
//! the request at hand.

use crate::logging::Seldom;
pub use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;
use utoipa::ToSchema;

/// The media type of every error.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The most bad fields that one answer names.
pub const MAX_DETAILS: usize = 20;

/// A sentence in the two languages that a reader may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Spanish, the default.
    pub es: Cow<'static, str>,
    /// English, where `Accept-Language` prefers it.
    pub en: Cow<'static, str>,
}

impl Text {
    /// From two constants.
    pub const fn new(es: &'static str, en: &'static str) -> Self {
        Self { es: Cow::Borrowed(es), en: Cow::Borrowed(en) }
    }

    /// The sentence in one language.
    pub fn get(&self, lang: Lang) -> &str {
        match lang {
            Lang::Es => &self.es,
            Lang::En => &self.en,
        }
    }
}

/// A [`Text`] from two format strings over the same variables: `text!("el token {id}", "token {id}")`.
#[macro_export]
macro_rules! text {
    ($es:literal, $en:literal) => {
        $crate::problem::Text { es: format!($es).into(), en: format!($en).into() }
    };
}

/// What an answer repeats of a text that a client has sent: the first 100 characters.
pub(crate) fn shown(sent: &str) -> Cow<'_, str> {
    match sent.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &sent[..end]).into(),
        None => sent.into(),
    }
}

/// The reader's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    /// Spanish: what everybody gets who does not ask for English.
    Es,
    /// English.
    En,
}

impl Lang {
    /// From `Accept-Language`: English where it stands above Spanish (RFC 9110, 12.5.4), else Spanish.
    pub fn negotiate(accept_language: Option<&HeaderValue>) -> Self {
        let Some(value) = accept_language.and_then(|v| v.to_str().ok()) else { return Self::Es };
        let quality = |wanted: &str| {
            value
                .split(',')
                .filter_map(|range| {
                    let (tag, q) = range
                        .split_once(';')
                        .map_or((range, "1"), |(tag, q)| (tag, q.trim().strip_prefix("q=").unwrap_or("0")));
                    let primary = tag.trim().split('-').next().unwrap_or_default();
                    primary.eq_ignore_ascii_case(wanted).then(|| q.trim().parse::<f32>().unwrap_or(0.0))
                })
                .fold(0.0, f32::max)
        };
        if quality("en") > quality("es") { Self::En } else { Self::Es }
    }
}

/// What is known of one kind of error.
#[derive(Debug)]
pub struct Row {
    /// The stable name on the wire.
    pub name: &'static str,
    /// The HTTP status that it comes with, always the same.
    pub status: StatusCode,
    /// The title in Spanish and in English.
    #[doc(hidden)]
    pub titles: (&'static str, &'static str),
}

impl Row {
    /// The `title`: what kind of error this is, the same for each occurrence.
    pub const fn title(&self) -> Text {
        Text::new(self.titles.0, self.titles.1)
    }
}

/// One row of a table of errors: made by [`codes!`](crate::codes), so that each name has one status and one title. It is a
/// reference, since each `Result` of a handler has room for one.
#[derive(Clone, Copy, Debug)]
pub struct Code(#[doc(hidden)] pub &'static Row);

impl std::ops::Deref for Code {
    type Target = Row;

    fn deref(&self) -> &Row {
        self.0
    }
}

// also with a row of a table
impl<T: Copy + Into<Self>> PartialEq<T> for Code {
    fn eq(&self, other: &T) -> bool {
        self.name == (*other).into().name
    }
}

impl Eq for Code {}

/// A table of errors: an enum of which each variant is a [`Code`].
#[macro_export]
macro_rules! codes {
    (
        $(#[$meta:meta])*
        pub enum $table:ident {
            $( $(#[$doc:meta])* $variant:ident = $name:literal, $status:ident, $es:literal, $en:literal; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $table { $( $(#[$doc])* $variant, )* }

        impl $table {
            /// The whole table.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            /// Its row.
            pub const fn code(self) -> $crate::problem::Code {
                match self {
                    $( Self::$variant => {
                        const ROW: $crate::problem::Row = $crate::problem::Row {
                            name: $name,
                            status: $crate::problem::StatusCode::$status,
                            titles: ($es, $en),
                        };
                        $crate::problem::Code(&ROW)
                    } )*
                }
            }
        }

        impl From<$table> for $crate::problem::Code {
            fn from(row: $table) -> Self {
                row.code()
            }
        }
    };
}

codes! {
    /// The errors that any service has. Names never change; new ones may come.
    pub enum General {
        /// The body is no JSON.
        InvalidJson = "json-invalido", BAD_REQUEST, "El cuerpo no es JSON", "The body is not JSON";
        /// An internal route without the shared token.
        NotAuthorized = "no-autorizado", UNAUTHORIZED, "Falta la credencial interna", "The internal credential is missing";
        /// Who asks has not shown who they are, or what they showed does not count.
        NotAuthenticated = "no-autenticado", UNAUTHORIZED, "Hace falta una sesión", "A session is needed";
        /// Who asks is known, and may not do this.
        Forbidden = "prohibido", FORBIDDEN, "No está permitido", "This is not allowed";
        /// A write that another site's page has sent, by a browser.
        ForeignOrigin = "origen-no-permitido", FORBIDDEN, "Otro sitio no puede escribir aquí", "Another site must not write here";
        /// No such route.
        RouteNotFound = "ruta-no-encontrada", NOT_FOUND, "No existe esta ruta", "There is no such route";
        /// The route exists, not with this method; `Allow` names those that do.
        MethodNotAllowed = "metodo-no-permitido", METHOD_NOT_ALLOWED, "Esta ruta no admite este método", "This route does not take this method";
        /// The body did not come in time.
        RequestTimeout = "peticion-incompleta", REQUEST_TIMEOUT, "La petición no llegó entera", "The request did not come whole";
        /// More than 8 KiB.
        BodyTooLarge = "cuerpo-demasiado-grande", PAYLOAD_TOO_LARGE, "El cuerpo es demasiado grande", "The body is too large";
        /// Not `application/json`.
        UnsupportedType = "tipo-no-soportado", UNSUPPORTED_MEDIA_TYPE, "El cuerpo debe ser application/json", "The body must be application/json";
        /// A name that this server does not have.
        Misdirected = "destino-equivocado", MISDIRECTED_REQUEST, "Este servidor no tiene ese nombre", "This server does not have that name";
        /// Fields are wrong; `errores` names each.
        InvalidData = "datos-invalidos", UNPROCESSABLE_ENTITY, "Hay datos inválidos", "Some data are invalid";
        /// A bug here: logged with the request's id.
        InternalError = "error-interno", INTERNAL_SERVER_ERROR, "Error interno", "Internal error";
        /// Another service did not answer in time.
        ServiceUnavailable = "servicio-no-disponible", SERVICE_UNAVAILABLE, "Un servicio no responde", "A service does not answer";
        /// The store takes no writes now.
        StoreUnavailable = "almacen-no-disponible", SERVICE_UNAVAILABLE, "El almacén no está disponible", "The store is not available";
        /// As many of this kind are under way as may be; nothing was begun.
        TooBusy = "demasiadas-operaciones", SERVICE_UNAVAILABLE, "Hay demasiadas operaciones en curso", "Too many operations are under way";
        /// The store has no room for more.
        StoreFull = "almacen-lleno", INSUFFICIENT_STORAGE, "El almacén está lleno", "The store is full";
        /// As many connections as there can be.
        TooManyConnections = "demasiadas-conexiones", SERVICE_UNAVAILABLE, "Hay demasiadas conexiones", "There are too many connections";
        /// Starting, stopping or without its store.
        NotReady = "no-listo", SERVICE_UNAVAILABLE, "El servicio no está listo", "The service is not ready";
    }
}

/// One bad field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name: of the body, the query, the path, or a header.
    pub campo: String,
    /// What was wrong and what would do.
    pub detalle: Text,
}

/// An error on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which.
    pub codigo: Code,
    /// This occurrence, in a sentence.
    pub detail: Text,
    /// Every bad field ([`General::InvalidData`] only).
    pub errores: Vec<FieldError>,
    /// Seconds after which the same request may be sent again.
    pub retry_after: Option<u32>,
    /// The methods that the route takes ([`General::MethodNotAllowed`] only).
    pub allow: Option<String>,
}

impl Problem {
    /// An error with its sentence. A 503 asks to come again after a second.
    pub fn new(codigo: impl Into<Code>, detail: Text) -> Self {
        let codigo = codigo.into();
        let retry_after = (codigo.status == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        Self { codigo, detail, errores: Vec::new(), retry_after, allow: None }
    }

    /// 422 that names bad fields, at most [`MAX_DETAILS`] of them.
    pub fn invalid(mut errores: Vec<FieldError>) -> Self {
        let n = errores.len();
        errores.truncate(MAX_DETAILS);
        Self::invalid_of(n, errores)
    }

    /// The same, where `n` fields are bad and only some of them are named.
    pub(crate) fn invalid_of(n: usize, errores: Vec<FieldError>) -> Self {
        let detail = match n {
            1 => Text::new("Corrija un campo; vea «errores».", "One field to correct; see \"errores\"."),
            n => text!("Corrija {n} campos; vea «errores».", "{n} fields to correct; see \"errores\"."),
        };
        Self { errores, ..Self::new(General::InvalidData, detail) }
    }

    /// 500 for a bug or a broken invariant: the cause goes to the log here, once, and never to the client.
    pub fn internal(cause: impl fmt::Display) -> Self {
        log::error!("internal error: {cause}");
        Self::new(
            General::InternalError,
            Text::new(
                "El fallo quedó registrado; cite «solicitud» al avisar.",
                "The failure was logged; quote \"solicitud\" when you report it.",
            ),
        )
    }

    /// 503 for a store that refuses or has lost its disk: the cause goes to the log here, at most once a second.
    pub fn store(cause: impl fmt::Display) -> Self {
        static TROUBLE: Seldom = Seldom::new();
        if let Some(times) = TROUBLE.say() {
            log::error!("store unavailable: {cause} ({times} times)");
        }
        Self::new(
            General::StoreUnavailable,
            Text::new(
                "No se pudo guardar ni leer ahora; repita la petición, con la misma Idempotency-Key si la lleva.",
                "Nothing could be saved or read now; repeat the request, with the same Idempotency-Key if it has one.",
            ),
        )
    }

    /// 503 for what is not begun since too much of its kind is under way.
    pub fn too_busy(detail: Text) -> Self {
        Self::new(General::TooBusy, detail)
    }

    /// 507 for a store that has no room for what would be added.
    pub fn store_full() -> Self {
        Self::new(
            General::StoreFull,
            Text::new(
                "No cabe nada más; no se guardó nada. Leer, y terminar lo empezado, sigue siendo posible.",
                "There is no room for more; nothing was saved. Reading, and ending what was begun, are still possible.",
            ),
        )
    }

    /// The document as it goes over the wire; its `type` is `urn` and the code.
    pub fn document(&self, urn: &str, lang: Lang, solicitud: &str) -> ProblemDocument {
        ProblemDocument {
            tipo: format!("{urn}{}", self.codigo.name),
            title: self.codigo.title().get(lang).to_owned(),
            status: self.codigo.status.as_u16(),
            detail: self.detail.get(lang).to_owned(),
            codigo: self.codigo.name.to_owned(),
            solicitud: solicitud.to_owned(),
            errores: self
                .errores
                .iter()
                .map(|e| InvalidField { campo: e.campo.clone(), detalle: e.detalle.get(lang).to_owned() })
                .collect(),
        }
    }
}

/// The body of every error (RFC 9457). `type` and `codigo` are stable; `title` and `detail` follow `Accept-Language`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// A URN of the product's errors that ends with the code.
    #[serde(rename = "type")]
    pub tipo: String,
    /// The kind of error, in a few words.
    #[schema(example = "No existe esta ruta")]
    pub title: String,
    /// The HTTP status again.
    #[schema(example = 404, minimum = 400, maximum = 599)]
    pub status: u16,
    /// This occurrence, and what to do.
    #[schema(example = "No hay nada en /nada; vea /docs.")]
    pub detail: String,
    /// The stable name of the error.
    #[schema(example = "ruta-no-encontrada")]
    pub codigo: String,
    /// The request's id, as in the `X-Request-Id` header and in the log.
    #[schema(example = "0f8fad5b-d9cb-469f-a165-70867728950e")]
    pub solicitud: String,
    /// Every bad field, where the code is `datos-invalidos`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errores: Vec<InvalidField>,
}

/// One bad field.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CampoInvalido)]
pub struct InvalidField {
    /// Its name.
    #[schema(example = "nombre")]
    pub campo: String,
    /// What was wrong and what would do.
    #[schema(example = "falta")]
    pub detalle: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.codigo.name, self.detail.en)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.codigo.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status_code());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = self.allow.as_deref().and_then(|a| HeaderValue::from_str(a).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        if self.codigo.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self.clone());
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_only_where_it_is_preferred() {
        let lang = |s: &'static str| Lang::negotiate(Some(&HeaderValue::from_static(s)));
        assert_eq!(Lang::negotiate(None), Lang::Es);
        assert_eq!(lang("en"), Lang::En);
        assert_eq!(lang("en-GB,en;q=0.9,es;q=0.8"), Lang::En);
        assert_eq!(lang("es-CO,es;q=0.9,en;q=0.8"), Lang::Es);
        assert_eq!(lang("fr, *;q=0.1"), Lang::Es);
        assert_eq!(lang("es;q=0.2, en;q=0.7"), Lang::En);
    }
}
