//! Schedules against PyTorch's and timm's (tests/fixtures/make_schedules.py, which says where timm means something else).

use serde::Deserialize;

use super::spec;
use crate::train::schedule::factor;

#[derive(Deserialize)]
struct Fixture {
    schedules: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    library: String,
    schedule: String,
    epochs: u32,
    steps_per_epoch: usize,
    /// A step, and the factor there.
    factors: Vec<(usize, f64)>,
}

#[test]
fn schedules_are_pytorchs_and_timms() {
    let fixture: Fixture =
        serde_json::from_str(include_str!("../../../tests/fixtures/schedules.json")).expect("a fixture");
    for Case { library, schedule, epochs, steps_per_epoch, factors } in fixture.schedules {
        let text =
            format!("network: [{{ dense: {{ width: 4 }} }}]\nschedule: {schedule}\ntraining: {{ epochs: {epochs} }}\n");
        let spec = spec(&text);
        assert!(factors.len() >= epochs as usize, "{schedule}");
        for (step, wanted) in factors {
            let found = factor(&spec.schedule, step, steps_per_epoch, epochs);
            // Both double precision; PyTorch's are products of many steps.
            assert!((found - wanted).abs() < 1e-9, "{schedule} at {step}: {found}, {library} has {wanted}");
        }
    }
}
