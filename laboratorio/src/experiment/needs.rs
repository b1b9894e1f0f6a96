//! What an experiment needs a cluster to allow.

use super::Experiment;
use crate::cluster::rights::Deed;

/// Without these it is not begun.
pub(super) fn deeds(what: &Experiment) -> Vec<Deed> {
    match what {
        Experiment::Scale { .. } => vec![Deed::Scale],
        Experiment::Crash { replicas: Some(_), .. } => vec![Deed::Delete, Deed::Scale],
        // `caos` does whatever else is allowed, too
        Experiment::Crash { replicas: None, .. } | Experiment::Mayhem => vec![Deed::Delete],
        Experiment::Rollout => vec![Deed::Roll],
        Experiment::Plain | Experiment::Point { .. } => Vec::new(),
    }
}
