//! The rules that ARCHITECTURE.md states, kept: which room uses which, what is reached from where, and the map itself.
//! What tests use is not looked at, only the code that ships.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms a room of src/ may use. ARCHITECTURE.md draws the same in its block `dependencies`.
const ALLOWED: [(&str, &[&str]); 12] = [
    ("spec", &[]),
    ("stats", &[]),
    ("research", &["spec", "stats", "prepare"]),
    ("researcher", &["research", "spec"]),
    ("train", &["spec", "prepare"]),
    ("worker", &["train", "spec", "prepare"]),
    ("lab", &["research", "researcher", "spec", "prepare"]),
    ("report", &["lab", "research", "prepare"]),
    ("service", &["lab"]),
    ("error", &["lab", "researcher", "spec", "worker", "prepare"]),
    ("daemon", &["error", "lab", "research", "researcher", "spec", "train", "worker", "prepare"]),
    (
        "cli",
        &[
            "daemon",
            "error",
            "lab",
            "report",
            "research",
            "researcher",
            "service",
            "spec",
            "train",
            "worker",
            "prepare",
        ],
    ),
];

/// Crates that are reached from one place only: crate, and where it may be named.
const REACHED_FROM: [(&str, &[&str]); 11] = [
    ("burn", &["src/train/"]),
    ("git2", &["src/lab/"]),
    ("polars", &["prepare/src/"]),
    ("memmap2", &["prepare/src/storage.rs"]),
    ("async_openai", &["src/researcher/openai/", "src/researcher/openai.rs"]),
    ("reqwest", &["src/researcher/openai/", "src/researcher/openai.rs"]),
    ("minijinja", &["src/researcher/prompt/", "src/researcher/prompt.rs"]),
    ("indicatif", &["src/cli/"]),
    ("anstream", &["src/cli/"]),
    ("sd_notify", &["src/daemon/notify.rs"]),
    ("tracing_subscriber", &["src/cli/logging.rs"]),
];

/// Code that decides: it takes data and returns a value.
const PURE: [&str; 7] = [
    "src/spec/",
    "src/stats/",
    "src/research/",
    "prepare/src/folds.rs",
    "prepare/src/metrics.rs",
    "prepare/src/evaluate.rs",
    "prepare/src/summary.rs",
];

/// What decisions have no use for: files, processes, the network, the environment, the clock.
const IMPURE: [&str; 8] =
    ["std::fs", "std::net", "std::process", "std::env", "std::time", "Timestamp::now", "Zoned::now", "tokio::"];

/// The most lines of a file. Most have under 300; the longest is the macros that declare the spec's language.
const MOST_LINES: usize = 520;

#[test]
fn rooms_use_the_rooms_that_they_may() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut offences = Vec::new();
    for source in shipped("src") {
        let Some(room) = source.room() else { continue };
        let allowed = ALLOWED.iter().find(|(name, _)| *name == room).map_or(&[] as &[&str], |(_, rooms)| rooms);
        for used in source.rooms_used() {
            if used != room && !allowed.contains(&used.as_str()) {
                offences.push(format!("{} uses {used}, which {room} must not", source.path));
            }
            if used != room {
                found.entry(room.clone()).or_default().insert(used);
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
    for (room, allowed) in ALLOWED {
        let used = found.remove(room).unwrap_or_default();
        let unused: Vec<_> = allowed.iter().filter(|other| !used.contains(**other)).collect();
        assert!(
            unused.is_empty(),
            "{room} no longer uses {unused:?}; take it off the list, here and in ARCHITECTURE.md"
        );
    }
}

#[test]
fn no_room_uses_itself_in_the_end() {
    let uses: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let mut done: BTreeSet<&str> = BTreeSet::from(["prepare"]);
    while done.len() <= uses.len() {
        let ready: Vec<&str> = uses
            .iter()
            .filter(|(room, used)| !done.contains(*room) && used.iter().all(|other| done.contains(other)))
            .map(|(room, _)| *room)
            .collect();
        let stuck: Vec<_> = uses.keys().filter(|room| !done.contains(*room)).collect();
        assert!(!ready.is_empty(), "these rooms use each other in a circle, or a room that is not listed: {stuck:?}");
        done.extend(ready);
    }
}

#[test]
fn the_drawing_is_this_list() {
    let drawn: BTreeMap<String, BTreeSet<String>> = block("dependencies")
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (room, used) = line.split_once("->").unwrap_or((line, ""));
            (room.trim().to_owned(), used.split_whitespace().map(str::to_owned).collect())
        })
        .collect();
    let listed: BTreeMap<String, BTreeSet<String>> = ALLOWED
        .into_iter()
        .map(|(room, used)| (room.to_owned(), used.iter().map(|other| (*other).to_owned()).collect()))
        .collect();
    assert_eq!(drawn, listed, "ARCHITECTURE.md's block `dependencies` against tests/it/architecture.rs");
    let rooms: BTreeSet<String> = shipped("src").iter().filter_map(Source::room).collect();
    assert_eq!(rooms, listed.into_keys().collect(), "the rooms of src/");
}

