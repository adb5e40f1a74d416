//! One lab, one loop: `.autoresearch/lock`, held through the operating system, so that it is free the moment its
//! holder is gone, however it went.
//!
//! What stands in the file (process, its start, the boot) is for people and for `status`, which looks without locking:
//! a file whose process is dead, or whose process number now belongs to another program, is recognised as stale.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::LabError;
use super::layout::Lab;
use crate::research::words::second;

/// Who holds a lab, or held it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Since when, to the second.
    pub since: Timestamp,
    /// Whether that very process still runs. If not, it died without giving the lab back.
    pub alive: bool,
}

/// The lab, held. Dropping it gives the lab back.
#[derive(Debug)]
pub struct LabLock {
    file: File,
    stale: Option<Holder>,
}

/// What stands in the lock file.
#[derive(Serialize, Deserialize)]
struct Inscription {
    pid: u32,
    since: Timestamp,
    /// When the process began, in clock ticks after the boot; tells a reused process number.
    process_start: Option<u64>,
    /// Which boot that was.
    boot: Option<String>,
}

impl LabLock {
    /// Takes the lab for this process.
    ///
    /// # Errors
    /// [`LabError::Held`] if a process holds it, [`LabError::Io`].
    pub fn take(lab: &Lab, now: Timestamp) -> Result<Self, LabError> {
        lab.make_state()?;
        let path = lab.lock();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| LabError::io("open it", &path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(lab)),
            Err(TryLockError::Error(error)) => return Err(LabError::io("lock it", &path, error)),
        }
        let stale = read(&mut file).map(|inscription| inscription.holder()).filter(|holder| !holder.alive);
        let own = Inscription {
            pid: std::process::id(),
            since: now,
            process_start: process_start(std::process::id()),
            boot: boot(),
        };
        let text = serde_json::to_string(&own).map_err(|error| LabError::io("write it", &path, error.into()))?;
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(text.as_bytes()))
            .and_then(|()| file.sync_data())
            .map_err(|error| LabError::io("write it", &path, error))?;
        Ok(Self { file, stale })
    }

    /// The process that died while it held the lab, if that is how the last one ended.
    pub fn stale(&self) -> Option<&Holder> {
        self.stale.as_ref()
    }
}

impl Drop for LabLock {
    fn drop(&mut self) {
        // The file stays: removing it would let a third process lock a file that a second one waits for. An empty file
        // says that the lab was given back in order. A failure here leaves a text that reads as stale.
        let _ = self.file.set_len(0);
    }
}

/// Who holds the lab, or died holding it; None where it was given back in order. Takes no lock, changes nothing.
pub fn holder(lab: &Lab) -> Option<Holder> {
    let mut file = File::open(lab.lock()).ok()?;
    read(&mut file).map(|inscription| inscription.holder())
}

fn held(lab: &Lab) -> LabError {
    // The holder may be just about to write its name.
    for _ in 0..20 {
        if let Some(holder) = holder(lab) {
            let path = lab.root().to_path_buf();
            return LabError::Held { path, pid: Some(holder.pid), since: Some(holder.since.to_string()) };
        }
        thread::sleep(Duration::from_millis(10));
    }
    LabError::Held { path: lab.root().to_path_buf(), pid: None, since: None }
}

