//! Names as they are searched and as they are sorted.
//!
//! Both are made from a name alone, so the files keep neither. Tables keep both beside the name, with the number of the rules
//! that made them ([`RULES`]).

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use icu_collator::CollatorBorrowed;
use icu_collator::options::CollatorOptions;
use std::convert::Infallible;
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The number of these rules. Tables whose rows were made by rules of a smaller number are made anew at the next start, so
/// the number grows with each change of [`fold`] or [`sort_key`], also where a newer version of a crate brings it.
pub const RULES: i64 = 2;

const CASES: CaseMapperBorrowed<'static> = CaseMapper::new();

/// The order of CLDR's root, which is that of Spanish but for the ñ: see [`sort_key`]. The tables of the languages that
/// differ more would be a megabyte of each binary.
const ORDER: CollatorBorrowed<'static> = CollatorBorrowed::new_root(CollatorOptions::default());

/// The greatest letter of all (CLDR's tailoring of the root: UTS 35, part 5, 1.2).
const GREATEST: char = '\u{ffff}';

/// A name as it is searched: without case, accents, and other ways to write the same letter (Unicode's full case folding and
/// the form NFKC). The ñ is a letter and no n; nor is й an и, nor a vowel sign of Devanagari an accent.
pub fn fold(nombre: &str) -> String {
    if nombre.is_ascii() {
        return nombre.to_ascii_lowercase();
    }
    let mut letters = String::with_capacity(nombre.len());
    let mut base = None;
    for c in nombre.nfkd() {
        if !is_combining_mark(c) {
            base = Some(c);
        } else if is_accent(base, c) {
            continue;
        }
        if !is_joiner(c) {
            letters.push(c);
        }
    }
    // İ and ı are an i with and without its dot
    CASES.fold_string(&letters).chars().map(|c| if c == 'ı' { 'i' } else { c }).nfkc().collect()
}

/// Whether a mark on this letter is an accent, which a search passes over, and makes no other letter of it.
fn is_accent(base: Option<char>, mark: char) -> bool {
    let is_diacritic = matches!(mark,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
            | '\u{fe20}'..='\u{fe2f}');
    is_diacritic
        && match base {
            Some('n' | 'N') => mark != '\u{303}',
            // a stress is none of its letters, but й, ў, ї, ѓ and ќ are
            Some('г' | 'Г' | 'к' | 'К') => mark != '\u{301}',
            Some('е' | 'Е') => matches!(mark, '\u{300}' | '\u{301}' | '\u{308}'),
            Some('\u{400}'..='\u{52f}') => matches!(mark, '\u{300}' | '\u{301}'),
            _ => true,
        }
}

/// What joins letters or says how to draw one, and is no letter: nobody types it into a search.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Two names compare as these bytes do: in the order of Spanish, so Ñandú comes after Nube, and accents and case decide only
/// between names that have the same letters.
pub fn sort_key(nombre: &str) -> Arc<[u8]> {
    let mut key = Vec::with_capacity(2 * nombre.len());
    let written: Result<(), Infallible> = if nombre.is_ascii() {
        ORDER.write_sort_key_to(nombre, &mut key)
    } else {
        // an ñ comes after all that begins with n, and before o
        let mut letters = String::with_capacity(nombre.len() + 4);
        for c in nombre.nfc() {
            letters.push(match c {
                'ñ' => 'n',
                'Ñ' => 'N',
                c => c,
            });
            if matches!(c, 'ñ' | 'Ñ') {
                letters.push(GREATEST);
            }
        }
        ORDER.write_sort_key_to(&letters, &mut key)
    };
    let Ok(()) = written;
    key.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_passes_over_case_accents_and_composition() {
        for (nombre, folded) in [
            ("Gato Cósmico", "gato cosmico"),
            ("GATO CO\u{301}SMICO", "gato cosmico"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("GROẞ", "gross"),
            ("ışık", "isik"),
            ("IŞIK", "isik"),
            ("İstanbul", "istanbul"),
            ("ΟΔΟΣ", "οδοσ"),
            ("οδός", "οδοσ"),
            ("ﬁlosofía Ⅳ ①", "filosofia iv 1"),
            ("ＧＡＴＯ", "gato"),
            ("猫 №5", "猫 no5"),
            ("ﾈｺ", "ネコ"),
            ("Ёлка", "елка"),
            ("Çedilla à la crème", "cedilla a la creme"),
            ("می\u{200c}خواهم", "میخواهم"),
            ("❤\u{fe0f}", "❤"),
            ("´", " "),
        ] {
            assert_eq!(fold(nombre), folded);
            assert_eq!(fold(&fold(nombre)), folded);
        }
    }

    #[test]
    fn letters_and_vowel_signs_are_no_accents() {
        assert_eq!(fold("ÑANDÚ"), "ñandu");
        assert_eq!(fold("N\u{303}andu\u{301}"), "ñandu");
        assert_eq!(fold("Ṇ\u{303}"), "ñ", "a dot below is an accent, also on an ñ");
        for (one, other) in [
            ("año", "ano"),
            ("हन्दी", "हिन्दी"),
            ("क", "क\u{93c}"),
            ("กน", "กิน"),
            ("カ", "ガ"),
            ("й", "и"),
            ("ї", "і"),
            ("ќ", "к"),
            ("שלום", "שָׁלוֹם"),
            ("ł", "l"),
        ] {
            assert_ne!(fold(one), fold(other));
        }
    }

    #[test]
    fn what_was_folded_folds_to_itself() {
        for c in '\0'..='\u{1ffff}' {
            let folded = fold(&format!("a{c}n{c}"));
            assert_eq!(fold(&folded), folded, "{:x}", u32::from(c));
        }
    }

    #[test]
    fn names_sort_as_in_spanish() {
        let sorted = [
            "",
            " ",
            "!",
            "1",
            "10",
            "9",
            "a",
            "A",
            "ábaco",
            "Ábaco",
            "abeja",
            "cafe",
            "Cafe",
            "café",
            "Café",
            "Cafetera",
            "chico",
            "Dardo",
            "llama",
            "Luna",
            "nandú",
            "Nube",
            "nz",
            "ñ",
            "Ñ",
            "Ñandú",
            "ñu",
            "Ñu",
            "o",
            "Ødegård",
            "Œuvre",
            "Oslo",
            "Straße",
            "strata",
            "z",
            "Ωμέγα",
            "Ё",
            "я",
            "猫",
        ];
        for pair in sorted.windows(2) {
            assert!(sort_key(pair[0]) < sort_key(pair[1]), "{pair:?}");
        }
        assert_eq!(sort_key("n\u{303}u"), sort_key("ñu"), "whatever the composition");
    }
}