#[test]
fn the_map_has_every_file_and_no_other() {
    let mut mapped = BTreeSet::new();
    let mut folder = String::new();
    for line in architecture().lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            folder = quoted(heading).filter(|path| path.ends_with('/')).unwrap_or_default().to_owned();
        } else if let Some(item) = line.trim_start().strip_prefix("- ").filter(|_| !folder.is_empty()) {
            let file = quoted(item).unwrap_or_else(|| panic!("an item of the map names no file: {item}"));
            assert!(mapped.insert(format!("{folder}{file}")), "{folder}{file} is on the map twice");
        } else if line.starts_with("## ") {
            folder.clear();
        }
    }
    let files: BTreeSet<String> =
        ["src", "prepare/src"].into_iter().flat_map(shipped).map(|source| source.path).collect();
    let missing: Vec<_> = files.difference(&mapped).collect();
    let gone: Vec<_> = mapped.difference(&files).collect();
    assert!(missing.is_empty(), "not on ARCHITECTURE.md's map: {missing:#?}");
    assert!(gone.is_empty(), "on ARCHITECTURE.md's map, and not there: {gone:#?}");
}

#[test]
fn the_harness_knows_nothing_of_ours() {
    for source in shipped("prepare/src") {
        assert!(!source.names_crate("autoresearch"), "{} reaches out of the harness", source.path);
    }
    let manifest = fs::read_to_string(root().join("prepare/Cargo.toml")).expect("prepare/Cargo.toml is there");
    let dependencies = manifest.split_once("[dependencies]").expect("it has dependencies").1;
    assert!(!dependencies.contains("autoresearch") && !dependencies.contains("path = \".."), "{dependencies}");
}

#[test]
fn heavy_crates_are_reached_from_one_place() {
    for source in ["src", "prepare/src"].into_iter().flat_map(shipped) {
        for (name, places) in REACHED_FROM {
            let may = places.iter().any(|place| source.path.starts_with(place));
            assert!(may || !source.names_crate(name), "{} names {name}; only {places:?} may", source.path);
        }
    }
}

#[test]
fn decisions_are_pure() {
    for source in ["src", "prepare/src"].into_iter().flat_map(shipped) {
        if PURE.iter().any(|place| source.path.starts_with(place)) {
            for word in IMPURE {
                assert!(!source.code.contains(word), "{} uses {word}, and is to decide on data alone", source.path);
            }
        }
    }
}

#[test]
fn only_the_worker_trains() {
    for source in shipped("src") {
        if !["train", "worker"].contains(&source.room().unwrap_or_default().as_str()) {
            assert!(!source.code.contains("Trainer"), "{} names the trainer; training is the worker's", source.path);
        }
    }
}

#[test]
fn only_people_are_told_of_the_holdout() {
    // Who opens it, who trains for it, who writes and reads its answers, who shows them.
    let opens = ["prepare/src/holdout.rs", "prepare/src/lib.rs", "src/train/trial.rs", "src/worker/child.rs"];
    let answers = [
        "src/lab/holdout.rs",
        "src/daemon/holdout.rs",
        "src/cli/holdout.rs",
        "src/cli/view.rs",
        "src/cli/doctor.rs",
        "src/report/holdout.rs",
        "src/report/status.rs",
    ];
    for source in ["src", "prepare/src"].into_iter().flat_map(shipped) {
        let Source { path, code } = &source;
        let may = |places: &[&str]| places.contains(&path.as_str());
        assert!(
            may(&opens) || !code.contains("Holdout::open") && !code.contains("prepare::holdout"),
            "{path} opens it"
        );
        for word in ["lab::holdout", "HoldoutFacts", "holdout::{self", "use crate::daemon::holdout"] {
            assert!(may(&answers) || !code.contains(word), "{path} names {word}, the holdout's answers");
        }
        // Decisions and researchers have one word for it: the event that counts queries, without a score.
        if ["src/research/", "src/researcher/"].iter().any(|room| path.starts_with(room)) {
            let rest = code.replace("HoldoutQueried", "");
            assert!(!rest.to_lowercase().contains("holdout"), "{path} knows of the holdout");
        }
    }
    let event = fs::read_to_string(root().join("src/research/event.rs")).expect("it is there");
    let fields = event.split_once("HoldoutQueried {").expect("the event").1.split_once("    },").expect("its end").0;
    assert!(!fields.contains("f64") && !fields.contains("f32"), "a count is no score: {fields}");
    for template in fs::read_dir(root().join("src/researcher/templates")).expect("templates").flatten() {
        let text = fs::read_to_string(template.path()).expect("a template").to_lowercase();
        assert!(!text.contains("holdout"), "{}", template.path().display());
    }
}