fn read(file: &mut File) -> Option<Inscription> {
    let mut text = String::new();
    file.take(4_096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

impl Inscription {
    fn holder(&self) -> Holder {
        Holder { pid: self.pid, since: second(self.since), alive: self.is_alive() }
    }

    fn is_alive(&self) -> bool {
        let same_boot = match (&self.boot, boot()) {
            (Some(then), Some(now)) => *then == now,
            _ => true,
        };
        let same_start = match (self.process_start, process_start(self.pid)) {
            (Some(then), Some(now)) => then == now,
            (Some(_), None) => false,
            (None, _) => runs(self.pid),
        };
        same_boot && same_start
    }
}

/// Whether a process of that number runs.
fn runs(pid: u32) -> bool {
    let Ok(number) = i32::try_from(pid) else { return false };
    // Signal 0 only asks. A process of another user answers that it is not ours to ask.
    matches!(nix::sys::signal::kill(nix::unistd::Pid::from_raw(number), None), Ok(()) | Err(nix::errno::Errno::EPERM))
}

/// When a process began, in clock ticks after the boot; None where it does not run, or the system does not say. A
/// process that ended and was not yet waited for does not run.
fn process_start(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // `pid (name) state ppid …`; the name may hold spaces and parentheses. Field 22 is the start.
    let (_, after_name) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    if matches!(fields.first(), Some(&"Z" | &"X")) {
        return None;
    }
    fields.get(19)?.parse().ok()
}

fn boot() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T22:00:00Z".parse().expect("a time")
    }

    fn lab(folder: &tempfile::TempDir) -> Lab {
        fs::write(folder.path().join("autoresearch.yaml"), "version: 1\n").expect("written");
        Lab::open(folder.path()).expect("a lab")
    }

    fn inscribe(lab: &Lab, pid: u32, process_start: Option<u64>, boot: Option<String>) {
        lab.make_state().expect("made");
        let text = serde_json::to_string(&Inscription { pid, since: now(), process_start, boot }).expect("data");
        fs::write(lab.lock(), text).expect("written");
    }

    #[test]
    fn a_second_taker_is_refused_and_told_by_whom() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lab = lab(&folder);
        assert_eq!(holder(&lab), None);
        let precise: Timestamp = "2026-03-01T21:59:59.987654321Z".parse().expect("a time");
        let first = LabLock::take(&lab, precise).expect("free");
        assert!(first.stale().is_none());
        let own = std::process::id();
        assert_eq!(holder(&lab), Some(Holder { pid: own, since: now(), alive: true }));
        match LabLock::take(&lab, now()).expect_err("held") {
            LabError::Held { pid, since, .. } => {
                assert_eq!(pid, Some(own));
                assert_eq!(since.as_deref(), Some("2026-03-01T22:00:00Z"));
            }
            other => panic!("{other}"),
        }
        drop(first);
        assert_eq!(holder(&lab), None, "given back in order");
        LabLock::take(&lab, now()).expect("free again");
    }

    #[test]
    fn the_lock_of_a_dead_process_is_stale_and_can_be_taken() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lab = lab(&folder);
        let mut child = Command::new("true").stdout(Stdio::null()).spawn().expect("spawned");
        let pid = child.id();
        let start = process_start(pid);
        child.wait().expect("ended");
        inscribe(&lab, pid, start.or(Some(1)), boot());
        assert_eq!(holder(&lab).map(|holder| holder.alive), Some(false));
        let lock = LabLock::take(&lab, now()).expect("a dead process holds nothing");
        assert_eq!(lock.stale().map(|holder| holder.pid), Some(pid));
    }

    #[test]
    fn a_reused_process_number_and_an_earlier_boot_are_recognised() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lab = lab(&folder);
        let own = std::process::id();
        let start = process_start(own);
        let table: &[(Option<u64>, Option<String>, bool, &str)] = &[
            (start, boot(), true, "this very process"),
            (start.map(|ticks| ticks + 1), boot(), false, "another process of the same number"),
            (start, Some("another-boot".into()), false, "the same number and start after another boot"),
            (None, None, true, "a system that says neither: the number runs"),
        ];
        for (process_start, boot, alive, why) in table {
            inscribe(&lab, own, *process_start, boot.clone());
            assert_eq!(holder(&lab).map(|holder| holder.alive), Some(*alive), "{why}");
        }
        inscribe(&lab, u32::MAX, None, None);
        assert_eq!(holder(&lab).map(|holder| holder.alive), Some(false), "no such process");
    }

    #[test]
    fn a_lock_file_of_junk_is_no_holder_and_no_obstacle() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lab = lab(&folder);
        lab.make_state().expect("made");
        for junk in ["", "{", "4711\n", "\u{0}\u{0}"] {
            fs::write(lab.lock(), junk).expect("written");
            assert_eq!(holder(&lab), None);
            LabLock::take(&lab, now()).expect("free");
        }
    }
}
