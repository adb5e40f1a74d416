//! The ledger cut at every byte, with bits flipped, and as versions 1 to 3 wrote it.

use proptest::prelude::*;

use super::*;
use crate::lab::trial_files::sample;
use crate::research::history::History;
use crate::research::trial::{JudgementKind, Scores, Usage, Verdict};

fn now() -> Timestamp {
    "2026-03-01T22:00:00Z".parse().expect("a time")
}

fn events() -> Vec<Event> {
    let mut record = sample(0, Verdict::Keep);
    record.measurement = None;
    vec![
        Event::SessionStarted {
            pid: 7,
            branch: "autoresearch/2026-03-01".into(),
            version: "0.1.0".into(),
            researcher: "optimizer".into(),
            protocol_hash: "p".into(),
            data_hash: "d".into(),
        },
        Event::PhaseEntered { phase: "explore".into(), why: "session start — \"first\"\n".into() },
        Event::TrialEnded { record: Box::new(record) },
        Event::TrialCommitted { trial: 0 },
        Event::TokensSpent { purpose: "learnings".into(), researcher: None, usage: Usage::default() },
    ]
}

/// A ledger of [`events`], and its bytes.
fn written(folder: &Path) -> (PathBuf, Vec<u8>) {
    let path = folder.join("ledger.jsonl");
    let mut ledger = Ledger::open_file(&path).expect("opened");
    for event in events() {
        ledger.append(now(), event).expect("appended");
    }
    let bytes = fs::read(&path).expect("read");
    (path, bytes)
}

#[test]
fn what_is_appended_is_read_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, bytes) = written(folder.path());
    let mut ledger = Ledger::open_file(&path).expect("opened again");
    assert_eq!(ledger.events().cloned().collect::<Vec<_>>(), events());
    assert!(ledger.take_repairs().is_empty());
    ledger.append(now(), Event::TrialCommitted { trial: 1 }).expect("appended");
    assert!(fs::read(&path).expect("read").starts_with(&bytes), "append-only");
    assert_eq!(Ledger::open_file(&path).expect("opened").entries().len(), events().len() + 1);
}

#[test]
fn cut_at_every_byte_it_keeps_every_whole_line_and_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, bytes) = written(folder.path());
    for length in 0..=bytes.len() {
        fs::write(&path, &bytes[..length]).expect("cut");
        let ends = bytes[..length].iter().filter(|byte| **byte == b'\n').count();
        // A line that lacks nothing but its line end is whole.
        let whole = ends + usize::from(bytes.get(length) == Some(&b'\n'));
        let mut ledger = Ledger::open_file(&path).expect("a torn end is repaired");
        assert_eq!(ledger.events().cloned().collect::<Vec<_>>(), events()[..whole], "cut at {length}");
        let is_torn = length > 0 && whole == ends && bytes[length - 1] != b'\n';
        assert_eq!(
            !ledger.take_repairs().is_empty(),
            is_torn,
            "cut at {length}: said if and only if something was lost"
        );
        ledger.append(now(), Event::TrialCommitted { trial: 9 }).expect("appended after the repair");
        let again = Ledger::open_file(&path).expect("intact again");
        assert_eq!(again.entries().len(), whole + 1, "cut at {length}");
    }
}

#[test]
fn readers_leave_a_torn_end_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("autoresearch.yaml"), "version: 1\n").expect("written");
    fs::create_dir(folder.path().join("runs")).expect("made");
    let lab = Lab::open(folder.path()).expect("a lab");
    assert!(Ledger::read(&lab).expect("no ledger is an empty one").is_empty());
    let (_, bytes) = written(&folder.path().join("runs"));
    let torn = &bytes[..bytes.len() - 5];
    fs::write(lab.ledger(), torn).expect("torn");
    assert_eq!(Ledger::read(&lab).expect("read").len(), events().len() - 1);
    assert_eq!(fs::read(lab.ledger()).expect("read"), torn);
}

