//! Names that people give to things.

use crate::problem::Text;
use crate::request::Field;
use crate::text;
use crate::validate::{Parsed, Raw};
use icu_properties::props::{DefaultIgnorableCodePoint, JoiningType, Script};
use icu_properties::{CodePointMapData, CodePointSetData};
use serde_json::Value;
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The most characters of a name.
pub const MAX_NAME: usize = 100;
/// The most bytes of a name: bytes are what is stored.
pub const MAX_NAME_BYTES: usize = 256;
/// The most marks on one letter. Written languages need four.
const MAX_MARKS: usize = 6;
/// Keeps apart what its script or its emoji would join.
const NON_JOINER: char = '\u{200c}';
/// Joins what its script or its emoji would keep apart.
const JOINER: char = '\u{200d}';
/// The flags of England, Scotland and Wales, which are all that are written with tags.
const FLAGS: [&str; 3] = [
    "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
    "🏴\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
];

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
    if has_hidden(text) {
        return Some(Text::new(
            "no puede tener caracteres invisibles, de dirección del texto o sin asignar",
            "must not have characters that are invisible, turn the direction of text, or are not assigned",
        ));
    }
    if !text.chars().any(leaves_ink) {
        return Some(Text::new("debe tener algún carácter visible", "must have a visible character"));
    }
    // one accent may come as several marks, so they are counted as they came; what stands between them is not seen
    let unseen = |c: char| matches!(c, NON_JOINER | JOINER) || is_selector(c);
    let mut heaps = text.split(|c| !mark(c) && !unseen(c));
    if heaps.any(|marks| marks.chars().filter(|c| !unseen(*c)).count() > MAX_MARKS) {
        return Some(text!(
            "no puede tener más de {MAX_MARKS} marcas en una letra",
            "must not have more than {MAX_MARKS} marks on one letter"
        ));
    }
    None
}

/// Whether a text has a character that nobody sees: with it "Ana" would be another Ana.
fn has_hidden(text: &str) -> bool {
    if text.is_ascii() {
        return false;
    }
    // a flag with its tags is seen as any other flag
    let text = FLAGS.iter().fold(text.to_owned(), |text, flag| text.replace(flag, "🏁"));
    let chars: Vec<char> = text.chars().collect();
    chars.iter().enumerate().any(|(i, c)| is_hidden(&chars[..i], *c, chars.get(i + 1).copied()))
}

/// Whether nobody sees a character where it stands. Persian, Hindi and emoji need joiners, and some characters have a second
/// way to be drawn, which a selector after them asks for; anywhere else these change nothing.
fn is_hidden(before: &[char], c: char, after: Option<char>) -> bool {
    let last = before.last().copied().unwrap_or('\0');
    match c {
        NON_JOINER => !joins_letters(before, after) && !is_beside_virama(before, c, after),
        JOINER => {
            !joins_letters(before, after)
                && !is_beside_virama(before, c, after)
                && !joins_emoji(before, after)
        }
        '\u{fe0e}' | '\u{fe0f}' => {
            let is_keycap = matches!(last, '0'..='9' | '#' | '*') && after == Some('\u{20e3}');
            !is_keycap && !is_emoji(last)
        }
        '\u{fe00}'..='\u{fe02}' | '\u{e0100}'..='\u{e01ef}' => script(last) != Script::Han,
        '\u{180b}'..='\u{180d}' | '\u{180f}' => script(last) != Script::Mongolian || !letter(last),
        _ => is_never_seen(c) || is_blank(c),
    }
}

/// Whether a joiner would stand between two letters of a script that joins its letters, as Arabic and Mongolian do.
fn joins_letters(before: &[char], after: Option<char>) -> bool {
    let joins = |c: char| {
        let kind = CodePointMapData::<JoiningType>::new().get(c);
        letter(c) && kind != JoiningType::NonJoining && kind != JoiningType::Transparent
    };
    last_letter(before).is_some_and(joins) && after.is_some_and(joins)
}

/// Whether a joiner would stand beside a virama, between letters of the virama's script: scripts of India choose with it how
/// two letters become one. In Malayalam a letter, a virama and a joiner may also end a word.
fn is_beside_virama(before: &[char], joiner: char, after: Option<char>) -> bool {
    let is_virama = |c: &char| canonical_combining_class(*c) == 9;
    let (Some(letter_before), Some(last)) = (last_letter(before), before.last()) else { return false };
    let script_before = script(letter_before);
    let same = |c: char| script(c) == script_before;
    if is_virama(last) {
        let ends = joiner == JOINER && script_before == Script::Malayalam;
        return same(*last) && (ends || after.is_some_and(|c| letter(c) && same(c)));
    }
    letter(*last) && after.is_some_and(|c| is_virama(&c) && same(c))
}

/// Whether a joiner would stand between two emoji. The first may have a colour of skin, or a selector.
fn joins_emoji(before: &[char], after: Option<char>) -> bool {
    let first = match before {
        [.., first, '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}'] | [.., first] => *first,
        [] => return false,
    };
    is_emoji(first) && after.is_some_and(is_emoji)
}

/// Whether a character is an emoji by itself, or a kind of hair: no digit, no letter of a flag, no colour of skin.
fn is_emoji(c: char) -> bool {
    c.is_emoji_char() && (!c.is_emoji_component() || matches!(c, '\u{1f9b0}'..='\u{1f9b3}'))
}

