//! What a declaration may be made of, on a small language of its own: payloads that are numbers, words and lists of lists,
//! unions in unions, parts that can be left out, fields beside kinds, types that contain themselves.

#![expect(unreachable_pub, reason = "the macros declare public types, as the language needs them")]

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::examples::each_type;
use super::schema::follows;
use crate::spec::declare::{choice, record, union};
use crate::spec::diff::changes_of;
use crate::spec::knobs::{Domain, Items, knobs_of, slots_of, strip};
use crate::spec::names::Names;
use crate::spec::node::Node;
use crate::spec::piece::{Beside, Piece, float, int, list, list_of, standard};
use crate::spec::reference::reference_of;
use crate::spec::schema::{schema_of, to_json};
use crate::spec::shape::Shape;
use crate::spec::{Spec, Value, value};

record! {
    /// A toy.
    Toy {
        /// Its parts.
        parts: Vec<Part>, list(1, 4);
        /// Slow weights.
        slow: Option<Slow> = None, ();
        /// A part that can be left out and must be filled in.
        sized: Option<Size> = None, ();
        /// A mode, perhaps.
        mode: Option<Mode> = None, ();
        /// Modes with something beside them.
        modes: Vec<Beside<Mode, Aside>> = Vec::new(), list(0, 3);
        /// A flag, perhaps.
        flag: Option<bool> = None, ();
        /// Numbers, perhaps.
        numbers: Option<Vec<u32>> = None, list_of(1, 3, int(1, 9));
    }
}

union! {
    /// A part.
    Part {
        /// A number by itself.
        Drop(f64) = "drop", float(0.0, 0.9);
        /// A word by itself.
        Colour(Colour) = "colour", ();
        /// A word with nothing to say.
        Stop(Stop) = "stop", ();
        /// Branches of parts.
        Split(Split) = "split", ();
        /// Parts again and again.
        Again(Again) = "again", ();
        /// Names.
        Pick(Names) = "pick", "feature set";
    }
}

choice! {
    /// A colour.
    Colour {
        /// As blood.
        Red = "red",
        /// As the sky.
        Blue = "blue",
    }
}

record! {
    /// Nothing.
    Stop {}
}

record! {
    /// A split.
    Split {
        /// Which colour it has.
        colour: Colour = Colour::Red, ();
        /// The branches.
        branches: Vec<Vec<Part>>, list_of(2, 3, list(1, 2));
    }
}

record! {
    /// A repetition.
    Again {
        /// How often.
        times: u32 = 2, int(1, 5);
        /// What.
        parts: Vec<Part>, list(1, 2);
    }
}

record! {
    /// Slow.
    Slow {
        /// Steps.
        k: u32 = 5, int(1, 50);
        /// Share.
        alpha: f64 = 0.5, float(0.0, 1.0);
    }
}

record! {
    /// A size.
    Size {
        /// Size.
        size: u32, int(1, 5);
    }
}

union! {
    /// A mode.
    Mode {
        /// Plain.
        Plain(Stop) = "plain", ();
        /// Slow.
        Slow(Slow) = "slow", ();
        /// Within itself, and one beside.
        Nested(Nested) = "nested", ();
    }
}

record! {
    /// A mode within a mode.
    Nested {
        /// The inner ones.
        inner: Vec<Beside<Mode, Aside>>, list(1, 2);
    }
}

record! {
    /// Beside.
    Aside {
        /// Warm-up.
        warm: f64 = 0.0, float(0.0, 9.0);
        /// Slow weights here.
        late: Option<Slow> = None, ();
    }
}

fn read(text: &str) -> Result<Toy, Vec<String>> {
    let node = Node::parse(text, "toy").expect("YAML");
    let mut errors = Vec::new();
    let toy = Toy::read(&node, &(), "", &mut errors);
    match toy {
        Some(toy) if errors.is_empty() => Ok(toy),
        _ => Err(errors
            .iter()
            .map(|error| format!("{}:{} {}: {}", error.line, error.column, error.path, error.message))
            .collect()),
    }
}

const FULL: &str = "\
parts:
  - drop: 0.5
  - colour: blue
  - stop
  - split: { branches: [[stop, { drop: 0.1 }], [{ again: { times: 3, parts: [{ pick: [a, b] }] } }]] }
slow: {}
sized: { size: 3 }
mode: { slow: { k: 2 } }
modes: [{ plain: {}, warm: 2 }, slow, { nested: { inner: [{ plain: {}, late: {} }] } }]
flag: true
numbers: [1, 2]
";

