//! What `rushes doctor` finds around the program: whether it is locked in, what it may open, whether its
//! clock is believable.

use std::time::{SystemTime, UNIX_EPOCH};

/// Something found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Around {
    pub what: &'static str,
    pub text: String,
    /// What to do; `None` if all is well.
    pub hint: Option<&'static str>,
}

/// Files that a run with many threads and jobs has open.
const FEW_FILES: u64 = 256;
/// 2024-01-01: this program is younger.
const BEFORE_US: u64 = 1_704_067_200;

/// All that is found.
pub fn look() -> Vec<Around> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut found = vec![locked_in(&status, rustix::process::geteuid().is_root())];
    found.extend(files(&limits));
    found.extend(clock(since.as_secs()));
    found
}

/// Media are decoded in this process or one begun by it; what keeps a decoder's fault from the rest of
/// the machine is what this process was started in.
fn locked_in(status: &str, root: bool) -> Around {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim_start_matches(':').trim().to_owned())
    };
    let seccomp = match field("Seccomp").as_deref() {
        Some("1") => "strict system call filter",
        Some("2") => "system calls filtered",
        Some("0") => "system calls not filtered",
        _ => "system call filter not known",
    };
    let privileges = match field("NoNewPrivs").as_deref() {
        Some("1") => "no new privileges",
        _ => "may gain privileges",
    };
    let user = if root { "as root" } else { "as an ordinary user" };
    let hint = "decode what strangers send as an ordinary user, best in a container";
    Around {
        what: "sandbox",
        text: format!("{user}, {seccomp}, {privileges}"),
        hint: (root && field("Seccomp").as_deref() != Some("2")).then_some(hint),
    }
}

fn files(limits: &str) -> Option<Around> {
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    let most: u64 = line.split_ascii_whitespace().nth(3)?.parse().ok()?;
    let hint = "raise it: ulimit -n 4096";
    Some(Around {
        what: "open files",
        text: format!("at most {most}"),
        hint: (most < FEW_FILES).then_some(hint),
    })
}

/// Leases and retries of jobs go by the clock of the day.
fn clock(since_1970: u64) -> Option<Around> {
    (since_1970 < BEFORE_US).then(|| Around {
        what: "clock",
        text: "the date lies before this program was written".to_owned(),
        hint: Some("set the clock: leases and retries of jobs go by it"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_understood() {
        let free = locked_in("Name:\tx\nNoNewPrivs:\t0\nSeccomp:\t0\n", true);
        assert!(free.hint.is_some() && free.text.contains("not filtered"));
        let kept = locked_in("NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n", true);
        assert_eq!(kept.text, "as root, system calls filtered, no new privileges");
        assert_eq!(kept.hint, None);
        assert_eq!(locked_in("", false).hint, None);
        let line =
            |n: &str| format!("Limit  Soft  Hard\nMax open files            {n}  4096  files\n");
        assert!(files(&line("64")).unwrap().hint.is_some());
        assert!(files(&line("1024")).unwrap().hint.is_none());
        assert!(files(&line("unlimited")).is_none());
        assert!(clock(1_000).is_some() && clock(1_795_000_000).is_none());
        // Here.
        assert!(look().iter().any(|around| around.what == "sandbox"));
    }
}
