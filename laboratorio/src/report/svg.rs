//! The pictures. Their colours are classes, so that the page decides on them in light, dark and on paper.

use super::{Bucket, Happening, Money, Percentile, Report};
use crate::measure::{End, Kind, Measured};
use crate::t;
use crate::words::{time, whole};
use std::collections::BTreeSet;
use std::fmt::Write;

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 34.0;
/// A dot stands for all operations of its kind in a square of this side: a picture of any number of operations stays small.
const CELL: f64 = 3.0;
/// Colours that the page knows for processes.
pub const PODS: usize = 8;

/// A number of a slice, or of a point.
type Pick<T> = fn(&T) -> u64;

/// A vertical scale.
#[derive(Clone, Copy)]
enum Scale {
    /// From 0.
    Linear(f64),
    /// Of microseconds, between two powers of ten.
    Log(i32, i32),
}

impl Scale {
    /// Nice steps up to at least this.
    fn linear(most: f64) -> Self {
        let most = most.max(1.0);
        let power = 10_f64.powf(most.log10().floor());
        let nice = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|n| *n >= most);
        Self::Linear(nice.unwrap_or(most))
    }

    /// For these times.
    fn log(least: u64, most: u64) -> Self {
        let power = |n: u64| n.max(1).ilog10().cast_signed();
        Self::Log(power(least), power(most) + 1)
    }

    fn y(self, value: f64) -> f64 {
        let part = match self {
            Self::Linear(most) => value / most,
            Self::Log(low, high) => (value.max(1.0).log10() - f64::from(low)) / f64::from(high - low),
        };
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - part.clamp(0.0, 1.0))
    }

    fn ticks(self) -> Vec<(f64, String)> {
        match self {
            Self::Linear(most) => {
                (0..=4).map(|i| most * f64::from(i) / 4.0).map(|v| (v, number(v))).collect()
            }
            Self::Log(low, high) => (low..=high)
                .map(|power| 10_f64.powi(power))
                .map(|v| (v, time(v as u64).replace(".0 ", " ")))
                .collect(),
        }
    }
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 { whole(value as u64) } else { format!("{value:.1}") }
}

/// Text inside of markup.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

struct Picture {
    svg: String,
    seconds: f64,
    scale: Scale,
}

impl Picture {
    fn new(title: &str, seconds: f64, scale: Scale) -> Self {
        let mut svg = format!(
            r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}"><title>{}</title>"#,
            escape(title),
            escape(title)
        );
        for (value, text) in scale.ticks() {
            let y = scale.y(value);
            let _ = write!(
                svg,
                r#"<path class="grid" d="M{LEFT} {y:.1}H{}"/><text class="tick" x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                escape(&text)
            );
        }
        Self { svg, seconds: seconds.max(0.001), scale }
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (seconds / self.seconds).clamp(0.0, 1.0)
    }

    fn clock(&mut self) {
        let step = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0];
        let step = step.into_iter().find(|s| self.seconds / s <= 12.0).unwrap_or(self.seconds / 8.0);
        let mut at = 0.0;
        while at <= self.seconds {
            let x = self.x(at);
            let _ = write!(
                self.svg,
                r#"<text class="tick" x="{x:.1}" y="{}" text-anchor="middle">{} s</text>"#,
                HEIGHT - 12.0,
                number(at)
            );
            at += step;
        }
    }

    /// What was done, behind what came of it.
    fn marks(&mut self, marks: &[Happening]) {
        for mark in marks {
            let (from, to) = (self.x(mark.desde_micros as f64 / 1e6), self.x(mark.hasta_micros as f64 / 1e6));
            let (what, height) = (escape(&mark.que), HEIGHT - TOP - BOTTOM);
            let _ = if mark.falla {
                let width = (to - from).max(2.0);
                write!(
                    self.svg,
                    r#"<rect class="fault" x="{from:.1}" y="{TOP}" width="{width:.1}" height="{height}"><title>{what}</title></rect>"#
                )
            } else {
                write!(
                    self.svg,
                    r#"<path class="step" d="M{from:.1} {TOP}v{height}"><title>{what}</title></path>"#
                )
            };
        }
    }

    fn line(&mut self, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (seconds, value) in points {
            let (x, y) = (self.x(seconds), self.scale.y(value));
            let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { "M" } else { "L" });
        }
        let _ = write!(self.svg, r#"<path class="line {class}" d="{path}"/>"#);
    }

    fn end(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}

