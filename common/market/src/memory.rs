//! How much memory there is for this process, and what of it the records of its stores may take.

use std::fs;
use std::path::{Path, PathBuf};

/// Where no limit is set, version 1 of cgroups says a number near 2^63.
const NO_LIMIT: u64 = 1 << 60;

/// The most bytes of memory that this process can have: the lowest limit of its cgroups, or else the machine's memory.
/// `None` where the system does not tell.
pub fn limit() -> Option<u64> {
    limit_below(Path::new("/"))
}

/// The same for the files under another root.
fn limit_below(root: &Path) -> Option<u64> {
    let cgroups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = cgroups.lines().filter_map(|line| {
        // "0::/a/b" is version 2, "4:memory:/a/b" is version 1
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let below = Path::new(path.trim_start_matches('/'));
        if controllers.is_empty() {
            lowest(&root.join("sys/fs/cgroup"), below, "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            lowest(&root.join("sys/fs/cgroup/memory"), below, "memory.limit_in_bytes")
        } else {
            None
        }
    });
    limits.chain(machine(root)).min()
}

/// The lowest limit from a cgroup up to the root of the tree. In a container of its own name space the path may not be there:
/// the root of what is mounted is then the container's.
fn lowest(mount: &Path, below: &Path, file: &str) -> Option<u64> {
    let paths = below.ancestors().map(|some| mount.join(some).join(file));
    let read = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    paths.filter_map(read).filter(|bytes| *bytes < NO_LIMIT).min()
}

fn machine(root: &Path) -> Option<u64> {
    let info = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine_with(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        limit_below(root.path())
    }

    #[test]
    fn the_lowest_limit_up_the_tree_counts() {
        let meminfo = ("proc/meminfo", "MemTotal:        1000 kB\nMemFree: 3 kB\n");
        assert_eq!(machine_with(&[]), None);
        assert_eq!(machine_with(&[meminfo]), Some(1_024_000));
        let two = ("proc/self/cgroup", "0::/pods/mine\n");
        let mine = ("sys/fs/cgroup/pods/mine/memory.max", "max\n");
        let pods = ("sys/fs/cgroup/pods/memory.max", "700000\n");
        assert_eq!(machine_with(&[meminfo, two, mine]), Some(1_024_000));
        assert_eq!(machine_with(&[meminfo, two, mine, pods]), Some(700_000));
        let more = ("sys/fs/cgroup/pods/memory.max", "9000000\n");
        assert_eq!(machine_with(&[meminfo, two, mine, more]), Some(1_024_000), "more than the machine has");
        // a container that sees its own cgroup as the root, and a path that is not there
        let own = ("sys/fs/cgroup/memory.max", "500000\n");
        assert_eq!(machine_with(&[meminfo, two, own]), Some(500_000));
        let one = ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n");
        let abc = ("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "268435456\n");
        let top = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(machine_with(&[one, abc, top]), Some(268_435_456));
        assert_eq!(machine_with(&[meminfo, one, top]), Some(1_024_000));
    }
}
