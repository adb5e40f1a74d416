//! What a person asks of the lab beside the loop: `calibrate`, `remeasure`, `audit`.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::lab::{TestLab, eventually, keys};

/// A lab whose gate is content with few seeds, so that errands are quick.
fn quick() -> TestLab {
    let lab = TestLab::new();
    lab.edit("autoresearch.yaml", "most_seeds: null ", "most_seeds: 3 ");
    lab.edit("autoresearch.yaml", "incumbent_seeds: 12 ", "incumbent_seeds: 4 ");
    lab.commit("few seeds");
    lab
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn the_noise_floor_is_measured_and_stays() {
    let lab = quick();
    // Nothing is prepared: it sees to that, and measures the baseline first.
    let floor = lab.run(&["calibrate", "--seeds", "5", "--json"]).exits(0).json();
    assert_eq!(
        (&floor["trial"], &floor["seeds"]),
        (&json!(0), &json!(9)),
        "three, one more to compare with, five: {floor}"
    );
    // Computed again, from the ledger.
    let mut payouts: Vec<f64> = Vec::new();
    let ended = lab.events("trial_ended");
    let measured = lab.events("seeds_measured");
    let first = std::iter::once(&ended[0]["record"]["measurement"]["scores"]);
    for scores in first.chain(measured.iter().map(|event| &event["scores"])) {
        for seed in scores["seeds"].as_array().expect("seeds") {
            let payout: Vec<f64> = seed["payout"].as_array().expect("payouts").iter().map(number).collect();
            payouts.push(payout.iter().sum::<f64>() / payout.len() as f64);
        }
    }
    assert_eq!(payouts.len(), 9);
    let mean = payouts.iter().sum::<f64>() / 9.0;
    let sd = (payouts.iter().map(|payout| (payout - mean).powi(2)).sum::<f64>() / 8.0).sqrt();
    assert!((number(&floor["between_seeds"]) - sd).abs() < 1e-9 && (number(&floor["payout"]) - mean).abs() < 1e-9);
    for name in ["between_folds", "between_eras", "between_cells", "standard_error", "detectable", "min_effect_if_auto"]
    {
        assert!(number(&floor[name]) > 0.0, "{name}: {floor}");
    }
    assert_eq!(floor["min_effect"], 0.0005);
    assert_eq!(lab.events("calibrated").len(), 1);
    assert_eq!(lab.status()["noise_floor"]["between_seeds"], floor["between_seeds"]);
    lab.is_clean();

    lab.edit("autoresearch.yaml", "min_effect: 0.0005 ", "min_effect: auto ");
    lab.commit("by the noise floor");
    let text = lab.run(&["calibrate", "--seeds", "1"]).exits(0).stdout;
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in
        ["noise floor of trial 000000: baseline", "over 10 seeds", "detectable", "auto asks of a keep from now on"]
    {
        assert!(text.contains(words), "{words} in: {text}");
    }
    lab.run(&["calibrate", "--seeds", "0"]).exits(2).says(&["0 is not in 1..=1000"]);
}

#[test]
fn the_gate_is_audited_and_nothing_is_kept() {
    let lab = quick();
    lab.run(&["prepare"]).exits(0);
    lab.run(&["calibrate", "--seeds", "1"]).exits(0);
    let (model, head) = (lab.read("model.yaml"), lab.git(&["rev-parse", "HEAD"]));
    let audit = lab.run(&["audit", "--null", "4", "--planted", "1", "--proposals", "2", "--json"]).exits(0).json();
    let wanted = [
        "between_seeds",
        "candidate_seeds",
        "control",
        "ended",
        "given_up",
        "incumbent_seeds",
        "level",
        "promise",
        "rows",
        "trial",
        "wall_seconds",
    ];
    assert_eq!(keys(&audit), wanted);
    let rows = audit["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0]["planted"], &rows[0]["proposals"]), (&json!(0.0), &json!(4)));
    assert!(number(&rows[0]["keeps"]) <= 1.0 && number(&rows[0]["interval"][1]) < 1.0, "{audit}");
    // As large a payout as there is is beyond any noise: kept at the first look, with three seeds.
    let sure = &rows[1];
    assert_eq!(
        (&sure["proposals"], &sure["keeps"], &sure["plain_keeps"]),
        (&json!(2), &json!(2), &json!(2)),
        "{audit}"
    );
    assert_eq!(number(&sure["seeds"]), 3.0);
    assert_eq!(lab.events("audited").len(), 1);
    assert_eq!((lab.read("model.yaml"), lab.git(&["rev-parse", "HEAD"])), (model, head), "an audit keeps nothing");
    assert_eq!(lab.status()["trials"], 1);

    let text = lab.run(&["audit", "--null", "2"]).exits(0).stdout;
    for words in ["false keeps", "of 2 (", "95 % interval", "promised", "plain rule", "seeds a proposal"] {
        assert!(text.contains(words), "{words} in: {text}");
    }
    // The last of each stands in status and log.
    for command in ["status", "log"] {
        let text = lab.run(&[command]).exits(0).stdout;
        for words in ["noise ", "audit ", "change nothing the gate kept", "power ", "+1.00000: 2 of 2"] {
            assert!(text.contains(words), "{words} in {command}: {text}");
        }
    }
    lab.run(&["audit"]).exits(2).says(&["--null"]);
    lab.run(&["audit", "--null", "-3"]).exits(2).says(&["-3 is not in 1..=100000"]);
    lab.run(&["audit", "--planted", "1e9"]).exits(2).says(&["at most 1"]);
    lab.run(&["calibrate", "--seeds", "-1"]).exits(2).says(&["-1 is not in 1..=1000"]);
    lab.run(&["audit", "--planted", "0.001,none"]).exits(2).says(&["`none` is no gain"]);
}

#[test]
fn an_interrupted_audit_keeps_what_it_measured() {
    let lab = quick();
    lab.run(&["calibrate", "--seeds", "1"]).exits(0);
    let audit = lab.start(&["audit", "--null", "100000", "--json"]);
    eventually("some proposals are through", || {
        let live = std::fs::read(lab.path(".autoresearch/live.json")).ok()?;
        let live: Value = serde_json::from_slice(&live).ok()?;
        let doing = live["doing"].as_str()?.strip_prefix("auditing the gate: proposal ")?.to_owned();
        doing.split(' ').next()?.parse::<u32>().ok().filter(|number| *number > 3)
    });
    // Meanwhile the lab is its own.
    lab.run(&["audit", "--null", "1"]).exits(7).says(&["has held this lab since"]);
    lab.run(&["calibrate"]).exits(7);
    lab.run(&["remeasure"]).exits(7);
    audit.signal(Signal::SIGTERM);
    let report = audit.ends().exits(0).json();
    assert!(report["given_up"].as_str().is_some_and(|reason| reason.contains("asked to stop")), "{report}");
    assert!(number(&report["rows"][0]["proposals"]) >= 3.0, "{report}");
    assert_eq!(lab.events("audited")[0]["report"], report);
    lab.is_deserted();
    assert_eq!(lab.status()["state"], "stopped");
}

#[test]
fn the_incumbent_is_measured_again_on_fresh_seeds() {
    let lab = quick();
    let first = lab.run(&["remeasure", "--json"]).exits(0).json();
    assert_eq!((&first["trial"], &first["predecessor"], &first["demoted_to"]), (&json!(0), &Value::Null, &Value::Null));
    let protocol = [42, 17, 73];
    let seeds = first["seeds"].as_array().expect("seeds").clone();
    assert!(
        seeds.len() == 6 && seeds.iter().all(|seed| !protocol.contains(&seed.as_i64().expect("a seed"))),
        "{first}"
    );
    let again = lab.run(&["remeasure"]).exits(0).stdout;
    for words in [
        "trial 000000 has no predecessor that it could be compared with: baseline",
        "selected",
        "fresh",
        "no predecessor",
    ] {
        assert!(again.contains(words), "{words} in: {again}");
    }
    let found = lab.events("remeasured");
    assert_eq!(found.len(), 2);
    let second = found[1]["found"]["seeds"].as_array().expect("seeds");
    assert_eq!(second.len(), 12, "all that were measured for this decide together: {found:?}");
    assert!(
        second[..6] == seeds[..] && second[6..].iter().all(|seed| !seeds.contains(seed)),
        "six new ones: {found:?}"
    );
    assert!(lab.git(&["show", "-s", "--format=%s"]).starts_with("remeasure 000000: baseline"));
    lab.is_clean();
}

#[test]
fn open_changes_of_the_model_are_for_a_person_to_settle() {
    let lab = quick();
    lab.run(&["calibrate", "--seeds", "1"]).exits(0);
    lab.write("model.yaml", lab.read("model.yaml") + "# mine\n");
    for errand in [["calibrate"].as_slice(), &["remeasure"], &["audit", "--null", "1"]] {
        lab.run(errand).exits(3).says(&["model.yaml"]);
    }
}