/// Characters that nobody sees, wherever they stand: they turn the direction of text, break lines, or make two names look
/// as one; and those that mean nothing, or to everybody something else.
fn is_never_seen(c: char) -> bool {
    use GeneralCategory as Category;
    let unseen = matches!(
        c.general_category(),
        Category::Format
            | Category::LineSeparator
            | Category::ParagraphSeparator
            | Category::PrivateUse
            | Category::Unassigned
    );
    unseen || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Letters and symbols that are blank: of Braille, of Egyptian, of Khitan, of music.
fn is_blank(c: char) -> bool {
    matches!(c, '\u{2800}' | '\u{13441}' | '\u{13442}' | '\u{16fe4}' | '\u{1d159}')
}

/// Asks for another way to draw the character before it.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

fn letter(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Letter
}

fn mark(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Mark
}

/// The letter at the end, under its marks.
fn last_letter(text: &[char]) -> Option<char> {
    text.iter().rev().copied().find(|c| !mark(*c)).filter(|c| letter(*c))
}

/// Whether a character can be seen by itself.
fn leaves_ink(c: char) -> bool {
    use GeneralCategoryGroup as Group;
    matches!(c.general_category_group(), Group::Letter | Group::Number | Group::Punctuation | Group::Symbol)
}

impl PartialSchema for Name {
    #[expect(deprecated, reason = "utoipa's derive writes one `example`, and so do all other schemas here")]
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "1 to 100 characters and at most 256 bytes: one of them visible, and none a control character, invisible, \
                 not assigned, or one that turns the direction of text; it is kept in Unicode's form NFC",
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
            "葛\u{e0100}飾 神\u{fe00}",
            "می\u{200c}خواهم خانه\u{200c}ها",
            "مُ\u{200c}می",
            "क\u{94d}\u{200c}ष राम",
            "ශ\u{dca}\u{200d}\u{dbb}ී ක\u{200d}\u{dca}ෂ",
            "അവന\u{d4d}\u{200d} അവൻ",
            "ഫേസ\u{d4d}\u{200c}ബുക്ക്",
            "র\u{200d}\u{9cd}যাব",
            "ᠠ\u{200d}ᠠ",
            "👨\u{200d}👩\u{200d}👧 👍🏽 🇲🇽 ☺\u{fe0e}",
            "👁\u{fe0f}\u{200d}🗨\u{fe0f} 🏃🏽\u{200d}♀\u{fe0f}\u{200d}➡\u{fe0f} 👩\u{200d}🦰",
            &FLAGS.concat(),
            "José Ñandú Åsa Nguyễn Thị",
            "Иван Ελένη Աննա გიორგი",
            "สมชาย မောင် សុខ བསོད་ནམས",
            "이순신 さくら",
            "ሰላም ᏣᎳᎩ ߒߞߏ",
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
            // a joiner where no script needs it
            "Nguy\u{1ec5}\u{200d}n",
            "Nguy\u{1ec5}\u{200c}n",
            "Nguy\u{1ec5}\u{fe0f}n",
            "王\u{200d}芳",
            "$\u{200d}5",
            "$\u{fe0f}5",
            "a—\u{200d}b",
            "ש\u{200d}ל",
            "ก\u{200c}า",
            "क\u{200d}ष",
            "क\u{94d}\u{200d}क\u{200d}",
            "क\u{94d}\u{200d}ல",
            "王\u{94d}\u{200d}芳",
            "क\u{94d}\u{200d}\u{200d}ष",
            "م\u{200c}",
            "م\u{200c} م",
            "م\u{200c}\u{200d}م",
            "م\u{200d}a",
            "😀\u{200c}😀",
            "😀\u{200d}a",
            "5\u{200d}5",
            "🇲\u{200d}🇽",
            // a selector after what has one form
            "中\u{180b}",
            "ᠠ\u{fe0f}",
            "中\u{fe0f}",
            "中\u{e0100}\u{e0101}",
            "中\u{fe03}",
            "a\u{e0100}",
            "か\u{e0100}",
            "1\u{fe0f}",
            "1\u{fe0f}2",
            "😀\u{fe0f}\u{fe0f}",
            "e\u{301}\u{fe0f}",
            // tags that make no flag
            "🏴\u{e0067}",
            "🏴\u{e0075}\u{e0073}\u{e0063}\u{e0061}\u{e007f}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}",
            &format!("{}{}", FLAGS[0], FLAGS[1].trim_start_matches('🏴')),
            "😀\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            // marks with something between them
            &format!("A{}n", format!("{}\u{200c}", "\u{20dd}".repeat(6)).repeat(5)),
            &format!("A{}n", format!("{}\u{200d}", "\u{1dc4}".repeat(6)).repeat(5)),
            &format!("क{0}\u{94d}\u{200d}ष", "\u{951}".repeat(6)),
            &format!("ന\u{d4d}\u{200d}{}", "\u{301}".repeat(6)),
            // blank letters and symbols
            "a\u{2800}b",
            "⠓\u{2800}⠓",
            "a\u{3164}b",
            "a\u{115f}b",
            "a\u{1160}b",
            "a\u{ffa0}b",
            "a\u{13441}b",
            "a\u{13442}b",
            "a\u{16fe4}b",
            "a\u{1d159}b",
            "a\u{1d17a}b",
            "a\u{17b4}b",
            "a\u{17b5}b",
            // no characters, or everybody's own
            "a\u{378}b",
            "a\u{e000}b",
            "a\u{f8ff}b",
            "a\u{10fffd}b",
            "a\u{1fffe}b",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        assert!(read(&"猫".repeat(85)).is_some() && read(&"é".repeat(100)).is_some());
    }
}
