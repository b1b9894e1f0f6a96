//! The API's description: what operations have in common, added once so that no handler repeats it.

use crate::problem::{Codigo, ProblemDocument};
use std::collections::BTreeMap;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{
    ContentBuilder, Object, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema, Type,
    schema::ObjectBuilder,
};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

/// A response that stands for one or more codes of one status.
fn problem(codigos: &[Codigo]) -> Response {
    let description =
        codigos.iter().map(|c| format!("`{}`: {}", c.name(), c.title().en)).collect::<Vec<_>>().join("; ");
    let mut content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemDocument::name())));
    if let Some(codigo) = codigos.first() {
        let detail = codigo.title();
        let example =
            crate::problem::Problem::new(*codigo, detail).document(crate::problem::Lang::Es, "0f8fad5b");
        content = content.example(serde_json::to_value(example).ok());
    }
    ResponseBuilder::new()
        .description(description)
        .content(crate::problem::MEDIA_TYPE, content.build())
        .build()
}

macro_rules! problems {
    ($( $(#[$doc:meta])* $name:ident = [$($codigo:ident),+]; )*) => { $(
        $(#[$doc])*
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let mut by_status = BTreeMap::<String, Vec<Codigo>>::new();
                for codigo in [$(Codigo::$codigo),+] {
                    by_status.entry(codigo.status().as_u16().to_string()).or_default().push(codigo);
                }
                by_status.into_iter().map(|(status, codigos)| (status, RefOr::T(problem(&codigos)))).collect()
            }
        }
    )* };
}

problems! {
    /// Of every route with a JSON body.
    ConCuerpo = [JsonInvalido, CuerpoDemasiadoGrande, TipoNoSoportado, DatosInvalidos];
    /// Of a route with path, query or header parameters and no body.
    ConParametros = [DatosInvalidos];
    /// Of `/readyz`.
    NoListo = [NoListo];
    /// Of a route that reads or writes the store.
    ConAlmacen = [AlmacenNoDisponible];
    /// Of a route under `/usuarios/{id}`.
    SinUsuario = [UsuarioNoEncontrado];
    /// Of a route under `/tokens/{id}`.
    SinToken = [TokenNoEncontrado];
    /// Of a route under `/transacciones/{id}`.
    SinTransaccion = [TransaccionNoEncontrada];
    /// Of a change of a token that is reserved or sold.
    TokenOcupado = [TokenNoDisponible];
    /// Of an abono.
    Abono = [JsonInvalido, UsuarioNoEncontrado, CuerpoDemasiadoGrande, TipoNoSoportado, DatosInvalidos, ClaveReutilizada, SaldoExcedido];
    /// Of a purchase.
    Compra = [JsonInvalido, UsuarioNoEncontrado, TokenNoEncontrado, TokenNoDisponible, SaldoInsuficiente, PrecioCambiado,
        CuerpoDemasiadoGrande, TipoNoSoportado, DatosInvalidos, ClaveReutilizada, ServicioNoDisponible, AlmacenNoDisponible];
    /// Of what asks the other services.
    ConServicios = [ServicioNoDisponible, AlmacenNoDisponible];
}

/// Adds what the middleware can add to any operation: its headers, 304 for a GET with an ETag, 500.
pub fn finish(mut api: OpenApi, servicio: &str) -> OpenApi {
    api.info.title = format!("Mercado de Tokens: {servicio}");
    env!("CARGO_PKG_VERSION").clone_into(&mut api.info.version);
    api.info.description = Some(
        "Digital collectibles, bought exactly once. Errors are `application/problem+json` (RFC 9457) with a stable \
         `codigo`; `title` and `detail` are Spanish, or English with `Accept-Language: en`."
            .to_owned(),
    );
    let components = api.components.get_or_insert_default();
    components.schemas.insert(ProblemDocument::name().into_owned(), ProblemDocument::schema());
    let mut more = Vec::new();
    ProblemDocument::schemas(&mut more);
    // utoipa collects the schemas of bodies, not those of parameters
    more.extend([described::<schema::Id>(), described::<schema::Limite>(), described::<schema::Clave>()]);
    components.schemas.extend(more);
    // what only parameters refer to is not collected by utoipa
    for (name, schema) in [
        (schema::Id::name(), schema::Id::schema()),
        (schema::Limite::name(), schema::Limite::schema()),
        (schema::Clave::name(), schema::Clave::schema()),
    ] {
        components.schemas.entry(name.into_owned()).or_insert(schema);
    }
    for (path, item) in &mut api.paths.paths {
        if let Some(get) = &mut item.get {
            cacheable(get);
        }
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            common(operation);
            name(operation, path);
        }
    }
    api
}

/// Each resource has its `ver` and `listar`; in one description of them all, ids must be unique (OpenAPI 3.1, 4.8.10):
/// `tokens_ver`, `usuarios_movimientos_listar`.
fn name(operation: &mut Operation, path: &str) {
    let fixed: Vec<_> = path.split('/').filter(|s| !s.is_empty() && !s.starts_with('{')).collect();
    let of_resource = operation.tags.iter().flatten().any(|tag| fixed.first() == Some(&tag.as_str()));
    if let Some(id) = operation.operation_id.as_mut().filter(|_| of_resource) {
        *id = format!("{}_{id}", fixed.join("_"));
    }
}

fn described<T: ToSchema>() -> (String, RefOr<Schema>) {
    (T::name().into_owned(), T::schema())
}

fn cacheable(get: &mut Operation) {
    let unchanged = ResponseBuilder::new().description("Unchanged since the ETag in `If-None-Match`").build();
    let has_etag = get.responses.responses.get("200").is_some_and(|r| match r {
        RefOr::T(ok) => !ok.content.contains_key("text/event-stream"),
        RefOr::Ref(_) => true,
    });
    if has_etag {
        get.responses.responses.insert("304".to_owned(), RefOr::T(unchanged));
    }
}

fn common(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    responses.entry("500".to_owned()).or_insert_with(|| RefOr::T(problem(&[Codigo::ErrorInterno])));
    for response in responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        for (name, what) in
            [("X-Pod", "Host name of the pod that answered"), ("X-Request-Id", "The request's id")]
        {
            let schema: Object = ObjectBuilder::new().schema_type(Type::String).build();
            let header = HeaderBuilder::new().schema(Some(schema)).description(Some(what)).build();
            response.headers.insert(name.to_owned(), header.into());
        }
    }
}

/// Schemas of the values of [`crate::domain`], for `value_type` and parameters.
#[expect(dead_code, reason = "they only describe")]
pub mod schema {
    use utoipa::ToSchema;

    /// An id
    #[derive(ToSchema)]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64, example = 1)]
    pub struct Id(u64);

    /// Whole credits
    #[derive(ToSchema)]
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_u64, example = 50)]
    pub struct Creditos(u64);

    /// Whole credits, at least one
    #[derive(ToSchema)]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64, example = 25)]
    pub struct CreditosPositivos(u64);

    /// 1 to 100 characters, none of them a control character, not all of them blank
    #[derive(ToSchema)]
    #[schema(
        min_length = 1,
        max_length = 100,
        example = "Ana",
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    pub struct Nombre(String);

    /// An idempotency key
    #[derive(ToSchema)]
    #[schema(min_length = 1, max_length = 128, pattern = r"^[A-Za-z0-9._:~+=@-]+$", example = "compra-7f3a")]
    pub struct Clave(String);

    /// Rows of a page; 100 if it is left out
    #[derive(ToSchema)]
    #[schema(minimum = 1, maximum = 1000, default = 100, example = 100)]
    pub struct Limite(u16);
}
