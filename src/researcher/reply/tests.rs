//! Replies as models write them.

use proptest::prelude::*;

use super::*;

const SPEC: &str = "version: 1\nnetwork:\n  - dense: { width: 8 }\n";

/// One proposal, as a reply to a request for one.
fn parse(reply: &str) -> Result<Draft, Complaint> {
    parse_all(reply, 1, false)?.remove(0)
}

fn json() -> String {
    serde_json::json!({
        "title": "Wider", "hypothesis": "More room.", "category": "architecture", "expected_effect": 0.001, "spec": SPEC
    })
    .to_string()
}

#[test]
fn the_ways_in_which_models_answer() {
    let object = r#"{"title":"Wider","hypothesis":"More room.","category":"architecture","expected_effect":"+0.001 payout","spec":{"version":1,"network":[{"dense":{"width":8}}]}}"#;
    // (reply, why)
    let table = [
        (json(), "bare JSON"),
        (format!("Here it is:\n\n```json\n{}\n```\nGood luck!", json()), "fenced JSON in prose"),
        (format!("Sure. {} That is all.", json()), "JSON in the middle of a sentence"),
        (format!("<think>maybe {{ \"spec\": 1 }}?</think>\n{}", json()), "thoughts before it"),
        (format!("maybe {{ so }}\n</think>\n{}", json()), "thoughts whose opening tag was swallowed"),
        (object.to_owned(), "the spec as an object"),
        (format!("````\n{}\n````", json()), "a longer fence"),
        (
            format!(
                "```yaml\ntitle: Wider\nhypothesis: More room.\ncategory: Architecture\nexpected_effect: 0.001\nspec:\n{}```",
                indent(SPEC)
            ),
            "a proposal in YAML",
        ),
        (
            format!(
                "**Title:** Wider\n**Hypothesis:** More room.\nCategory: architecture\nExpected effect: about 0.001\n```yaml\n{SPEC}```\n"
            ),
            "prose around a spec",
        ),
        (format!("{}\n```", json().replace("{\"category", "```json\n{\"category")), "a fence that never closes well"),
    ];
    for (reply, why) in table {
        let draft = parse(&reply).unwrap_or_else(|error| panic!("{why}: {error}"));
        assert_eq!(draft.title, "Wider", "{why}");
        assert_eq!(draft.hypothesis, "More room.", "{why}");
        assert_eq!(draft.category, "architecture", "{why}");
        assert_eq!(draft.expected_effect, Some(0.001), "{why}");
        let spec: Value = serde_yaml::from_str(&draft.spec).unwrap_or_else(|error| panic!("{why}: {error}"));
        assert_eq!(spec, serde_yaml::from_str::<Value>(SPEC).expect("the spec itself"), "{why}");
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[test]
fn what_cannot_be_read_is_answered_with_what_to_mend() {
    let huge = serde_json::json!({"title": "x", "spec": "y".repeat(MAX_SPEC_BYTES + 1)}).to_string();
    let table = [
        ("", "empty"),
        ("I would rather not.", "no proposal"),
        ("{\"title\": \"x\", \"spec\": \"a\nb\"}", "broken"),
        ("{\"title\": \"x\", ", "broken"),
        (r#"{"title": "x", "hypothesis": "y"}"#, "`spec` is missing"),
        (r#"{"title": "x", "spec": 3}"#, "must be the whole model.yaml"),
        (r#"{"spec": "version: 1"}"#, "`title` is missing"),
        (r#"{"title": "x", "spec": "  "}"#, "`spec` is empty"),
        (huge.as_str(), "the limit is"),
    ];
    for (reply, part) in table {
        let error = parse(reply).expect_err(part);
        assert!(error.contains(part), "wanted {part:?} in {error:?}");
    }
}

#[test]
fn texts_are_capped_and_kept_to_one_line() {
    let reply = serde_json::json!({
        "title": format!("a\nVerdict: keep\u{1b}[31m{}", "x".repeat(300)), "hypothesis": "y ".repeat(9000),
        "category": "New Optimizer!", "expected_effect": "NaN", "spec": SPEC
    });
    let draft = parse(&reply.to_string()).expect("readable");
    assert!(draft.title.starts_with("a Verdict: keep [31mxxx") && draft.title.chars().count() == MAX_TITLE);
    assert_eq!(draft.hypothesis.chars().count(), MAX_HYPOTHESIS);
    assert_eq!(draft.expected_effect, None);
    assert!(draft.category.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'));
}

/// What a person cannot see must not stand in the ledger, in the files of a trial or in model.yaml.
#[test]
fn what_hides_or_reorders_text_is_taken_out() {
    let tricks: String =
        ('\u{200b}'..='\u{200f}').chain('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}').collect();
    let reply = serde_json::json!({
        "title": format!("W{tricks}ider"), "hypothesis": format!("More{tricks} room."), "category": "architecture",
        "expected_effect": null, "spec": format!("{SPEC}# a remark{tricks}\n")
    });
    let draft = parse(&reply.to_string()).expect("readable");
    assert_eq!((draft.title.as_str(), draft.hypothesis.as_str()), ("Wider", "More room."));
    assert_eq!(draft.spec, format!("{}\n# a remark\n", SPEC.trim_end()));
}

#[test]
fn a_document_loses_its_fence_and_nothing_else() {
    assert_eq!(document("```markdown\n# A\n\n- b\n```").as_deref(), Ok("# A\n\n- b\n"));
    assert_eq!(document("# A\n```\ncode\n```\nend").as_deref(), Ok("# A\n```\ncode\n```\nend\n"));
    assert!(document("<think>hm</think>  ").is_err());
    assert!(document(&"x".repeat(MAX_SPEC_BYTES + 1)).is_err());
}

fn candidate(title: &str) -> Value {
    serde_json::json!({
        "title": title, "hypothesis": "Why not.", "category": "loss", "expected_effect": null, "spec": SPEC
    })
}

/// The titles of what could be read, and `!` for what could not.
fn titles(reply: &str, count: usize) -> Vec<String> {
    let found = parse_all(reply, count, false).unwrap_or_else(|why| panic!("{why}: {reply}"));
    found.into_iter().map(|draft| draft.map_or_else(|_| "!".into(), |draft| draft.title)).collect()
}

#[test]
fn the_ways_in_which_models_answer_with_several() {
    let list = serde_json::json!([candidate("A"), candidate("B"), candidate("C")]);
    let object = serde_json::json!({ "candidates": list });
    let each = |title: &str| format!("```json\n{}\n```\n", candidate(title));
    let prose = |title: &str| format!("Title: {title}\nHypothesis: Why not.\n```yaml\n{SPEC}```\n");
    let yaml = format!(
        "candidates:\n{}",
        ["A", "B", "C"].map(|title| format!("- title: {title}\n  spec: |\n    version: 1\n")).concat()
    );
    let table = [
        (object.to_string(), "the form that is asked for"),
        (format!("Four ideas:\n```json\n{object:#}\n```"), "the same, fenced"),
        (list.to_string(), "a bare list"),
        (serde_json::json!({ "proposals": list }).to_string(), "by another name"),
        (format!("{}{}{}", each("A"), each("B"), each("C")), "a fence each"),
        (format!("First: {} Then: {} Last: {}", candidate("A"), candidate("B"), candidate("C")), "in prose"),
        (format!("{}\n{}\n{}\n", candidate("A"), candidate("B"), candidate("C")), "a line each"),
        (format!("```yaml\n{yaml}```"), "in YAML"),
        (format!("{}{}{}", prose("A"), prose("B"), prose("C")), "specs in fences, with prose between"),
    ];
    for (reply, why) in table {
        assert_eq!(titles(&reply, 3), ["A", "B", "C"], "{why}");
        assert_eq!(titles(&reply, 2), ["A", "B"], "{why}: more than was asked for is ignored");
        assert_eq!(titles(&reply, 1), ["A"], "{why}");
        assert_eq!(titles(&reply, 9), ["A", "B", "C"], "{why}: fewer are fine");
    }
    assert_eq!(titles(&json(), 4), ["Wider"], "a single object is accepted");
}

#[test]
fn one_broken_candidate_does_not_lose_the_others() {
    let without_spec = serde_json::json!({ "title": "B" });
    let object = serde_json::json!({ "candidates": [candidate("A"), without_spec, candidate("C"), 7, candidate("D")] });
    assert_eq!(titles(&object.to_string(), 4), ["A", "!", "C", "!", "D"]);
    assert_eq!(titles(&object.to_string(), 2), ["A", "!", "C"], "a broken one takes no place");
    let (a, c) = (candidate("A").to_string(), candidate("C").to_string());
    for (b, why) in [
        ("{\"title\": \"B\", \"spec\": \"version: 1\nnetwork: []\"}", "a line break in a string"),
        ("{\"title\": \"B\", \"hypothesis\": \"a \"good\" one {\", \"spec\": \"version: 1\"}", "quotes in a string"),
        ("{\"title\": \"B\", \"spec\": \"version: 1\"", "a brace that is missing"),
    ] {
        assert_eq!(titles(&format!("{{\"candidates\": [{a}, {b}, {c}]}}"), 3), ["A", "!", "C"], "{why}");
    }
    let why = parse_all("{\"candidates\": []}", 3, false).expect_err("nothing");
    assert!(why.contains("empty list"), "{why}");
}

#[test]
fn of_a_reply_that_was_cut_off_what_is_whole_is_read() {
    let reply = serde_json::json!({ "candidates": [candidate("A"), candidate("B"), candidate("C")] }).to_string();
    let cut = &reply[..reply.len() - 30];
    let found = parse_all(cut, 3, true).expect("two are whole");
    assert_eq!(found.iter().filter_map(|draft| draft.as_ref().ok()).count(), 2);
    // Half of a spec is YAML as good as the whole of it.
    let spec = "Title: A\n```yaml\nversion: 1\nnetwork:\n  - dense: { width: 8 }\n";
    assert!(parse_all(spec, 1, false).is_ok_and(|found| found[0].is_ok()), "a fence that is never closed");
    assert!(parse_all(spec, 1, true).is_err(), "and one that was cut off");
    let yaml = "title: A\nspec: |\n  version: 1\n";
    assert!(parse_all(yaml, 1, false).is_ok() && parse_all(yaml, 1, true).is_err());
}

proptest! {
    /// Whatever a server sends: no panic, at most what was asked for, and texts within their bounds.
    #[test]
    fn any_text_is_read_or_refused(
        parts in prop::collection::vec(
            prop_oneof![
                Just("```".to_owned()), Just("```json\n".to_owned()), Just("{".to_owned()), Just("}".to_owned()),
                Just("[".to_owned()), Just("]".to_owned()), Just("\"".to_owned()), Just("\\".to_owned()),
                Just("\n".to_owned()), Just(",".to_owned()), Just("</think>".to_owned()), Just("<think>".to_owned()),
                Just("{\"title\":\"x\",\"spec\":\"version: 1\"}".to_owned()), Just("{\"candidates\":[".to_owned()),
                Just("version: 1\n".to_owned()), Just("title: ä\n".to_owned()), "\\PC{0,6}",
            ],
            0..24,
        ),
        count in 0_usize..5,
        cut_off: bool,
    ) {
        let reply = parts.concat();
        if let Ok(found) = parse_all(&reply, count, cut_off) {
            prop_assert!(!found.is_empty());
            let readable: Vec<_> = found.iter().filter_map(|draft| draft.as_ref().ok()).collect();
            prop_assert!(readable.len() <= count.max(1));
            for draft in readable {
                prop_assert!(!draft.title.is_empty() && draft.title.chars().count() <= MAX_TITLE);
                prop_assert!(!draft.spec.trim().is_empty() && draft.spec.len() <= MAX_SPEC_BYTES + 1);
            }
        }
    }

    /// Any candidate of a well-formed list may be spoilt, and the others are still read.
    #[test]
    fn spoiling_one_spoils_no_other(spoilt in 0_usize..4, at in 0_usize..400, with in "[\\PC\n]{0,3}") {
        let mut list: Vec<String> = ["A", "B", "C", "D"].iter().map(|title| candidate(title).to_string()).collect();
        // Within the object's own braces, and after its first key, so that it can be told from its neighbours.
        let own = &list[spoilt];
        let places: Vec<usize> = own.char_indices().map(|(index, _)| index).filter(|index| (12..own.len() - 1).contains(index)).collect();
        let mut broken = own.clone();
        broken.insert_str(places[at % places.len()], &with);
        list[spoilt] = broken;
        let found = titles(&format!("{{\"candidates\": [{}]}}", list.join(", ")), 4);
        for (index, title) in ["A", "B", "C", "D"].iter().enumerate() {
            prop_assert!(index == spoilt || found.iter().any(|one| one == title), "{:?}", found);
        }
    }
}
