//! Which process a worker is, so that the jobs of one that was killed are free at once: a process
//! number alone may be used again, with its start time it never is.

use std::path::Path;

/// The name of this process: machine, number, start.
pub fn me() -> String {
    let pid = std::process::id();
    format!("{}:{pid}:{}", machine(), started(pid).unwrap_or(0))
}

/// Whether `worker` ran on this machine and is no more.
pub fn is_dead(worker: &str) -> bool {
    let mut parts = worker.rsplitn(3, ':');
    let (Some(start), Some(pid), Some(place)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let (Ok(start), Ok(pid)) = (start.parse::<u64>(), pid.parse::<u32>()) else { return false };
    place == machine() && started(pid) != Some(start)
}

/// The machine's name and what tells its process numbers from those of another start or container.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let name = read("/proc/sys/kernel/hostname").replace(':', "-");
    let boot = read("/proc/sys/kernel/random/boot_id");
    let boot = boot.split('-').next().unwrap_or_default();
    let space: String = space.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    format!("{name}-{boot}-{space}")
}

/// When the process began, in ticks since the machine did.
fn started(pid: u32) -> Option<u64> {
    field(&stat(pid)?, 22)
}

fn stat(pid: u32) -> Option<String> {
    std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()
}

/// Field `n` of `/proc/PID/stat`, counted from 1; the second may hold anything in brackets.
fn field(stat: &str, n: usize) -> Option<u64> {
    let behind = stat.get(stat.rfind(')')? + 1..)?;
    behind.split_ascii_whitespace().nth(n - 3)?.parse().ok()
}

/// What a process and its threads have used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time.
    pub cpu_ms: u64,
    /// Main memory now.
    pub bytes: u64,
    /// The most memory at once.
    pub peak_bytes: u64,
    /// Bytes given to the system to write, to files, pipes or whatever.
    pub written: u64,
    /// Bytes had from it.
    pub read: u64,
}

/// What a process has used so far.
pub fn usage(pid: u32) -> Option<Usage> {
    // The kernel tells in ticks of 1/100 s on every machine that Linux runs on (USER_HZ).
    let stat = stat(pid)?;
    let ticks = field(&stat, 14)? + field(&stat, 15)?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kilobytes = |name: &str| -> Option<u64> {
        let text = status.lines().find_map(|line| line.strip_prefix(name))?;
        text.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let bytes = |name: &str| -> Option<u64> {
        io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    Some(Usage {
        cpu_ms: ticks * 10,
        bytes: kilobytes("VmRSS:").unwrap_or(0) * 1024,
        peak_bytes: kilobytes("VmHWM:").unwrap_or(0) * 1024,
        written: bytes("wchar:").unwrap_or(0),
        read: bytes("rchar:").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_are_told_from_the_dead() {
        let me = me();
        assert!(!is_dead(&me));
        let (rest, start) = me.rsplit_once(':').unwrap();
        let start: u64 = start.parse().unwrap();
        assert!(is_dead(&format!("{rest}:{}", start + 1)), "the number was used again");
        assert!(!is_dead("elsewhere:1:1"), "of another machine nothing is known");
        assert!(!is_dead("") && !is_dead("a:b:c"));
        assert_eq!(field("7 (a) b) S 1 2", 4), Some(1));
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.peak_bytes > 1 << 20 && usage.bytes <= usage.peak_bytes && usage.read > 0);
    }
}
