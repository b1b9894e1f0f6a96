//! `escala`: from one process to many and back. Does more do more, and does anybody notice the change?

use super::{Figure, Lab, Measured, Story, none, reads};
use crate::measure::{End, Kind};
use crate::plan::Service;
use crate::report::{name, short};
use crate::site::Site;
use crate::t;
use crate::words::{measured, time, whole};

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

/// Operations a second that were answered in a part of the run, and how many were to be where that is more.
fn rate(m: &Measured, kind: Kind, from: u64, to: u64) -> String {
    let (done, wanted) = (m.answered(kind, from, to), m.offered(kind, from, to));
    match () {
        () if wanted == 0.0 => "0".to_owned(),
        () if short(done, wanted) => t!("{done:.0} de {wanted:.0}", "{done:.0} of {wanted:.0}"),
        () => format!("{done:.0}"),
    }
}

pub(super) fn told(story: &mut Story, m: &Measured, service: Service) {
    story.rules.push(reads(m));
    // what its processes answer
    let kind = match service {
        Service::Transacciones => Kind::Buy,
        Service::Usuarios | Service::Tokens => Kind::Read,
    };
    let what = name(kind);
    let p99 = |from, to| measured(m.times(kind, from, to).value_at_quantile(0.99));
    for (name, from, to) in &story.phases {
        let (rate, p99) = (rate(m, kind, *from, *to), p99(*from, *to));
        story.figures.push(Figure::new(name.clone(), format!("{rate} {what}/s, p99 {p99}")));
    }
    let left = m.count(kind, |e| e == End::Left);
    if left > 0 {
        story.figures.push(Figure::new(t!("{what} sin contestar", "{what} not answered"), whole(left)));
    }
    let [(_, a, b), (_, c, d), ..] = story.phases.as_slice() else { return };
    let slowest = joined(m, kind, service, *b, *d);
    if let Some((pod, micros)) = slowest {
        let after = time(micros);
        story.figures.push(Figure::new(
            t!("el último proceso nuevo tuvo su parte", "the last new process had its share"),
            t!("{after} después de pedirlo ({pod})", "{after} after it was asked for ({pod})"),
        ));
    }
    if none(m, kind) {
        story.sentence = t!(
            "No hubo {what}: no se midió cuántas se contestan.",
            "There were no {what}: how many are answered was not measured."
        );
        return;
    }
    let (one, many) = (rate(m, kind, *a, *b), rate(m, kind, *c, *d));
    let (p_one, p_many) = (p99(*a, *b), p99(*c, *d));
    let failed: u64 = m.failures.iter().filter(|((of, _), _)| *of == kind).map(|(_, n)| n).sum();
    story.sentence = t!(
        "Con un proceso se contestaron {one} {what} por segundo (99 de cada 100 en {p_one} o menos); con todos, {many} (en {p_many}). Respuestas que fallaron: {failed}.",
        "One process answered {one} {what} a second (99 of 100 within {p_one}); all together {many} (within {p_many}). Answers that failed: {failed}."
    );
    if left > 0 {
        let left = whole(left);
        story.sentence.push_str(&t!(
            " Al terminar, {left} {what} aún esperaban turno: no se contestaron.",
            " At the end {left} {what} still waited for their turn: they were not answered."
        ));
    }
}

