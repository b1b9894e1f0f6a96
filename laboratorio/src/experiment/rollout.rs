//! `despliegue`: every process is replaced by a new one while customers buy.

use super::{Figure, Lab, Measured, Story, none, reads, slowest};
use crate::measure::Kind;
use crate::site::Site;
use crate::t;
use crate::words::measured;

pub(super) async fn script(lab: &Lab<'_>, site: &Site) -> Result<Story, String> {
    let all = site.parts();
    let mut replaced = 0_usize;
    if lab.stop.pause(lab.part(0.15)).await {
        for (i, part) in all.iter().enumerate() {
            let name = part.name();
            lab.screen.next(t!("se reemplaza {name}", "{name} is replaced"));
            let from = lab.meter.now();
            let Some((n, done)) = lab.until_stopped(site.renew(part)).await? else { break };
            replaced += n;
            lab.did(from, done, false);
            // spread over the first three quarters
            if !lab.stop.pause(lab.part(0.6 / all.len() as f64)).await {
                break;
            }
            if i + 1 == all.len() {
                lab.screen.next(t!("todo es nuevo, hasta el final", "all is new, to the end"));
            }
        }
    }
    lab.rest().await;
    Ok(Story {
        figures: vec![Figure::new(t!("procesos reemplazados", "processes replaced"), replaced)],
        ..Story::default()
    })
}

pub(super) fn told(story: &mut Story, m: &Measured) {
    story.rules.push(reads(m));
    // nothing of somebody's market is replaced
    let replaced = story.figures.first().map(|f| f.valor.clone());
    let failed: u64 = m.failures.iter().filter(|((kind, _), _)| *kind == Kind::Read).map(|(_, n)| n).sum();
    let repeated: u64 = m.failures.iter().filter(|((kind, _), _)| *kind == Kind::Buy).map(|(_, n)| n).sum();
    let counted = |kind, n: u64| if none(m, kind) { measured(0) } else { n.to_string() };
    let (failed, repeated) = (counted(Kind::Read, failed), counted(Kind::Buy, repeated));
    story.figures.extend([
        Figure::new(t!("lecturas que fallaron", "reads that failed"), &failed),
        Figure::new(t!("compras que hubo que repetir", "purchases that had to be repeated"), &repeated),
        slowest(m, Kind::Read),
        slowest(m, Kind::Buy),
    ]);
    let first = match replaced {
        Some(n) => t!("Procesos reemplazados: {n}", "Processes replaced: {n}"),
        None => t!("{} No se reemplazó ningún proceso", "{} No process was replaced", story.sentence),
    };
    let first = first.trim();
    story.sentence = t!(
        "{first}; lecturas que fallaron: {failed}; compras que hubo que repetir: {repeated}.",
        "{first}; reads that failed: {failed}; purchases that had to be repeated: {repeated}."
    );
}
