//! What the descriptions of the three services share.

use crate::codes::Codigo;
use http_kit::openapi::{Product, described};
use http_kit::problem::General;
use utoipa::openapi::OpenApi;

/// Who answers.
pub const PRODUCT: Product = Product {
    name: "Mercado de Tokens",
    about: "Digital collectibles, bought exactly once. Errors are `application/problem+json` (RFC 9457) with a stable \
            `codigo`; `title` and `detail` are Spanish, or English with `Accept-Language: en`.",
    urn: "urn:mercado:error:",
};

http_kit::responses! {
    /// Of a route under `/usuarios/{id}`.
    SinUsuario = [Codigo::UsuarioNoEncontrado];
    /// Of a route under `/tokens/{id}`.
    SinToken = [Codigo::TokenNoEncontrado];
    /// Of a route under `/transacciones/{id}`.
    SinTransaccion = [Codigo::TransaccionNoEncontrada];
    /// Of a change of a token that is reserved or sold.
    TokenOcupado = [Codigo::TokenNoDisponible];
    /// Of an abono.
    Abono = [General::JsonInvalido, Codigo::UsuarioNoEncontrado, General::CuerpoDemasiadoGrande, General::TipoNoSoportado,
        General::DatosInvalidos, Codigo::ClaveReutilizada, Codigo::SaldoExcedido];
    /// Of a purchase.
    Compra = [General::JsonInvalido, Codigo::UsuarioNoEncontrado, Codigo::TokenNoEncontrado, Codigo::TokenNoDisponible,
        Codigo::SaldoInsuficiente, Codigo::PrecioCambiado, General::CuerpoDemasiadoGrande, General::TipoNoSoportado,
        General::DatosInvalidos, Codigo::ClaveReutilizada, General::ServicioNoDisponible, General::AlmacenNoDisponible];
}

/// Adds the schemas that only parameters refer to, which utoipa does not collect.
pub fn with_schemas(mut api: OpenApi) -> OpenApi {
    api.components.get_or_insert_default().schemas.extend([described::<schema::Clave>()]);
    api
}

/// Schemas of the values of [`crate::domain`], for `value_type` and parameters.
#[expect(dead_code, reason = "they only describe")]
pub mod schema {
    use utoipa::ToSchema;

    /// Whole credits
    #[derive(ToSchema)]
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_u64, example = 50)]
    pub struct Creditos(u64);

    /// Whole credits, at least one
    #[derive(ToSchema)]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64, example = 25)]
    pub struct CreditosPositivos(u64);

    /// An idempotency key
    #[derive(ToSchema)]
    #[schema(min_length = 1, max_length = 128, pattern = r"^[A-Za-z0-9._:~+=@-]+$", example = "compra-7f3a")]
    pub struct Clave(String);
}
