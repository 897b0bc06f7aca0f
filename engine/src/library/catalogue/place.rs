//! Where a catalogue may lie: SQLite's locks and shared memory do not work over a network, and a
//! database there is damaged sooner or later (sqlite.org/howtocorrupt.html, sqlite.org/wal.html).

use crate::error::{Error, ErrorKind, Result, Stage};
use std::path::Path;

/// `f_type` of file systems that other machines write to (linux/magic.h, and each one's source).
const NETWORK: &[(u32, &str)] = &[
    (0x0000_6969, "NFS"),
    (0x0000_517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x0000_564C, "NCP"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "kAFS"),
    (0x7375_7245, "Coda"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
];

/// `f_type` of FUSE, which says nothing of what is behind it.
const FUSE: u32 = 0x6573_5546;

/// What `/proc/self/mountinfo` calls the FUSE file systems that lie on other machines.
const NETWORK_FUSE: &[&str] = &[
    "sshfs",
    "rclone",
    "s3fs",
    "gcsfuse",
    "goofys",
    "glusterfs",
    "davfs",
    "davfs2",
    "curlftpfs",
    "smbnetfs",
    "juicefs",
    "seaweedfs",
    "moosefs",
    "mfs",
    "blobfuse",
    "blobfuse2",
    "mount-s3",
    "ceph",
    "ceph-fuse",
    "hadoop",
    "httpfs",
    "google-drive-ocamlfuse",
    "onedriver",
];

/// The name of the network file system that `magic` (and for FUSE the mount's type) stands for.
fn network(magic: u32, mount_type: Option<&str>) -> Option<String> {
    if magic == FUSE {
        let kind = mount_type?.strip_prefix("fuse.")?;
        return NETWORK_FUSE.contains(&kind).then(|| kind.to_owned());
    }
    NETWORK.iter().find(|(number, _)| *number == magic).map(|(_, name)| (*name).to_owned())
}

/// The type of the mount that `path` lies on, out of the text of `/proc/self/mountinfo` (proc(5)):
/// that of the longest mount point, and among equals of the last.
fn mount_type<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let (Some(point), Some((_, rest))) = (line.split(' ').nth(4), line.split_once(" - "))
        else {
            continue;
        };
        let point = point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
        let longer = best.is_none_or(|(length, _)| point.len() >= length);
        if longer && path.starts_with(&point) {
            best = Some((point.len(), rest.split(' ').next().unwrap_or_default()));
        }
    }
    best.map(|(_, kind)| kind)
}

/// Refuses a folder on a network file system. There is no way around it: the films may lie on the
/// network, the library must not.
///
/// # Errors
/// [`ErrorKind::Limit`] (refused).
pub fn refuse_network(folder: &Path) -> Result<()> {
    let Ok(found) = rustix::fs::statfs(folder) else { return Ok(()) };
    // The type of `f_type` differs by platform; the numbers are of 32 bits.
    let magic = (found.f_type as i128 & 0xFFFF_FFFF) as u32;
    let mounts = match magic {
        FUSE => std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(),
        _ => String::new(),
    };
    let full = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    match network(magic, mount_type(&mounts, &full)) {
        None => Ok(()),
        Some(name) => Err(Error::new(
            ErrorKind::Limit,
            Stage::Process,
            format!("lies on a network file system ({name}), where a library would be damaged"),
        )
        .input(folder)
        .hint("put the library on a local disk; the films may stay where they are")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_from_local_ones() {
        assert_eq!(network(0x6969, None).as_deref(), Some("NFS"));
        assert_eq!(network(0xFF53_4D42, None).as_deref(), Some("CIFS"));
        assert_eq!(network(0xEF53, None), None);
        assert_eq!(network(FUSE, Some("fuse.sshfs")).as_deref(), Some("sshfs"));
        assert_eq!(network(FUSE, Some("fuseblk")), None);
        assert_eq!(network(FUSE, Some("fuse.mergerfs")), None);
        assert_eq!(network(FUSE, None), None);
        refuse_network(&std::env::temp_dir()).unwrap();
    }

    #[test]
    fn the_innermost_mount_decides() {
        let mounts = "\
22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:33 / /films/a\\040b rw shared:2 - fuse.sshfs host:/ rw
41 40 0:34 / /films/a\\040b/local rw - ext4 /dev/vdb rw
a broken line";
        let kind = |path: &str| mount_type(mounts, Path::new(path));
        assert_eq!(kind("/films/x"), Some("ext4"));
        assert_eq!(kind("/films/a b/lib"), Some("fuse.sshfs"));
        assert_eq!(kind("/films/a b/local/lib"), Some("ext4"));
        assert_eq!(mount_type("", Path::new("/")), None);
    }
}
