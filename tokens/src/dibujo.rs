//! A picture for a token without one: drawn from its id and name, always the same. The name is its title only, since pages
//! write it beside the picture.

use market::domain::TokenId;
use std::fmt::{self, Write};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Side of the square, in SVG units.
const LADO: u64 = 400;

/// Numbers that look random and are the token's own: a hash, drawn on with SplitMix64.
struct Azar(u64);

impl Azar {
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
    let mut azar = Azar::new(id, nombre);
    let nombre = Escapado(nombre).to_string();
    let tono = azar.below(360);
    // colours a third of the circle or less apart go together; a half would shout
    let otro = (tono + azar.between(30, 120)) % 360;
    let giro = azar.below(360);
    let mut s = String::with_capacity(3072);
    write!(
        s,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {LADO} {LADO}\" width=\"{LADO}\" \
         height=\"{LADO}\" role=\"img\" aria-labelledby=\"t\"><title id=\"t\">{nombre}</title><defs>\
         <linearGradient id=\"f\" gradientTransform=\"rotate({giro} .5 .5)\">\
         <stop offset=\"0\" stop-color=\"hsl({tono} 70% 42%)\"/>\
         <stop offset=\"1\" stop-color=\"hsl({otro} 75% 22%)\"/></linearGradient>\
         <radialGradient id=\"l\"><stop offset=\"0\" stop-color=\"#fff\" stop-opacity=\".75\"/>\
         <stop offset=\"1\" stop-color=\"#fff\" stop-opacity=\"0\"/></radialGradient></defs>\
         <rect width=\"{LADO}\" height=\"{LADO}\" fill=\"url(#f)\"/>"
    )?;
    for _ in 0..24 {
        let (x, y, r) = (azar.below(LADO), azar.below(LADO), azar.between(4, 18));
        let brillo = azar.between(20, 90);
        write!(
            s,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{}.{}\" fill=\"#fff\" opacity=\".{brillo}\"/>",
            r / 10,
            r % 10
        )?;
    }
    for _ in 0..azar.between(4, 7) {
        figura(&mut s, &mut azar, tono)?;
    }
    let (x, y) = (azar.between(60, LADO - 60), azar.between(60, 180));
    write!(s, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{}\" fill=\"url(#l)\"/>", azar.between(60, 140))?;
    s.push_str("</svg>");
    Ok(s)
}

/// One translucent shape: a disc, a ring, or a turned polygon.
fn figura(s: &mut String, azar: &mut Azar, tono: u64) -> fmt::Result {
    let (x, y, r) = (azar.below(LADO), azar.below(LADO), azar.between(30, 110));
    let color = format!("hsl({} 85% {}%)", (tono + azar.between(140, 260)) % 360, azar.between(50, 75));
    let opacity = azar.between(25, 70);
    match azar.below(3) {
        0 => write!(s, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" fill=\"{color}\" opacity=\".{opacity}\"/>"),
        1 => {
            let ancho = azar.between(4, 22);
            write!(
                s,
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\" fill=\"none\" stroke=\"{color}\" \
                 stroke-width=\"{ancho}\" opacity=\".{opacity}\"/>"
            )
        }
        _ => {
            // corners of a triangle, a square and a hexagon on a circle of 100 units
            const LADOS: [&str; 3] = [
                "0,-100 87,50 -87,50",
                "71,71 -71,71 -71,-71 71,-71",
                "100,0 50,87 -50,87 -100,0 -50,-87 50,-87",
            ];
            let puntos = LADOS[usize::try_from(azar.below(3)).unwrap_or(0)];
            let giro = azar.below(360);
            write!(
                s,
                "<polygon points=\"{puntos}\" fill=\"{color}\" opacity=\".{opacity}\" \
                 transform=\"translate({x} {y}) rotate({giro}) scale({}.{:02})\"/>",
                r / 100,
                r % 100
            )
        }
    }
}

/// Text that stays text inside XML.
struct Escapado<'a>(&'a str);

impl fmt::Display for Escapado<'_> {
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
