//! Layouts: counted by hand, and refused with their place.

use super::{Fault, Inputs, Layer, Net};
use crate::spec::Spec;

fn inputs() -> Inputs {
    let sets = vec![("serenity".to_owned(), (0..6).collect()), ("wisdom".to_owned(), (4..10).collect())];
    Inputs { features: 10, sets, targets: 3 }
}

fn laid_out(network: &str) -> Result<Net, Vec<Fault>> {
    let text = format!("network: {network}\n");
    // The rules of `check` are the layout's, so a spec is made without them.
    let mut errors = Vec::new();
    let node = crate::spec::node::Node::parse(&text, "test").expect("YAML");
    let spec = <Spec as crate::spec::piece::Piece>::read(&node, &(), "", &mut errors);
    Net::of(&spec.unwrap_or_else(|| panic!("{errors:?}")), &inputs())
}

#[test]
fn parameters_are_counted_by_hand() {
    let cases = [
        // 10·8 weights + 2·8 of the norm, 8·4 + 4 of the inner layer, 8·4 of the projection, 4·3 + 3 of the output.
        (
            "[{ dense: { width: 8, norm: batch, bias: false } }, { residual: [{ dense: { width: 4 } }] }]",
            80 + 16 + 36 + 32 + 15,
        ),
        // A slope a unit; 5·3 + 3.
        ("[{ dense: { width: 5, activation: prelu } }]", 55 + 5 + 18),
        ("[{ parallel: { branches: [[], [{ dense: { width: 4 } }]] } }]", 44 + 14 * 3 + 3),
        ("[{ parallel: { combine: sum, branches: [[{ dense: { width: 4 } }], [{ dense: { width: 4 } }]] } }]", 88 + 15),
        ("[{ repeat: { times: 3, blocks: [{ dense: { width: 4 } }] } }]", 44 + 20 + 20 + 15),
        ("[{ gate: { width: 4 } }]", 88 + 15),
        // Hidden width 10 · 0.25, rounded: 3 (from 2.5).
        ("[squeeze_excitation]", 30 + 3 + 30 + 10 + 33),
        ("[{ cross: { layers: 2 } }]", 2 * 110 + 33),
        ("[{ cross: { layers: 1, rank: 3 } }]", 60 + 10 + 33),
        ("[{ mixture_of_experts: { experts: 3, expert: [{ dense: { width: 4 } }] } }]", 33 + 3 * 44 + 15),
        // A vector and a bias a feature, then the mean of ten tokens.
        ("[{ tokenize: { width: 4 } }, { pool: mean }]", 40 + 40 + 15),
        (
            "[{ tokenize: { width: 4, class_token: true } }, { attention: { heads: 2 } }, { pool: first }]",
            84 + 60 + 20 + 15,
        ),
        // Two sets of six, overlapping.
        (
            "[{ tokenize: { per: group, width: 4, embedding: piecewise_linear } }, { pool: flatten }]",
            12 * 4 * 4 + 8 + 27,
        ),
        (
            "[{ tokenize: { width: 4, embedding: { periodic: { frequencies: 2 } } } }, { pool: mean }]",
            20 + 160 + 40 + 15,
        ),
        // Scales of 10 inputs and 4 outputs, a bias of 4, and an output layer of 4·3 + 3 for each of two members.
        ("[{ batch_ensemble: { members: 2, blocks: [{ dense: { width: 4 } }] } }]", 40 + 2 * 18 + 30),
        ("[{ batch_ensemble: { members: 2, blocks: [{ dense: { width: 4 } }] } }, { dropout: 0.1 }]", 40 + 2 * 18 + 15),
        ("[{ autoencoder: { encoder: [{ dense: { width: 4 } }] } }]", 44 + 50 + 15),
        ("[{ autoencoder: { encoder: [{ dense: { width: 4 } }], output: both } }]", 44 + 50 + 45),
        ("[{ inputs: { sets: [wisdom] } }]", 21),
        ("[{ parallel: { branches: [[benchmark], [{ norm: layer }, stop_gradient]] } }]", 20 + 36),
        ("[{ norm: layer }, { activation: prelu }, { noise: 0.1 }]", 20 + 10 + 33),
        // One step: norms of 10 inputs; shared 10·8 and own 4·8, twice; their norms of 8, twice; the mask 2·10 and its norm.
        (
            "[{ tabnet: { steps: 1, width: 2, attention_width: 2, shared: 1, independent: 1 } }]",
            20 + 80 + 2 * 32 + 4 * 16 + 20 + 20 + 9,
        ),
    ];
    for (network, size) in cases {
        let net = laid_out(network).unwrap_or_else(|faults| panic!("{network}: {faults:?}"));
        assert_eq!(net.size(), size, "{network}");
    }
    let net = laid_out("[{ dense: { width: 8 } }, { residual: [{ dense: { width: 4 } }] }]").expect("valid");
    assert!(matches!(net.layers[1], Layer::Residual { projection: Some(_), .. }), "the width changes from 8 to 4");
}

