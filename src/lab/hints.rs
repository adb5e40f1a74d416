//! A person's hints on their way to the loop: `.autoresearch/hints`, a line of JSON each. Anyone may append, whether a session
//! runs or not; the session takes them into the ledger, which is then the only place that has them.
//!
//! The file is locked through the operating system while it is read or written, so that no hint is lost between the two.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::LabError;
use super::layout::Lab;
use crate::research::foreign::one_line;

/// The longest hint, in characters.
pub const LONGEST: usize = 600;

/// More hints than these do not wait at once.
pub const MOST_WAITING: usize = 50;

/// The version of the lines that this program writes.
const VERSION: u32 = 1;

/// A file larger than this is none of hints: it is neither read nor emptied.
const MOST_BYTES: u64 = 1 << 20;

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    v: u32,
    time: Timestamp,
    text: String,
}

/// A hint as it may be given: one line, neither empty nor longer than [`LONGEST`].
///
/// # Errors
/// What is wrong with it.
pub fn checked(text: &str) -> Result<String, String> {
    let text = one_line(text, usize::MAX);
    let length = text.chars().count();
    if text.is_empty() {
        return Err("the hint is empty; say what the researchers should try, or leave alone".into());
    }
    if length > LONGEST {
        return Err(format!(
            "the hint has {length} characters, and at most {LONGEST} are passed on; what is longer belongs into program.md"
        ));
    }
    Ok(text)
}

