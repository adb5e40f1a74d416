//! `run --researcher command` with a program that stands in for an agent: the prompt on its standard input, a reply on its
//! standard output, twice a wrong one; and what it sees of this machine while it runs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::json;

use crate::lab::{GOOD, Outcome, PROTOCOL, TestLab, UNTRAINED};
use crate::session::notebook_is_sound;

const SECRET: &str = "a-variable-that-nobody-named-0123456789";
const OWN: &str = "the-agents-own-key-0123456789";

/// Keeps what it was told and what it sees, and answers by what the prompt holds: words without a proposal at first, a spec
/// with a mistake when it is told that there was none, a good one when it is told of the mistake.
const AGENT: &str = r##"#!/bin/sh
kept="$1"
number=$(find "$kept" -name 'prompt-*' | wc -l)
prompt="$kept/prompt-$number"
cat > "$prompt"
env > "$kept/environment-$number"
{ pwd; find . -mindepth 1; } > "$kept/folder-$number"
if grep -q 'Reply with the word OK' "$prompt"; then echo OK
elif ! grep -q '^# The phase' "$prompt"; then cat "$kept/learnings.md"
elif grep -q 'gleu' "$prompt"; then cat "$kept/good.json"
elif grep -q 'holds no proposal' "$prompt"; then cat "$kept/wrong.json"
else echo "I would try a Pearson loss. My key is $AGENT_KEY."
fi
"##;

fn proposal(title: &str, spec: &str) -> String {
    json!({ "title": title, "hypothesis": "It follows the score.", "expected_effect": 0.01, "spec": spec }).to_string()
}

/// A lab whose researcher is the stand-in, and the folder in which that keeps what it saw.
fn lab() -> (TestLab, PathBuf) {
    let lab = TestLab::with(PROTOCOL, UNTRAINED);
    let kept = lab.home().join("kept");
    std::fs::create_dir(&kept).expect("a folder");
    let program = lab.home().join("agent");
    std::fs::write(&program, AGENT).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let wrong = GOOD.replace("activation: gelu", "activation: gleu");
    std::fs::write(kept.join("wrong.json"), proposal("Pearson loss", &wrong)).expect("written");
    std::fs::write(kept.join("good.json"), proposal("Pearson loss, spelled right", GOOD)).expect("written");
    std::fs::write(kept.join("learnings.md"), "No.").expect("written");
    let run = format!("run: [{}, {}]", program.display(), kept.display());
    lab.edit("autoresearch.yaml", "run: []", &run);
    lab.edit("autoresearch.yaml", "environment: []", "environment: [AGENT_KEY]");
    lab.edit("autoresearch.yaml", "    model: null ", "    model: stand-in ");
    lab.edit("autoresearch.yaml", "prices: {}", "prices: { stand-in: { input: 1.0, output: 0.0 } }");
    lab.edit("autoresearch.yaml", "session_usd: null", "session_usd: 2.5");
    lab.commit("a researcher");
    (lab, kept)
}

