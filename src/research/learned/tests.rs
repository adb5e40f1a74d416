//! What is learned, and what is not.

use super::*;
use crate::research::rules::render;
use crate::research::sample::{baseline, change, ended, judged};
use crate::research::trial::KnobChange;

const BAD: (bool, f64, f64) = (false, -0.003, 0.97);

fn silu(index: usize) -> Vec<KnobChange> {
    vec![change(&format!("network[{index}].dense.activation"), Some("relu"), Some("silu"))]
}

fn dropout(to: &str) -> Vec<KnobChange> {
    vec![change("network[0].dense.dropout", Some("0.2"), Some(to))]
}

fn learn(records: Vec<TrialRecord>, rules: &str) -> Vec<Rule> {
    let events: Vec<_> = std::iter::once(baseline(0.01)).chain(records).map(ended).collect();
    learned_rules(&History::from_events(&events), &Rules::parse(rules, "x").expect("valid rules"))
}

fn five(changes: impl Fn(u32) -> Vec<KnobChange>) -> Vec<TrialRecord> {
    (1..=5).map(|number| judged(number, "Regularization", &changes(number), BAD)).collect()
}

#[test]
fn a_value_that_always_lost_is_ruled_out() {
    let found = learn(five(|number| silu(number as usize % 2)), "");
    let [rule] = found.as_slice() else { panic!("one rule in {found:?}") };
    assert_eq!((rule.status, rule.by), (Status::ConfidentlyBad, By::Loop));
    assert_eq!(rule.paths[0].to_string(), "network[*].dense.activation");
    assert_eq!((rule.values.as_slice(), rule.evidence.as_slice()), (&["silu".to_owned()][..], &[1, 2, 3, 4, 5][..]));
    let mut rules = Rules::default();
    rules.push(rule.clone());
    assert!(rules.blocks(&silu(7), "regularization").is_some());
    assert!(rules.blocks(&dropout("0.3"), "regularization").is_none());
    assert_eq!(rule.blocks[0].to_string(), "network[1].dense.activation: relu -> silu");
    assert_eq!(rule.revisit_after, Some(100));
    assert_eq!(Rules::parse(&render(rule), "x").expect("rendered rules read back").all(), found);
}

#[test]
fn a_direction_is_ruled_out_as_far_as_it_was_tried() {
    let found = learn(five(|number| dropout(&format!("0.{}", number + 2))), "");
    let [rule] = found.as_slice() else { panic!("one rule in {found:?}") };
    assert_eq!(rule.range, Some(Range { min: Some(0.3), max: Some(0.7) }));
    assert_eq!(rule.name, "learned: network[*].dense.dropout raised (regularization)");
}

#[test]
fn a_switch_of_kinds_is_ruled_out() {
    let found = learn(
        five(|_| {
            vec![
                change("optimizer.adamw", Some("{ lr: 0.001 }"), None),
                change("optimizer.sgd", None, Some("{ lr: 0.1 }")),
            ]
        }),
        "",
    );
    let [rule] = found.as_slice() else { panic!("one rule in {found:?}") };
    assert_eq!((rule.paths[0].to_string().as_str(), rule.values[0].as_str()), ("optimizer", "sgd"));
    let wanted = "optimizer.adamw: { lr: 0.001 } ->; optimizer.sgd: -> { lr: 0.1 }";
    assert_eq!(rule.blocks[0].to_string(), wanted);
}

#[test]
fn nothing_is_learned_from_too_little() {
    let mut four = five(|_| silu(0));
    four.pop();
    let mut doubtful = five(|_| silu(0));
    doubtful[4] = judged(5, "regularization", &silu(0), (false, -0.0001, 0.55));
    let both = |number: u32| [silu(0), dropout(&format!("0.{}", number + 2))].concat();
    let mut elsewhere = five(|_| silu(0));
    elsewhere[4].proposal.category = "loss".into();
    let stood = |number: u32| {
        let (from, to) = if number == 1 { ("0.5", "0.6") } else { ("0.2", "0.4") };
        vec![change("network[0].dense.dropout", Some(from), Some(to))]
    };
    let block = |_| vec![change("network[2]", None, Some("{ dense: { width: 8 } }"))];
    for (records, why) in [
        (four, "four tries"),
        (doubtful, "one of them is not clearly worse"),
        (five(both), "two knobs at once: which is to blame?"),
        (elsewhere, "another category"),
        (five(stood), "an incumbent stood in the region"),
        (five(block), "blocks differ too much"),
    ] {
        assert!(learn(records, "").is_empty(), "{why}");
    }
}