/// Appends a hint (see [`checked`]), and returns once it is on the disk.
///
/// # Errors
/// [`LabError::Io`]; [`LabError::HintsFull`] where as many wait as may.
pub fn append(lab: &Lab, text: &str, now: Timestamp) -> Result<(), LabError> {
    lab.make_state()?;
    let path = lab.hints();
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(&path)
        .map_err(|error| LabError::io("open it", &path, error))?;
    file.lock().map_err(|error| LabError::io("lock it", &path, error))?;
    let found = content(&mut file).map_err(|error| LabError::io("read it", &path, error))?;
    if found.lines().filter(|line| !line.trim().is_empty()).count() >= MOST_WAITING {
        return Err(LabError::HintsFull { path, most: MOST_WAITING });
    }
    let line = Line { v: VERSION, time: now, text: text.to_owned() };
    let line = serde_json::to_string(&line).map_err(|error| LabError::io("write it", &path, error.into()))?;
    // Behind a line that was cut short, ours is a line of its own all the same.
    let gap = if found.is_empty() || found.ends_with('\n') { "" } else { "\n" };
    file.write_all(format!("{gap}{line}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| LabError::io("append to it", &path, error))?;
    super::atomic::sync_folder(&lab.state())
}

/// The hints that wait, oldest first. Changes nothing. Lines that are none are passed over.
///
/// # Errors
/// [`LabError::Io`].
pub fn waiting(lab: &Lab) -> Result<Vec<String>, LabError> {
    let path = lab.hints();
    let failed = |action, error| LabError::io(action, &path, error);
    match File::open(&path) {
        Ok(mut file) => {
            file.lock_shared().map_err(|error| failed("lock it", error))?;
            Ok(texts(&content(&mut file).map_err(|error| failed("read it", error))?).0)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed("open it", error)),
    }
}

/// Hands the hints that wait to `keep`, oldest first, and empties the file once it has kept all of them. Killed in between,
/// it hands them over again the next time. All are handed over, however many somebody has written into the file. Returns the
/// lines that were no hints, for whoever wrote them to hear of it.
///
/// # Errors
/// [`LabError::Io`], and what `keep` fails with; the file is then as it was.
pub fn take<E: From<LabError>>(lab: &Lab, mut keep: impl FnMut(String) -> Result<(), E>) -> Result<Vec<String>, E> {
    let path = lab.hints();
    let failed = |action, error| LabError::io(action, &path, error);
    // Most of the time there is nothing, and nothing is to be locked.
    match fs::metadata(&path) {
        Ok(found) if found.len() > 0 => {}
        Ok(_) => return Ok(Vec::new()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("read it", error).into()),
    }
    let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(|error| failed("open it", error))?;
    file.lock().map_err(|error| failed("lock it", error))?;
    let (texts, unreadable) = texts(&content(&mut file).map_err(|error| failed("read it", error))?);
    for text in texts {
        keep(text)?;
    }
    file.set_len(0).and_then(|()| file.sync_all()).map_err(|error| failed("empty it", error))?;
    Ok(unreadable)
}

/// The file's text, whole.
fn content(file: &mut File) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(std::io::Error::other(format!(
            "it is larger than {MOST_BYTES} bytes, which no file of hints is; shorten it, one line a hint"
        )));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The hints of a text, and the lines that are none.
fn texts(content: &str) -> (Vec<String>, Vec<String>) {
    let (mut hints, mut unreadable) = (Vec::new(), Vec::new());
    for line in content.lines().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str::<Line>(line).ok().and_then(|line| checked(&line.text).ok()) {
            Some(hint) => hints.push(hint),
            None => unreadable.push(one_line(line, LONGEST)),
        }
    }
    (hints, unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> (tempfile::TempDir, Lab) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("autoresearch.yaml"), "version: 1\n").expect("written");
        let lab = Lab::open(folder.path()).expect("a lab");
        (folder, lab)
    }

    fn now() -> Timestamp {
        "2026-03-01T22:00:00Z".parse().expect("a time")
    }

    fn taken(lab: &Lab) -> (Vec<String>, usize) {
        let mut found = Vec::new();
        let unreadable = take(lab, |text| {
            found.push(text);
            Ok::<(), LabError>(())
        });
        (found, unreadable.expect("taken").len())
    }

    #[test]
    fn what_is_appended_is_taken_once() {
        let (_folder, lab) = lab();
        assert_eq!(taken(&lab), (vec![], 0), "no file is no hint");
        append(&lab, "try GELU", now()).expect("appended");
        append(&lab, "say \"no\" to silu", now()).expect("appended");
        assert_eq!(waiting(&lab).expect("read"), ["try GELU", "say \"no\" to silu"]);
        assert_eq!(taken(&lab), (vec!["try GELU".to_owned(), "say \"no\" to silu".to_owned()], 0));
        assert_eq!(taken(&lab), (vec![], 0));
        append(&lab, "again", now()).expect("appended");
        assert_eq!(taken(&lab).0, ["again"]);
    }

    #[test]
    fn what_could_not_be_kept_is_handed_over_again() {
        let (_folder, lab) = lab();
        append(&lab, "one", now()).expect("appended");
        let full = || LabError::io("write it", &lab.ledger(), std::io::Error::other("the disk is full"));
        take(&lab, |_| Err::<(), LabError>(full())).expect_err("it is not kept");
        assert_eq!(taken(&lab).0, ["one"]);
    }

    #[test]
    fn a_line_that_is_no_hint_loses_none_beside_it() {
        let (_folder, lab) = lab();
        append(&lab, "one", now()).expect("appended");
        let mut bytes = fs::read(lab.hints()).expect("read");
        bytes.extend(b"not JSON \xff\n{\"v\":1,\"time\":\"2026-03-01T22:00:00Z\",\"text\":\"  \"}\n{\"v\":1,\"ti");
        fs::write(lab.hints(), bytes).expect("written");
        append(&lab, "two", now()).expect("appended behind a torn line");
        assert_eq!(taken(&lab), (vec!["one".to_owned(), "two".to_owned()], 3));
    }

    #[test]
    fn a_hint_is_a_line_of_bounded_length() {
        assert_eq!(checked(" try\n\tGELU\u{1b}[2J "), Ok("try GELU [2J".into()));
        assert_eq!(checked(&"é".repeat(600)), Ok("é".repeat(600)));
        let error = checked(&"x".repeat(601)).expect_err("too long");
        assert!(error.contains("601 characters") && error.contains("600") && error.contains("program.md"), "{error}");
        assert!(checked(" \n ").expect_err("empty").contains("empty"));
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let (_folder, lab) = lab();
        (0..MOST_WAITING).for_each(|number| append(&lab, &format!("hint {number}"), now()).expect("appended"));
        let error = append(&lab, "one more", now()).expect_err("full");
        assert!(
            matches!(error, LabError::HintsFull { .. }) && error.to_string().contains("autoresearch run"),
            "{error}"
        );
        assert_eq!(taken(&lab).0.len(), MOST_WAITING);
    }

    #[test]
    fn more_than_may_be_given_are_taken_all_the_same() {
        let (_folder, lab) = lab();
        let line = |number: usize| format!("{{\"v\":1,\"time\":\"{}\",\"text\":\"hint {number}\"}}\n", now());
        lab.make_state().expect("a folder");
        fs::write(lab.hints(), (0..3 * MOST_WAITING).map(line).collect::<String>()).expect("written by hand");
        let (found, unreadable) = taken(&lab);
        assert_eq!((found.len(), unreadable), (3 * MOST_WAITING, 0));
        assert_eq!((found[0].as_str(), found.last().map(String::as_str)), ("hint 0", Some("hint 149")));
        assert_eq!(taken(&lab).0.len(), 0, "and once");
    }

    #[test]
    fn a_file_that_is_none_of_hints_is_left_alone() {
        let (_folder, lab) = lab();
        append(&lab, "one", now()).expect("appended");
        let text = fs::read_to_string(lab.hints()).expect("read") + &"x".repeat(1 << 20);
        fs::write(lab.hints(), &text).expect("written by hand");
        let error = take(&lab, |_| Ok::<(), LabError>(())).expect_err("too large");
        assert!(error.to_string().contains("hints") && error.to_string().contains("shorten it"), "{error}");
        assert_eq!(fs::read_to_string(lab.hints()).expect("read"), text, "nothing is lost");
        assert!(waiting(&lab).is_err() && append(&lab, "two", now()).is_err());
    }

    /// Four write and one takes, all at once: each hint is taken once.
    #[test]
    fn hints_that_are_given_while_others_are_taken_are_not_lost() {
        let (_folder, lab) = lab();
        let mut found: Vec<String> = Vec::new();
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let lab = &lab;
                    scope.spawn(move || {
                        for number in 0..10 {
                            append(lab, &format!("{writer} {number}"), now()).expect("appended");
                        }
                    })
                })
                .collect();
            while writers.iter().any(|writer| !writer.is_finished()) {
                found.extend(taken(&lab).0);
            }
        });
        found.extend(taken(&lab).0);
        found.sort();
        let mut wanted: Vec<String> =
            (0..4).flat_map(|writer| (0..10).map(move |number| format!("{writer} {number}"))).collect();
        wanted.sort();
        assert_eq!(found, wanted);
    }
}