#[test]
fn it_is_read_and_written_back_whole() {
    let toy = read(FULL).expect("valid");
    let canonical = toy.write();
    let again = |value: &Value| {
        read(&value::to_yaml(value)).unwrap_or_else(|errors| panic!("{errors:?}\n{}", value::to_yaml(value)))
    };
    assert_eq!(again(&canonical), toy, "every default written out");
    let slim = strip(&canonical, &Toy::shape(&()));
    assert_eq!(again(&slim), toy, "defaults left out");
    let yaml = value::to_yaml(&slim);
    assert!(yaml.contains("slow: {}\n") && yaml.contains("- stop\n") && yaml.contains("- drop: 0.5\n"), "{yaml}");
    assert!(yaml.contains("mode: { slow: { k: 2 } }\n"), "{yaml}");
    let short = read("parts: [stop]").expect("valid");
    assert_eq!(value::to_yaml(&strip(&short.write(), &Toy::shape(&()))), "parts: [stop]\n");
}

#[test]
fn every_mistake_is_at_its_place() {
    let wrong = [
        ("parts: [drop]", "1:9 parts[0].drop: `drop` needs a value: a number from 0 to 0.9"),
        ("parts: [{ colour: }]", "1:17 parts[0].colour: `colour` needs a value: one of red, blue"),
        ("parts: [{ drop: 2 }]", "1:17 parts[0].drop: 2 is out of range: 0 to 0.9"),
        (
            "parts: [{ split: { branches: [[stop], [stop, { drop: 1 }]] } }]",
            "1:54 parts[0].split.branches[1][1].drop: 1 is out",
        ),
        ("parts: [{ split: { branches: [[stop]] } }]", "1:30 parts[0].split.branches: 1 items, wanted 2 to 3"),
        (
            "parts: [stop]\nmodes: [{ nested: { inner: [{ slow: {}, worm: 1 }] } }]",
            "2:41 modes[0].nested.inner[0]: `worm` is not",
        ),
        ("parts: [stop]\nslow: { kk: 1 }", "2:9 slow.kk: unknown field; allowed: k, alpha"),
        ("parts: [stop, stop, stop, stop, { drop: 2 }]", "1:8 parts: 5 items, wanted 1 to 4"),
    ];
    for (text, wanted) in wrong {
        let said = read(text).expect_err(text);
        assert!(said.iter().any(|said| said.starts_with(wanted)), "{said:?} for {text}");
    }
    let both = read("parts: [{ drop: 2 }, stop, stop, stop, stop]").expect_err("two mistakes");
    assert_eq!(both.len(), 2, "items of a list of the wrong length are read too: {both:?}");
}

#[test]
fn the_schema_says_the_same() {
    let shape = Toy::shape(&());
    let root = schema_of(&shape);
    let json = |text: &str| serde_yaml::from_str::<Json>(text).expect("YAML");
    assert!(follows(&json(FULL), &root, &root), "{root:#}");
    assert!(follows(&to_json(&read(FULL).expect("valid").write()), &root, &root));
    for text in [
        "parts: [drop]",
        "parts: [{ drop: 2 }]",
        "parts: [{ colour: green }]",
        "parts: [{ split: { branches: [[stop]] } }]",
        "parts: [{ split: { branches: [[stop], []] } }]",
        "{ parts: [stop], slow: { kk: 1 } }",
        "{ parts: [stop], modes: [{ plain: {}, worm: 1 }] }",
        "{ parts: [stop], sized: {} }",
        "{ parts: [stop], numbers: [] }",
        "{ parts: [stop], mode: [] }",
    ] {
        assert!(!follows(&json(text), &root, &root) && read(text).is_err(), "{text}");
    }
    let definitions = root["$defs"].as_object().expect("definitions");
    assert!(definitions.contains_key("Mode") && definitions.contains_key("ModeWithAside"), "{:?}", definitions.keys());
}

