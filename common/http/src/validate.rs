//! Requests read field by field, so that one answer names every bad field at once. [`request!`](crate::request!) writes what
//! does it; by hand it is:
//!
//! ```text
//! let JsonBody(mut f) = body;
//! let vendido = f.required("vendido", boolean);
//! let edad = f.optional("edad", integer(0..=150));
//! let (vendido, edad) = f.finish((vendido, edad))?; // 422 with all that was wrong, unknown fields included
//! ```

use crate::problem::{FieldError, MAX_DETAILS, Problem, Text, shown};
use crate::text;
use actix_web::HttpRequest;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeInclusive;

/// One value as it came.
#[derive(Clone, Debug)]
pub enum Raw {
    /// A member of a JSON body.
    Json(Value),
    /// A query parameter, a path segment or a header.
    Plain(String),
}

/// The largest whole number that is read: 2^53 - 1, the last one that an IEEE 754 double counts to.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Reads one value, or says what would do ("must be …").
pub type Parsed<T> = Result<T, Text>;

/// The fields of one request that have not been read yet, and what was wrong with those that have.
#[derive(Debug, Default)]
pub struct Fields {
    left: BTreeMap<String, Raw>,
    errors: Vec<FieldError>,
    /// How many errors there are, those included that will not be named.
    wrong: usize,
}

impl Fields {
    /// The parameters of the query; one that comes twice is an error, and so is one that is no text.
    pub fn query(req: &HttpRequest) -> Self {
        let mut fields = Self::default();
        for (name, value) in query_pairs(req.query_string()) {
            match String::from_utf8(value) {
                Ok(value) => fields.add(name, Raw::Plain(value)),
                Err(_) => fields.wrong(&name, Text::new("debe ser UTF-8", "must be UTF-8")),
            }
        }
        fields
    }

    /// Notes every parameter of the query as an error, where a request has its fields in its body.
    pub(crate) fn refuse_query(&mut self, req: &HttpRequest) {
        for (name, _) in query_pairs(req.query_string()) {
            self.wrong(&name, unknown());
        }
    }

    /// Adds a field to be read; a second one of the same name is an error.
    pub fn add(&mut self, name: String, value: Raw) {
        match self.left.entry(name) {
            Entry::Vacant(place) => {
                place.insert(value);
            }
            Entry::Occupied(place) => {
                let name = place.key().clone();
                self.wrong(&name, Text::new("aparece dos veces", "comes twice"));
            }
        }
    }

    /// Reads a segment of the path, percent-decoded.
    pub fn path<T>(
        &mut self,
        req: &HttpRequest,
        name: &str,
        parse: impl FnOnce(&Raw) -> Parsed<T>,
    ) -> Option<T> {
        // the router has decoded all but `%`, `/` and `+`, and left those as they came
        let decoded = percent_encoding::percent_decode_str(req.match_info().query(name)).decode_utf8_lossy();
        let raw = Raw::Plain(decoded.into_owned());
        parse(&raw).map_err(|detalle| self.wrong(name, detalle)).ok()
    }

    /// Whether one of these fields has come and is not read yet.
    pub fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.left.contains_key(*name))
    }

    /// Notes an error of a field. The first [`MAX_DETAILS`] are named, by the first 100 characters of their fields.
    pub fn wrong(&mut self, campo: &str, detalle: Text) {
        self.wrong += 1;
        if self.errors.len() < MAX_DETAILS {
            let campo = shown(campo).into_owned();
            self.errors.push(FieldError { campo, detalle });
        }
    }

    /// Reads a field that must be there.
    pub fn required<T>(&mut self, campo: &str, parse: impl FnOnce(&Raw) -> Parsed<T>) -> Option<T> {
        match self.optional(campo, parse) {
            Some(None) => {
                self.wrong(campo, Text::new("falta", "is missing"));
                None
            }
            read => read.flatten(),
        }
    }

    /// Reads a field that may be left out (`Some(None)`); `None` where it is there and wrong.
    pub fn optional<T>(&mut self, campo: &str, parse: impl FnOnce(&Raw) -> Parsed<T>) -> Option<Option<T>> {
        let Some(raw) = self.left.remove(campo) else { return Some(None) };
        match parse(&raw) {
            Ok(value) => Some(Some(value)),
            Err(detalle) => {
                self.wrong(campo, detalle);
                None
            }
        }
    }

    /// The values, where all are right and no field is left over.
    ///
    /// # Errors
    /// 422 `datos-invalidos` that names every bad field.
    pub fn finish<T: Complete>(mut self, values: T) -> Result<T::Values, Problem> {
        for campo in std::mem::take(&mut self.left).into_keys() {
            self.wrong(&campo, unknown());
        }
        match values.complete() {
            Some(values) if self.wrong == 0 => Ok(values),
            _ => Err(Problem::invalid_of(self.wrong, self.errors)),
        }
    }
}

