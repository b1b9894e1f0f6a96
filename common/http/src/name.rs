//! Names that people give to things.

use crate::request::Field;
use crate::validate::{Parsed, Raw, line};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The most characters of a name.
pub const MAX_NAME: usize = 100;

/// A name: 1 to 100 characters, none of them a control character, not all of them blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The text, without blanks around it.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Field for Name {
    type Schema = Self;

    fn read(raw: &Raw) -> Parsed<Self> {
        line(1..=MAX_NAME)(raw).map(Self)
    }
}

impl PartialSchema for Name {
    #[expect(deprecated, reason = "utoipa's derive writes one `example`, and so do all other schemas here")]
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("1 to 100 characters, none of them a control character, not all of them blank"))
            .min_length(Some(1))
            .max_length(Some(MAX_NAME))
            .example(Some("Ana".into()))
            .pattern(Some(r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"));
        RefOr::T(schema.build().into())
    }
}

impl ToSchema for Name {
    fn name() -> std::borrow::Cow<'static, str> {
        "Nombre".into()
    }
}
