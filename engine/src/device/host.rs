//! Processors and main memory, with what the kernel's control groups leave of them.

use super::Fact;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Processors and main memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Host {
    /// The processor's name, where the kernel tells it.
    pub processor: Option<String>,
    /// Threads that run at once: processors that this process may use, rounded up from a quota.
    pub threads: u32,
    /// Bytes of memory that this process may use: the machine's, or its control group's limit.
    pub memory: u64,
    /// Bytes of those that can be had now without pushing others out.
    pub available: u64,
    /// The limit of a control group, where it is less than what the machine has.
    pub group_limit: Option<u64>,
}

/// Reads what `/proc` and `/sys` under `root` say; `threads` is what the standard library counts.
pub(super) fn look(root: &Path, threads: u32) -> (Host, Vec<Fact>) {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let mut facts = Vec::new();
    let meminfo = read("proc/meminfo").unwrap_or_default();
    let total = meminfo_bytes(&meminfo, "MemTotal").unwrap_or(0);
    let free = meminfo_bytes(&meminfo, "MemAvailable").unwrap_or(0);
    if total == 0 {
        facts.push(Fact::new("no-meminfo", "the kernel does not say how much memory there is"));
    }
    let groups = groups(&read("proc/self/cgroup").unwrap_or_default());
    // The strictest of the limits on the way down to this process's group.
    let limits = groups.memory.iter().filter_map(|folder| folder.read(root));
    let strictest = limits.min_by_key(|limit| limit.limit.saturating_sub(limit.used));
    let (mut memory, mut available, mut group_limit) = (total, free, None);
    if let Some(group) = strictest.filter(|group| total == 0 || group.limit < total) {
        memory = group.limit;
        available = free.min(group.limit.saturating_sub(group.used));
        if total == 0 {
            available = group.limit.saturating_sub(group.used);
        }
        group_limit = Some(group.limit);
    }
    let quota = groups.cpu.iter().filter_map(|path| {
        let (quota, period) = match path {
            Quota::V2(file) => read(file).and_then(|text| cpu_max(&text))?,
            Quota::V1(folder) => {
                let number = |name: &str| read(&format!("{folder}/{name}"))?.trim().parse().ok();
                (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
            }
        };
        (quota > 0 && period > 0).then(|| u32::try_from((quota + period - 1) / period).ok())?
    });
    let threads = quota.min().map_or(threads, |quota| quota.clamp(1, threads.max(1)));
    let processor = read("proc/cpuinfo").and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    (Host { processor, threads: threads.max(1), memory, available, group_limit }, facts)
}

/// A line of `/proc/meminfo` in bytes.
fn meminfo_bytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// `cpu.max` of cgroup v2: quota and period in µs, `None` for no limit.
fn cpu_max(text: &str) -> Option<(i64, i64)> {
    let (quota, period) = text.trim().split_once(' ')?;
    Some((quota.parse().ok()?, period.parse().ok()?))
}

/// Where the limits of this process lie.
#[derive(Debug, Default, PartialEq)]
struct Groups {
    memory: Vec<MemoryGroup>,
    cpu: Vec<Quota>,
}

#[derive(Debug, PartialEq)]
struct MemoryGroup {
    limit: String,
    used: String,
    stat: String,
    /// What the stat calls the pages of files that nobody has used for a while, the group's children
    /// included.
    inactive: &'static str,
}

struct Limit {
    limit: u64,
    used: u64,
}

impl MemoryGroup {
    fn read(&self, root: &Path) -> Option<Limit> {
        // "max" in version 2, a number near 2^63 in version 1: both mean none.
        let number = |path: &str| -> Option<u64> {
            std::fs::read_to_string(root.join(path)).ok()?.trim().parse().ok()
        };
        let limit = number(&self.limit).filter(|limit| *limit < 1 << 60)?;
        let used = number(&self.used).unwrap_or(0);
        // Pages of files count as used, but go when somebody wants the room. Those in use are left
        // out of this, as in what `docker stats` and the kubelet show.
        let stat = std::fs::read_to_string(root.join(&self.stat)).unwrap_or_default();
        let inactive =
            stat.lines().find_map(|line| line.strip_prefix(self.inactive)?.strip_prefix(' '));
        let inactive = inactive.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0);
        Some(Limit { limit, used: used.saturating_sub(inactive) })
    }
}

#[derive(Debug, PartialEq)]
enum Quota {
    V1(String),
    V2(String),
}

