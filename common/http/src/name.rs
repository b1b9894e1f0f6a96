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
        if text.starts_with(blank) || text.ends_with(blank) {
            return Err(unseen());
        }
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
    if text.chars().any(hidden) || has_stray_joiner(text) {
        return Some(Text::new(
            "no puede tener caracteres invisibles ni de dirección del texto",
            "must not have characters that are invisible or turn the direction of text",
        ));
    }
    if !text.chars().any(leaves_ink) {
        return Some(unseen());
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

/// Characters that nobody sees, wherever they stand: they turn the direction of text, break lines, or make two names look
/// as one (Unicode's Default_Ignorable_Code_Point, and what is no character).
fn hidden(c: char) -> bool {
    let format = matches!(
        c.general_category(),
        GeneralCategory::Format | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator
    );
    let ignorable = matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2065}' | '\u{3164}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}');
    let none = matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    (format || ignorable || none) && joiner(c).is_none()
}

/// What a character needs before it that nobody sees by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joiner {
    /// A letter of a script that joins letters, or an emoji.
    Joins,
    /// What has a second way to be drawn: a symbol, a digit of a keycap, a letter of some scripts.
    Draws,
    /// A flag, or a letter of its name.
    Flag,
}

fn joiner(c: char) -> Option<Joiner> {
    match c {
        '\u{200c}' | '\u{200d}' => Some(Joiner::Joins),
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{180b}'..='\u{180d}' | '\u{180f}' => {
            Some(Joiner::Draws)
        }
        '\u{e0020}'..='\u{e007f}' => Some(Joiner::Flag),
        _ => None,
    }
}

/// Whether such a character stands where it changes nothing that can be seen. Persian, Hindi and emoji need joiners; the
/// alphabets up to the Cyrillic do not, and with a joiner in it "Ana" would be another Ana.
fn has_stray_joiner(text: &str) -> bool {
    // the last one that is seen, and whether one that is not has come since
    let (mut before, mut after_joiner) = ('\0', None);
    for c in text.chars() {
        let stray = match joiner(c) {
            None => {
                (before, after_joiner) = (c, None);
                false
            }
            Some(kind) => {
                let is_symbol = before.general_category_group() == GeneralCategoryGroup::Symbol;
                let joins = before >= '\u{530}' && !before.is_whitespace();
                let fits = match kind {
                    Joiner::Joins => {
                        (joins || is_symbol) && after_joiner.is_none_or(|last| last == Joiner::Draws)
                    }
                    Joiner::Draws => {
                        let keycap = matches!(before, '0'..='9' | '#' | '*');
                        (is_symbol || keycap || joins) && after_joiner.is_none()
                    }
                    Joiner::Flag => {
                        before == '\u{1f3f4}' && after_joiner.is_none_or(|last| last == Joiner::Flag)
                    }
                };
                after_joiner = Some(kind);
                !fits
            }
        };
        if stray {
            return true;
        }
    }
    // at the end nothing is joined
    after_joiner == Some(Joiner::Joins)
}

fn unseen() -> Text {
    Text::new(
        "debe tener algún carácter visible, y al principio y al final",
        "must have a visible character, and at both ends",
    )
}

/// Symbols that are blank: of Braille, of music.
fn blank(c: char) -> bool {
    matches!(c, '\u{2800}' | '\u{1d159}')
}

/// Whether a character can be seen by itself.
fn leaves_ink(c: char) -> bool {
    use GeneralCategoryGroup as Group;
    let group = c.general_category_group();
    !blank(c) && matches!(group, Group::Letter | Group::Number | Group::Punctuation | Group::Symbol)
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
            "👩🏽\u{200d}💻 1\u{fe0f}\u{20e3} ❤\u{fe0f}",
            "क्\u{200d}ष",
            "葛\u{e0100}飾",
            "ᠠ\u{180b}",
            "⠓⠕⠇⠁",
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
            "An\u{200d}a",
            "Ana\u{200c}",
            "\u{200d}猫",
            "猫\u{200d}",
            "猫\u{200d}\u{200d}猫",
            "Ana\u{fe0f}",
            "Ana\u{e0061}",
            "🏴🏴Ana\u{e0067}",
            "\u{e0067}",
            "Ана\u{200d}",
            "a\u{34f}b",
            "Ana\u{3164}",
            "Ana\u{2800}",
            "\u{2800}Ana",
            "ក\u{17b4}",
            "a\u{180e}b",
            "a\u{fff0}b",
            "a\u{ffff}b",
            "a\u{fdd0}",
            "a\u{2065}b",
            "a\u{1d173}b",
            "a\u{e0001}b",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        assert!(read(&"猫".repeat(85)).is_some() && read(&"é".repeat(100)).is_some());
    }
}
