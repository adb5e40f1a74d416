//! The newcomer's path: a new lab, a session, and what is in git afterwards.

use std::collections::BTreeSet;

use crate::lab::TestLab;

/// The trailers of a trial's commit, in the order of DESIGN.md.
const TRAILERS: [&str; 13] = [
    "Trial",
    "Verdict",
    "Payout",
    "Delta",
    "P-Value",
    "Phase",
    "Category",
    "Researcher",
    "Wall-Seconds",
    "Tokens",
    "Spec-Hash",
    "Protocol-Hash",
    "Data-Hash",
];

/// One trial's commit, as the git command line tells of it.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) trial: u32,
    pub(crate) subject: String,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) changed: BTreeSet<String>,
}

impl Page {
    #[track_caller]
    pub(crate) fn trailer(&self, name: &str) -> &str {
        let found = self.trailers.iter().find(|(own, _)| own == name);
        found.map_or_else(|| panic!("no trailer {name} in {self:?}"), |(_, value)| value)
    }
}

/// The trials in the history of HEAD, oldest first.
pub(crate) fn pages(lab: &TestLab) -> Vec<Page> {
    let mut pages = Vec::new();
    for commit in lab.git(&["rev-list", "--reverse", "HEAD"]).lines() {
        let message = lab.home().join("message");
        std::fs::write(&message, lab.git(&["show", "-s", "--format=%B", commit])).expect("written");
        let parsed = lab.git(&["interpret-trailers", "--parse", &message.display().to_string()]);
        let trailers: Vec<(String, String)> = parsed
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let Some(trial) = trailers.iter().find(|(name, _)| name == "Trial").map(|(_, value)| value.clone()) else {
            continue;
        };
        let changed = lab.git(&["diff-tree", "--no-commit-id", "--name-only", "-r", commit]);
        pages.push(Page {
            trial: trial.parse().expect("a trial's number"),
            subject: lab.git(&["show", "-s", "--format=%s", commit]).trim().to_owned(),
            trailers,
            changed: changed.lines().map(str::to_owned).collect(),
        });
    }
    pages
}

/// What must hold of the notebook after any session, however it ended: every trial has one commit, the numbers are
/// without gap, and each commit holds what its verdict allows.
#[track_caller]
pub(crate) fn notebook_is_sound(lab: &TestLab) -> Vec<Page> {
    let pages = pages(lab);
    let numbers: Vec<u32> = pages.iter().map(|page| page.trial).collect();
    let expected: Vec<u32> = (0..).take(numbers.len()).collect();
    assert_eq!(numbers, expected, "one commit a trial, in order");
    for page in &pages {
        let names: Vec<&str> = page.trailers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, TRAILERS, "trial {}", page.trial);
        let verdict = page.trailer("Verdict");
        assert!(page.subject.starts_with(&format!("{verdict} {:06}: ", page.trial)), "{}", page.subject);
        let baseline = page.trailer("Category") == "baseline";
        let folder = format!("runs/{:06}/", page.trial);
        assert!(page.changed.contains(&format!("{folder}result.json")), "{page:?}");
        assert!(page.changed.contains(&format!("{folder}spec.yaml")), "{page:?}");
        let moves_model = page.changed.contains("model.yaml");
        assert_eq!(
            moves_model,
            verdict == "keep" && !baseline,
            "a keep changes model.yaml, nothing else does: {page:?}"
        );
        let others = ["model.yaml", "learnings.md", "do_not_retry.toml", "prepare/protocol.lock"];
        let foreign = page.changed.iter().find(|path| !path.starts_with(&folder) && !others.contains(&path.as_str()));
        assert_eq!(foreign, None, "{page:?}");
    }
    pages
}

#[test]
fn a_session_is_a_lab_notebook_and_the_next_one_goes_on() {
    let lab = TestLab::new();
    let model = lab.read("model.yaml");
    let main = lab.git(&["rev-parse", "main"]);
    let outcome = lab.run(&["run", "--trials", "4"]).exits(0);
    assert!(outcome.stdout.contains("4 trials done"), "{}", outcome.stdout);
    lab.is_clean();
    let first = notebook_is_sound(&lab);
    let trained = |pages: &[Page]| {
        let counts = |page: &&Page| {
            ["keep", "discard", "crash", "timeout"].contains(&page.trailer("Verdict"))
                && page.trailer("Category") != "baseline"
        };
        pages.iter().filter(counts).count()
    };
    assert_eq!(trained(&first), 4);
    assert_eq!((first[0].trailer("Category"), first[0].trailer("Verdict")), ("baseline", "keep"));
    assert_eq!(lab.git(&["show", "HEAD~0:runs/000000/spec.yaml"]), model, "the baseline is model.yaml, byte for byte");
    assert!(lab.git(&["symbolic-ref", "--short", "HEAD"]).starts_with("autoresearch/"));
    assert_eq!(lab.git(&["rev-parse", "main"]), main, "no branch but the session's own is moved");
    assert_eq!(lab.git(&["show", "-s", "--format=%an <%ae>"]).trim(), "autoresearch <autoresearch@localhost>");

    lab.run(&["run", "--trials", "2"]).exits(0);
    lab.is_clean();
    let second = notebook_is_sound(&lab);
    assert_eq!(trained(&second), 6);
    let baselines = second.iter().filter(|page| page.trailer("Category") == "baseline").count();
    assert_eq!(baselines, 1, "what was measured is not measured again");

    let log = lab.run(&["log"]).exits(0).stdout;
    assert!(second.iter().all(|page| log.contains(&format!("{:06}", page.trial))), "{log}");
    assert!(
        !lab.run(&["log", "-n", "0"]).exits(0).stderr.contains("no trial"),
        "none is asked for, and there are some"
    );
    for arguments in [["show", "1"].as_slice(), &["diff", "0", "1"], &["diff", "0", "model.yaml"], &["doctor"]] {
        let mut command = lab.command(arguments);
        let output = command.current_dir(lab.root()).output().expect("the program runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_ledger_that_is_lost_is_rebuilt_from_git() {
    let lab = TestLab::new();
    lab.run(&["run", "--trials", "2"]).exits(0);
    let before = lab.status();
    std::fs::remove_file(lab.path("runs/ledger.jsonl")).expect("removed");
    assert_eq!(lab.status()["trials"], before["trials"], "a clone tells of its trials as well");
    lab.run(&["run", "--trials", "1"]).exits(0).says(&["rebuilt from"]);
    lab.is_clean();
    let pages = notebook_is_sound(&lab);
    assert_eq!(pages.iter().filter(|page| page.trailer("Category") == "baseline").count(), 1);
    assert_eq!(lab.events("trial_ended").len(), pages.len());
}
