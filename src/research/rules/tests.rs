//! do_not_retry.toml: read, matched, written, and its mistakes pointed at.

use super::*;
use crate::research::sample::change;
use crate::spec::{Spec, diff};

mod properties;

fn parse(text: &str) -> Rules {
    Rules::parse(text, "do_not_retry.toml").expect("a valid file")
}

fn rule(fields: &str) -> Rules {
    parse(&format!("[[rule]]\nname = \"r\"\nstatus = \"exhausted\"\nreason = \"because\"\n{fields}\n"))
}

fn activation(index: usize, from: &str, to: &str) -> KnobChange {
    change(&format!("network[{index}].dense.activation"), Some(from), Some(to))
}

fn block(activation: &str) -> String {
    format!("{{ dense: {{ width: 64, norm: none, activation: {activation}, dropout: 0.0 }} }}")
}

#[test]
fn the_documented_example_is_read() {
    let text: String = include_str!("../rules.rs")
        .lines()
        .skip_while(|line| !line.contains("```toml"))
        .skip(1)
        .take_while(|line| !line.contains("```"))
        .map(|line| format!("{}\n", line.trim_start_matches("//! ")))
        .collect();
    let rules = parse(&text);
    let [silu] = rules.all() else { panic!("one rule in {text}") };
    assert_eq!((silu.name.as_str(), silu.status, silu.by), ("no-silu", Status::ConfidentlyBad, By::Human));
    assert_eq!(silu.values, ["silu"]);
    assert_eq!(silu.evidence, [12, 31]);
    assert_eq!(silu.category.as_deref(), Some("activation"));
    assert_eq!((silu.revisit_after, silu.blocks[0].changes()), (Some(50), &[activation(0, "relu", "silu")][..]));
    assert!(rules.blocks(&[activation(1, "relu", "silu")], "Activation ").is_some());
    assert!(
        rules.blocks(&[activation(1, "relu", "silu")], "architecture").is_none(),
        "paths and category must both hold"
    );
}

/// The language's own diff, not one made up here.
#[test]
fn rules_hold_on_real_specs() {
    let spec = |text: &str| Spec::parse(text, "test").expect("a valid spec");
    let between = |from: &str, to: &str| -> Vec<KnobChange> {
        diff::changes(&spec(from), &spec(to)).into_iter().map(KnobChange::from).collect()
    };
    let relu = "network: [ { dense: { width: 64 } } ]";
    let silu = "network: [ { dense: { width: 64, activation: silu } } ]";
    let activation = rule("paths = [\"**.activation\"]\nvalues = [\"silu\"]");
    let table = [
        (relu, silu, true, "a knob is turned"),
        (silu, relu, false, "away from it"),
        (silu, "network: [ { dense: { width: 128, activation: silu } } ]", false, "it was there"),
        (
            silu,
            "network: [ { dense: { width: 32 } }, { dense: { width: 64, activation: silu } } ]",
            false,
            "a block before it",
        ),
        (silu, "network: [ { residual: [ { dense: { width: 64, activation: silu } } ] } ]", false, "wrapped"),
        (
            relu,
            "network: [ { residual: [ { dense: { width: 64, activation: silu } } ] } ]",
            true,
            "hidden in a new block",
        ),
        (
            silu,
            "network: [ { dense: { width: 64, activation: silu } }, { dense: { width: 64, activation: silu } } ]",
            true,
            "one more",
        ),
    ];
    for (from, to, wanted, why) in table {
        assert_eq!(activation.blocks(&between(from, to), "x").is_some(), wanted, "{why}");
    }
    let sgd = rule("paths = [\"optimizer\"]\nvalues = [\"sgd\"]");
    let with_sgd = format!("{relu}\noptimizer: {{ sgd: {{ lr: 0.1 }} }}");
    let faster_sgd = format!("{relu}\noptimizer: {{ sgd: {{ lr: 0.2 }} }}");
    assert!(sgd.blocks(&between(relu, &with_sgd), "x").is_some(), "another kind of optimizer");
    assert!(sgd.blocks(&between(&with_sgd, &faster_sgd), "x").is_none(), "it was of that kind");
    assert!(sgd.blocks(&between(&with_sgd, relu), "x").is_none(), "away from it");
    let cosine = rule("paths = [\"schedule\"]\nvalues = [\"cosine\"]");
    assert!(
        cosine.blocks(&between(relu, &format!("{relu}\nschedule: cosine")), "x").is_some(),
        "a kind without fields"
    );
}

