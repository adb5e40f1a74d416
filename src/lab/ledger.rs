//! The ledger: the append-only, checksummed event log that everything else the loop knows is derived from.
//!
//! Each event is one line of JSON (see [`line`]), synced to disk before `append` returns. A torn last line, as a crash
//! or a full disk leaves it, is cut off on opening, and said; damage anywhere else is refused with its place.

mod line;
mod rebuild;

pub(crate) use rebuild::retell;

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::error::LabError;
use super::layout::Lab;
use crate::research::event::Event;
use line::Reading;

/// One event as it stands in the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Counted from 0, without gaps.
    pub seq: u64,
    /// When it was appended.
    pub time: Timestamp,
    /// What happened.
    pub event: Event,
}

/// The ledger, open for appending. Whoever opens it holds the lab's lock.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    /// Length of the intact part, in bytes.
    length: u64,
    entries: Vec<Entry>,
    /// What opening it repaired, for people.
    repairs: Vec<String>,
    /// Set when a failed append could not be taken back: the file then ends in a torn line.
    torn: bool,
}

impl Ledger {
    /// Opens the lab's ledger for appending, and makes it if there is none.
    ///
    /// # Errors
    /// [`LabError::Io`], [`LabError::LedgerDamaged`], [`LabError::LedgerNewer`].
    pub fn open(lab: &Lab) -> Result<Self, LabError> {
        Self::open_file(&lab.ledger())
    }

    /// Reads the lab's ledger without changing it, for those who only look. A torn last line is left out: it may be
    /// one that a running loop is just writing.
    ///
    /// # Errors
    /// As [`Ledger::open`]. A ledger that is not there is empty.
    pub fn read(lab: &Lab) -> Result<Vec<Entry>, LabError> {
        let path = lab.ledger();
        match fs::read(&path) {
            Ok(bytes) => Ok(scan(&bytes, &path)?.entries),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(LabError::io("read it", &path, error)),
        }
    }

    fn open_file(path: &Path) -> Result<Self, LabError> {
        let failed = |action, error| LabError::io(action, path, error);
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|error| LabError::io("make the folder", folder, error))?;
        let is_new = !path.exists();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| failed("open it", error))?;
        if is_new {
            super::atomic::sync_folder(folder)?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| failed("read it", error))?;
        let scanned = scan(&bytes, path)?;
        let mut repairs = Vec::new();
        let found = bytes.len() as u64;
        if scanned.intact < found {
            file.set_len(scanned.intact).map_err(|error| failed("cut off its torn end", error))?;
            file.sync_all().map_err(|error| failed("sync it", error))?;
            repairs.push(format!(
                "{}: the last line was torn (the program died while writing it); its {} cut off",
                super::layout::LEDGER,
                match found - scanned.intact {
                    1 => "one byte was".to_owned(),
                    bytes => format!("{bytes} bytes were"),
                }
            ));
        }
        let mut ledger = Self {
            path: path.to_path_buf(),
            file,
            length: scanned.intact,
            entries: scanned.entries,
            repairs,
            torn: false,
        };
        if scanned.lacks_newline {
            ledger.write_at_end(b"\n")?;
        }
        Ok(ledger)
    }

    /// Appends an event, and returns once it is on the disk.
    ///
    /// # Errors
    /// [`LabError::Io`] (a full disk among them); the ledger is then as it was. [`LabError::EventRefused`] for an
    /// event that could not be read again.
    pub fn append(&mut self, now: Timestamp, event: Event) -> Result<&Entry, LabError> {
        let entry = Entry { seq: self.entries.len() as u64, time: now, event };
        let text =
            line::write(&entry).map_err(|message| LabError::EventRefused { path: self.path.clone(), message })?;
        if self.torn {
            self.cut_to_length()?;
        }
        self.write_at_end(text.as_bytes())?;
        self.entries.push(entry);
        Ok(&self.entries[self.entries.len() - 1])
    }

    /// The events, oldest first.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.entries.iter().map(|entry| &entry.event)
    }

    /// The events with sequence number and time, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What opening it repaired, in sentences; empty the second time.
    pub fn take_repairs(&mut self) -> Vec<String> {
        std::mem::take(&mut self.repairs)
    }

    fn write_at_end(&mut self, bytes: &[u8]) -> Result<(), LabError> {
        let written = self
            .file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(bytes))
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // What reached the disk is taken back, so that a later append does not stand behind half a line.
                self.torn = self.cut_to_length().is_err();
                Err(LabError::io("append to it", &self.path, error))
            }
        }
    }

    fn cut_to_length(&mut self) -> Result<(), LabError> {
        self.file.set_len(self.length).map_err(|error| LabError::io("cut off its torn end", &self.path, error))?;
        self.torn = false;
        Ok(())
    }
}

/// What the bytes of a ledger hold.
struct Scanned {
    entries: Vec<Entry>,
    /// Length of the part that is whole lines, in bytes.
    intact: u64,
    /// The last line is whole but for its line end.
    lacks_newline: bool,
}

fn scan(bytes: &[u8], path: &Path) -> Result<Scanned, LabError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        let rest = &bytes[offset..];
        let damaged = |message: String| LabError::LedgerDamaged {
            path: path.to_path_buf(),
            offset: offset as u64,
            line: entries.len() + 1,
            message,
        };
        let (text, is_last) = match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&rest[..end], false),
            None => (rest, true),
        };
        match line::read(text) {
            Reading::Entry(entry) if entry.seq == entries.len() as u64 => entries.push(*entry),
            Reading::Entry(entry) => {
                return Err(damaged(format!("event {} stands where event {} belongs", entry.seq, entries.len())));
            }
            Reading::Newer(version) => {
                return Err(LabError::LedgerNewer { path: path.to_path_buf(), line: entries.len() + 1, version });
            }
            // A whole line whose line end was overwritten is damage. Anything else at the end is a write cut short.
            Reading::Damaged(_) if is_last && !ends_in_a_stray_byte(text) => {
                return Ok(Scanned { entries, intact: offset as u64, lacks_newline: false });
            }
            Reading::Damaged(message) => return Err(damaged(message)),
        }
        if is_last {
            return Ok(Scanned { entries, intact: bytes.len() as u64, lacks_newline: true });
        }
        offset += text.len() + 1;
    }
    Ok(Scanned { entries, intact: bytes.len() as u64, lacks_newline: false })
}

fn ends_in_a_stray_byte(text: &[u8]) -> bool {
    text.split_last().is_some_and(|(_, whole)| !matches!(line::read(whole), Reading::Damaged(_)))
}

#[cfg(test)]
mod tests;
