//! A run in slices of time, and the distribution of its times.

use crate::measure::{End, Kind, Measured, Sample};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Slices that a picture can show.
const MOST_SLICES: u64 = 400;
/// Seconds of a slice that a reader can multiply by.
const STEPS: [u64; 10] = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600];

/// How many answers one process gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/REPORT.md")]
pub struct Share {
    pub pod: String,
    pub respuestas: u64,
}

/// A slice of the run: operations by the moment at which they ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/REPORT.md")]
pub struct Bucket {
    /// Its beginning, in seconds.
    pub segundo: u64,
    pub lecturas: u64,
    pub compras: u64,
    /// Older reports count them as reads.
    #[serde(default)]
    pub otras: u64,
    pub rechazos: u64,
    pub errores: u64,
    pub pods: Vec<Share>,
}

/// A point of the distribution of times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "docs/REPORT.md")]
pub struct Percentile {
    pub percentil: f64,
    pub lecturas_micros: u64,
    pub compras_micros: u64,
}

/// The slices, and the seconds of each.
pub fn buckets(m: &Measured, length: u64) -> (u64, Vec<Bucket>) {
    let seconds = length / 1_000_000 + 1;
    let least = seconds.div_ceil(MOST_SLICES).max(1);
    let step = STEPS.into_iter().find(|step| *step >= least).unwrap_or(least);
    let n = usize::try_from(seconds.div_ceil(step)).unwrap_or(usize::MAX);
    let mut all: Vec<_> = (0..n as u64).map(|i| Bucket { segundo: i * step, ..Bucket::default() }).collect();
    let mut pods: Vec<BTreeMap<u16, u64>> = vec![BTreeMap::new(); n];
    for s in &m.samples {
        let which = usize::try_from(s.ended() / 1_000_000 / step).unwrap_or(usize::MAX);
        let (Some(slice), Some(shares)) = (all.get_mut(which), pods.get_mut(which)) else { continue };
        match (s.end, s.kind) {
            (End::Done, Kind::Buy) => slice.compras += 1,
            (End::Done, Kind::Read) => slice.lecturas += 1,
            (End::Done, Kind::Other) => slice.otras += 1,
            (End::Refused, _) => slice.rechazos += 1,
            (End::Failed | End::Silent | End::Left, _) => {}
        }
        if let Some(pod) = s.pod {
            *shares.entry(pod).or_default() += 1;
        }
    }
    // also those that a customer repeated until all was well
    for at in &m.failed_at {
        let which = usize::try_from(at / 1_000_000 / step).unwrap_or(usize::MAX);
        if let Some(slice) = all.get_mut(which) {
            slice.errores += 1;
        }
    }
    for (slice, shares) in all.iter_mut().zip(pods) {
        slice.pods = named(m, shares);
    }
    (step, all)
}

/// Who answered these.
pub fn shares<'a>(m: &Measured, samples: impl Iterator<Item = &'a Sample>) -> Vec<Share> {
    let mut shares = BTreeMap::new();
    for pod in samples.filter_map(|s| s.pod) {
        *shares.entry(pod).or_default() += 1;
    }
    named(m, shares)
}

fn named(m: &Measured, shares: BTreeMap<u16, u64>) -> Vec<Share> {
    let name = |pod| m.pods.get(usize::from(pod)).cloned().unwrap_or_default();
    let mut named: Vec<_> =
        shares.into_iter().map(|(pod, respuestas)| Share { pod: name(pod), respuestas }).collect();
    named.sort_by(|a, b| a.pod.cmp(&b.pod));
    named
}

/// From the middle to the slowest.
pub fn percentiles(m: &Measured) -> Vec<Percentile> {
    let (reads, purchases) = (m.times(Kind::Read, 0, u64::MAX), m.times(Kind::Buy, 0, u64::MAX));
    [0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.99, 100.0]
        .into_iter()
        .map(|percentil: f64| Percentile {
            percentil,
            lecturas_micros: reads.value_at_percentile(percentil),
            compras_micros: purchases.value_at_percentile(percentil),
        })
        .collect()
}