#[test]
fn what_a_rule_blocks() {
    let silu = "paths = [\"network[*].dense.activation\"]\nvalues = [\"silu\"]";
    let table: Vec<(&str, Vec<KnobChange>, &str, bool, &str)> = vec![
        (silu, vec![activation(0, "relu", "silu")], "x", true, "the knob is turned to the value"),
        (silu, vec![activation(0, "silu", "relu")], "x", false, "away from it"),
        (silu, vec![activation(0, "relu", "gelu")], "x", false, "to another value"),
        (
            silu,
            vec![change("network[0].dense.width", Some("64"), Some("128"))],
            "x",
            false,
            "another knob; the incumbent may hold the value",
        ),
        (silu, vec![change("network[2]", None, Some(&block("silu")))], "x", true, "a new block brings the value"),
        (silu, vec![change("network[2]", None, Some(&block("gelu")))], "x", false, "a new block without it"),
        (silu, vec![change("network[0]", Some(&block("silu")), None)], "x", false, "a block that held it goes"),
        (
            silu,
            vec![change("network[0]", Some(&block("silu")), None), change("network[1]", None, Some(&block("silu")))],
            "x",
            false,
            "it has only moved",
        ),
        (
            silu,
            vec![activation(0, "silu", "relu"), activation(1, "relu", "silu")],
            "x",
            false,
            "the same, knob by knob",
        ),
        (silu, vec![activation(0, "relu", "silu"), activation(1, "relu", "silu")], "x", true, "two at once"),
        (
            "paths = [\"network[*].dense.dropout\"]\nrange = { min = 0.5, max = 0.9 }",
            vec![change("network[0].dense.dropout", Some("0.2"), Some("0.5"))],
            "x",
            true,
            "ends of a range belong to it",
        ),
        (
            "paths = [\"network[*].dense.dropout\"]\nrange = { min = 0.5, max = 0.9 }",
            vec![change("network[0].dense.dropout", Some("0.6"), Some("0.7"))],
            "x",
            true,
            "a change within the region",
        ),
        (
            "paths = [\"network[*].dense.dropout\"]\nrange = { min = 0.5, max = 0.9 }",
            vec![change("network[0].dense.dropout", Some("0.6"), Some("0.4"))],
            "x",
            false,
            "a change out of it",
        ),
        (
            "paths = [\"optimizer.adamw.lr\"]\nrange = { min = 1e-2 }",
            vec![change("optimizer.adamw.lr", Some("1e-3"), Some("3e-2"))],
            "x",
            true,
            "one open end",
        ),
        (
            "paths = [\"optimizer.adamw.lr\"]\nvalues = [0.01]",
            vec![change("optimizer.adamw.lr", Some("1e-3"), Some("1e-2"))],
            "x",
            true,
            "numbers are compared as numbers",
        ),
        (
            "paths = [\"optimizer\"]\nvalues = [\"sgd\"]",
            vec![
                change("optimizer.adamw", Some("{ lr: 1e-3 }"), None),
                change("optimizer.sgd", None, Some("{ lr: 0.1 }")),
            ],
            "x",
            true,
            "a kind that is switched to",
        ),
        (
            "paths = [\"optimizer\"]\nvalues = [\"sgd\"]",
            vec![change("optimizer.sgd.lr", Some("0.1"), Some("0.2"))],
            "x",
            false,
            "the incumbent is of that kind already",
        ),
        (
            "paths = [\"optimizer\"]",
            vec![change("optimizer.sgd.lr", Some("0.1"), Some("0.2"))],
            "x",
            true,
            "without values: any change below",
        ),
        (
            "paths = [\"ensemble.members\"]",
            vec![change("optimizer.sgd.lr", Some("0.1"), Some("0.2"))],
            "x",
            false,
            "elsewhere",
        ),
        (
            "paths = [\"network[*].residual\"]",
            vec![change("network[1]", Some("{ residual: [{ dense: { width: 8 } }] }"), None)],
            "x",
            true,
            "without values: a removal too",
        ),
        ("category = \"ensemble\"", vec![], "Ensemble", true, "the whole category"),
        (
            "category = \"ensemble\"",
            vec![change("ensemble.members", Some("1"), Some("4"))],
            "training",
            false,
            "another category",
        ),
    ];
    for (fields, changes, category, wanted, why) in table {
        let rules = rule(fields);
        assert_eq!(rules.blocks(&changes, category).is_some(), wanted, "{why}: {fields} on {changes:?}");
    }
}