fn unknown() -> Text {
    Text::new("no se conoce este campo", "is not a known field")
}

/// The names and the values of a query, decoded. A name that is no UTF-8 is no field's.
fn query_pairs(query: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let value = pair.split_once('=').map_or("", |(_, value)| value);
        (query_name(pair), decoded(value))
    })
}

/// The name of one pair of a query, in whatever spelling that percent-encoding allows it came.
pub(crate) fn query_name(pair: &str) -> String {
    let name = pair.split('=').next().unwrap_or_default();
    String::from_utf8_lossy(&decoded(name)).into_owned()
}

fn decoded(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).collect()
}

/// A tuple of what was read, each `None` where it was wrong.
pub trait Complete {
    /// The same without the options.
    type Values;
    /// All of them or nothing.
    fn complete(self) -> Option<Self::Values>;
}

macro_rules! complete {
    ($($t:ident $n:tt),*) => {
        impl<$($t),*> Complete for ($(Option<$t>,)*) {
            type Values = ($($t,)*);
            fn complete(self) -> Option<Self::Values> { Some(($(self.$n?,)*)) }
        }
    };
}
complete!(A 0);
complete!(A 0, B 1);
complete!(A 0, B 1, C 2);
complete!(A 0, B 1, C 2, D 3);
complete!(A 0, B 1, C 2, D 3, E 4);
complete!(A 0, B 1, C 2, D 3, E 4, F 5);
complete!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);

/// A whole number in a range, in a query by its digits alone.
pub fn integer(range: RangeInclusive<u64>) -> impl FnOnce(&Raw) -> Parsed<u64> {
    move |raw| {
        let n = match raw {
            Raw::Json(Value::Number(n)) => n.as_u64(),
            Raw::Plain(s) if s.bytes().all(|b| b.is_ascii_digit()) => s.parse().ok(),
            _ => None,
        };
        let (low, high) = (range.start(), range.end());
        n.filter(|n| range.contains(n)).ok_or_else(|| {
            text!("debe ser un entero de {low} a {high}", "must be a whole number from {low} to {high}")
        })
    }
}

/// The whole number that a JSON number is: `7`, `7.0`, `70e-1` and `0.7e1` are seven, as JSON knows one kind of number. It
/// is read from the text, since a double would round a fraction away.
pub(crate) fn whole(number: &str) -> Option<u64> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (int, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [int.trim_start_matches('-'), fraction].concat();
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // bodies are short, so the lengths fit
    let place = i64::try_from(digits.len() - significant.len()).ok()? - i64::try_from(fraction.len()).ok()?;
    let zeros = u32::try_from(exponent.parse::<i64>().ok()?.checked_add(place)?).ok()?;
    let negative = int.starts_with('-');
    significant.parse::<u64>().ok()?.checked_mul(10_u64.checked_pow(zeros)?).filter(|_| !negative)
}

/// `true` or `false`.
pub fn boolean(raw: &Raw) -> Parsed<bool> {
    match raw {
        Raw::Json(Value::Bool(b)) => Ok(*b),
        Raw::Plain(s) if s == "true" => Ok(true),
        Raw::Plain(s) if s == "false" => Ok(false),
        _ => Err(Text::new("debe ser true o false", "must be true or false")),
    }
}

/// One of a few words.
pub fn one_of<T: Copy>(words: &'static [(&'static str, T)]) -> impl FnOnce(&Raw) -> Parsed<T> {
    move |raw| {
        let found = match raw {
            Raw::Json(Value::String(s)) | Raw::Plain(s) => words.iter().find(|(word, _)| word == s),
            Raw::Json(_) => None,
        };
        found.map(|(_, value)| *value).ok_or_else(|| {
            let list = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            text!("debe ser uno de: {list}", "must be one of: {list}")
        })
    }
}

