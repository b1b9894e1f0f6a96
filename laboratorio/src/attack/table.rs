//! The table, a row as soon as its kind is over.

use super::judge::Verdict;
use crate::t;

use std::path::Path;

/// The column heads.
pub fn head() {
    say!(
        "{}",
        t!(
            "{:<4} {:<13} {:<9} {:>8} {:>9} {:>8} {:>7}  {}",
            "{:<4} {:<13} {:<9} {:>8} {:>9} {:>8} {:>7}  {}",
            t!("fila", "row"),
            t!("clase", "kind"),
            t!("veredicto", "verdict"),
            t!("antes/s", "before/s"),
            t!("durante/s", "during/s"),
            t!("p99 ms", "p99 ms"),
            t!("MiB", "MiB"),
            t!("qué se vio", "what was seen")
        )
    );
}

/// One row.
pub fn row(verdict: &Verdict) {
    let word = match verdict {
        v if v.elsewhere => t!("aparte", "elsewhere"),
        v if v.seen.wrong.is_empty() => t!("bien", "good"),
        _ => t!("MAL", "WRONG"),
    };
    let number = |n: Option<f64>| n.map_or_else(|| "-".to_owned(), |n| format!("{n:.0}"));
    let seen: Vec<_> = verdict.seen.wrong.iter().chain([&verdict.seen.what]).cloned().collect();
    say!(
        "{:<4} {:<13} {word:<9} {:>8} {:>9} {:>8} {:>7}  {}",
        if verdict.row == 0 { "-".to_owned() } else { verdict.row.to_string() },
        verdict.name,
        number(verdict.rates.map(|(before, _)| before)),
        number(verdict.rates.map(|(_, during)| during)),
        verdict.p99.map_or_else(|| "-".to_owned(), |p99| format!("{:.1}", p99.as_secs_f64() * 1000.0)),
        verdict.peak_mib.map_or_else(|| "-".to_owned(), |mib| mib.to_string()),
        seen.join("; ")
    );
}

/// The last line; whether all is good.
pub fn end(verdicts: &[Verdict], dir: &Path) -> bool {
    let wrong: Vec<_> =
        verdicts.iter().filter(|v| !v.seen.wrong.is_empty()).map(|v| v.name.as_str()).collect();
    if wrong.is_empty() {
        let attacked = verdicts.iter().filter(|v| !v.elsewhere).count();
        say!(
            "{}",
            t!(
                "VERDE: {} clases, y el mercado sigue vivo, rápido y correcto.",
                "GREEN: {} kinds, and the market is alive, quick and right.",
                attacked
            )
        );
        return true;
    }
    say!(
        "{}",
        t!("ROJO: {}. Datos y registros: {}", "RED: {}. Data and logs: {}", wrong.join(", "), dir.display())
    );
    false
}
