//! What holds of any rule, any file and any change.

use proptest::prelude::*;

use super::rule;
use crate::research::rules::*;
use crate::research::sample::change;

fn any_rule() -> impl Strategy<Value = Rule> {
    let word = "[a-z\"\\\\'#\n\u{7}é=\\[\\]]{1,12}"
        .prop_filter("not blank", |text| !crate::research::foreign::one_line(text, 99).is_empty());
    let status = prop::sample::select(vec![Status::Exhausted, Status::ConfidentlyBad, Status::Ambiguous]);
    let value = prop_oneof![
        "[a-z]{1,6}",
        any::<i32>().prop_map(|number| number.to_string()),
        (-1e6..1e6_f64).prop_map(crate::research::rules::write::number_text),
        any::<bool>().prop_map(|flag| flag.to_string()),
    ];
    let values = prop::collection::vec(value, 0..3);
    let range = prop::option::of(
        (-5.0..0.0_f64, 0.0..1e-5_f64).prop_map(|(min, max)| Range { min: Some(min), max: Some(max) }),
    );
    let head = (word.clone(), status, prop::sample::select(vec![By::Human, By::Loop]), word.clone());
    let tail = (
        values,
        range,
        prop::option::of("[a-z]{1,8}"),
        prop::collection::vec(any::<u32>(), 0..4),
        prop::option::of(word),
        prop::option::of(1..100_000_u32),
        any::<bool>(),
    );
    (head, tail).prop_map(
        |((name, status, by, reason), (values, range, category, evidence, revisit, after, with_example))| {
            let clean = |text: String| crate::research::foreign::one_line(&text, 99);
            let rule = Rule {
                name: clean(name),
                status,
                by,
                reason: clean(reason),
                paths: vec![Pattern::parse("network[*].**.width").expect("a pattern")],
                range: range.filter(|_| values.is_empty()),
                values,
                category,
                revisit_after: after.filter(|_| !evidence.is_empty()),
                evidence,
                revisit: revisit.map(clean),
                blocks: Vec::new(),
            };
            if !with_example {
                return rule;
            }
            let least = rule.range.and_then(|range| range.min).map(crate::research::rules::write::number_text);
            let to = rule.values.first().cloned().or(least).unwrap_or_else(|| "128".into());
            rule.with_example(&[change("network[0].dense.width", Some("x1"), Some(&to))])
        },
    )
}

proptest! {
    #[test]
    fn a_rendered_rule_reads_back_the_same(rule in any_rule()) {
        let text = render(&rule);
        let rules = Rules::parse(&text, "x").map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(rules.all(), &[rule][..]);
    }

    #[test]
    fn whatever_stands_in_the_file_it_never_panics(text in any::<String>(), lines in prop::collection::vec("(\\[\\[rule\\]\\]|name = |\"a\"|paths = \\[|\\]|range = \\{|é|\n){0,3}", 0..8)) {
        for text in [text, lines.join("\n")] {
            if let Err(error) = Rules::parse(&text, "x") {
                prop_assert!(error.line >= 1 && error.line <= text.matches('\n').count() + 1);
            }
        }
    }

    #[test]
    fn whatever_an_example_says_it_never_panics(text in "([a-z.]{0,5}|:|->|;| |\\{|\\}|[0-9]){0,12}") {
        if let Ok(example) = Example::parse(&text) {
            prop_assert_eq!(Example::parse(&example.to_string()), Ok(example));
        }
    }

    #[test]
    fn whatever_is_changed_it_never_panics(path in any::<String>(), from in any::<Option<String>>(), to in any::<Option<String>>()) {
        let change = KnobChange { path, from, to };
        let _ = rule("paths = [\"**.width\"]").blocks(&[change], "x");
    }
}
