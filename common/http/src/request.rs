//! A request's shape, stated once. [`request!`](crate::request!) makes of it the struct that a handler takes, the parser
//! that names every bad field in one answer, and the request's part of the API's description.
//!
//! ```
//! use http_kit::name::Name;
//! use http_kit::request;
//!
//! request! {
//!     /// A new name
//!     struct Rename as "Rename" {
//!         path place "id": Option<Name>,
//!         /// The name from now on
//!         body name: Name,
//!     }
//! }
//!
//! async fn rename(asked: Rename) -> &'static str {
//!     if asked.place.is_some() { "here" } else { "elsewhere" }
//! }
//! # let _ = rename;
//! ```

use crate::body;
use crate::problem::{Problem, Text};
use crate::validate::{Fields, Parsed, Raw, boolean};
use actix_web::HttpRequest;
use actix_web::dev::Payload;
use std::pin::Pin;
use utoipa::ToSchema;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, RefBuilder};
use utoipa::openapi::{RefOr, Required, Schema};

/// A kind of value in requests: how it is read, and how it is described.
pub trait Field: Sized {
    /// Its schema.
    type Schema: ToSchema;
    /// Whether the schema is written where it is used, and not referred to by its name.
    const INLINE: bool = false;

    /// Reads one value, or says what would do.
    ///
    /// # Errors
    /// "must be …".
    fn read(raw: &Raw) -> Parsed<Self>;

    /// What stands for a value that is left out; `None` where it must be there.
    fn absent() -> Option<Self> {
        None
    }

    /// The same for one request, where it depends on who asks.
    fn absent_in(_: &HttpRequest) -> Option<Self> {
        Self::absent()
    }
}

impl Field for bool {
    type Schema = Self;
    const INLINE: bool = true;

    fn read(raw: &Raw) -> Parsed<Self> {
        boolean(raw)
    }
}

/// A value that may be left out.
impl<T: Field> Field for Option<T> {
    type Schema = T::Schema;
    const INLINE: bool = T::INLINE;

    fn read(raw: &Raw) -> Parsed<Self> {
        T::read(raw).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// A request that [`request!`](crate::request!) describes.
pub trait Request: Sized {
    /// Reads all of it; what is wrong is noted in `fields`, and then the value is `None`.
    fn read(fields: &mut Fields, req: &HttpRequest) -> Option<Self>;

    /// Reads a request without a body. An unknown parameter of its query is an error.
    ///
    /// # Errors
    /// 422 that names every bad field.
    fn of(req: &HttpRequest) -> Result<Self, Problem> {
        finish(Fields::query(req), req)
    }

    /// Reads a request with a JSON body.
    #[doc(hidden)]
    fn with_body(
        req: &HttpRequest,
        payload: &mut Payload,
    ) -> Pin<Box<dyn Future<Output = Result<Self, Problem>>>> {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move { finish(body::members(&req, payload).await?, &req) })
    }
}

fn finish<T: Request>(mut fields: Fields, req: &HttpRequest) -> Result<T, Problem> {
    let read = T::read(&mut fields, req);
    Ok(fields.finish((read,))?.0)
}

/// Reads one field of the query or the body.
#[doc(hidden)]
pub fn member<T: Field>(
    f: &mut Fields,
    req: &HttpRequest,
    name: &str,
    parse: impl FnOnce(&Raw) -> Parsed<T>,
) -> Option<T> {
    match f.optional(name, parse)? {
        None => absent(f, req, name),
        read => read,
    }
}

/// Reads one header; a second one of the same name is an error.
#[doc(hidden)]
pub fn header<T: Field>(
    f: &mut Fields,
    req: &HttpRequest,
    name: &str,
    parse: impl FnOnce(&Raw) -> Parsed<T>,
) -> Option<T> {
    let mut values = req.headers().get_all(name);
    let Some(value) = values.next() else { return absent(f, req, name) };
    if values.next().is_some() {
        f.wrong(name, Text::new("aparece dos veces", "comes twice"));
        return None;
    }
    let raw = Raw::Plain(value.to_str().unwrap_or_default().to_owned());
    parse(&raw).map_err(|detalle| f.wrong(name, detalle)).ok()
}

fn absent<T: Field>(f: &mut Fields, req: &HttpRequest, name: &str) -> Option<T> {
    let value = T::absent_in(req);
    if value.is_none() {
        f.wrong(name, Text::new("falta", "is missing"));
    }
    value
}

/// Notes that a body has none of its fields, one of which it must have.
#[doc(hidden)]
pub fn empty(f: &mut Fields, names: &[&str]) {
    let (last, first) =
        names.split_last().map_or(("", String::new()), |(last, first)| (last, first.join(", ")));
    f.wrong(
        "",
        crate::text!("el cuerpo debe tener {first} o {last}", "the body must have {first} or {last}"),
    );
}

/// The lines of a doc comment as one.
fn sentence(doc: &[&str]) -> Option<String> {
    let text = doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

fn schema<T: Field>(doc: &[&str]) -> RefOr<Schema> {
    if T::INLINE {
        return <T::Schema as utoipa::PartialSchema>::schema();
    }
    let name = <T::Schema as ToSchema>::name();
    let reference = RefBuilder::new().ref_location_from_schema_name(name);
    RefOr::Ref(reference.description(sentence(doc)).build())
}

/// The description of a parameter.
#[doc(hidden)]
pub fn parameter<T: Field>(place: ParameterIn, name: &str, doc: &[&str]) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .description(sentence(doc))
        .required(if T::absent().is_none() { Required::True } else { Required::False })
        .schema(Some(schema::<T>(&[])))
        .build()
}

/// The description of a body, field by field.
#[doc(hidden)]
pub struct Body(ObjectBuilder);

#[doc(hidden)]
impl Body {
    pub fn new(doc: &[&str], at_least_one: bool) -> Self {
        let body = ObjectBuilder::new()
            .description(sentence(doc))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));
        Self(if at_least_one { body.min_properties(Some(1)) } else { body })
    }

    #[must_use]
    pub fn field<T: Field>(self, name: &str, doc: &[&str]) -> Self {
        let body = self.0.property(name, schema::<T>(doc));
        Self(if T::absent().is_none() { body.required(name) } else { body })
    }

    pub fn schema(self) -> RefOr<Schema> {
        RefOr::T(self.0.build().into())
    }
}

