//! `caida`: one process of a service is killed every so often. What does a customer see?

use super::{Figure, Lab, Measured, Story, slowest};
use crate::measure::Kind;
use crate::plan::Service;
use crate::site::Site;
use crate::t;
use crate::words::time;
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
    let middle = away.get(away.len() / 2).copied().unwrap_or(0);
    story.figures.extend([
        Figure::new(t!("muertes", "deaths"), kills),
        Figure::new(t!("muertes que algún cliente notó", "deaths that a customer noticed"), noticed),
        Figure::new(
            t!("el proceso volvió a atender (mediana)", "the process was back (median)"),
            time(middle),
        ),
        Figure::new(
            t!("el que más tardó", "the one that took longest"),
            time(away.last().copied().unwrap_or(0)),
        ),
        Figure::new(
            t!("primer error tras la muerte", "first error after the death"),
            detected.iter().min().map_or_else(|| "-".to_owned(), |t| time(*t)),
        ),
        Figure::new(
            t!("último error tras la muerte", "last error after the death"),
            recovered.map_or_else(|| "-".to_owned(), time),
        ),
        Figure::new(t!("respuestas sin éxito", "answers that failed"), errors),
        slowest(m, Kind::Buy),
    ]);
    let (back, slow) = (time(middle), slowest(m, Kind::Buy).valor);
    story.sentence = t!(
        "Muertes: {kills}; las que algún cliente notó: {noticed}. El proceso volvió a atender en {back}, y la compra más lenta tardó {slow}.",
        "Deaths: {kills}; those that a customer noticed: {noticed}. The process was back in {back}, and the slowest purchase took {slow}."
    );
}
