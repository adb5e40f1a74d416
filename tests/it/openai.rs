//! `run --researcher openai` against a scripted endpoint: proposals good and bad, an outage, and the key in no file.

use std::path::Path;

use serde_json::{Value, json};

use crate::endpoint::{Answer, Endpoint, proposes};
use crate::lab::{GOOD, Outcome, PROTOCOL, TestLab, UNTRAINED};
use crate::session::notebook_is_sound;

const KEY: &str = "sk-e2e-0123456789-this-is-the-secret";

/// An answer that may stand in learnings.md.
const LEARNINGS: &str = "# Learnings\n\nPearson losses help here.\n\n## What works\n\n- Pearson.\n\n## Confidently bad\n\n\
    Nothing yet.\n\n## Ambiguous\n\nNothing yet.\n\n## Near misses\n\nNothing yet.\n\n## Open questions\n\n- Width?\n";

fn proposal(title: &str, spec: &str) -> Answer {
    let text = json!({
        "title": title, "hypothesis": "It follows the score.", "category": "loss", "expected_effect": 0.01, "spec": spec,
    });
    Answer::Says(text.to_string())
}

fn lab(endpoint: &Endpoint) -> TestLab {
    let lab = TestLab::with(PROTOCOL, UNTRAINED);
    lab.ask(&endpoint.base_url());
    lab.edit("autoresearch.yaml", "retries: 5", "retries: 0");
    lab.edit("autoresearch.yaml", "prices: {}", "prices: { gpt-5-mini: { input: 1.0, output: 0.0 } }");
    lab.commit("a researcher");
    lab
}

fn run(lab: &TestLab, trials: &str) -> Outcome {
    lab.program_with_key(&["run", "--researcher", "openai", "--trials", trials, "-vv"], KEY)
}

/// The key is in no file of the lab, git's objects unpacked among them, and in nothing that was printed.
#[track_caller]
fn key_is_nowhere(lab: &TestLab, outcome: &Outcome) {
    assert!(!outcome.stdout.contains(KEY) && !outcome.stderr.contains(KEY));
    let mut folders = vec![lab.home()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                assert!(!holds(&path, KEY), "{} holds the key", path.display());
            }
        }
    }
    let objects = lab.git(&["rev-list", "--all", "--objects"]);
    for object in objects.lines().filter_map(|line| line.split(' ').next()) {
        assert!(!lab.try_git(&["cat-file", "-p", object]).1.contains(KEY), "{object} holds the key");
    }
}

fn holds(path: &Path, word: &str) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[test]
fn a_good_proposal_is_trained_kept_and_recorded() {
    let again = proposal("The same once more", GOOD);
    let endpoint = Endpoint::start(vec![proposal("Pearson loss", GOOD)], again, Answer::Says(LEARNINGS.into()));
    let lab = lab(&endpoint);
    let outcome = run(&lab, "1").exits(0);
    lab.is_clean();
    let pages = notebook_is_sound(&lab);
    let [_, page] = pages.as_slice() else { panic!("two trials: {pages:?}") };
    assert_eq!(page.trailer("Verdict"), "keep", "it beats an untrained net: {}", outcome.stderr);
    assert_eq!((page.trailer("Researcher"), page.trailer("Tokens")), ("openai", "1100"));
    assert!(page.subject.contains("Pearson loss"), "{}", page.subject);
    // The winner's spec is the lab's model now.
    let spec = lab.git(&["show", "HEAD:model.yaml"]);
    assert_eq!(spec, lab.git(&["show", "HEAD:runs/000001/spec.yaml"]));
    assert!(spec.contains("width: 32") && spec == lab.read("model.yaml"));
    assert!(lab.read("learnings.md").contains("Pearson losses help here."), "{}", lab.read("learnings.md"));

    let status = lab.status();
    assert_eq!(status["incumbent"]["trial"], 1);
    assert_eq!(status["verdicts"]["keep"], 1);
    let tokens = |name: &str| status["tokens"][name].as_u64().expect("a count");
    let calls = endpoint.requests();
    assert_eq!((tokens("input"), tokens("output")), (1000 * calls.len() as u64, 100 * calls.len() as u64));
    assert!(status["cost_usd"].as_f64().is_some_and(|cost| (cost - 0.001 * calls.len() as f64).abs() < 1e-9));
    for (head, body) in &calls {
        assert!(head.starts_with("POST /v1/chat/completions "), "{head}");
        assert!(head.to_lowercase().contains(&format!("authorization: bearer {KEY}")), "the key is in its header");
        assert!(!body.to_string().contains(KEY), "and nowhere else");
    }
    key_is_nowhere(&lab, &outcome);
}

