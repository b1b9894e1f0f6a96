//! `caida`: one process of a service is killed every so often. What does a customer see?

use super::{Figure, Lab, Measured, Story, slowest};
use crate::measure::Kind;
use crate::plan::Service;
use crate::site::Site;
use crate::t;
use crate::words::{measured, time};
use std::time::{Duration, Instant};

/// What still counts as this death's doing, after the process is back.
const ECHO: u64 = 500_000;

pub(super) async fn script(
    lab: &Lab<'_>,
    site: &Site,
    service: Service,
    every: Duration,
) -> Result<Story, String> {
    let name = site.name_of(service);
    let mut n = 0;
    loop {
        let seconds = every.as_secs_f64();
        lab.screen.next(t!("kill -9 a {name} en {seconds:.0} s", "kill -9 of {name} in {seconds:.0} s"));
        let left = lab.end.saturating_duration_since(Instant::now());
        if !lab.stop.pause(every.min(left)).await || left <= every {
            break;
        }
        let from = lab.meter.now();
        let Some(killed) = lab.until_stopped(site.kill(service, n)).await?.flatten() else { break };
        n += 1;
        lab.did(from, killed, true);
    }
    Ok(Story::default())
}

pub(super) fn told(story: &mut Story, m: &Measured) {
    let mut away: Vec<u64> = m.marks.iter().filter(|k| k.fault).map(|k| k.to - k.from).collect();
    away.sort_unstable();
    let mut failed = m.failed_at.clone();
    failed.sort_unstable();
    let of = |from: u64, to: u64| failed.iter().filter(move |at| (from..to + ECHO).contains(*at));
    let detected: Vec<u64> = m
        .marks
        .iter()
        .filter(|k| k.fault)
        .filter_map(|k| of(k.from, k.to).next().map(|first| first - k.from))
        .collect();
    let recovered = m
        .marks
        .iter()
        .filter(|k| k.fault)
        .filter_map(|k| of(k.from, k.to).next_back().map(|last| last - k.from))
        .max();
    let (kills, noticed, errors) = (away.len(), detected.len(), failed.len());
    let middle = median(&away);
    story.figures.push(Figure::new(t!("muertes", "deaths"), kills));
    if kills > 0 {
        story.figures.extend([
            Figure::new(t!("muertes que algún cliente notó", "deaths that a customer noticed"), noticed),
            Figure::new(
                t!("el proceso volvió a atender (mediana)", "the process was back (median)"),
                measured(middle),
            ),
            Figure::new(
                t!("el que más tardó", "the one that took longest"),
                measured(away.last().copied().unwrap_or(0)),
            ),
            Figure::new(
                t!("primer error tras la muerte", "first error after the death"),
                detected.iter().min().map_or_else(|| "-".to_owned(), |t| time(*t)),
            ),
            Figure::new(
                t!("último error tras la muerte", "last error after the death"),
                recovered.map_or_else(|| "-".to_owned(), time),
            ),
        ]);
    }
    story.figures.extend([
        Figure::new(t!("respuestas sin éxito", "answers that failed"), errors),
        slowest(m, Kind::Buy),
    ]);
    if kills == 0 {
        let none = t!("No se mató ningún proceso.", "No process was killed.");
        story.sentence = format!("{} {none}", story.sentence).trim().to_owned();
        return;
    }
    let (back, slow) = (measured(middle), slowest(m, Kind::Buy).valor);
    story.sentence = t!(
        "Muertes: {kills}; las que algún cliente notó: {noticed}. El proceso volvió a atender en {back} (mediana). La compra más lenta: {slow}.",
        "Deaths: {kills}; those that a customer noticed: {noticed}. The process was back in {back} (median). The slowest purchase: {slow}."
    );
}

/// Of sorted numbers: the middle one, or the mean of the two middle ones.
fn median(sorted: &[u64]) -> u64 {
    let at = |i: usize| sorted.get(i).copied().unwrap_or(0);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { at(half) } else { at(half.saturating_sub(1)).midpoint(at(half)) }
}

#[cfg(test)]
mod tests {
    use super::{Measured, Story, median, told};

    #[test]
    fn the_median_of_two_is_between_them() {
        assert_eq!([median(&[]), median(&[3]), median(&[2, 4]), median(&[1, 5, 9])], [0, 3, 3, 5]);
    }

    #[test]
    fn where_nothing_was_killed_it_says_so() {
        let mut story = Story::default();
        told(&mut story, &Measured::default());
        assert_eq!(story.sentence, "No se mató ningún proceso.");
        let figures: Vec<_> = story.figures.iter().map(|f| (f.nombre.as_str(), f.valor.as_str())).collect();
        let expected =
            [("muertes", "0"), ("respuestas sin éxito", "0"), ("la compra más lenta", "no se midió")];
        assert_eq!(figures, expected);
    }
}
