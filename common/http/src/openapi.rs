//! The API's description: what operations have in common, added once so that no handler repeats it.

use crate::paging::Limit;
use crate::problem::{Code, General, Lang, MEDIA_TYPE, Problem, ProblemDocument};
use std::collections::BTreeMap;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{
    ContentBuilder, Object, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema, Type,
    schema::ObjectBuilder,
};
use utoipa::{PartialSchema, ToSchema};

/// What is built with this crate, for its descriptions and its errors.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Its name, for people.
    pub name: &'static str,
    /// What it is, for readers of the description.
    pub about: &'static str,
    /// What an error's `type` begins with; the code follows.
    pub urn: &'static str,
}

/// A response that stands for one or more codes of one status.
fn problem(codes: &[Code]) -> Response {
    let description =
        codes.iter().map(|c| format!("`{}`: {}", c.name, c.title().en)).collect::<Vec<_>>().join("; ");
    let mut content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemDocument::name())));
    if let Some(code) = codes.first() {
        // `finish` completes its type
        let example = Problem::new(*code, code.title()).document("", Lang::Es, "0f8fad5b");
        content = content.example(serde_json::to_value(example).ok());
    }
    ResponseBuilder::new().description(description).content(MEDIA_TYPE, content.build()).build()
}

/// The problems that a route can answer, for `responses(…)` of its description: `responses! { Name = [codes]; }`.
#[macro_export]
macro_rules! responses {
    ($( $(#[$doc:meta])* $name:ident = [$($code:expr),+ $(,)?]; )*) => { $(
        $(#[$doc])*
        pub struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
                $crate::openapi::by_status(&[$($code.code()),+])
            }
        }
    )* };
}

/// One response for each status of some codes.
#[doc(hidden)]
pub fn by_status(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status = BTreeMap::<String, Vec<Code>>::new();
    for code in codes {
        by_status.entry(code.status.as_u16().to_string()).or_default().push(*code);
    }
    by_status.into_iter().map(|(status, codes)| (status, RefOr::T(problem(&codes)))).collect()
}

responses! {
    /// Of every route with a JSON body.
    WithBody = [General::InvalidJson, General::BodyTooLarge, General::UnsupportedType, General::InvalidData];
    /// Of a route with path, query or header parameters and no body.
    WithParameters = [General::InvalidData];
    /// Of `/readyz`.
    NotReady = [General::NotReady];
    /// Of a route that reads or writes the store.
    WithStore = [General::StoreUnavailable, General::TooBusy];
    /// Of a route that adds something to the store.
    WithRoom = [General::StoreFull];
    /// Of what asks the other services.
    WithServices = [General::ServiceUnavailable, General::StoreUnavailable, General::TooBusy];
}

/// Adds what the middleware can add to any operation: its headers, 304 for a GET with an ETag, 500.
pub fn finish(mut api: OpenApi, product: &Product, service: &str) -> OpenApi {
    api.info.title = format!("{}: {service}", product.name);
    env!("CARGO_PKG_VERSION").clone_into(&mut api.info.version);
    api.info.description = Some(product.about.to_owned());
    let components = api.components.get_or_insert_default();
    components.schemas.insert(ProblemDocument::name().into_owned(), ProblemDocument::schema());
    let mut more = Vec::new();
    ProblemDocument::schemas(&mut more);
    // utoipa collects the schemas of bodies, not those of parameters
    more.extend([described::<schema::Id>(), described::<Limit>()]);
    components.schemas.extend(more);
    for (path, item) in &mut api.paths.paths {
        if let Some(get) = &mut item.get {
            cacheable(get);
        }
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            complete(operation, product);
            name(operation, path);
        }
    }
    api
}

/// Each resource has its `ver` and `listar`; in one description of them all, ids must be unique (OpenAPI 3.1, 4.8.10):
/// `notes_ver`, `notes_lines_listar`.
fn name(operation: &mut Operation, path: &str) {
    let fixed: Vec<_> = path.split('/').filter(|s| !s.is_empty() && !s.starts_with('{')).collect();
    let of_resource = operation.tags.iter().flatten().any(|tag| fixed.first() == Some(&tag.as_str()));
    if let Some(id) = operation.operation_id.as_mut().filter(|_| of_resource) {
        *id = format!("{}_{id}", fixed.join("_"));
    }
}

/// A schema with its name, to be added to the components.
pub fn described<T: ToSchema>() -> (String, RefOr<Schema>) {
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

fn complete(operation: &mut Operation, product: &Product) {
    let responses = &mut operation.responses.responses;
    responses.entry("500".to_owned()).or_insert_with(|| RefOr::T(problem(&[General::InternalError.code()])));
    for response in responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        if let Some(RefOr::T(content)) = response.content.get_mut(MEDIA_TYPE)
            && let Some(example) = &mut content.example
        {
            let code = example["codigo"].as_str().unwrap_or_default();
            example["type"] = format!("{}{code}", product.urn).into();
        }
        for (name, what) in
            [("X-Pod", "Host name of the pod that answered"), ("X-Request-Id", "The request's id")]
        {
            let schema: Object = ObjectBuilder::new().schema_type(Type::String).build();
            let header = HeaderBuilder::new().schema(Some(schema)).description(Some(what)).build();
            response.headers.insert(name.to_owned(), header.into());
        }
    }
}

/// Schemas of values that are read by [`crate::validate`], for `value_type` and parameters.
#[expect(dead_code, reason = "they only describe")]
pub mod schema {
    use utoipa::ToSchema;

    /// An id
    #[derive(ToSchema)]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64, example = 1)]
    pub struct Id(u64);
}