/// The last of the new processes to have its share, and how long after the change began.
fn joined(m: &Measured, kind: Kind, service: Service, from: u64, to: u64) -> Option<(String, u64)> {
    let of = |pod: &String| pod.starts_with(service.name()) || pod.starts_with("tienda");
    let mut answers: Vec<(u64, u16)> = m
        .samples
        .iter()
        .filter(|s| s.kind == kind && (from..to + WINDOW).contains(&s.ended()))
        .filter_map(|s| Some((s.ended(), s.pod?)))
        .filter(|(_, pod)| m.pods.get(usize::from(*pod)).is_some_and(of))
        .collect();
    answers.sort_unstable();
    let pods: std::collections::BTreeSet<_> = answers.iter().map(|(_, pod)| *pod).collect();
    let before = |pod: u16| m.samples.iter().any(|s| s.pod == Some(pod) && s.ended() < from);
    pods.iter()
        .filter(|pod| !before(**pod))
        .filter_map(|pod| {
            let mut at = from;
            while at + WINDOW <= to + WINDOW {
                let within = |(t, _): &&(u64, u16)| (at..at + WINDOW).contains(t);
                let all = answers.iter().filter(within).count();
                let its = answers.iter().filter(within).filter(|(_, p)| p == pod).count();
                if all > 0 && its * 2 * pods.len() >= all {
                    let first = answers.iter().filter(within).find(|(_, p)| p == pod).map_or(at, |(t, _)| *t);
                    return Some((m.pods.get(usize::from(*pod))?.clone(), first - from));
                }
                at += STEP;
            }
            None
        })
        .max_by_key(|(_, after)| *after)
}

#[cfg(test)]
mod tests {
    use super::{Story, told};
    use crate::measure::{End, Kind, Measured, Sample};
    use crate::plan::Service;

    const SECOND: u64 = 1_000_000;

    /// A hundred reads a second for four seconds, of which one process answers ten a second in turn: the first two seconds are
    /// its own, then three do.
    fn overloaded() -> Measured {
        let pods = ["tokens-1", "tokens-2", "tokens-3"].map(str::to_owned).to_vec();
        let mut m = Measured { pods, ..Measured::default() };
        for n in 0..400 {
            let at = n * SECOND / 100;
            let (end, ended, pod) = match n {
                0..20 => (End::Done, (n + 1) * SECOND / 10 - 1, Some(0)),
                20..80 => (End::Done, 2 * SECOND + (n - 19) * SECOND / 30 - 1, Some((n % 3) as u16)),
                _ => (End::Left, 4 * SECOND, None),
            };
            m.samples.push(Sample { at, took: ended - at.min(ended), kind: Kind::Read, end, pod });
        }
        m
    }

    #[test]
    fn under_overload_what_was_answered_is_told_and_what_was_asked_for_beside_it() {
        let m = overloaded();
        let phases = [("1 de tokens", 0, 2), ("3 de tokens", 2, 4)];
        let phases = phases.map(|(name, from, to)| (name.to_owned(), from * SECOND, to * SECOND)).to_vec();
        let mut story = Story { phases, ..Story::default() };
        told(&mut story, &m, Service::Tokens);
        assert!(story.sentence.starts_with("Con un proceso se contestaron 10 de 100 lecturas por segundo"));
        assert!(story.sentence.contains("con todos, 30 de 100"), "{}", story.sentence);
        assert!(story.sentence.contains("320 lecturas aún esperaban turno"), "{}", story.sentence);
    }

    #[test]
    fn a_service_that_answers_no_reads_is_measured_by_its_purchases() {
        let mut m = overloaded();
        m.samples.iter_mut().for_each(|s| s.kind = Kind::Buy);
        // who is told no was answered as well
        m.samples.iter_mut().step_by(3).filter(|s| s.end == End::Done).for_each(|s| s.end = End::Refused);
        let phases = [("1", 0, 2), ("3", 2, 4)];
        let phases = phases.map(|(name, from, to)| (name.to_owned(), from * SECOND, to * SECOND)).to_vec();
        let mut story = Story { phases, ..Story::default() };
        told(&mut story, &m, Service::Transacciones);
        assert!(
            story
                .sentence
                .starts_with("Con un proceso se contestaron 10 de 100 peticiones de compra por segundo")
        );
        assert!(!story.sentence.contains("lecturas"), "{}", story.sentence);
    }

    #[test]
    fn without_reads_there_is_nothing_to_tell() {
        let phases = vec![("1".to_owned(), 0, SECOND), ("3".to_owned(), SECOND, 2 * SECOND)];
        let mut story = Story { phases, ..Story::default() };
        told(&mut story, &Measured::default(), Service::Tokens);
        assert!(story.sentence.starts_with("No hubo lecturas"), "{}", story.sentence);
        assert!(story.figures.iter().all(|f| f.valor.ends_with("no se midió")), "{:?}", story.figures);
    }
}