#[test]
fn values_that_two_knobs_exchange_are_changes_all_the_same() {
    let changes = [change("training.patience", Some("5"), Some("1")), change("ensemble.members", Some("1"), Some("5"))];
    assert!(rule("paths = [\"**\"]").blocks(&changes, "training").is_some());
}

#[test]
fn ambiguous_informs_and_never_blocks() {
    let rules = parse("[[rule]]\nname = \"a\"\nstatus = \"ambiguous\"\nreason = \"mixed\"\ncategory = \"loss\"\n");
    assert!(rules.blocks(&[], "loss").is_none());
    assert_eq!(rules.informs(&[], "loss").len(), 1);
    assert!(rules.informs(&[], "targets").is_empty());
}

fn two(human: (&str, &str), learned: (&str, &str)) -> Rules {
    let one = |name: &str, (status, fields): (&str, &str)| {
        format!("[[rule]]\nname = \"{name}\"\nby = \"{name}\"\nstatus = \"{status}\"\nreason = \"r\"\n{fields}\n")
    };
    parse(&format!("{}{}", one("loop", learned), one("human", human)))
}

#[test]
fn a_persons_rule_wins() {
    let gelu = "paths = [\"network[*].dense.activation\"]\nvalues = [\"gelu\"]";
    let width = "paths = [\"network[*].dense.width\"]";
    let changes = [activation(0, "relu", "gelu")];
    let both = [activation(0, "relu", "gelu"), change("network[0].dense.width", Some("8"), Some("9"))];
    let blocked = |rules: &Rules, changes: &[KnobChange]| rules.blocks(changes, "x").map(|rule| rule.name.clone());
    assert_eq!(
        blocked(&two(("exhausted", gelu), ("exhausted", gelu)), &changes).as_deref(),
        Some("human"),
        "named first"
    );
    assert_eq!(blocked(&two(("ambiguous", gelu), ("confidently-bad", gelu)), &changes), None, "the person allows it");
    assert_eq!(
        blocked(&two(("ambiguous", width), ("confidently-bad", gelu)), &both).as_deref(),
        Some("loop"),
        "the person allows something else"
    );
    assert_eq!(
        blocked(&two(("ambiguous", "category = \"x\""), ("exhausted", gelu)), &changes),
        None,
        "a whole category is allowed"
    );
    assert_eq!(
        blocked(&two(("ambiguous", gelu), ("exhausted", "category = \"x\"")), &changes).as_deref(),
        Some("loop"),
        "a knob does not allow a category"
    );
}

