//! `escala`: from one process to many and back. Does more do more, and does anybody notice the change?

use super::{Figure, Lab, Measured, Story, reads};
use crate::measure::{End, Kind};
use crate::plan::Service;
use crate::site::Site;
use crate::t;
use crate::words::time;

/// A process has its share once it answers half of what an even one would be, over a second.
const WINDOW: u64 = 1_000_000;
/// Between two looks.
const STEP: u64 = 100_000;

pub(super) async fn script(
    lab: &Lab<'_>,
    site: &Site,
    service: Service,
    most: usize,
) -> Result<Story, String> {
    let name = site.name_of(service);
    let mut phases = Vec::new();
    let third = lab.part(1.0 / 3.0);
    let phase = |n: usize| t!("{n} de {name}", "{n} of {name}");
    let mut from = lab.meter.now();
    let had = site.count(service);
    // a cluster has as many as somebody wanted
    if had != 1 {
        lab.screen.next(t!("de {had} a 1", "from {had} to 1"));
        if lab.until_stopped(site.scale(service, 1)).await?.is_none() {
            return Ok(Story::default());
        }
        lab.did(from, t!("{name}: de {had} a 1", "{name}: from {had} to 1"), false);
        from = lab.meter.now();
    }
    lab.screen.next(t!("de 1 a {most} procesos de {name}", "from 1 to {most} processes of {name}"));
    let mut going = lab.stop.pause(third).await;
    phases.push((phase(1), from, lab.meter.now()));
    if going {
        from = lab.meter.now();
        going = lab.until_stopped(site.scale(service, most)).await?.is_some();
    }
    if going {
        lab.did(from, t!("{name}: de 1 a {most}", "{name}: from 1 to {most}"), false);
        lab.screen.next(t!("de {most} a 1", "from {most} to 1"));
        let begun = lab.meter.now();
        going = lab.stop.pause(third).await;
        phases.push((phase(most), begun, lab.meter.now()));
    }
    if going {
        from = lab.meter.now();
        going = lab.until_stopped(site.scale(service, 1)).await?.is_some();
    }
    if going {
        lab.did(from, t!("{name}: de {most} a 1", "{name}: from {most} to 1"), false);
        lab.screen.next(t!("hasta el final con 1", "to the end with 1"));
        let begun = lab.meter.now();
        // as long as the others, however long the changes took
        lab.stop.pause(third).await;
        phases.push((phase(1), begun, lab.meter.now()));
    }
    Ok(Story { phases, ..Story::default() })
}

pub(super) fn told(story: &mut Story, m: &Measured, service: Service) {
    story.rules.push(reads(m));
    let rate = |from: u64, to: u64| {
        let done = |s: &&crate::measure::Sample| {
            s.kind == Kind::Read && s.end == End::Done && (from..to).contains(&s.at)
        };
        m.samples.iter().filter(done).count() as f64 * 1e6 / to.saturating_sub(from).max(1) as f64
    };
    let p99 = |from, to| time(m.times(Kind::Read, from, to).value_at_quantile(0.99));
    for (name, from, to) in &story.phases {
        let (rate, p99) = (rate(*from, *to), p99(*from, *to));
        story.figures.push(Figure::new(
            name.clone(),
            t!("{rate:.0} lecturas/s, p99 {p99}", "{rate:.0} reads/s, p99 {p99}"),
        ));
    }
    let [(_, a, b), (_, c, d), ..] = story.phases.as_slice() else { return };
    let slowest = joined(m, service, *b, *d);
    if let Some((pod, micros)) = slowest {
        let after = time(micros);
        story.figures.push(Figure::new(
            t!("el último proceso nuevo tuvo su parte", "the last new process had its share"),
            t!("{after} después de pedirlo ({pod})", "{after} after it was asked for ({pod})"),
        ));
    }
    let (one, many) = (rate(*a, *b), rate(*c, *d));
    let (p_one, p_many) = (p99(*a, *b), p99(*c, *d));
    let failed: u64 = m.failures.iter().filter(|((kind, _), _)| *kind == Kind::Read).map(|(_, n)| n).sum();
    story.sentence = t!(
        "Con un proceso se contestaron {one:.0} lecturas por segundo (99 de cada 100 en {p_one} o menos); con todos, {many:.0} (en {p_many}). Lecturas que fallaron: {failed}.",
        "One process answered {one:.0} reads a second (99 of 100 within {p_one}); all together {many:.0} (within {p_many}). Reads that failed: {failed}."
    );
}

/// The last of the new processes to have its share, and how long after the change began.
fn joined(m: &Measured, service: Service, from: u64, to: u64) -> Option<(String, u64)> {
    let of = |pod: &String| pod.starts_with(service.name()) || pod.starts_with("tienda");
    let mut reads: Vec<(u64, u16)> = m
        .samples
        .iter()
        .filter(|s| s.kind == Kind::Read && (from..to + WINDOW).contains(&(s.at + s.took)))
        .filter_map(|s| Some((s.at + s.took, s.pod?)))
        .filter(|(_, pod)| m.pods.get(usize::from(*pod)).is_some_and(of))
        .collect();
    reads.sort_unstable();
    let pods: std::collections::BTreeSet<_> = reads.iter().map(|(_, pod)| *pod).collect();
    let before = |pod: u16| m.samples.iter().any(|s| s.pod == Some(pod) && s.at + s.took < from);
    pods.iter()
        .filter(|pod| !before(**pod))
        .filter_map(|pod| {
            let mut at = from;
            while at + WINDOW <= to + WINDOW {
                let within = |(t, _): &&(u64, u16)| (at..at + WINDOW).contains(t);
                let all = reads.iter().filter(within).count();
                let its = reads.iter().filter(within).filter(|(_, p)| p == pod).count();
                if all > 0 && its * 2 * pods.len() >= all {
                    let first = reads.iter().filter(within).find(|(_, p)| p == pod).map_or(at, |(t, _)| *t);
                    return Some((m.pods.get(usize::from(*pod))?.clone(), first - from));
                }
                at += STEP;
            }
            None
        })
        .max_by_key(|(_, after)| *after)
}
