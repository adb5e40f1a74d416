//! What the supervisor reads of a worker's memory.

use std::fs;

/// Bytes of memory that a process has for itself (mapped files, such as the packed features, are not counted). None when
/// the process is gone.
pub(super) fn private_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kilobytes = |name: &str| -> Option<u64> {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line[name.len()..].trim().trim_end_matches(" kB").trim().parse().ok()
    };
    Some((kilobytes("RssAnon:")? + kilobytes("VmSwap:").unwrap_or(0)) * 1024)
}

#[cfg(test)]
mod tests {
    use super::private_memory;

    #[test]
    fn sees_memory_that_was_touched() {
        let own = || private_memory(std::process::id()).expect("this process exists");
        // Other tests of this process let go of memory meanwhile, but not every time.
        let sees_it = || {
            let before = own();
            let block = std::hint::black_box(vec![1_u8; 64 << 20]);
            own() > before + (60 << 20) && block.len() == 64 << 20
        };
        assert!((0..20).any(|_| sees_it()), "64 MiB touched twenty times, and never seen");
        assert_eq!(private_memory(u32::MAX), None, "no such process");
    }
}