/// Every operation as a dot: when it should have begun, and how long it took.
pub fn dots(r: &Report, m: &Measured) -> String {
    let least = m.samples.iter().map(|s| s.took).min().unwrap_or(100);
    let most = m.samples.iter().map(|s| s.took).max().unwrap_or(1000);
    let title = t!(
        "Cada operación: cuándo empezó y cuánto tardó",
        "Each operation: when it began, and how long it took"
    );
    let mut p = Picture::new(&title, r.segundos, Scale::log(least, most));
    p.marks(&r.marcas);
    // the rarest on top
    for (class, end, kind) in [
        ("read", End::Done, Some(Kind::Read)),
        ("other", End::Done, Some(Kind::Other)),
        ("buy", End::Done, Some(Kind::Buy)),
        ("refused", End::Refused, None),
        ("failed", End::Failed, None),
        ("failed", End::Silent, None),
        ("failed", End::Left, None),
    ] {
        let mut cells = BTreeSet::new();
        for s in m.samples.iter().filter(|s| s.end == end && kind.is_none_or(|k| k == s.kind)) {
            let (x, y) = (p.x(s.at as f64 / 1e6), p.scale.y(s.took as f64));
            cells.insert(((x / CELL) as u32, (y / CELL) as u32));
        }
        if cells.is_empty() {
            continue;
        }
        let _ = write!(p.svg, r#"<path class="dot {class}" d=""#);
        for (x, y) in cells {
            let _ = write!(p.svg, "M{} {}h0", f64::from(x) * CELL, f64::from(y) * CELL);
        }
        p.svg.push_str("\"/>");
    }
    p.clock();
    p.end()
}

/// The slices that the run has filled: a part of one would be drawn as a fall. A run that is shorter than one has only that.
fn filled(r: &Report) -> &[Bucket] {
    let step = r.paso_segundos.max(1);
    let n = r.serie.iter().filter(|b| (b.segundo + step) as f64 <= r.segundos).count().max(1);
    r.serie.get(..n).unwrap_or(&r.serie)
}

/// Answers a second.
pub fn rates(r: &Report) -> String {
    let step = r.paso_segundos.max(1) as f64;
    let slices = filled(r);
    let most =
        slices.iter().map(|b| b.lecturas.max(b.compras).max(b.otras).max(b.errores).max(b.rechazos)).max();
    let title = t!("Respuestas por segundo", "Answers a second");
    let mut p = Picture::new(&title, r.segundos, Scale::linear(most.unwrap_or(1) as f64 / step));
    p.marks(&r.marcas);
    let mut series: Vec<(&str, Pick<Bucket>)> = vec![
        ("read", |b| b.lecturas),
        ("buy", |b| b.compras),
        ("refused", |b| b.rechazos),
        ("failed", |b| b.errores),
    ];
    if r.of(Kind::Other).is_some() {
        series.insert(2, ("other", |b| b.otras));
    }
    for (class, pick) in series {
        p.line(class, slices.iter().map(|b| (b.segundo as f64 + step / 2.0, pick(b) as f64 / step)));
    }
    p.clock();
    p.end()
}

/// Names of the processes that answered, in the order of their colours.
pub fn pods(r: &Report) -> Vec<String> {
    let names: BTreeSet<_> = r.serie.iter().flat_map(|b| b.pods.iter().map(|p| p.pod.clone())).collect();
    names.into_iter().collect()
}

/// Who answered, one on top of the other.
pub fn shares(r: &Report) -> String {
    let step = r.paso_segundos.max(1) as f64;
    let slices = filled(r);
    let most = slices.iter().map(|b| b.pods.iter().map(|p| p.respuestas).sum::<u64>()).max();
    let title = t!("Qué proceso contestó, por segundo", "Which process answered, per second");
    let mut p = Picture::new(&title, r.segundos, Scale::linear(most.unwrap_or(1) as f64 / step));
    let mut below = vec![0.0; slices.len()];
    for (i, name) in pods(r).iter().enumerate() {
        let (mut up, mut down) = (String::new(), Vec::new());
        for (b, below) in slices.iter().zip(&mut below) {
            let n = b.pods.iter().find(|s| s.pod == *name).map_or(0, |s| s.respuestas) as f64 / step;
            let (from, to) = (p.x(b.segundo as f64), p.x(b.segundo as f64 + step));
            let (low, high) = (p.scale.y(*below), p.scale.y(*below + n));
            let _ = write!(up, "{}{from:.1} {high:.1}H{to:.1}", if up.is_empty() { "M" } else { "L" });
            down.push(format!("L{to:.1} {low:.1}H{from:.1}"));
            *below += n;
        }
        down.reverse();
        let (class, name) = (i % PODS, escape(name));
        let _ = write!(
            p.svg,
            r#"<path class="area pod{class}" d="{up}{}Z"><title>{name}</title></path>"#,
            down.concat()
        );
    }
    p.marks(&r.marcas);
    p.clock();
    p.end()
}

/// The distribution of times: each half of the way to the right is nine tenths of what was left.
pub fn latency(r: &Report) -> String {
    let times = || r.latencia.iter().flat_map(|p| [p.lecturas_micros, p.compras_micros]).filter(|t| *t > 0);
    let scale = Scale::log(times().min().unwrap_or(100), times().max().unwrap_or(1000));
    let title = t!("Distribución de los tiempos", "Distribution of times");
    // 99.99 % is four nines, and the slowest is drawn at five
    let mut p = Picture::new(&title, 5.0, scale);
    let nines = |percentile: f64| if percentile >= 100.0 { 5.0 } else { -(1.0 - percentile / 100.0).log10() };
    let series: [(&str, Pick<Percentile>); 2] =
        [("read", |p| p.lecturas_micros), ("buy", |p| p.compras_micros)];
    for (class, pick) in series {
        let points: Vec<_> =
            r.latencia.iter().filter(|p| pick(p) > 0).map(|p| (nines(p.percentil), pick(p) as f64)).collect();
        if !points.is_empty() {
            p.line(class, points.into_iter());
        }
    }
    for (at, text) in [
        (0.0, "0 %"),
        (0.301, "50 %"),
        (1.0, "90 %"),
        (2.0, "99 %"),
        (3.0, "99.9 %"),
        (4.0, "99.99 %"),
        (5.0, "100 %"),
    ] {
        let x = p.x(at);
        let anchor = if at == 5.0 { "end" } else { "middle" };
        let _ = write!(
            p.svg,
            r#"<text class="tick" x="{x:.1}" y="{}" text-anchor="{anchor}">{text}</text>"#,
            HEIGHT - 12.0
        );
    }
    p.end()
}

/// Before and after, as bars.
pub fn money(m: &Money) -> String {
    let expected = m.antes + m.abonado - m.pagado;
    let bars = [
        ("before", t!("antes", "before"), m.antes),
        ("added", t!("abonado", "paid in"), m.abonado),
        ("paid", t!("pagado", "spent"), m.pagado),
        ("expected", t!("debería quedar", "should be left"), expected),
        (if m.diferencia == 0 { "after" } else { "wrong" }, t!("quedó", "is left"), m.despues),
    ];
    let most = bars.iter().map(|(.., n)| n.unsigned_abs()).max().unwrap_or(1).max(1) as f64;
    let title = t!("El dinero antes y después, en créditos", "The money before and after, in credits");
    let mut svg = format!(
        r#"<svg viewBox="0 0 {WIDTH} 190" role="img" aria-label="{0}"><title>{0}</title>"#,
        escape(&title)
    );
    for (i, (class, name, n)) in bars.iter().enumerate() {
        let y = 8.0 + 36.0 * i as f64;
        let width = (WIDTH - 330.0) * n.unsigned_abs() as f64 / most;
        let (text, name) = (whole(n.unsigned_abs()), escape(name));
        let sign = if *n < 0 { "−" } else { "" };
        let _ = write!(
            svg,
            r#"<text class="name" x="150" y="{:.0}" text-anchor="end">{name}</text><rect class="bar {class}" x="160" y="{y}" width="{:.1}" height="26"/><text class="name" x="{:.1}" y="{:.0}">{sign}{text}</text>"#,
            y + 18.0,
            width.max(1.0),
            168.0 + width,
            y + 18.0
        );
    }
    svg.push_str("</svg>");
    svg
}