#[test]
fn damage_inside_is_refused_with_its_place() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, bytes) = written(folder.path());
    let second = bytes.iter().position(|byte| *byte == b'\n').expect("a line end") + 1;
    let mut damaged = bytes.clone();
    damaged[second + 60] ^= 1;
    fs::write(&path, &damaged).expect("written");
    match Ledger::open_file(&path).expect_err("damage") {
        LabError::LedgerDamaged { offset, line, .. } => assert_eq!((offset, line), (second as u64, 2)),
        other => panic!("{other}"),
    }
    assert_eq!(fs::read(&path).expect("read"), damaged, "it is left as it is");

    let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let without_second = [&[lines[0]], &lines[2..]].concat().concat();
    fs::write(&path, without_second).expect("written");
    let error = Ledger::open_file(&path).expect_err("a missing line");
    assert!(error.to_string().contains("event 2 stands where event 1 belongs"), "{error}");
}

#[test]
fn a_newer_version_is_named_and_not_called_damage() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("ledger.jsonl");
    let (head, tail) = (r#"{"v":4,"seq":0,"time":"2026-03-01T22:00:00Z""#, r#","event":{"event":"news"}}"#);
    let mut hasher = blake3::Hasher::new();
    hasher.update(head.as_bytes()).update(tail.as_bytes());
    let sum = &hasher.finalize().to_hex()[..16];
    fs::write(&path, format!("{head},\"crc\":\"{sum}\"{tail}\n")).expect("written");
    let error = Ledger::open_file(&path).expect_err("a newer ledger");
    assert!(matches!(error, LabError::LedgerNewer { version: 4, .. }), "{error}");
}

#[test]
fn what_cannot_be_read_again_is_not_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, bytes) = written(folder.path());
    let mut ledger = Ledger::open_file(&path).expect("opened");
    let mut record = sample(1, Verdict::Discard);
    record.wall_seconds = f64::NAN;
    let error = ledger.append(now(), Event::TrialEnded { record: Box::new(record) }).expect_err("NaN has no JSON");
    assert!(matches!(error, LabError::EventRefused { .. }), "{error}");
    assert_eq!(fs::read(&path).expect("read"), bytes);
}