const BATCHED: &str = "network[0].batch_ensemble.blocks[0].dense.norm";

#[test]
fn what_would_do_nothing_is_refused_and_what_looks_like_it_is_not() {
    let valid = [
        // A norm in a branch that is added ends what grows in the branch, and nothing else.
        "[{ repeat: { times: 16, blocks: [{ residual: [{ norm: layer }, { gate: { width: 10 } }] }] } }]",
        "[{ repeat: { times: 16, blocks: [{ gate: { width: 10 } }, { norm: batch }] } }]",
        // A sigmoid is bounded.
        "[{ repeat: { times: 16, blocks: [{ gate: { width: 10, kind: glu } }] } }]",
        "[{ repeat: { times: 6, blocks: [{ cross: { layers: 1 } }] } }, { parallel: { branches: [[{ norm: batch }], [{ inputs: {} }, { cross: {} }]] } }]",
        "[{ dense: { width: 1, norm: batch } }]",
        "[{ tokenize: { class_token: true } }, { residual: [attention] }, { pool: first }]",
        "[{ tokenize: { class_token: true } }, squeeze_excitation, { pool: first }]",
        "[{ dense: { width: 4 } }, { parallel: { branches: [[{ inputs: {} }], []] } }]",
        "[{ dense: { width: 4 } }, { mixture_of_experts: { expert: [{ inputs: {} }, { dense: { width: 4 } }] } }]",
        "[{ dense: { width: 10 } }, { autoencoder: { encoder: [{ inputs: {} }], output: both } }]",
        "[{ mixture_of_experts: { expert: [{ norm: layer }] } }]",
    ];
    for network in valid {
        laid_out(network).unwrap_or_else(|faults| panic!("{network}: {faults:?}"));
    }
    let faults = laid_out(
        "[{ repeat: { times: 6, blocks: [{ cross: { layers: 1 } }] } }, { parallel: { branches: [[{ norm: batch }], [{ gate: { width: 4 } }]] } }]",
    );
    assert!(faults.is_err(), "a norm in one branch does not help the other");
}

#[test]
fn what_follows_from_a_fault_is_not_another() {
    let cases = [
        "[{ batch_ensemble: { blocks: [{ batch_ensemble: { blocks: [{ dense: { width: 4 } }] } }] } }]",
        "[{ batch_ensemble: { blocks: [{ tokenize: {} }] } }]",
        "[{ batch_ensemble: { blocks: [{ autoencoder: { encoder: [{ dense: { width: 4 } }] } }] } }]",
        "[{ tokenize: {} }, { autoencoder: { encoder: [{ dense: { width: 4 } }] } }]",
        "[{ dense: { width: 4 } }, { tokenize: {} }, attention, { pool: mean }]",
        "[attention, attention, { pool: mean }, { residual: [{ pool: mean }] }]",
    ];
    for network in cases {
        let faults = laid_out(network).expect_err(network);
        assert_eq!(faults.len(), 1, "{network}: {faults:?}");
    }
    let apart =
        "[{ parallel: { branches: [[attention], [{ pool: mean }], []] } }, attention, { inputs: {} }, attention]";
    let faults = laid_out(apart).expect_err("what comes before the inputs is thrown away, and known again after them");
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    let branches = "network[0].parallel.branches";
    assert_eq!(
        paths,
        [
            &format!("{branches}[0][0].attention"),
            &format!("{branches}[1][0].pool"),
            "network[2].inputs",
            "network[3].attention"
        ]
    );
}