#[test]
fn what_is_known_is_not_learned_again_and_a_persons_word_stands() {
    let known = render(&learn(five(|_| silu(0)), "")[0]);
    let person = "[[rule]]\nname = \"mine\"\nstatus = \"ambiguous\"\nreason = \"I like it\"\npaths = [\"network[0].dense.activation\"]\n";
    let other = "[[rule]]\nname = \"mine\"\nstatus = \"exhausted\"\nreason = \"r\"\npaths = [\"**.width\"]\n";
    assert!(learn(five(|_| silu(0)), &known).is_empty());
    assert!(learn(five(|_| silu(0)), person).is_empty());
    assert_eq!(learn(five(|_| silu(0)), other).len(), 1, "a person's rule about another knob");
}

/// Tries of categories: name, how many, and how each came out.
fn tried(categories: &[(&str, u32, (bool, f64, f64))], rules: &str) -> Vec<Rule> {
    let each =
        categories.iter().flat_map(|(name, count, came_out)| (0..*count).map(move |index| (*name, index, *came_out)));
    let records = (1..).zip(each).map(|(number, (name, index, came_out))| {
        // Different knobs, so that no rule of a knob is learned beside.
        judged(number, name, &[change(&format!("{}.knob{index}", name.to_lowercase()), Some("1"), Some("2"))], came_out)
    });
    learn(records.collect(), rules)
}

const GOOD: (bool, f64, f64) = (false, 0.0004, 0.3);

#[test]
fn a_category_in_which_nothing_was_ever_close_is_exhausted() {
    let open = [("architecture", 1, GOOD), ("targets", 1, GOOD), ("training", 1, GOOD)];
    let found = tried(&[&[("Loss", 12, BAD)][..], &open].concat(), "");
    let [rule] = found.as_slice() else { panic!("one rule in {found:?}") };
    assert_eq!((rule.status, rule.by, rule.category.as_deref()), (Status::Exhausted, By::Loop, Some("loss")));
    assert_eq!((rule.paths.len(), rule.evidence.len(), rule.revisit_after), (0, 12, Some(50)));
    assert_eq!(rule.reason, "clearly worse in each of 12 trials, by -0.0030 in the mean; none was kept or came close");
    assert_eq!(rule.blocks[0].to_string(), "loss.knob0: 1 -> 2");
    assert_eq!(Rules::parse(&render(rule), "x").expect("rendered rules read back").all(), found);
    let mut rules = Rules::default();
    rules.push(rule.clone());
    assert!(rules.blocks(&dropout("0.3"), "Loss").is_some() && rules.blocks(&dropout("0.3"), "training").is_none());

    let person =
        |fields: &str| format!("[[rule]]\nname = \"mine\"\nstatus = \"ambiguous\"\nreason = \"I like it\"\n{fields}\n");
    for (categories, rules, why) in [
        (vec![("loss", 11, BAD)], String::new(), "eleven tries"),
        (vec![("loss", 12, BAD), ("loss", 1, GOOD)], String::new(), "one came close"),
        (vec![("loss", 12, BAD), ("loss", 1, (true, 0.004, 1e-4))], String::new(), "one was kept"),
        (vec![("loss", 12, BAD), ("loss", 1, (false, -0.0002, 0.6))], String::new(), "one may be as good"),
        (vec![("", 20, BAD)], String::new(), "no category is none"),
        (vec![("loss", 20, BAD)], render(rule), "it is known"),
        (vec![("loss", 20, BAD)], person("category = \"loss\""), "a person's word stands"),
    ] {
        assert!(tried(&[&categories[..], &open].concat(), &rules).is_empty(), "{why}");
    }
    assert!(tried(&[&[("loss", 20, BAD)][..], &open[..2]].concat(), "").is_empty(), "too little would stay open");
    let two = [&[("loss", 12, BAD), ("schedule", 15, BAD)][..], &open].concat();
    assert_eq!(tried(&two, "").len(), 2);
    let names: Vec<String> = tried(&two[..4], "").into_iter().map(|rule| rule.name).collect();
    assert_eq!(names, ["learned: category schedule"], "the one that was tried most, and three stay open");
}

#[test]
fn a_learned_rule_says_what_its_trials_took_for_granted() {
    let mut base = baseline(0.01);
    base.proposal.spec = "network: [{ dense: { width: 8, activation: relu } }]\nloss: [mse]\n".into();
    let events: Vec<_> = std::iter::once(base).chain(five(|_| silu(0))).map(ended).collect();
    let found = learned_rules(&History::from_events(&events), &Rules::default());
    let revisit = found[0].revisit.as_deref().unwrap_or_default();
    assert!(
        revisit.starts_with(
            "when the incumbent has become another model; all were tried with 1 dense block, relu, mse, adamw"
        ),
        "{revisit}"
    );
}
