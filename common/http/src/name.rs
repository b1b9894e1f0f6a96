//! Names that people give to things.

use crate::problem::Text;
use crate::request::Field;
use crate::text;
use crate::validate::{Parsed, Raw};
use serde_json::Value;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The most characters of a name.
pub const MAX_NAME: usize = 100;
/// The most bytes of a name: bytes are what is stored.
pub const MAX_NAME_BYTES: usize = 256;
/// The most marks on one letter. Written languages need four.
const MAX_MARKS: usize = 6;

/// A name that a person can see and read: 1 to 100 characters, at most 256 bytes, in Unicode's form NFC, without blanks
/// around it. It has a character that leaves ink, no control character, nothing that turns the direction of what stands
/// around it, and no heap of marks on one letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Field for Name {
    type Schema = Self;

    fn read(raw: &Raw) -> Parsed<Self> {
        let (Raw::Json(Value::String(text)) | Raw::Plain(text)) = raw else {
            return Err(Text::new("debe ser texto", "must be text"));
        };
        if let Some(detail) = illegal(text) {
            return Err(detail);
        }
        let text = text.trim();
        let name = match is_nfc_quick(text.chars()) {
            IsNormalized::Yes => text.to_owned(),
            _ => text.nfc().collect(),
        };
        match name.len() {
            ..=MAX_NAME_BYTES => Ok(Self(name)),
            n => Err(text!(
                "debe tener como mucho {MAX_NAME_BYTES} bytes en UTF-8; tiene {n}",
                "must have at most {MAX_NAME_BYTES} bytes in UTF-8; it has {n}"
            )),
        }
    }
}

/// What is wrong with the characters of a name.
fn illegal(text: &str) -> Option<Text> {
    if text.chars().any(char::is_control) {
        return Some(Text::new("no puede tener caracteres de control", "must not have control characters"));
    }
    let n = text.chars().count();
    if !(1..=MAX_NAME).contains(&n) || text.trim().is_empty() {
        return Some(text!(
            "debe tener de 1 a {MAX_NAME} caracteres, no todos blancos; tiene {n}",
            "must have 1 to {MAX_NAME} characters, not all blank; it has {n}"
        ));
    }
    if text.chars().any(hidden) {
        return Some(Text::new(
            "no puede tener caracteres invisibles ni de dirección del texto",
            "must not have characters that are invisible or turn the direction of text",
        ));
    }
    if !text.chars().any(leaves_ink) {
        return Some(Text::new("debe tener algún carácter visible", "must have a visible character"));
    }
    let mark = |c: char| c.general_category_group() == GeneralCategoryGroup::Mark;
    // one accent may come as several marks, so they are counted as they came
    if text.split(|c| !mark(c)).any(|marks| marks.chars().count() > MAX_MARKS) {
        return Some(text!(
            "no puede tener más de {MAX_MARKS} marcas en una letra",
            "must not have more than {MAX_MARKS} marks on one letter"
        ));
    }
    None
}

/// Characters that nobody sees: they turn the direction of text, break lines, or make two names out of one. The joiners
/// that Persian, Hindi and emoji need are none of them, nor are the letters of a flag's name.
fn hidden(c: char) -> bool {
    let needed = matches!(c, '\u{200c}' | '\u{200d}' | '\u{e0020}'..='\u{e007f}');
    let category = c.general_category();
    let format = matches!(
        category,
        GeneralCategory::Format | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator
    );
    format && !needed
}

/// Whether a character can be seen by itself. Some letters and symbols are blank.
fn leaves_ink(c: char) -> bool {
    use GeneralCategoryGroup as Group;
    let blank = matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}' | '\u{1d159}');
    let group = c.general_category_group();
    !blank && matches!(group, Group::Letter | Group::Number | Group::Punctuation | Group::Symbol)
}

impl PartialSchema for Name {
    #[expect(deprecated, reason = "utoipa's derive writes one `example`, and so do all other schemas here")]
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "1 to 100 characters and at most 256 bytes: one of them visible, and none a control character, invisible, \
                 or one that turns the direction of text; it is kept in Unicode's form NFC",
            ))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        Name::read(&Raw::Plain(text.to_owned())).ok().map(Name::into_string)
    }

    #[test]
    fn names_of_all_scripts_are_names() {
        for name in [
            "Ana",
            "O'Brien & Söhne, S.A.",
            "Đặng Thị Hạnh",
            "हिन्दी",
            "می\u{200c}خواهم",
            "שָׁלוֹם",
            "猫 №5",
            "👩\u{200d}🚀 🏳\u{fe0f}\u{200d}🌈",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "7",
            "…",
        ] {
            assert_eq!(read(name).as_deref(), Some(name));
        }
        assert_eq!(read("  Gato Cósmico ").as_deref(), Some("Gato Cósmico"));
        assert_eq!(read("Co\u{301}smico").as_deref(), Some("Cósmico"), "in the form NFC");
    }

    #[test]
    fn what_nobody_can_see_or_read_is_none() {
        for wrong in [
            "",
            "   ",
            "a\nb",
            "\u{7f}",
            &"x".repeat(101),
            "\u{200b}",
            "\u{200d}\u{200c}",
            "\u{feff}a",
            "a\u{ad}b",
            "\u{202e}anA",
            "a\u{2066}b",
            "a\u{200f}b",
            "a\u{2028}b",
            "\u{3164}",
            "\u{2800}\u{2800}",
            "\u{34f}",
            "\u{301}",
            &format!("a{}", "\u{301}".repeat(7)),
            &"猫".repeat(86),
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        assert!(read(&"猫".repeat(85)).is_some() && read(&"é".repeat(100)).is_some());
    }
}
