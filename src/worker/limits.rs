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
        let before = private_memory(std::process::id()).expect("this process exists");
        let block = vec![1_u8; 64 << 20];
        let after = private_memory(std::process::id()).expect("this process exists");
        assert!(after - before > 60 << 20, "{before} -> {after} with {} bytes touched", block.len());
        assert_eq!(private_memory(u32::MAX), None, "no such process");
    }
}