#[test]
fn mistakes_are_located_and_say_what_is_allowed() {
    let good = "name = \"a\"\nstatus = \"exhausted\"\nreason = \"r\"\n";
    let table: Vec<(String, usize, &str)> = vec![
        ("[[rule]]\nname = \n".into(), 2, "this is not TOML"),
        (format!("[[rule]]\n{good}category = \"x\"\npathes = [\"a\"]\n"), 6, "Did you mean `paths`?"),
        (format!("[[rules]]\n{good}"), 1, "Did you mean `rule`?"),
        (format!("[rule]\n{good}"), 1, "two brackets"),
        ("\n\n[[rule]]\nstatus = \"exhausted\"\nreason = \"r\"\ncategory = \"x\"".into(), 3, "no `name`"),
        ("[[rule]]\nname = \"a\"\nreason = \"r\"\ncategory = \"x\"".into(), 1, "no `status`"),
        ("[[rule]]\nname = \"a\"\nstatus = \"exhuasted\"\nreason = \"r\"".into(), 3, "Did you mean `exhausted`?"),
        (format!("[[rule]]\n{good}by = \"me\"\ncategory = \"x\""), 5, "allowed: human, loop"),
        (format!("[[rule]]\n{good}"), 1, "neither `paths` nor `category`"),
        (format!("[[rule]]\n{good}category = \"x\"\nvalues = [1]"), 1, "no `paths`"),
        (format!("[[rule]]\n{good}paths = \"a\""), 5, "`paths` is a list"),
        (format!("[[rule]]\n{good}paths = []"), 5, "`paths` is empty"),
        (format!("[[rule]]\n{good}paths = [\n \"a\",\n \"b c\",\n]"), 7, "`b c` is no path"),
        (format!("[[rule]]\n{good}paths = [\"a\"]\nvalues = [[1]]"), 6, "found a list"),
        (format!("[[rule]]\n{good}paths = [\"a\"]\nvalues = [nan]"), 6, "found the number nan"),
        (format!("[[rule]]\n{good}paths = [\"a\"]\nrange = {{ min = 2, max = 1 }}"), 6, "this range is empty"),
        (format!("[[rule]]\n{good}paths = [\"a\"]\nrange = {{ low = 2 }}"), 6, "unknown field `low`"),
        (format!("[[rule]]\n{good}paths = [\"a\"]\nrange = {{}}"), 6, "neither `min` nor `max`"),
        (format!("[[rule]]\n{good}paths = [\"a\"]\nrange = {{ min = 1 }}\nvalues = [1]"), 1, "make it two rules"),
        (format!("[[rule]]\n{good}category = 7"), 5, "found the number 7"),
        (format!("[[rule]]\n{good}category = \" \""), 5, "`category` is empty"),
        (format!("[[rule]]\n{good}category = \"x\"\nevidence = [\"12\"]"), 6, "numbers of trials"),
        (
            format!("[[rule]]\n{good}category = \"x\"\n[[rule]]\n{good}category = \"y\""),
            6,
            "a second rule with the name \"a\"",
        ),
        ("version = 2".into(), 1, "reads version 1"),
        (format!("[[rule]]\n{good}category = \"x\"\nrevisit_after = 50"), 6, "the newest trial in `evidence`"),
        (format!("[[rule]]\n{good}category = \"x\"\nevidence = [1]\nrevisit_after = 0"), 7, "1 to 100000"),
        (
            format!("[[rule]]\n{good}category = \"x\"\nevidence = [1]\nrevisit_after = \"soon\""),
            7,
            "a number of trials",
        ),
        (format!("[[rule]]\n{good}paths = [\"a.b\"]\nblocks = \"a.b: 1 -> 2\""), 6, "`blocks` is a list"),
        (
            format!("[[rule]]\n{good}paths = [\"a.b\"]\nblocks = [\n \"a.b: 1 -> 2\",\n \"a.c: 1 -> 2\",\n]"),
            8,
            "does not block its example `a.c: 1 -> 2`",
        ),
        (
            format!("[[rule]]\n{good}paths = [\"a.b\"]\nvalues = [3]\nblocks = [\"a.b: 3 -> 1\"]"),
            7,
            "does not block its example",
        ),
        (format!("[[rule]]\n{good}paths = [\"a.b\"]\nblocks = [\"a.b\"]"), 6, "an example looks like"),
        (format!("[[rule]]\n{good}paths = [\"a.b\"]\nblocks = [\"a.b: 1\"]"), 6, "it has no `->`"),
        (format!("[[rule]]\n{good}paths = [\"a.b\"]\nblocks = [\"a.b: 1 -> 1\"]"), 6, "both sides are the same"),
        (format!("[[rule]]\n{good}category = \"x\"\nblock = [\"a\"]"), 6, "Did you mean `blocks`?"),
    ];
    for (text, line, wanted) in table {
        let error = Rules::parse(&text, "do_not_retry.toml").expect_err(&text);
        assert_eq!(error.line, line, "{error} in\n{text}");
        assert!(error.to_string().starts_with(&format!("do_not_retry.toml:{line}:")), "{error}");
        assert!(error.to_string().contains(wanted), "{error} should say {wanted}");
    }
}

