//! One line of the ledger: `{"v":1,"seq":0,"time":"…","crc":"…","event":{…}}`.
//!
//! `crc` is the first 16 hex digits of the BLAKE3 hash of the line without the `crc` field and the line end, so that
//! it covers every byte as it is on the disk, whatever a JSON reader would forgive.
//!
//! `v` is the first version of the format that knows the event, so that an older program names what it is too old for, and
//! reads everything else. Version 2 brought what the gate measures beside trials, version 3 rounds and hints.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Entry;
use crate::research::event::Event;

/// The latest version that this program writes and reads.
const VERSION: u64 = 3;
/// What stands before the checksum's digits.
const MARK: &[u8] = br#","crc":""#;
/// Hex digits of the checksum.
const DIGITS: usize = 16;

/// What a line turned out to be.
pub(super) enum Reading {
    /// An event.
    Entry(Box<Entry>),
    /// An intact line of a later version of the format.
    Newer(u64),
    /// Neither; why.
    Damaged(String),
}

/// The first version that knows an event.
fn version(event: &Event) -> u64 {
    match event {
        Event::HoldoutQueried { .. }
        | Event::SeedsMeasured { .. }
        | Event::Calibrated { .. }
        | Event::Remeasured { .. }
        | Event::RemeasurementCommitted { .. }
        | Event::Audited { .. } => 2,
        Event::RoundProposed { .. } | Event::CandidateDropped { .. } | Event::Hinted { .. } => 3,
        _ => 1,
    }
}

/// Writes an entry, line end included.
///
/// # Errors
/// Why the event could not be read back, as one that holds a number that JSON has no word for.
pub(super) fn write(entry: &Entry) -> Result<String, String> {
    let event = serde_json::to_string(&entry.event).map_err(|error| error.to_string())?;
    serde_json::from_str::<Event>(&event).map_err(|error| error.to_string())?;
    let head = format!(r#"{{"v":{},"seq":{},"time":"{}""#, version(&entry.event), entry.seq, entry.time);
    let tail = format!(r#","event":{event}}}"#);
    let sum = checksum(head.as_bytes(), tail.as_bytes());
    Ok(format!("{head},\"crc\":\"{sum}\"{tail}\n"))
}

/// Reads a line, without its line end.
pub(super) fn read(text: &[u8]) -> Reading {
    let damaged = |message: &str| Reading::Damaged(message.to_owned());
    let Some(mark) = text.windows(MARK.len()).position(|window| window == MARK) else {
        return damaged("it has no checksum");
    };
    let digits = mark + MARK.len();
    let Some(found) = text.get(digits..digits + DIGITS) else {
        return damaged("its checksum is cut short");
    };
    let Some((b'"', tail)) = text[digits + DIGITS..].split_first() else {
        return damaged("its checksum is cut short");
    };
    if found != checksum(&text[..mark], tail).as_bytes() {
        return damaged("its checksum does not fit its text");
    }
    match serde_json::from_slice::<Version>(text) {
        Ok(Version { v }) if v > VERSION => return Reading::Newer(v),
        Ok(_) => {}
        Err(error) => return Reading::Damaged(error.to_string()),
    }
    match serde_json::from_slice::<Line>(text) {
        Ok(line) => Reading::Entry(Box::new(Entry { seq: line.seq, time: line.time, event: line.event })),
        Err(error) => Reading::Damaged(error.to_string()),
    }
}

fn checksum(head: &[u8], tail: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(head);
    hasher.update(tail);
    hasher.finalize().to_hex()[..DIGITS].to_owned()
}

#[derive(Serialize, Deserialize)]
struct Version {
    v: u64,
}

#[derive(Deserialize)]
struct Line {
    seq: u64,
    time: Timestamp,
    event: Event,
}
