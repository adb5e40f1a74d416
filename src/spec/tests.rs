use super::*;

const DENSE: &str = "version: 1\nnetwork:\n  - dense: { width: 64, norm: batch, activation: gelu, dropout: 0.2 }\n";

#[test]
fn smoke() {
    let spec = Spec::parse(DENSE, "model.yaml").expect("valid");
    assert_eq!(Spec::parse(&spec.to_yaml(), "again").expect("reads back"), spec);
}