#[test]
fn what_does_not_fit_together_is_refused_at_its_block() {
    let cases = [
        ("[{ tokenize: {} }]", "network[0]", "pool"),
        ("[{ pool: mean }]", "network[0].pool", "10 units come in"),
        ("[attention]", "network[0].attention", "put `tokenize` before it"),
        ("[{ dense: { width: 4 } }, { tokenize: {} }, { pool: mean }]", "network[1].tokenize", "put it first"),
        (
            "[{ tokenize: { width: 6 } }, attention, { pool: mean }]",
            "network[1].attention.heads",
            "4 heads do not divide",
        ),
        ("[{ tokenize: {} }, { residual: [{ pool: mean }] }]", "network[1].residual", "cannot be added"),
        (
            "[{ parallel: { combine: sum, branches: [[{ dense: { width: 4 } }], []] } }]",
            "network[0].parallel",
            "4 units and 10 units",
        ),
        (
            "[{ parallel: { branches: [[{ tokenize: {} }], []] } }, { pool: mean }]",
            "network[0].parallel",
            "tokens of width",
        ),
        ("[{ inputs: { sets: [wisdon] } }]", "network[0].inputs.sets", "Did you mean `wisdom`?"),
        (
            "[{ batch_ensemble: { blocks: [{ cross: {} }] } }]",
            "network[0].batch_ensemble.blocks[0].cross",
            "inside batch_ensemble",
        ),
        ("[{ batch_ensemble: { blocks: [{ dropout: 0.5 }] } }]", "network[0].batch_ensemble.blocks", "no `dense`"),
        (
            "[{ mixture_of_experts: { experts: 2, top_k: 2, expert: [{ dense: { width: 4 } }] } }]",
            "network[0].mixture_of_experts.top_k",
            "2 of 2",
        ),
        ("[{ norm: none }]", "network[0].norm", "leave the block out"),
        ("[{ tabnet: { shared: 0, independent: 0 } }]", "network[0].tabnet", "both 0"),
        (
            "[{ repeat: { times: 16, blocks: [{ parallel: { branches: [[], []] } }] } }]",
            "network[0].repeat.blocks[0]",
            "numbers a row",
        ),
        ("[{ cross: { layers: 8 } }, { cross: { layers: 8 } }]", "network[1].cross", "the power of 81"),
        (
            "[{ repeat: { times: 7, blocks: [{ gate: { width: 8 } }] } }]",
            "network[0].repeat.blocks[0].gate",
            "put a norm",
        ),
        (
            "[{ repeat: { times: 7, blocks: [{ residual: [{ gate: { width: 10 } }] }] } }]",
            "network[0].repeat.blocks[0].residual[0].gate",
            "the power of 128",
        ),
        ("[{ dense: { width: 1, norm: layer } }]", "network[0].dense.norm", "is a constant"),
        ("[benchmark, { norm: layer }]", "network[1].norm", "is a constant"),
        ("[{ tokenize: { width: 1 } }, { norm: layer }, { pool: mean }]", "network[1].norm", "is a constant"),
        ("[{ batch_ensemble: { blocks: [{ dense: { width: 1, norm: layer } }] } }]", BATCHED, "is a constant"),
        (
            "[{ tokenize: { class_token: true } }, { dense: { width: 4 } }, { pool: first }]",
            "network[2].pool",
            "knows of no feature; put `attention` before it",
        ),
        ("[{ tokenize: {} }, { pool: first }]", "network[1].pool", "one feature, or set, alone"),
        (
            "[{ parallel: { branches: [[{ tokenize: { class_token: true } }], [{ tokenize: {} }, attention]] } }, { pool: first }]",
            "network[1].pool",
            "knows of no feature",
        ),
        ("[{ dense: { width: 4 } }, { inputs: {} }]", "network[1].inputs", "thrown away"),
        ("[{ tokenize: {} }, attention, benchmark]", "network[2].benchmark", "thrown away"),
        (
            "[{ dense: { width: 4 } }, { parallel: { branches: [[{ inputs: {} }], [benchmark]] } }]",
            "network[1].parallel",
            "thrown away",
        ),
        ("[{ repeat: { blocks: [{ inputs: {} }] } }]", "network[0].repeat.blocks[0].inputs", "thrown away"),
        (
            "[{ autoencoder: { encoder: [{ dense: { width: 4 } }], decoder: [{ inputs: {} }] } }]",
            "network[0].autoencoder.decoder[0].inputs",
            "thrown away",
        ),
        (
            "[{ dense: { width: 4 } }, { autoencoder: { encoder: [{ inputs: {} }, { dense: { width: 4 } }] } }]",
            "network[1].autoencoder",
            "thrown away",
        ),
        (
            "[{ mixture_of_experts: { expert: [{ dense: { width: 4 } }, { inputs: {} }] } }]",
            "network[0].mixture_of_experts.expert[1].inputs",
            "thrown away",
        ),
        (
            "[{ mixture_of_experts: { expert: [benchmark] } }]",
            "network[0].mixture_of_experts.expert",
            "all experts are",
        ),
        ("[{ repeat: { times: 3, blocks: [attention] } }]", "network[0].repeat.blocks[0].attention", "tokenize"),
    ];
    for (network, path, words) in cases {
        let faults = laid_out(network).expect_err(network);
        let found = faults.iter().find(|fault| fault.path == path);
        assert!(found.is_some_and(|fault| fault.message.contains(words)), "{network}: {faults:?}");
        let mut paths: Vec<_> = faults.iter().map(|fault| (&fault.path, &fault.message)).collect();
        paths.dedup();
        assert_eq!(paths.len(), faults.len(), "{network}: a fault is said once");
    }
}