/// The groups of `/proc/self/cgroup`, each with all those that it lies in: a limit holds for
/// everything below it. Inside containers the path often is not there, but its root is.
fn groups(text: &str) -> Groups {
    let mut groups = Groups::default();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        if path.split('/').any(|part| part == "..") {
            continue;
        }
        let path = PathBuf::from(path.trim_start_matches('/'));
        for folder in path.ancestors() {
            let folder = folder.to_string_lossy();
            let at = |controller: &str, file: &str| {
                let mut path = format!("sys/fs/cgroup{controller}");
                for part in [&*folder, file].into_iter().filter(|part| !part.is_empty()) {
                    path.push('/');
                    path.push_str(part);
                }
                path
            };
            if controllers.is_empty() {
                groups.memory.push(MemoryGroup {
                    limit: at("", "memory.max"),
                    used: at("", "memory.current"),
                    stat: at("", "memory.stat"),
                    inactive: "inactive_file",
                });
                groups.cpu.push(Quota::V2(at("", "cpu.max")));
                continue;
            }
            for controller in controllers.split(',') {
                match controller {
                    "memory" => groups.memory.push(MemoryGroup {
                        limit: at("/memory", "memory.limit_in_bytes"),
                        used: at("/memory", "memory.usage_in_bytes"),
                        stat: at("/memory", "memory.stat"),
                        inactive: "total_inactive_file",
                    }),
                    "cpu" => groups.cpu.push(Quota::V1(at("/cpu", ""))),
                    _ => {}
                }
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine as files.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    const MEMINFO: (&str, &str) =
        ("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable:  800 kB\n");

    #[test]
    fn the_strictest_group_above_decides() {
        let root = machine(&[
            MEMINFO,
            ("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 2\n"),
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/memory.max", "512000\n"),
            ("sys/fs/cgroup/a/memory.current", "500000\n"),
            ("sys/fs/cgroup/a/b/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/a/cpu.max", "max 100000\n"),
        ]);
        let (host, facts) = look(root.path(), 8);
        assert_eq!(facts, []);
        assert_eq!(host.processor.as_deref(), Some("Some CPU @ 2"));
        assert_eq!((host.threads, host.memory, host.available), (2, 512_000, 12_000));
        assert_eq!(host.group_limit, Some(512_000));
    }

    /// A group that has read large files seems full: their pages are room all the same.
    #[test]
    fn pages_of_files_that_can_go_are_not_in_use() {
        let files = [
            MEMINFO,
            ("proc/self/cgroup", "0::/a\n"),
            ("sys/fs/cgroup/a/memory.max", "512000\n"),
            ("sys/fs/cgroup/a/memory.current", "510000\n"),
            ("sys/fs/cgroup/a/memory.stat", "anon 9000\ninactive_file 500000\nactive_file 1000\n"),
        ];
        let (host, _) = look(machine(&files).path(), 4);
        assert_eq!((host.memory, host.available), (512_000, 502_000));
        let files = [
            MEMINFO,
            ("proc/self/cgroup", "4:memory:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "600000"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "599000"),
            ("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 99000\n"),
        ];
        let (host, _) = look(machine(&files).path(), 4);
        assert_eq!((host.memory, host.available), (600_000, 100_000));
    }

    #[test]
    fn version_1_is_read_too_and_a_limit_beyond_the_machine_is_none() {
        let files = [
            MEMINFO,
            ("proc/self/cgroup", "4:memory:/box/1\n1:cpu,cpuacct:/box\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
            ("sys/fs/cgroup/memory/box/1/memory.limit_in_bytes", "600000"),
            ("sys/fs/cgroup/memory/box/1/memory.usage_in_bytes", "100000"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"),
        ];
        let (host, _) = look(machine(&files).path(), 4);
        assert_eq!((host.threads, host.memory, host.available), (4, 600_000, 500_000));
        let (host, _) = look(machine(&files[..3]).path(), 4);
        assert_eq!((host.memory, host.available, host.group_limit), (1_024_000, 819_200, None));
    }

    #[test]
    fn nothing_to_read_is_said() {
        let root = machine(&[]);
        let (host, facts) = look(root.path(), 1);
        assert_eq!((host.threads, host.memory), (1, 0));
        assert_eq!(facts[0].code, "no-meminfo");
        let odd = machine(&[("proc/self/cgroup", "x\n0::/../../etc\n::\n"), MEMINFO]);
        assert_eq!(look(odd.path(), 1).0.memory, 1_024_000);
    }
}
