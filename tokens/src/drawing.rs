//! A picture for a token without one: drawn from its id and name, always the same. The name is its title only, since pages
//! write it beside the picture.

use market::domain::TokenId;
use std::fmt::{self, Write};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Side of the square, in SVG units.
const SIDE: u64 = 400;

/// Numbers that look random and are the token's own: a hash, drawn on with SplitMix64.
struct Chance(u64);

impl Chance {
    fn new(id: TokenId, nombre: &str) -> Self {
        Self(xxh3_64_with_seed(nombre.as_bytes(), id.get()))
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low)
    }
}

/// An SVG document.
///
/// # Errors
/// Where writing to memory fails, which it does not.
pub fn svg(id: TokenId, nombre: &str) -> Result<String, fmt::Error> {
    let mut chance = Chance::new(id, nombre);
    let nombre = Escaped(nombre).to_string();
    let hue = chance.below(360);
    // colours a third of the circle or less apart go together; a half would shout
    let other_hue = (hue + chance.between(30, 120)) % 360;
    let turn = chance.below(360);
    let mut s = String::with_capacity(3072);
    write!(
        s,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {SIDE} {SIDE}\" width=\"{SIDE}\" \
         height=\"{SIDE}\" role=\"img\" aria-labelledby=\"t\"><title id=\"t\">{nombre}</title><defs>\
         <linearGradient id=\"f\" gradientTransform=\"rotate({turn} .5 .5)\">\
         <stop offset=\"0\" stop-color=\"hsl({hue} 70% 42%)\"/>\
         <stop offset=\"1\" stop-color=\"hsl({other_hue} 75% 22%)\"/></linearGradient>\
         <radialGradient id=\"l\"><stop offset=\"0\" stop-color=\"#fff\" stop-opacity=\".75\"/>\
         <stop offset=\"1\" stop-color=\"#fff\" stop-opacity=\"0\"/></radialGradient></defs>\
         <rect width=\"{SIDE}\" height=\"{SIDE}\" fill=\"url(#f)\"/>"
    )?;
    for _ in 0..24 {
        let (x, y, r) = (chance.below(SIDE), chance.below(SIDE), chance.between(4, 18));
        let shine = chance.between(20, 90);
        write!(
            s,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{}.{}\" fill=\"#fff\" opacity=\".{shine}\"/>",
            r / 10,
            r % 10
        )?;
    }
    for _ in 0..chance.between(4, 7) {
        shape(&mut s, &mut chance, hue)?;
    }
    let (x, y) = (chance.between(60, SIDE - 60), chance.between(60, 180));
    write!(s, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{}\" fill=\"url(#l)\"/>", chance.between(60, 140))?;
    s.push_str("</svg>");
    Ok(s)
}

/// One translucent shape: a disc, a ring, or a turned polygon.
fn shape(s: &mut String, chance: &mut Chance, hue: u64) -> fmt::Result {
    let (x, y, r) = (chance.below(SIDE), chance.below(SIDE), chance.between(30, 110));
    let color = format!("hsl({} 85% {}%)", (hue + chance.between(140, 260)) % 360, chance.between(50, 75));
    let opacity = chance.between(25, 70);
    match chance.below(3) {
        0 => write!(s, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" fill=\"{color}\" opacity=\".{opacity}\"/>"),
        1 => {
            let width = chance.between(4, 22);
            write!(
                s,
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" fill=\"none\" stroke=\"{color}\" \
                 stroke-width=\"{width}\" opacity=\".{opacity}\"/>"
            )
        }
        _ => {
            // corners of a triangle, a square and a hexagon on a circle of 100 units
            const CORNERS: [&str; 3] = [
                "0,-100 87,50 -87,50",
                "71,71 -71,71 -71,-71 71,-71",
                "100,0 50,87 -50,87 -100,0 -50,-87 50,-87",
            ];
            let points = CORNERS[usize::try_from(chance.below(3)).unwrap_or(0)];
            let turn = chance.below(360);
            write!(
                s,
                "<polygon points=\"{points}\" fill=\"{color}\" opacity=\".{opacity}\" \
                 transform=\"translate({x} {y}) rotate({turn}) scale({}.{:02})\"/>",
                r / 100,
                r % 100
            )
        }
    }
}

/// Text that stays text inside XML.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            // the two that XML 1.0 has no way to write; names have no control characters
            '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}'),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(id: u64, nombre: &str) -> String {
        svg(TokenId::new(id).unwrap(), nombre).unwrap()
    }

    #[test]
    fn a_drawing_is_the_token_s_own_and_always_the_same() {
        assert_eq!(draw(101, "Gato Cósmico"), draw(101, "Gato Cósmico"));
        assert_ne!(draw(101, "Gato Cósmico"), draw(102, "Gato Cósmico"));
        assert_ne!(draw(101, "Gato Cósmico"), draw(101, "Gata Cósmica"));
        assert!(draw(101, "Gato Cósmico").contains("role=\"img\""));
    }

    #[test]
    fn names_cannot_become_markup() {
        let s = draw(1, "<script>\"&'\u{ffff}</script>");
        assert!(s.contains("<title id=\"t\">&lt;script&gt;&quot;&amp;&#39;\u{fffd}&lt;/script&gt;</title>"));
        assert!(!s.contains("<script"));
    }
}
