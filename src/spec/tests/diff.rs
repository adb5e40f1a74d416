//! What `diff A B` says: knobs, wherever their blocks have moved to.

use crate::spec::{Spec, diff};

/// The changes between two specs, one line each: `path from → to`.
fn said(from: &str, to: &str) -> Vec<String> {
    let read = |text: &str| Spec::parse(text, "test").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    let side = |side: &Option<String>| side.as_deref().unwrap_or("-").to_owned();
    let line = |change: &diff::Change| format!("{} {} → {}", change.path, side(&change.from), side(&change.to));
    diff::changes(&read(from), &read(to)).iter().map(line).collect()
}

/// A line begins as wanted; long values are cut short here.
fn says(from: &str, to: &str, wanted: &[&str]) {
    let said = said(from, to);
    let fits = said.len() == wanted.len() && said.iter().zip(wanted).all(|(said, wanted)| said.starts_with(wanted));
    assert!(fits, "said {said:#?}\nwanted {wanted:#?}\nfrom {from}\nto {to}");
}

fn net(blocks: &str) -> String {
    format!("network: [{blocks}]\n")
}

const WIDE: &str = "{ dense: { width: 512, activation: gelu, dropout: 0.2 } }";
const MIDDLE: &str = "{ dense: { width: 256, activation: gelu, dropout: 0.2 } }";
const NARROW: &str = "{ dense: { width: 128, activation: gelu, dropout: 0.2 } }";

#[test]
fn a_knob_is_a_knob() {
    let turned = "{ dense: { width: 128, activation: gelu, dropout: 0.1 } }";
    let old = net(&format!("{WIDE}, {MIDDLE}, {NARROW}"));
    says(&old, &net(&format!("{WIDE}, {MIDDLE}, {turned}")), &["network[2].dense.dropout 0.2 → 0.1"]);
    says(
        &format!("{old}training: {{ epochs: 20 }}\n"),
        &format!("{old}training: {{ epochs: 40, patience: null }}\n"),
        &["training.epochs 20 → 40", "training.patience 5 → null"],
    );
}

#[test]
fn a_knob_turned_behind_a_block_that_goes_or_comes() {
    let turned = "{ dense: { width: 128, activation: gelu, dropout: 0.1 } }";
    says(
        &net(&format!("{WIDE}, {MIDDLE}, {NARROW}")),
        &net(&format!("{WIDE}, {turned}")),
        &["network[1].dense { width: 256", "network[1].dense.dropout 0.2 → 0.1"],
    );
    says(
        &net(&format!("{WIDE}, {NARROW}")),
        &net(&format!("{WIDE}, {{ residual: [{MIDDLE}] }}, {turned}")),
        &["network[1].residual - → [{ dense: { width: 256", "network[2].dense.dropout 0.2 → 0.1"],
    );
}

#[test]
fn the_most_alike_are_the_same_block() {
    // The third of three is gone and the first is wider, not three blocks that changed.
    says(
        &net(&format!("{MIDDLE}, {NARROW}, {{ dense: {{ width: 7, bias: false }} }}")),
        &net(
            "{ dense: { width: 300, activation: gelu, dropout: 0.2 } }, { dense: { width: 128, activation: gelu, dropout: 0.3 } }",
        ),
        &["network[0].dense.width 256 → 300", "network[1].dense.dropout 0.2 → 0.3", "network[2].dense { width: 7"],
    );
}

#[test]
fn a_block_of_another_kind_is_another_block() {
    says(
        &net(&format!("{WIDE}, {MIDDLE}")),
        &net(&format!("{WIDE}, {{ residual: [{MIDDLE}] }}")),
        &["network[1].dense { width: 256", "network[1].residual - → "],
    );
    says(
        &net(&format!("{WIDE}, {{ residual: [{MIDDLE}] }}")),
        &net(&format!("{WIDE}, {{ residual: [{MIDDLE}, {NARROW}] }}")),
        &["network[1].residual[1].dense - → { width: 128"],
    );
}

#[test]
fn a_block_that_moved_goes_and_comes() {
    says(
        &net(&format!("{WIDE}, {MIDDLE}, {NARROW}")),
        &net(&format!("{MIDDLE}, {NARROW}, {WIDE}")),
        &["network[0].dense { width: 512", "network[2].dense - → { width: 512"],
    );
}

#[test]
fn names_come_and_go() {
    let sets = |names: &str| format!("{}features: {{ sets: {names} }}\n", net(WIDE));
    says(
        &sets("[serenity, wisdom]"),
        &sets("[serenity, rain]"),
        &["features.sets[1] wisdom → -", "features.sets[1] - → rain"],
    );
    says(&sets("all"), &sets("[rain]"), &["features.sets all → [rain]"]);
}

/// The steps by which the write-up's winner was found, as far as they are of this language.
#[test]
fn the_history_of_a_winner_reads_as_what_was_done() {
    let relu = "{ dense: { width: 512 } }, { dense: { width: 256 } }, { dense: { width: 128 } }";
    let gelu = "{ dense: { width: 512, activation: gelu } }, { dense: { width: 256, activation: gelu } }, \
                { dense: { width: 128, activation: gelu } }";
    let steps = [
        (
            format!("{}loss: [{{ pearson: {{ weight: 0.5 }} }}, {{ mae: {{}} }}]\n", net(relu)),
            format!("{}loss: [pearson]\n", net(relu)),
            vec!["loss[0].pearson.weight 0.5 → 1", "loss[1].mae "],
        ),
        (
            net(relu),
            format!("{}optimizer: {{ adamw: {{ weight_decay: 1.2e-4 }} }}\n", net(relu)),
            vec!["optimizer.adamw.weight_decay 1e-4 → 1.2e-4"],
        ),
        (
            net(relu),
            net(gelu),
            vec![
                "network[0].dense.activation relu → gelu",
                "network[1].dense.activation relu → gelu",
                "network[2].dense.activation relu → gelu",
            ],
        ),
        (
            net(relu),
            format!("{}ensemble: {{ members: 4 }}\ntraining: {{ batch_rows: 8192 }}\n", net(relu)),
            vec!["training.batch_rows 2048 → 8192", "ensemble.members 1 → 4"],
        ),
        (
            format!("{}loss: [pearson]\n", net(relu)),
            format!("{}loss: [pearson, {{ output_l2: {{ weight: 2.5e-5 }} }}]\n", net(relu)),
            vec!["loss[1].output_l2 - → { weight: 2.5e-5 }"],
        ),
        (
            net(relu),
            format!("{}schedule: {{ polynomial: {{ epochs: 30, end_factor: 0.1 }} }}\n", net(relu)),
            vec!["schedule.constant {} → -", "schedule.polynomial - → { epochs: 30, end_factor: 0.1, power: 1.0 }"],
        ),
    ];
    for (from, to, wanted) in &steps {
        says(from, to, wanted);
    }
}