fn run(lab: &TestLab) -> Outcome {
    let mut command = lab.command(&["run", "--researcher", "command", "--trials", "1", "-vv"]);
    let output = command.env("AGENT_KEY", OWN).env("NOBODYS", SECRET).output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn an_agent_that_errs_twice_is_repaired_and_its_trial_is_recorded_as_its_own() {
    let (lab, kept) = lab();
    let outcome = run(&lab).exits(0);
    lab.is_clean();
    let pages = notebook_is_sound(&lab);
    let [_, page] = pages.as_slice() else { panic!("two trials: {pages:?}") };
    assert!(page.subject.contains("spelled right"), "{}", page.subject);
    assert_eq!((page.trailer("Researcher"), page.trailer("Verdict")), ("command", "keep"), "{}", outcome.stderr);
    // The reply named none: it is that of what the spec changes most.
    assert_eq!(page.trailer("Category"), "training");
    let status = lab.status();
    let researchers = status["researchers"].as_array().expect("a list");
    let agent = researchers.iter().find(|found| found["researcher"] == "command").expect("the agent");
    assert_eq!((agent["trials"].as_u64(), agent["keeps"].as_u64()), (Some(1), Some(1)));
    assert!(agent["cost_usd"].as_f64().is_some_and(|cost| cost > 0.0), "{agent}");
    let last = lab.events("trial_ended").pop().expect("a trial");
    assert_eq!(last["record"]["proposal"]["researcher"], "command");

    let numbers = || (0..).take_while(|number| kept.join(format!("prompt-{number}")).exists());
    let read = |name: &str, number: u32| std::fs::read_to_string(kept.join(format!("{name}-{number}"))).expect("kept");
    let asked: Vec<String> = numbers().map(|number| read("prompt", number)).collect();
    let proposing: Vec<&String> = asked.iter().filter(|prompt| prompt.contains("# The phase")).collect();
    assert_eq!(proposing.len(), 3, "asked once, and sent back twice");
    assert!(proposing[1].contains("I would try a Pearson loss."), "its own words stand in the repair");
    assert!(proposing[2].contains("`gleu` is not known here") && proposing[2].contains("Did you mean `gelu`?"));
    assert!(proposing[0].contains("US dollars for proposals"), "and what is left of the money");
    assert!(asked.iter().all(|prompt| !prompt.contains(OWN) && !prompt.contains(SECRET)));
    for number in numbers() {
        let environment = read("environment", number);
        assert!(environment.contains(&format!("AGENT_KEY={OWN}")), "the one that is named");
        assert!(!environment.contains(SECRET) && !environment.contains("NOBODYS"), "{environment}");
        let folder = read("folder", number);
        let [folder] = folder.lines().collect::<Vec<_>>()[..] else { panic!("it is not empty: {folder}") };
        assert!(!folder.starts_with(&lab.root().display().to_string()), "outside of the lab: {folder}");
        assert!(!PathBuf::from(folder).exists(), "and gone: {folder}");
    }
    assert!(!outcome.stderr.contains(OWN) && !outcome.stdout.contains(OWN));
    assert!(!lab.git(&["log", "-p", "--all"]).contains(OWN), "its key is in no commit");
}

#[test]
fn learnings_are_not_asked_for_where_nobody_wants_them_written() {
    let (lab, kept) = lab();
    lab.edit("autoresearch.yaml", "learnings_every: 1 ", "learnings_every: 0 ");
    run(&lab).exits(0);
    let prompts: Vec<String> = (0..)
        .map_while(|number| std::fs::read_to_string(kept.join(format!("prompt-{number}"))).ok())
        .filter(|prompt| !prompt.contains("Reply with the word OK"))
        .collect();
    assert!(!prompts.is_empty() && prompts.iter().all(|prompt| prompt.contains("# The phase")), "proposals alone");
    assert!(
        lab.read("learnings.md").contains("spelled right"),
        "the evidence is rendered: {}",
        lab.read("learnings.md")
    );
}

#[test]
fn doctor_names_each_researcher_once_and_in_the_order_in_which_they_are_asked() {
    let (lab, _) = lab();
    lab.edit("autoresearch.yaml", "kind: optimizer ", "kind: command ");
    let found = lab.run(&["doctor"]).exits(0).stdout;
    let said: Vec<&str> = found.lines().filter(|line| line.contains(" researcher ")).collect();
    let [agent, optimizer] = said.as_slice() else { panic!("two researchers: {found}") };
    assert!(agent.contains("agent` answered in"), "{found}");
    assert!(optimizer.contains("in its place: the embedded optimizer"), "the last rung of the ladder: {found}");
    assert!(
        found.contains("takes the place of system.md.j2, propose.md.j2, repair.md.j2, synthesize.md.j2"),
        "{found}"
    );
    assert!(found.contains("not prepared yet; `run` makes the market"), "{found}");

    lab.edit("autoresearch.yaml", "/agent,", "/nobody,");
    let failed = lab.run(&["doctor"]).exits(5).stdout;
    let line = failed.lines().find(|line| line.starts_with("failed")).expect("a failure");
    assert!(line.contains("researcher    command: the agent `"), "{line}");
    assert!(failed.contains("the embedded optimizer"), "the others are looked at all the same: {failed}");
}

#[test]
fn doctor_fails_where_run_cannot_get_the_data_itself() {
    let market = PROTOCOL.find("data:").zip(PROTOCOL.find("\nfeatures:")).expect("the market");
    let files = "data:\n  files: { folder: data, version: v5.2, parts: [train] }";
    let lab = TestLab::with(&PROTOCOL.replace(&PROTOCOL[market.0..market.1], files), UNTRAINED);
    let text = lab.run(&["doctor"]).exits(4).stdout;
    assert!(text.contains("v5.2: features.json, train.parquet, train_benchmark_models.parquet missing"), "{text}");
    for file in ["features.json", "train.parquet", "train_benchmark_models.parquet"] {
        lab.write(&format!("data/v5.2/{file}"), "");
    }
    let text = lab.run(&["doctor"]).exits(0).stdout;
    assert!(text.contains("not prepared yet; `run` packs") && text.contains("warning  data"), "{text}");
}