#[test]
fn an_invalid_proposal_goes_back_with_the_error_and_is_repaired() {
    let wrong = GOOD.replace("activation: gelu", "activation: gleu");
    let script = vec![proposal("Pearson loss", &wrong), proposal("Pearson loss, spelled right", GOOD)];
    let endpoint = Endpoint::start(script, proposal("again", GOOD), Answer::Says("No.".into()));
    let lab = lab(&endpoint);
    let outcome = run(&lab, "1").exits(0);
    let pages = notebook_is_sound(&lab);
    let [_, page] = pages.as_slice() else { panic!("two trials: {pages:?}") };
    assert!(page.subject.contains("spelled right"), "{}", page.subject);
    assert_eq!(page.trailer("Tokens"), "2200", "both calls are counted");
    let requests = endpoint.requests();
    let asked: Vec<&Value> = requests.iter().map(|(_, body)| body).filter(|body| proposes(body)).collect();
    let last = asked[1]["messages"].as_array().and_then(|all| all.last()).expect("words").to_string();
    assert!(last.contains("gleu") && last.contains("gelu"), "the located error and the nearest name: {last}");
    assert!(!lab.read("learnings.md").contains("No."), "an answer that is none leaves the evidence's text");
    lab.is_clean();
    key_is_nowhere(&lab, &outcome);
}

#[test]
fn proposals_that_stay_invalid_are_a_page_of_the_notebook_and_cost_no_training() {
    let wrong = GOOD.replace("width: 32", "width: -1");
    let script = vec![proposal("Nonsense", &wrong); 4];
    let endpoint = Endpoint::start(script, proposal("Pearson loss", GOOD), Answer::Says(LEARNINGS.into()));
    let lab = lab(&endpoint);
    run(&lab, "1").exits(0);
    let verdicts: Vec<String> = notebook_is_sound(&lab).iter().map(|page| page.trailer("Verdict").to_owned()).collect();
    assert_eq!(verdicts, ["keep", "invalid", "keep"]);
    lab.is_clean();
}

/// A budget ends the session in order; what waited then is tried by the next one, and not paid for again.
#[test]
fn a_round_goes_on_where_the_tokens_ended_the_session() {
    let candidate = |activation: &str| {
        let spec = UNTRAINED.replace("width: 8", &format!("width: 8, activation: {activation}"));
        json!({ "title": format!("Try {activation}"), "hypothesis": "It may.", "category": "activation",
                "expected_effect": null, "spec": spec })
    };
    let words = ["gelu", "tanh", "silu", "elu"];
    let round = json!({ "candidates": words.map(candidate) }).to_string();
    let endpoint = Endpoint::start(vec![Answer::Says(round)], proposal("again", GOOD), Answer::Says(LEARNINGS.into()));
    let lab = lab(&endpoint);
    lab.edit("autoresearch.yaml", "session_tokens: null ", "session_tokens: 1500 ");
    lab.commit("a small budget");
    let first = run(&lab, "9").exits(0);
    assert!(first.stderr.contains("tokens are spent"), "{}", first.stderr);
    assert!(!first.stderr.contains("of the last session"), "{}", first.stderr);
    assert_eq!(lab.events("round_proposed").len(), 1);
    assert_eq!(notebook_is_sound(&lab).len(), 2, "the baseline and one of the four");
    lab.edit("autoresearch.yaml", "session_tokens: 1500 ", "session_tokens: null ");
    let second = run(&lab, "3").exits(0);
    assert!(second.stderr.contains("3 candidates of the last session wait, and are tried first"), "{}", second.stderr);
    let subjects: Vec<String> = notebook_is_sound(&lab).iter().map(|page| page.subject.clone()).collect();
    for word in words {
        assert_eq!(
            subjects.iter().filter(|subject| subject.contains(&format!("Try {word}"))).count(),
            1,
            "{subjects:?}"
        );
    }
    let asked = endpoint.requests().iter().filter(|(_, body)| proposes(body)).count();
    assert_eq!(asked, 1, "nobody was asked again");
    let spent = lab.status()["tokens"]["input"].as_u64();
    assert_eq!(spent, Some(1_000 * endpoint.requests().len() as u64), "each call counts once");
    lab.is_clean();
}

#[test]
fn in_an_outage_the_optimizer_proposes_and_status_says_so() {
    let storm = Answer::Fails(500, format!("upstream fell over; your key was {KEY}"));
    let endpoint = Endpoint::start(Vec::new(), storm.clone(), storm);
    let lab = lab(&endpoint);
    let told = run(&lab, "2").exits(0);
    let pages = notebook_is_sound(&lab);
    assert!(pages.len() >= 3);
    for page in &pages[1..] {
        assert_eq!(page.trailer("Researcher"), "optimizer");
    }
    assert!(told.stderr.contains("the optimizer proposes in its place"), "{}", told.stderr);
    let failures = lab.events("researcher_failed");
    assert!(
        failures.iter().any(|event| event["error"].as_str().is_some_and(|why| why.contains("500"))),
        "{failures:?}"
    );
    let warnings = lab.status()["warnings"].clone();
    let says = |word: &str| warnings.as_array().is_some_and(|all| all.iter().any(|one| one.to_string().contains(word)));
    assert!(says("500") && says("optimizer"), "the morning's status tells of the outage: {warnings}");
    key_is_nowhere(&lab, &told);
}

#[test]
fn without_a_key_a_distant_endpoint_is_refused_before_anything_is_changed() {
    let lab = TestLab::new();
    let before = lab.contents();
    lab.run(&["run", "--researcher", "openai", "--trials", "1"])
        .exits(5)
        .says(&["OPENAI_API_KEY", "--researcher optimizer"]);
    lab.is_unchanged_since(&before);
    assert_eq!(lab.status()["trials"], Value::from(0));
}
