//! Which file system a directory is on. Over a network, `flock` and `fdatasync` do not hold between machines.

use std::{io, path::Path};

/// File system types, as `/proc/self/mountinfo` names them, that several machines can have mounted at once.
const NETWORK: &[&str] = &[
    "9p",
    "acfs",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "glusterfs",
    "gfs",
    "gfs2",
    "gpfs",
    "kafs",
    "lustre",
    "mountpoint-s3",
    "ncp",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "panfs",
    "pvfs2",
    "smb2",
    "smb3",
    "smbfs",
];

/// What follows `fuse.` where the program behind it keeps the files on other machines.
const NETWORK_FUSE: &[&str] = &[
    "afp",
    "blobfuse",
    "blobfuse2",
    "ceph",
    "ceph-fuse",
    "cephfs",
    "curlftpfs",
    "davfs",
    "davfs2",
    "gcsfuse",
    "geesefs",
    "glusterfs",
    "goofys",
    "hdfs",
    "juicefs",
    "lizardfs",
    "mfs",
    "moosefs",
    "mountpoint-s3",
    "rclone",
    "s3fs",
    "s3ql",
    "seaweedfs",
    "sshfs",
    "weed",
];

/// The type of the network file system that a directory (which exists) is on. Where the system does not tell, it is taken
/// as local.
pub(super) fn network(dir: &Path) -> io::Result<Option<String>> {
    let full = dir.canonicalize()?;
    let Ok(mounts) = std::fs::read_to_string("/proc/self/mountinfo") else { return Ok(None) };
    Ok(kind(&mounts, &full).filter(|kind| is_network(kind)))
}

fn is_network(kind: &str) -> bool {
    match kind.strip_prefix("fuse.") {
        Some(program) => NETWORK_FUSE.contains(&program),
        None => NETWORK.contains(&kind),
    }
}

/// The type of the file system that `path` is on: that of the longest mount point above it, and of several mounts on
/// one point the last, which hides the others. Format: proc_pid_mountinfo(5).
fn kind(mountinfo: &str, path: &Path) -> Option<String> {
    let mut best: Option<(usize, &str)> = None;
    for line in mountinfo.lines() {
        let Some((mount, source)) = line.split_once(" - ") else { continue };
        let (Some(point), Some(kind)) = (mount.split(' ').nth(4), source.split(' ').next()) else { continue };
        let point = unescape(point);
        if path.starts_with(&point) && best.is_none_or(|(longest, _)| point.len() >= longest) {
            best = Some((point.len(), kind));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /data rw - nfs4 server:/export rw,vers=4.2
31 30 0:41 / /data/local rw,noatime master:3 propagate_from:2 - xfs /dev/vdb rw
32 22 0:42 / /mi\\040disco rw - fuse.sshfs me@there: rw
33 22 0:43 / /over rw - nfs a:/ rw
34 33 0:44 / /over rw - tmpfs tmpfs rw
35 22 0:45 / /tres rw - fuse.grpcfuse grpcfuse rw
";

    #[test]
    fn the_longest_mount_point_above_decides() {
        let kind = |path: &str| kind(MOUNTS, Path::new(path)).unwrap();
        assert_eq!(kind("/"), "ext4");
        assert_eq!(kind("/database"), "ext4");
        assert_eq!(kind("/data/x"), "nfs4");
        assert_eq!(kind("/data/local/x"), "xfs");
        assert_eq!(kind("/mi disco/x"), "fuse.sshfs");
        assert_eq!(kind("/over/x"), "tmpfs");
    }

    #[test]
    fn network_types_are_refused_and_local_ones_are_not() {
        for kind in
            ["nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "fuse.sshfs", "fuse.rclone", "fuse.glusterfs"]
        {
            assert!(is_network(kind), "{kind}");
        }
        for kind in
            ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "virtiofs", "fuse.grpcfuse", "fuseblk"]
        {
            assert!(!is_network(kind), "{kind}");
        }
    }

    #[test]
    fn the_error_names_the_way_out() {
        let error = super::super::OpenError::NetworkFileSystem { dir: "/data".into(), kind: "nfs4".into() };
        assert!(error.to_string().contains("postgres://"), "{error}");
        assert_eq!(error.exit_code(), 69);
    }
}