#[test]
fn examples_are_what_trials_changed() {
    let table = [
        ("network[0].dense.activation: relu -> silu", vec![activation(0, "relu", "silu")]),
        (" a.b :1->2 ", vec![change("a.b", Some("1"), Some("2"))]),
        ("a.b: -> 2", vec![change("a.b", None, Some("2"))]),
        ("a.b: { c: 1 } ->", vec![change("a.b", Some("{ c: 1 }"), None)]),
        (
            "optimizer.adamw: {} -> ; optimizer.sgd: -> { lr: 0.1 }",
            vec![change("optimizer.adamw", Some("{}"), None), change("optimizer.sgd", None, Some("{ lr: 0.1 }"))],
        ),
    ];
    for (text, wanted) in table {
        let example = Example::parse(text).expect(text);
        assert_eq!(example.changes(), wanted, "{text}");
        assert_eq!(Example::parse(&example.to_string()).as_ref(), Ok(&example), "{example}");
        assert_eq!(Example::of(&wanted), Some(example));
    }
    for changes in [
        vec![],
        vec![change("a.b", Some("1 -> 2"), Some("3"))],
        vec![change("a.b", Some("1; c: 2"), Some("3"))],
        vec![change("a b", Some("1"), Some("3"))],
        vec![change("a.b", None, Some(&"x".repeat(81)))],
    ] {
        assert_eq!(Example::of(&changes), None, "{changes:?}");
    }
}

/// A person who lifts a learned rule by making it theirs and ambiguous keeps its example.
#[test]
fn an_ambiguous_rule_may_keep_its_example() {
    let rules = parse(
        "[[rule]]\nname = \"r\"\nstatus = \"ambiguous\"\nreason = \"mine\"\ncategory = \"loss\"\nblocks = [\"a.b: 1 -> 2\"]\n",
    );
    assert!(rules.blocks(&[change("a.b", Some("1"), Some("2"))], "loss").is_none());
}

/// A rule that rests on trial 3 and may be revisited four trials later.
#[test]
fn a_rule_that_is_due_lets_one_retry_through() {
    use crate::research::sample::{baseline, ended, judged, trial};
    use crate::research::trial::Verdict;
    let rules = rule("paths = [\"network[*].dense.activation\"]\nevidence = [3]\nrevisit_after = 4");
    let silu = [activation(0, "relu", "silu")];
    let blocked = |history: &History| rules.at(history).blocks(&silu, "x").is_some();
    let mut history = History::from_events(&[ended(baseline(0.01))]);
    (1..=6).for_each(|number| history.apply(&ended(trial(number, Verdict::Discard))));
    assert!(blocked(&history), "three trials after the evidence");
    history.apply(&ended(trial(7, Verdict::Invalid)));
    assert!(blocked(&history), "what was not trained does not count");
    history.apply(&ended(trial(8, Verdict::Crash)));
    assert!(!blocked(&history), "four trials after the evidence");
    let now = rules.at(&history);
    assert_eq!(now.due().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["r"]);
    assert_eq!((now.retried(&silu, "x").len(), now.retried(&[], "x").len()), (1, 0), "it is said what is retried");
    assert_eq!(now.all(), rules.all());
    history.apply(&ended(judged(9, "x", &silu, (false, -0.001, 0.9))));
    (10..=12).for_each(|number| {
        assert!(blocked(&history), "it was retried: trial {number}");
        history.apply(&ended(trial(number, Verdict::Discard)));
    });
    assert!(blocked(&history), "three trials after the retry");
    history.apply(&ended(trial(13, Verdict::Discard)));
    assert!(!blocked(&history), "due again");
    assert!(rules.blocks(&silu, "x").is_some(), "without a moment no rule is due");
}

#[test]
fn a_persons_rule_that_is_due_does_not_lift_a_learned_one() {
    use crate::research::sample::{baseline, ended, trial};
    use crate::research::trial::Verdict;
    let gelu = "paths = [\"network[*].dense.activation\"]\nvalues = [\"gelu\"]";
    let human = format!("{gelu}\nevidence = [1]\nrevisit_after = 1");
    let rules = two(("exhausted", &human), ("confidently-bad", gelu));
    let history = History::from_events(&[
        ended(baseline(0.01)),
        ended(trial(1, Verdict::Discard)),
        ended(trial(2, Verdict::Discard)),
    ]);
    let rules = rules.at(&history);
    let blocking = rules.blocks(&[activation(0, "relu", "gelu")], "x").map(|rule| rule.name.as_str());
    assert_eq!(blocking, Some("loop"));
}

#[test]
fn an_empty_file_has_no_rules() {
    for text in ["", "# only a comment\n", "version = 1\n"] {
        assert!(parse(text).all().is_empty(), "{text:?}");
    }
}
