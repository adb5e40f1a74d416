//! Text from strangers: errors, never panics, never much time.

use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_oneof, proptest};
use proptest::sample::select;

use super::{random, refused};
use crate::spec::{Spec, SpecErrors, Value, text_of};

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
        (format!("network: {}{}", "[".repeat(200), "]".repeat(200)), "nested more than 32 deep", "deep"),
        (format!("network: {}{}", "[".repeat(30_000), "]".repeat(30_000)), "", "very deep"),
        (format!("network: {}{}", "[".repeat(40), "]".repeat(40)), "32", "a little too deep"),
        (format!("network: {}1{}", "{a: ".repeat(9_000), "}".repeat(9_000)), "", "deep maps"),
        (bomb, "", "aliases of aliases of aliases"),
        ("network: &a [*a]\n".into(), "an alias inside of what it stands for", "an alias of itself"),
        (format!("{GOOD}version: 1\nversion: 1\n"), "3:1: version: it stands in line 2 already", "a key twice"),
        (
            "network: [{ dense: { width: 8, width: 9 } }]\n".into(),
            "network[0].dense.width: it stands",
            "a key twice inside",
        ),
        (
            "network: [{ dense: { width: 8 }, dense: { width: 9 } }]\n".into(),
            "network[0].dense: it stands",
            "a kind twice",
        ),
        (
            format!("{GOOD}training: {{ epochs: .nan }}\n"),
            "training.epochs: found the number NaN",
            "not a number where a whole one belongs",
        ),
        (
            format!("{GOOD}optimizer: {{ adamw: {{ lr: .nan }} }}\n"),
            "optimizer.adamw.lr: NaN is out of range",
            "not a number",
        ),
        (
            format!("{GOOD}optimizer: {{ adamw: {{ lr: .inf }} }}\n"),
            "optimizer.adamw.lr: inf is out of range",
            "infinite",
        ),
        (
            format!("{GOOD}optimizer: {{ adamw: {{ lr: 1e999 }} }}\n"),
            "optimizer.adamw.lr: inf is out of range",
            "beyond any number",
        ),
        (
            format!("{GOOD}optimizer: {{ adamw: {{ lr: 1.0e308 }} }}\n"),
            "optimizer.adamw.lr: 1e308 is out of range",
            "large",
        ),
        (format!("{GOOD}training: {{ epochs: 99999999999999999999999 }}\n"), "training.epochs", "beyond 64 bits"),
        (format!("{GOOD}training: {{ epochs: -9223372036854775808 }}\n"), "training.epochs", "the least of 64 bits"),
        (format!("{GOOD}training: {{ epochs: 18446744073709551615 }}\n"), "training.epochs", "the most of 64 bits"),
        (format!("{GOOD}---\nversion: 1\n"), "a second YAML document begins here", "two documents"),
        (format!("{GOOD}...\n---\n{GOOD}"), "", "two documents with an end"),
        (format!("{GOOD}? [a, b]\n: 1\n"), "", "a key that is a list"),
        (format!("{GOOD}<<: {{ a: 1 }}\n"), "", "a merge key"),
        ("network: !!python/object:os.system [rm]\n".into(), "os.system`: a spec has none", "a tag"),
        ("network: [!dense { width: 8 }]\n".into(), "the tag `!dense`", "a tag for a block"),
        (format!("{GOOD}? ~\n: 1\n"), "key", "a key that is nothing"),
        (format!("{GOOD}post: *nothing\n"), "an alias of nothing", "an unknown alias"),
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
        let foreign = ["Policy", "Options", "budget", "Depth", "from_str", "weak", "Option<", "at line"];
        assert!(foreign.iter().all(|word| !said.contains(word)), "{what}: the library's words: {said}");
        assert!(said.len() < 2_000, "{what}: the message itself is bounded, not {} bytes", said.len());
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let said = |bytes: &[u8]| text_of(bytes.to_vec(), "model.yaml").expect_err("no UTF-8").to_string();
    let latin = [b"network: []\n# na".as_slice(), &[0xEF], b"ve\n"].concat();
    assert_eq!(said(&latin), "model.yaml:2:5: byte 16 (0xEF) is no UTF-8; save the file as UTF-8");
    let utf16: Vec<u8> = "\u{feff}network".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(said(&utf16), "model.yaml:1:1: the file is UTF-16; save it as UTF-8");
    assert_eq!(text_of(GOOD.into(), "x").as_deref(), Ok(GOOD));
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
