//! What check knows of the data is what training finds: the layout of sets that share columns, eras for early stopping.

use std::sync::atomic::AtomicBool;

use super::{Market, on_cpu, protocol, spec};
use crate::spec::cost;
use crate::spec::members::member;
use crate::spec::net::Net;
use crate::train::backend::Precision;
use crate::train::group::Context;
use crate::train::{Trainer, facts};

/// `all` is the 16 features of `serenity` and the 8 of `wisdom`; two targets.
fn overlapping() -> Market {
    Market::new(&protocol(40, 60, 3, 16).replace("[wisdom, serenity]", "[wisdom, all]"))
}

#[test]
fn check_cost_and_training_lay_out_overlapping_sets_alike() {
    let market = overlapping();
    let (harness, stop) = (market.harness(), AtomicBool::new(false));
    let known = facts(&harness);
    let trainer = Trainer::new(market.harness(), &on_cpu(1)).expect("a CPU");
    // A vector a feature of a token, a bias and an output a number of each token: 4·(f₁ + f₂) + 4·2 + 8·2 + 2.
    let tokens = |members: u64| 4 * members + 8 + 18;
    let group = "[{ tokenize: { per: group, width: 4 } }, { pool: flatten }]";
    let cases = [
        (format!("network: {group}"), tokens(24 + 8)),
        (format!("features: {{ sets: [all, wisdom] }}\nnetwork: {group}"), tokens(24 + 8)),
        // Both sets are in `wisdom`'s columns: two tokens of 8, as wide as what they are added to.
        (
            format!(
                "features: {{ sets: [wisdom, all] }}\nnetwork: [{{ inputs: {{ sets: [wisdom] }} }}, {{ parallel: {{ combine: sum, \
                 branches: [{group}, [{{ dense: {{ width: 8 }} }}]] }} }}]"
            ),
            tokens(8 + 8) + 8 * 8 + 8,
        ),
        ("features: { sets: [wisdom] }\nnetwork: [{ dense: { width: 4 } }]".into(), 8 * 4 + 4 + 10),
        (
            "features: { sets: [all, wisdom] }\nnetwork: [{ dense: { width: 4 } }]\n\
             ensemble: { members: 2, diversity: { features: 0.5 } }"
                .into(),
            12 * 4 + 4 + 10,
        ),
    ];
    for (text, params) in cases {
        let spec = spec(&text);
        spec.check_data(&known).unwrap_or_else(|errors| panic!("{text}: {errors}"));
        let own = member(&spec, 0).expect("a member");
        let context = Context::of_member(&own, &harness, Precision::Fp32, &stop, 0, None).expect("laid out");
        assert_eq!(Net::of(&own, &known.inputs(&own)).as_ref(), Ok(&context.net), "{text}");
        assert_eq!(cost::estimate(&spec, &known).params, params, "{text}");
        assert_eq!(trainer.params(&spec).expect("laid out"), params, "{text}");
    }
}

#[test]
fn too_few_eras_for_early_stopping_are_refused_by_check_where_training_would_fail() {
    let text =
        |patience: &str| format!("network: [{{ dense: {{ width: 4 }} }}]\ntraining: {{ patience: {patience} }}\n");
    let mut refused = 0;
    let markets = [18, 22, 26, 30, 40];
    for eras in markets {
        let market = Market::new(&protocol(eras, 20, 2, 16));
        let (harness, stop) = (market.harness(), AtomicBool::new(false));
        let known = facts(&harness);
        let (stopping, whole) = (spec(&text("3")), spec(&text("null")));
        let context = |spec| Context::new(spec, &harness, Precision::Fp32, &stop).map(|_| ());
        assert_eq!(whole.check_data(&known), Ok(()), "{eras} eras");
        context(&whole).unwrap_or_else(|error| panic!("{eras} eras: {error}"));
        match stopping.check_data(&known) {
            Ok(()) => context(&stopping).unwrap_or_else(|error| panic!("{eras} eras: {error}")),
            Err(errors) => {
                refused += 1;
                let words = errors.located(&text("3"), "model.yaml").to_string();
                let place = "model.yaml:2:13: training.patience: fold ";
                assert!(words.starts_with(place) && words.ends_with("set it to null"), "{words}");
                assert!(context(&stopping).is_err(), "{eras} eras: {words}");
            }
        }
    }
    assert!((1..markets.len()).contains(&refused), "{refused} of {markets:?}");
}
