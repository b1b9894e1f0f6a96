//! What the API descriptions of the three services share.

use crate::codes::MarketCode;
use http_kit::openapi::{Product, described};
use http_kit::problem::General;
use utoipa::openapi::OpenApi;

/// The product, as descriptions and errors name it.
pub const PRODUCT: Product = Product {
    name: "Mercado de Tokens",
    about: "Digital collectibles, bought exactly once. Errors are `application/problem+json` (RFC 9457) with a stable \
            `codigo`; `title` and `detail` are Spanish, or English with `Accept-Language: en`.",
    urn: "urn:mercado:error:",
};

http_kit::responses! {
    /// The errors of a route under `/usuarios/{id}`.
    NoUsuario = [MarketCode::UsuarioNotFound];
    /// The errors of a route under `/tokens/{id}`.
    NoToken = [MarketCode::TokenNotFound];
    /// The errors of a route under `/transacciones/{id}`.
    NoTransaccion = [MarketCode::TransaccionNotFound];
    /// The error of changing a token that is reserved or sold.
    TokenTaken = [MarketCode::TokenNotAvailable];
    /// The errors of what needs a session.
    Sesion = [General::NotAuthenticated, General::Forbidden, MarketCode::SessionEnded, MarketCode::TooManyAttempts,
        General::ServiceUnavailable];
    /// The errors of making an account, or a key of it.
    Cuenta = [MarketCode::AccountTaken, MarketCode::TooManyKeys];
    /// The errors of what is below one account.
    NoCuenta = [MarketCode::AccountNotFound];
    /// The errors of what is below one API key.
    NoClave = [MarketCode::KeyNotFound];
    /// The errors of an abono.
    Abono = [General::InvalidJson, MarketCode::UsuarioNotFound, General::BodyTooLarge, General::UnsupportedType,
        General::InvalidData, MarketCode::ClaveReused, MarketCode::SaldoTooHigh, General::StoreFull];
    /// The errors of a purchase.
    Compra = [General::InvalidJson, MarketCode::UsuarioNotFound, MarketCode::TokenNotFound, MarketCode::TokenNotAvailable,
        MarketCode::SaldoTooLow, MarketCode::PrecioChanged, General::BodyTooLarge, General::UnsupportedType,
        General::InvalidData, MarketCode::ClaveReused, General::ServiceUnavailable, General::StoreUnavailable,
        General::TooBusy, General::StoreFull];
}

/// Adds the schemas that only parameters refer to, which utoipa does not collect.
pub fn with_schemas(mut api: OpenApi) -> OpenApi {
    api.components
        .get_or_insert_default()
        .schemas
        .extend([described::<schema::Clave>(), described::<schema::TokenId>()]);
    api
}

/// Schemas of the values of [`crate::domain`], for `value_type` and parameters.
#[expect(dead_code, reason = "they only describe")]
pub mod schema {
    use utoipa::ToSchema;

    /// Whole credits
    #[derive(ToSchema)]
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_u64, example = 50)]
    #[schema(as = Creditos)]
    pub struct Credits(u64);

    /// Whole credits, at least one
    #[derive(ToSchema)]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64, example = 25)]
    #[schema(as = CreditosPositivos)]
    pub struct PositiveCredits(u64);

    /// An id of a token
    #[derive(ToSchema)]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64, example = 101)]
    #[schema(as = IdToken)]
    pub struct TokenId(u64);

    /// An idempotency key
    #[derive(ToSchema)]
    #[schema(min_length = 1, max_length = 255, pattern = r"^[!-~]+$")]
    pub struct Clave(String);
}