/// Refuses a query, where nothing of the request is read.
///
/// # Errors
/// 422 that names every parameter.
pub fn no_query(req: &HttpRequest) -> Result<(), Problem> {
    Fields::query(req).finish((Some(()),)).map(drop)
}

/// The one segment of a path that is read, where there is nothing else to read: no query.
///
/// # Errors
/// 422 that names what is wrong.
pub fn path<T>(req: &HttpRequest, name: &str, parse: impl FnOnce(&Raw) -> Parsed<T>) -> Result<T, Problem> {
    let mut f = Fields::query(req);
    let value = f.path(req, name, parse);
    Ok(f.finish((value,))?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::General;
    use actix_web::test::TestRequest;

    fn body(json: &str) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in serde_json::from_str::<serde_json::Map<String, Value>>(json).unwrap() {
            fields.add(name, Raw::Json(value));
        }
        fields
    }

    fn any() -> impl FnOnce(&Raw) -> Parsed<u64> {
        integer(0..=MAX_INTEGER)
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let mut f = body(r#"{"nombre":"a\u0000b","edad":-1,"color":"rojo"}"#);
        let (nombre, age, id) =
            (f.required("nombre", boolean), f.required("edad", any()), f.required("id", any()));
        let problem = f.finish((nombre, age, id)).unwrap_err();
        assert_eq!(problem.codigo, General::InvalidData);
        let mut fields: Vec<_> = problem.errores.iter().map(|e| e.campo.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["color", "edad", "id", "nombre"]);
    }

    #[test]
    fn numbers_are_whole_and_in_range() {
        let read = |json: &str| any()(&Raw::Json(serde_json::from_str(json).unwrap())).ok();
        assert_eq!(read("7"), Some(7));
        assert_eq!(read("9007199254740991"), Some(MAX_INTEGER));
        for wrong in
            ["9007199254740992", "1e300", "-1", "1.5", "\"7\"", "null", "true", "[]", "18446744073709551616"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert!(any()(&Raw::Plain("+7".into())).is_err());
        assert!(any()(&Raw::Plain("0.99999999999999999999".into())).is_err());
        assert!(integer(1..=MAX_INTEGER)(&Raw::Plain("0".into())).is_err());
        assert!(any()(&Raw::Plain("9223372036854775808".into())).is_err());
    }

    #[test]
    fn a_number_is_whole_by_its_text() {
        for seven in ["7", "7.0", "7.000", "7e0", "70e-1", "7000.0E-3", "0.7e1", "0.007e+3", "007"] {
            assert_eq!(whole(seven), Some(7), "{seven}");
        }
        assert_eq!(whole("1e2"), Some(100));
        assert_eq!(whole("12.50e2"), Some(1250));
        for zero in ["0", "-0", "0.0", "-0.0e5", "0e99999999999999999999"] {
            assert_eq!(whole(zero), Some(0), "{zero}");
        }
        for wrong in [
            "4503599627370497.5",
            "0.99999999999999999999",
            "1.9999999999999999",
            "1e-400",
            "1e-99999999999999999999",
            "15e-1",
            "-1.0",
            "1e20",
            "1e300",
            "99999999999999999999999",
        ] {
            assert_eq!(whole(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_query_is_text() {
        let req = |query: &str| TestRequest::with_uri(&format!("/?{query}")).to_http_request();
        let wrong = |query: &str| {
            let mut f = Fields::query(&req(query));
            let name = f.optional("a b", boolean);
            f.finish((name,)).err().map_or(vec![], |p| p.errores.into_iter().map(|e| e.campo).collect())
        };
        for right in ["", "&", "a+b=true", "a%20b=tru%65&", "&%61%20b=false"] {
            assert!(wrong(right).is_empty(), "{right}");
        }
        assert_eq!(wrong("a%20b=%ff"), ["a b"], "named once");
        assert_eq!(wrong("a+b=true&a%20b=true"), ["a b"]);
        assert_eq!(wrong("%ff=1&x"), ["x", "\u{fffd}"]);
        assert_eq!(no_query(&req("c=%ff&d")).unwrap_err().errores.len(), 2);
        assert!(no_query(&req("")).is_ok());
    }
}
