//! The same spec, data and device give the same numbers, bit for bit, however many cores share the work.

use crate::lab::TestLab;

/// Several members of one shape, with everything that draws at random.
const MODEL: &str = "\
version: 1
network: [ { dense: { width: 16, norm: batch, activation: gelu, dropout: 0.2 } }, { residual: [ { dense: { width: 16 } } ] } ]
loss: [ { pearson: { weight: 1.0, within: era } } ]
training: { epochs: 3, batch_rows: 256, patience: 3 }
ensemble: { members: 3, aggregate: rank_mean }
";

#[test]
fn threads_labs_and_repetition_change_no_bit() {
    let measure = |lab: &TestLab| {
        let model = lab.path("model.yaml").display().to_string();
        let facts = lab.run(&["trial", &model, "--json"]).exits(0).json();
        // JSON holds each number with as many digits as it takes to tell it from every other.
        ["payout", "corr", "bmc", "seeds", "folds", "eras", "spec_hash", "data_hash"].map(|key| facts[key].to_string())
    };
    let mut found = Vec::new();
    for _ in 0..2 {
        let lab = TestLab::with(crate::lab::PROTOCOL, MODEL);
        lab.run(&["prepare"]).exits(0);
        for threads in ["null", "1", "2", "3"] {
            let old = lab.read("autoresearch.yaml");
            let lines = old.lines().map(|line| {
                if line.starts_with("threads:") { format!("threads: {threads}\n") } else { format!("{line}\n") }
            });
            lab.write("autoresearch.yaml", lines.collect::<String>());
            found.push((threads, measure(&lab)));
        }
    }
    for (threads, facts) in &found {
        assert_eq!(*facts, found[0].1, "with {threads} threads");
    }
}

#[test]
fn the_same_lab_makes_the_same_trials() {
    let told = || {
        let lab = TestLab::new();
        lab.run(&["run", "--trials", "4"]).exits(0);
        let records = lab.events("trial_ended").into_iter().map(|mut event| event["record"].take());
        let facts = |record: serde_json::Value| {
            let measured = &record["measurement"];
            [&record["proposal"]["title"], &record["spec_hash"], &record["verdict"], &measured["scores"]]
                .map(ToString::to_string)
        };
        records.map(facts).collect::<Vec<_>>()
    };
    assert_eq!(told(), told());
}