#[test]
fn files_keep_the_rules_of_the_house() {
    let mut offences = Vec::new();
    for (path, text) in ["src", "prepare/src", "tests", "prepare/tests"].into_iter().flat_map(files) {
        let shipped = path.starts_with("src/") || path.starts_with("prepare/src/");
        let mut say = |what: &str| offences.push(format!("{path}: {what}"));
        if !text.starts_with("//!") {
            say("does not begin with what it is for (`//!`)");
        }
        if shipped && text.lines().count() > MOST_LINES {
            say("is longer than a file of one idea");
        }
        // Put together here, so that this file does not break its own rules.
        for (word, rule) in [
            (concat!("[al", "low("), "lints are excepted with `#[expect(lint, reason = \"…\")]`"),
            (concat!(".unw", "rap()"), "say with `expect` why it cannot fail, or return an error"),
            (concat!("#[ig", "nore"), "a test that does not run is none"),
        ] {
            if text.contains(word) {
                say(rule);
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

/// A file of code that ships: its tests and comments left out.
struct Source {
    /// Relative to the repository, with `/`.
    path: String,
    code: String,
}

impl Source {
    /// `lab` of src/lab/… and of src/lab.rs; None for main.rs and lib.rs.
    fn room(&self) -> Option<String> {
        let inside = self.path.strip_prefix("src/")?;
        let room = inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs");
        (!["main", "lib"].contains(&room)).then(|| room.to_owned())
    }

    /// Rooms named as `crate::ROOM`, and `prepare` where the harness is named.
    fn rooms_used(&self) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        for (at, word) in self.code.match_indices("crate::") {
            let rest = &self.code[at + word.len()..];
            match rest.strip_prefix('{') {
                Some(group) => used.extend(first_names(group)),
                None => used.extend(first_name(rest)),
            }
        }
        if self.names_crate("prepare") {
            used.insert("prepare".to_owned());
        }
        used
    }

    /// Whether a path begins with this crate's name.
    fn names_crate(&self, name: &str) -> bool {
        self.code.match_indices(name).any(|(at, _)| {
            let before = self.code[..at].chars().next_back();
            let after = &self.code[at + name.len()..];
            before.is_none_or(|letter| !letter.is_alphanumeric() && !['_', ':', '"', '.'].contains(&letter))
                && after.starts_with("::")
        })
    }
}

fn first_name(path: &str) -> Option<String> {
    let end = path.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(path.len());
    (end > 0).then(|| path[..end].to_owned())
}

/// The first names of a `use` group, `{` taken off: of `a::b, c::{d, e}}` these are a and c.
fn first_names(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                names.extend(first_name(group[start..at].trim_start()));
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names
}

/// The code below a folder, without tests and comments.
fn shipped(folder: &str) -> Vec<Source> {
    let all = files(folder);
    let test_modules: Vec<String> = all.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    all.into_iter()
        .filter(|(path, _)| {
            !test_modules
                .iter()
                .any(|module| *path == format!("{module}.rs") || path.starts_with(&format!("{module}/")))
        })
        .map(|(path, text)| Source { path, code: without_tests_and_comments(&text) })
        .collect()
}

/// Files of modules declared as `#[cfg(test)] mod name;`, without their ending.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let folder = match path.strip_suffix("/mod.rs").or_else(|| path.strip_suffix("/lib.rs")) {
        Some(folder) => folder.to_owned(),
        None => path.trim_end_matches(".rs").to_owned(),
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let after_mark = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]").map(|pair| pair[1]);
    let names = after_mark.filter_map(|line| line.strip_suffix(';')?.rsplit_once("mod ")).map(|(_, name)| name);
    names.map(|name| format!("{folder}/{name}")).collect()
}

fn without_tests_and_comments(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            // The item that is marked: one line, or up to the brace that closes it at the mark's own depth.
            let indent = line.len() - line.trim_start().len();
            let closes = |inner: &str| inner.len() - inner.trim_start().len() == indent && inner.trim() == "}";
            if lines.next().is_some_and(|item| item.trim_end().ends_with('{')) {
                lines.by_ref().find(|inner| closes(inner));
            }
        } else if !line.trim_start().starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// Every .rs file below a folder of the repository: path relative to it, and text, sorted.
fn files(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let inside = path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
                found.push((inside, fs::read_to_string(&path).expect("a readable source")));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no source below {folder}");
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn architecture() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there")
}

/// The text of ARCHITECTURE.md's fenced block with this name.
fn block(name: &str) -> String {
    let text = architecture();
    let begins = format!("```{name}\n");
    let inside = text.split_once(&begins).unwrap_or_else(|| panic!("ARCHITECTURE.md has no block `{name}`")).1;
    inside.split_once("```").expect("the block ends").0.to_owned()
}

/// The first text between backticks.
fn quoted(text: &str) -> Option<&str> {
    text.split('`').nth(1)
}