#[test]
fn only_what_an_older_program_does_not_know_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, bytes) = written(folder.path());
    let asked = Event::HoldoutQueried { trial: 4, spec_hash: "h".into(), query: 1, budget: 10 };
    let mut ledger = Ledger::open_file(&path).expect("opened");
    ledger.append(now(), asked.clone()).expect("appended");
    assert!(bytes.split_inclusive(|byte| *byte == b'\n').all(|line| line.starts_with(br#"{"v":1,"#)));
    let all = fs::read(&path).expect("read");
    assert!(all[bytes.len()..].starts_with(br#"{"v":2,"#));
    let again = Ledger::open_file(&path).expect("opened again");
    assert_eq!(again.events().last(), Some(&asked));
}

#[test]
fn what_was_asked_of_the_holdout_stays_when_the_ledger_is_retold() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, _) = written(folder.path());
    let asked = Event::HoldoutQueried { trial: 4, spec_hash: "h".into(), query: 2, budget: 10 };
    let mut ledger = Ledger::open_file(&path).expect("opened");
    ledger.append(now(), asked.clone()).expect("appended");
    ledger.rebuild(&[sample(0, Verdict::Keep)], &[], &folder.path().join("old.jsonl"), now()).expect("retold");
    assert_eq!(ledger.events().last(), Some(&asked));
    let again = Ledger::open_file(&path).expect("opened again");
    assert_eq!(again.events().cloned().collect::<Vec<_>>(), ledger.events().cloned().collect::<Vec<_>>());
}

/// Ledgers of old programs are read for ever.
#[test]
fn the_fixture_of_version_1_still_reads() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ledger-v1.jsonl");
    let bytes = fs::read(&fixture).expect("the fixture");
    let scanned = scan(&bytes, &fixture).expect("it reads");
    assert_eq!(scanned.intact, bytes.len() as u64);
    let kinds: Vec<_> = scanned.entries.iter().map(|entry| kind(&entry.event)).collect();
    assert_eq!(
        kinds,
        [
            "session_started",
            "phase_entered",
            "trial_started",
            "trial_ended",
            "trial_committed",
            "trial_started",
            "trial_ended",
            "trial_committed",
            "tokens_spent",
            "researcher_failed",
            "person_edited",
            "trial_started",
            "recovered",
            "session_ended",
        ]
    );
    let Event::TrialEnded { record } = &scanned.entries[6].event else { panic!("a trial ended there") };
    assert_eq!((record.trial, record.verdict, record.version), (1, Verdict::Discard, 1));
    assert_eq!(record.measurement.as_ref().map(|measured| measured.scores.seeds.len()), Some(1));
}

/// One event of every kind that version 2 brought, and a judgement with all that it holds since.
#[test]
fn the_fixture_of_version_2_still_reads() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ledger-v2.jsonl");
    let bytes = fs::read(&fixture).expect("the fixture");
    let scanned = scan(&bytes, &fixture).expect("it reads");
    assert_eq!(scanned.intact, bytes.len() as u64);
    let kinds: std::collections::BTreeSet<_> = scanned.entries.iter().map(|entry| kind(&entry.event)).collect();
    for new in ["holdout_queried", "seeds_measured", "calibrated", "remeasured", "remeasurement_committed", "audited"] {
        assert!(kinds.contains(new), "{new}");
    }
    let history = History::from_events(scanned.entries.iter().map(|entry| &entry.event));
    assert_eq!(history.incumbent().map(|record| record.trial), Some(0), "trial 1 was taken back");
    assert!(history.is_demoted(1) && !history.is_demoted(0));
    assert_eq!(history.remeasurements().iter().map(|found| found.demoted_to).collect::<Vec<_>>(), [Some(0), None]);
    let seeds =
        |scores: Option<Scores>| scores.map(|all| all.seeds.into_iter().map(|own| own.seed).collect::<Vec<_>>());
    assert_eq!(seeds(history.scores(0)), Some(vec![42, 17, 73, 1001, 1002, 1_000_001]));
    assert_eq!(seeds(history.fresh_scores(1)), Some(vec![1_000_001]));
    assert_eq!(history.noise_floor().map(|floor| floor.detectable), Some(0.0049));
    assert_eq!(history.audits().iter().map(|audit| audit.rows[0].plain_keeps).collect::<Vec<_>>(), [41]);
    let judged = |trial| history.trial(trial).and_then(|record| record.judgement.clone()).expect("judged");
    assert_eq!((judged(1).kind, judged(1).degrees_of_freedom), (JudgementKind::Better, Some(31.5)));
    assert_eq!((judged(2).kind, judged(2).degrees_of_freedom), (JudgementKind::Undecided, None));
    is_written_the_same(&scanned, &bytes);
}

/// A round whose candidates are tried, put onto another incumbent, and dropped; a hint; a trial that says why its phase was
/// entered. One candidate waits to the end.
#[test]
fn the_fixture_of_version_3_still_reads() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ledger-v3.jsonl");
    let bytes = fs::read(&fixture).expect("the fixture");
    let scanned = scan(&bytes, &fixture).expect("it reads");
    assert_eq!(scanned.intact, bytes.len() as u64);
    let kinds: std::collections::BTreeSet<_> = scanned.entries.iter().map(|entry| kind(&entry.event)).collect();
    for new in ["round_proposed", "candidate_dropped", "hinted"] {
        assert!(kinds.contains(new), "{new}");
    }
    let history = History::from_events(scanned.entries.iter().map(|entry| &entry.event));
    let waiting =
        history.waiting().iter().map(|waiting| (waiting.round, waiting.against, waiting.candidate.spec_hash.as_str()));
    assert_eq!(waiting.collect::<Vec<_>>(), [(2, 1, "00000000000000d4")]);
    assert_eq!((history.rounds(), history.hints().len()), (2, 1));
    assert_eq!(history.hints()[0].after_trial, Some(1));
    let rebased = history.trial(2).expect("the second trial");
    assert_eq!(
        (rebased.incumbent, rebased.origin.as_ref().map(|origin| (origin.round, origin.against))),
        (Some(1), Some((1, 0)))
    );
    assert_eq!(rebased.phase_why.as_deref(), Some("plateau: 15 discards in a row"));
    assert_eq!(history.usage().input_tokens, 3_600, "each round once");
    is_written_the_same(&scanned, &bytes);
}