#[test]
fn knobs_and_slots_are_found_everywhere() {
    let shape = Toy::shape(&());
    let canonical = read(FULL).expect("valid").write();
    let knobs = knobs_of(&canonical, &shape);
    let paths: Vec<&str> = knobs.iter().map(|knob| knob.path.as_str()).collect();
    let wanted = [
        "parts[0].drop",
        "parts[1].colour",
        "parts[3].split.colour",
        "parts[3].split.branches[0][1].drop",
        "parts[3].split.branches[1][0].again.times",
        "slow",
        "slow.k",
        "slow.alpha",
        "sized.size",
        "mode",
        "mode.slow.k",
        "mode.slow.alpha",
        "modes[0]",
        "modes[0].warm",
        "modes[0].late",
        "modes[1]",
        "modes[1].slow.k",
        "modes[1].slow.alpha",
        "modes[1].warm",
        "modes[1].late",
        "modes[2].nested.inner[0]",
        "modes[2].nested.inner[0].warm",
        "modes[2].nested.inner[0].late",
        "modes[2].nested.inner[0].late.k",
        "modes[2].nested.inner[0].late.alpha",
        "modes[2].warm",
        "modes[2].late",
        "flag",
        "numbers[0]",
        "numbers[1]",
    ];
    assert_eq!(paths, wanted);
    let off = knobs_of(&read("parts: [stop]").expect("valid").write(), &shape);
    let mode = off.iter().find(|knob| knob.path == "mode").expect("it can be switched on");
    assert!(mode.optional && mode.value == Value::Null);
    assert_eq!(mode.domain, Domain::Choice(vec!["plain".into(), "slow".into()]), "a nested mode cannot be empty");
    assert!(off.iter().any(|knob| knob.path == "slow" && knob.value == Value::Bool(false)));
    assert!(!off.iter().any(|knob| knob.path == "sized"), "it has no default to switch on to");

    let slots = slots_of(&canonical, &shape);
    let found: Vec<(&str, usize)> = slots.iter().map(|slot| (slot.path.as_str(), slot.len)).collect();
    let wanted = [
        ("parts", 4),
        ("parts[3].split.branches", 2),
        ("parts[3].split.branches[0]", 2),
        ("parts[3].split.branches[1]", 1),
        ("parts[3].split.branches[1][0].again.parts", 1),
        ("parts[3].split.branches[1][0].again.parts[0].pick", 2),
        ("modes", 3),
        ("modes[2].nested.inner", 1),
        ("numbers", 2),
    ];
    assert_eq!(found, wanted);
    assert_eq!(slots[1].items, Items::Other("a list of 1 to 2".into()));
    let absent = slots_of(&read("parts: [stop]").expect("valid").write(), &shape);
    assert!(absent.iter().any(|slot| slot.path == "numbers" && slot.len == 0 && slot.min == 1));
}

#[test]
fn differences_are_found_everywhere() {
    let from = read(FULL).expect("valid").write();
    let other =
        FULL.replace("drop: 0.1", "drop: 0.2").replace("slow: {}\nsized", "sized").replace("[1, 2]", "[1, 7, 2]");
    let changes = changes_of(&from, &read(&other).expect("valid").write());
    let said: Vec<String> =
        changes.iter().map(|change| format!("{} {:?} {:?}", change.path, change.from, change.to)).collect();
    assert_eq!(
        said,
        [
            "parts[3].split.branches[0][1].drop Some(\"0.1\") Some(\"0.2\")",
            "slow Some(\"{ k: 5, alpha: 0.5 }\") Some(\"null\")",
            "numbers[1] None Some(\"7\")",
        ]
    );
}

#[test]
fn the_reference_spells_each_type_out_once() {
    let reference = reference_of(&Toy::shape(&()));
    for wanted in [
        "- **`drop`** 0..0.9: A number by itself.",
        "- **`colour`** Colour: A word by itself. A colour. `red` As blood. | `blue` As the sky.",
        "- **`stop`**: A word with nothing to say.",
        "  - `branches` [2..3 × [1..2 × Part]]: The branches.",
        "- `flag` true or false or null = `null`: A flag, perhaps.",
        "- beside any of them:",
        "  - `warm` 0..9 = `0.0`: Warm-up.",
    ] {
        assert!(reference.contains(wanted), "no {wanted} in\n{reference}");
    }
    assert_eq!(reference.matches("As blood").count(), 1, "{reference}");
}

#[test]
fn a_record_with_defaults_only_is_standard() {
    assert_eq!(standard::<Slow>(), Slow { k: 5, alpha: 0.5 });
}

/// Else `{ slow: {} }` could mean either.
#[test]
fn nothing_beside_a_kind_is_called_like_a_kind() {
    each_type(&Spec::shape(&()), &mut BTreeSet::new(), &mut |shape| {
        if let Shape::Union { name, kinds, .. } = shape {
            for field in shape.beside() {
                assert!(!kinds().iter().any(|kind| kind.name == field.name), "{name}: {}", field.name);
            }
        }
    });
}
