//! The memory of each process, and its limit. In a cluster the kernel kills a container that takes more; here a cgroup does
//! where the user names one, and else the warden does.

use super::Scale;
use crate::t;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit, setrlimit};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// A service's memory limit in the manifests (`k8s/base`).
pub const LIMIT_MIB: u64 = 256;
/// What the records of a process may take, of its memory limit: as its default of a container's limit.
pub fn budget_mib(scale: Scale) -> u64 {
    // in short form little is left beside the seed, so that it is full soon
    scale.pick(SHORT_MIB, LIMIT_MIB * 32 / 100)
}

const SHORT_MIB: u64 = 24;
/// Between two looks.
const EVERY: Duration = Duration::from_millis(10);

/// How the limit is kept.
pub fn how(cgroup: Option<&Path>) -> String {
    match cgroup {
        Some(dir) => t!("por cgroups en {}", "by cgroups in {}", dir.display()),
        None => t!("que el laboratorio vigila cada 10 ms", "which the laboratory watches every 10 ms"),
    }
}

/// Lets this process have as many connections as it may: an attack needs thousands.
pub fn raise_files() {
    let limit = getrlimit(Resource::Nofile);
    // with fewer an attack is weaker, and still one
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Watches one process.
pub struct Warden {
    pid: u32,
    seen: Arc<Seen>,
    watch: JoinHandle<()>,
    cgroup: Option<PathBuf>,
}

#[derive(Default)]
struct Seen {
    peak: AtomicU64,
    killed: AtomicBool,
}

impl Warden {
    /// Watches a process from now on.
    ///
    /// # Errors
    /// Where it cannot be limited.
    pub fn watch(pid: u32, name: &str, cgroup: Option<&Path>) -> Result<Self, String> {
        let process = Pid::from_raw(pid.cast_signed()).ok_or("no process")?;
        let cgroup = cgroup.map(|parent| limited(parent, name, pid)).transpose()?;
        // should the warden be late: the process then ends by itself before the machine is full. Addresses that are only
        // reserved count here, so the number is a larger one.
        let most = Rlimit { current: Some((16 * LIMIT_MIB) << 20), maximum: Some((16 * LIMIT_MIB) << 20) };
        prlimit(Some(process), Resource::Data, most).map_err(|e| format!("setrlimit of {name}: {e}"))?;
        let seen = Arc::<Seen>::default();
        let watch = tokio::spawn(look(pid, Arc::clone(&seen)));
        Ok(Self { pid, seen, watch, cgroup })
    }

    /// The most MiB since the last time that this was asked.
    pub fn peak_mib(&self) -> u64 {
        // what lasted less than a look is in the kernel's own mark
        let kernel = high_water(self.pid).unwrap_or_default();
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.pid), "5");
        self.seen.peak.swap(0, Ordering::Relaxed).max(kernel) >> 20
    }

    /// Whether it took more than its limit, and was killed for it here.
    pub fn killed(&self) -> bool {
        self.seen.killed.load(Ordering::Relaxed)
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        self.watch.abort();
        // an empty one only; one whose process is still ending stays until somebody removes it
        if let Some(cgroup) = &self.cgroup {
            let _ = std::fs::remove_dir(cgroup);
        }
    }
}

async fn look(pid: u32, seen: Arc<Seen>) {
    while let Some(bytes) = resident(pid) {
        seen.peak.fetch_max(bytes, Ordering::Relaxed);
        if bytes > (LIMIT_MIB << 20) {
            seen.killed.store(true, Ordering::Relaxed);
            if let Some(process) = Pid::from_raw(pid.cast_signed()) {
                let _ = kill_process(process, Signal::KILL);
            }
            return;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Bytes of memory that it has now; `None` once it has none.
fn resident(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    (pages > 0).then_some(pages * rustix::param::page_size() as u64)
}

fn high_water(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().trim_end_matches(" kB").parse::<u64>().ok()?)
}

/// A cgroup of its own with the limit, of version 2 or 1, and the process in it.
fn limited(parent: &Path, name: &str, pid: u32) -> Result<PathBuf, String> {
    let dir = parent.join(format!("{name}-{pid}"));
    let said = |e: std::io::Error| format!("{}: {e}", dir.display());
    std::fs::create_dir(&dir).map_err(said)?;
    let limit = (LIMIT_MIB << 20).to_string();
    let two = dir.join("memory.max");
    let file = if two.exists() { two } else { dir.join("memory.limit_in_bytes") };
    std::fs::write(file, limit).map_err(said)?;
    std::fs::write(dir.join("cgroup.procs"), pid.to_string()).map_err(said)?;
    Ok(dir)
}
