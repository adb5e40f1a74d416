//! Text from strangers: errors, never panics, never much time.

use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_oneof, proptest};
use proptest::sample::select;

use super::{random, refused};
use crate::spec::{Spec, SpecErrors, Value};

const GOOD: &str = "network: [{ dense: { width: 8 } }]\n";

#[test]
fn hostile_texts_are_refused_in_words() {
    let bomb = format!(
        "a: &a [1,1,1,1,1,1,1,1]\n{}network: *h\n",
        ["ab", "bc", "cd", "de", "ef", "fg", "gh"]
            .map(|pair| {
                let (from, to) = pair.split_at(1);
                format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 8].join(","))
            })
            .concat()
    );
    let cases: Vec<(String, &str, &str)> = vec![
        (String::new(), "empty", "an empty file"),
        (" \n\n".into(), "empty", "nothing but space"),
        (format!("{GOOD}# {}\n", "x".repeat(64 * 1024)), "65536", "too large"),
        (format!("network: {}", "[".repeat(30_000)), "", "unclosed and deep"),
        (format!("network: {}{}", "[".repeat(30_000), "]".repeat(30_000)), "", "deep"),
        (format!("network: {}{}", "[".repeat(40), "]".repeat(40)), "32", "a little too deep"),
        (format!("network: {}1{}", "{a: ".repeat(9_000), "}".repeat(9_000)), "", "deep maps"),
        (bomb, "", "aliases of aliases of aliases"),
        ("network: &a [*a]\n".into(), "", "an alias of itself"),
        (format!("{GOOD}version: 1\nversion: 1\n"), "version", "a key twice"),
        ("network: [{ dense: { width: 8, width: 9 } }]\n".into(), "width", "a key twice inside"),
        (format!("{GOOD}training: {{ epochs: .nan }}\n"), "model.yaml:2:", "not a number where a whole one belongs"),
        (format!("{GOOD}optimizer: {{ adamw: {{ lr: .nan }} }}\n"), "model.yaml:2:", "not a number"),
        (format!("{GOOD}optimizer: {{ adamw: {{ lr: .inf }} }}\n"), "model.yaml:2:", "infinite"),
        (format!("{GOOD}optimizer: {{ adamw: {{ lr: 1e999 }} }}\n"), "model.yaml:2:", "beyond any number"),
        (format!("{GOOD}training: {{ epochs: 99999999999999999999999 }}\n"), "training.epochs", "beyond 64 bits"),
        (format!("{GOOD}training: {{ epochs: -9223372036854775808 }}\n"), "training.epochs", "the least of 64 bits"),
        (format!("{GOOD}training: {{ epochs: 18446744073709551615 }}\n"), "training.epochs", "the most of 64 bits"),
        (format!("{GOOD}---\nversion: 1\n"), "", "two documents"),
        (format!("{GOOD}...\n---\n{GOOD}"), "", "two documents with an end"),
        (format!("{GOOD}? [a, b]\n: 1\n"), "", "a key that is a list"),
        (format!("{GOOD}<<: {{ a: 1 }}\n"), "", "a merge key"),
        ("network: !!python/object:os.system [rm]\n".into(), "network", "a tag"),
        ("network: \u{0}\n".into(), "", "a null character"),
        ("\t\tnetwork: 1\n".into(), "", "tabs"),
        ("%YAML 9.9\n---\n[".into(), "", "a directive"),
        ("network: \"\\uD800\"\n".into(), "", "half a surrogate pair"),
    ];
    for (text, wanted, what) in cases {
        let errors = refused(&text);
        let said = errors.to_string();
        assert!(!errors.errors.is_empty() && said.starts_with("model.yaml"), "{what}: {said}");
        assert!(said.contains(wanted), "{what}: {said}");
        assert!(said.len() < 2_000, "{what}: the message itself is bounded, not {} bytes", said.len());
    }
}

#[test]
fn a_spec_too_deep_to_be_written_is_refused_however_it_was_made() {
    let dense = Value::Map(vec![("dense".into(), Value::Map(vec![("width".into(), Value::Int(4))]))]);
    let nested = (0..20).fold(dense, |inner, _| Value::Map(vec![("residual".into(), Value::List(vec![inner]))]));
    let tree = Value::Map(vec![("network".into(), Value::List(vec![nested]))]);
    let said = Spec::from_value(&tree).expect_err("20 residual blocks within each other").to_string();
    assert!(said.contains("32"), "{said}");
}

/// Pieces that YAML and the language are made of, in no sensible order.
fn soup() -> impl Strategy<Value = String> {
    let pieces = [
        "network", "dense", "residual", "width", "loss", ": ", ":", "- ", "\n", "  ", "[", "]", "{", "}", ", ", "&a ",
        "*a", "!t ", "'", "\"", "|\n", ">\n", "#", "1", "-1e9", ".nan", "null", "~", "---\n", "...\n", "? ", "<<",
        "all", "\t", "%", "@", "`", "\u{feff}", "\u{85}", "\u{2028}", "é",
    ];
    proptest::collection::vec(
        prop_oneof![9 => select(pieces.to_vec()).prop_map(str::to_owned), 1 => any::<String>()],
        0..60,
    )
    .prop_map(|parts| parts.concat())
}

/// A result that either is a spec or says what is wrong.
fn is_civil(found: Result<Spec, SpecErrors>) -> bool {
    match found {
        Ok(spec) => Spec::parse(&spec.to_yaml(), "again").is_ok_and(|again| again == spec),
        Err(errors) => !errors.errors.is_empty() && errors.errors.iter().all(|error| !error.message.is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_text_is_a_spec_or_an_error(text in any::<String>()) {
        prop_assert!(is_civil(Spec::parse(&text, "x")));
    }

    #[test]
    fn any_soup_of_the_language_is_a_spec_or_an_error(text in soup()) {
        prop_assert!(is_civil(Spec::parse(&text, "x")), "{text}");
        prop_assert!(is_civil(Spec::parse(&format!("{GOOD}{text}"), "x")), "{text}");
    }

    #[test]
    fn a_good_spec_with_a_slip_is_a_spec_or_an_error(spec in random::spec(), at in any::<proptest::sample::Index>(), slip in soup()) {
        let mut text: Vec<char> = spec.to_yaml().chars().collect();
        let place = at.index(text.len());
        text.remove(place);
        let without: String = text.iter().collect();
        prop_assert!(is_civil(Spec::parse(&without, "x")), "{without}");
        text.splice(place..place, slip.chars());
        let within: String = text.iter().collect();
        prop_assert!(is_civil(Spec::parse(&within, "x")), "{within}");
    }
}