/// Adds a field's schema, and those that it refers to.
#[doc(hidden)]
pub fn schemas<T: Field>(found: &mut Vec<(String, RefOr<Schema>)>) {
    if !T::INLINE {
        let name = <T::Schema as ToSchema>::name().into_owned();
        found.push((name, <T::Schema as utoipa::PartialSchema>::schema()));
    }
    <T::Schema as ToSchema>::schemas(found);
}

/// Describes a request: its fields, each with its place (`path`, `query`, `header`, `body`), its name on the wire where that
/// is another, and its kind, which is a [`Field`].
///
/// A request with a body says the name of the body's schema: `struct Rename as "Rename" { … }`; `as "Change" with any` asks
/// for at least one field. `refused` is a header that must not come; it is no parameter. A doc comment is the description.
/// `= parse` reads a field in another way than its kind does; it may look at the fields above. `check |f| { … }` comes last
/// and looks at all fields, of which the wrong ones are `None`.
#[macro_export]
macro_rules! request {
    (
        $(#[doc = $about:literal])*
        $vis:vis struct $name:ident as $schema:literal $(with $any:ident)? {
            $( $(#[doc = $doc:literal])* $place:ident $field:ident $($wire:literal)? : $kind:ty $(= $parse:expr)? ),* $(,)?
        }
        $(check |$f:ident| $check:block)?
    ) => {
        $crate::request! {
            @read $(#[doc = $about])* $vis struct $name [$($any)?] {
                $( $(#[doc = $doc])* $place $field $($wire)? : $kind $(= $parse)? ),*
            }
            $(check |$f| $check)?
        }

        impl actix_web::FromRequest for $name {
            type Error = $crate::problem::Problem;
            type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

            fn from_request(req: &actix_web::HttpRequest, payload: &mut actix_web::dev::Payload) -> Self::Future {
                <Self as $crate::request::Request>::with_body(req, payload)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let body = $crate::request::Body::new(&[$($about),*], $crate::request!(@any $($any)?));
                $( let body = $crate::request!(@described $place body, $kind,
                    $crate::request!(@name $field $($wire)?), [$($doc),*]); )*
                body.schema()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }

            fn schemas(found: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
                $( $crate::request!(@schemas $place found, $kind); )*
            }
        }
    };
    (
        $(#[doc = $about:literal])*
        $vis:vis struct $name:ident {
            $( $(#[doc = $doc:literal])* $place:ident $field:ident $($wire:literal)? : $kind:ty $(= $parse:expr)? ),* $(,)?
        }
        $(check |$f:ident| $check:block)?
    ) => {
        $crate::request! {
            @read $(#[doc = $about])* $vis struct $name [] {
                $( $(#[doc = $doc])* $place $field $($wire)? : $kind $(= $parse)? ),*
            }
            $(check |$f| $check)?
        }

        impl actix_web::FromRequest for $name {
            type Error = $crate::problem::Problem;
            type Future = std::future::Ready<Result<Self, Self::Error>>;

            fn from_request(req: &actix_web::HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
                std::future::ready(<Self as $crate::request::Request>::of(req))
            }
        }
    };

    (
        @read $(#[doc = $about:literal])* $vis:vis struct $name:ident [$($any:ident)?] {
            $( $(#[doc = $doc:literal])* $place:ident $field:ident $($wire:literal)? : $kind:ty $(= $parse:expr)? ),*
        }
        $(check |$f:ident| $check:block)?
    ) => {
        $(#[doc = $about])*
        $vis struct $name { $( $(#[doc = $doc])* $field: $kind, )* }

        impl $crate::request::Request for $name {
            fn read(fields: &mut $crate::validate::Fields, req: &actix_web::HttpRequest) -> Option<Self> {
                let none = $crate::request!(@none fields [$($any)?] $( $place $crate::request!(@name $field $($wire)?) ),*);
                $( let $field: Option<$kind> = $crate::request!(@field $place fields, req,
                    $crate::request!(@name $field $($wire)?), $crate::request!(@parse $kind $(= $parse)?)); )*
                if let Some(names) = none {
                    $crate::request::empty(fields, &names);
                }
                $( { let $f = &mut *fields; $check } )?
                Some(Self { $( $field: $field?, )* })
            }
        }

        impl utoipa::IntoParams for $name {
            fn into_params(
                _: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
            ) -> Vec<utoipa::openapi::path::Parameter> {
                let mut found = Vec::new();
                $( $crate::request!(@parameter $place found, $kind,
                    $crate::request!(@name $field $($wire)?), [$($doc),*]); )*
                found
            }
        }
    };

    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $wire:literal) => { $wire };

    (@parse $kind:ty) => { <$kind as $crate::request::Field>::read };
    (@parse $kind:ty = $parse:expr) => { $parse };

    (@any) => { false };
    (@any any) => { true };

    (@none $f:ident [] $($place:ident $name:expr),*) => { None::<[&str; 0]> };
    (@none $f:ident [any] $($place:ident $name:expr),*) => {
        { let names = [$( $crate::request!(@body_name $place $name) ),*].concat(); (!$f.has_any(&names)).then_some(names) }
    };
    (@body_name body $name:expr) => { vec![$name] };
    (@body_name $other:ident $name:expr) => { Vec::<&str>::new() };

    (@field path $f:ident, $req:ident, $name:expr, $parse:expr) => { $f.path($req, $name, $parse) };
    (@field header $f:ident, $req:ident, $name:expr, $parse:expr) => { $crate::request::header($f, $req, $name, $parse) };
    (@field refused $f:ident, $req:ident, $name:expr, $parse:expr) => { $crate::request::header($f, $req, $name, $parse) };
    (@field query $f:ident, $req:ident, $name:expr, $parse:expr) => { $crate::request::member($f, $req, $name, $parse) };
    (@field body $f:ident, $req:ident, $name:expr, $parse:expr) => { $crate::request::member($f, $req, $name, $parse) };

    (@described body $body:ident, $kind:ty, $name:expr, $doc:expr) => { $body.field::<$kind>($name, &$doc) };
    (@described $other:ident $body:ident, $kind:ty, $name:expr, $doc:expr) => { $body };

    (@schemas body $found:ident, $kind:ty) => { $crate::request::schemas::<$kind>($found) };
    (@schemas $other:ident $found:ident, $kind:ty) => {};

    (@parameter body $found:ident, $kind:ty, $name:expr, $doc:expr) => {};
    (@parameter refused $found:ident, $kind:ty, $name:expr, $doc:expr) => {};
    (@parameter path $found:ident, $kind:ty, $name:expr, $doc:expr) => {
        $crate::request!(@parameter_in Path $found, $kind, $name, $doc)
    };
    (@parameter query $found:ident, $kind:ty, $name:expr, $doc:expr) => {
        $crate::request!(@parameter_in Query $found, $kind, $name, $doc)
    };
    (@parameter header $found:ident, $kind:ty, $name:expr, $doc:expr) => {
        $crate::request!(@parameter_in Header $found, $kind, $name, $doc)
    };
    (@parameter_in $place:ident $found:ident, $kind:ty, $name:expr, $doc:expr) => {
        $found.push($crate::request::parameter::<$kind>(utoipa::openapi::path::ParameterIn::$place, $name, &$doc))
    };
}