/// What is written today is what stands there: line for line the same.
fn is_written_the_same(scanned: &Scanned, bytes: &[u8]) {
    let again: Vec<String> =
        scanned.entries.iter().map(|entry| super::line::write(entry).expect("an event that can be read")).collect();
    let events = |text: &str| -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")).collect()
    };
    let (written, fixture) = (events(&again.concat()), events(std::str::from_utf8(bytes).expect("UTF-8")));
    for (written, fixture) in written.iter().zip(&fixture) {
        assert_eq!((&written["v"], &written["event"]), (&fixture["v"], &fixture["event"]));
    }
    assert_eq!(written.len(), fixture.len());
}

fn kind(event: &Event) -> String {
    let value = serde_json::to_value(event).expect("an event is data");
    value["event"].as_str().expect("a tag").to_owned()
}

proptest! {
    /// No flipped bit goes unnoticed.
    #[test]
    fn a_flipped_bit_is_refused(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, mut bytes) = written(folder.path());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let scanned = scan(&bytes, &path);
        prop_assert!(scanned.is_err(), "byte {} bit {}", at, bit);
    }

    /// Whatever stands in the file, reading it ends in entries or in an error, and never in entries that were not
    /// written.
    #[test]
    fn any_bytes_behind_the_log_are_cut_off_or_refused(junk in prop::collection::vec(any::<u8>(), 1..200)) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, mut bytes) = written(folder.path());
        bytes.extend(&junk);
        if let Ok(scanned) = scan(&bytes, &path) {
            let read: Vec<_> = scanned.entries.into_iter().map(|entry| entry.event).collect();
            prop_assert_eq!(read, events());
            prop_assert!(!junk.contains(&b'\n'));
        }
    }
}

#[test]
fn rebuilding_retells_the_records_and_keeps_the_old_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, bytes) = written(folder.path());
    let mut ledger = Ledger::open_file(&path).expect("opened");
    let mut second = sample(1, Verdict::Discard);
    second.phase = "combine".into();
    let records = [sample(0, Verdict::Keep), second];
    let archive = folder.path().join("state/ledger-old.jsonl");
    let archived = ledger.rebuild(&records, &[], &archive, now()).expect("rebuilt").expect("an archive");
    assert_eq!(archived, archive);
    assert_eq!(fs::read(&archive).expect("read"), bytes);
    ledger.append(now(), Event::TrialCommitted { trial: 5 }).expect("appended to the new file");
    let again = Ledger::open_file(&path).expect("opened again");
    let kinds: Vec<_> = again.events().map(kind).collect();
    assert_eq!(
        kinds,
        [
            "phase_entered",
            "trial_ended",
            "trial_committed",
            "phase_entered",
            "trial_ended",
            "trial_committed",
            "trial_committed",
        ]
    );
    // A second archive does not overwrite the first.
    let other = ledger.rebuild(&[], &[], &archive, now()).expect("rebuilt").expect("an archive");
    assert!(other.ends_with("state/ledger-old-2.jsonl"), "{}", other.display());
    assert_eq!(fs::read(&archive).expect("read"), bytes);
}
