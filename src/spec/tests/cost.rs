//! What is over the budget is refused with the numbers.

use super::examples::facts;
use crate::spec::Spec;
use crate::spec::cost::{Budget, Cost, estimate};
use crate::spec::rates::{CLOSE, DeviceRates, seconds};

const RATES: DeviceRates =
    DeviceRates { lanes: 2, group_bytes: None, flops: 1e9, numbers: 1e8, seconds_an_operation: 1e-6 };

fn a_spec() -> (Spec, Cost) {
    let spec = Spec::parse("network: [{ dense: { width: 256 } }]\n", "test").expect("valid");
    let cost = estimate(&spec, &facts());
    (spec, cost)
}

/// A budget that has all of what a spec costs, and no more.
fn just_enough(cost: &Cost) -> Budget {
    Budget {
        params: cost.params,
        replica_bytes: cost.replica_bytes,
        flops: cost.flops,
        seconds: seconds(cost, &RATES),
        rates: Some(RATES),
    }
}

#[test]
fn a_budget_is_kept_to_the_number_but_for_seconds_which_are_estimated() {
    let (spec, cost) = a_spec();
    let enough = just_enough(&cost);
    assert_eq!(spec.check_cost(&facts(), &enough), Ok(cost));
    let takes = seconds(&cost, &RATES);
    let seconds = |limit: f64| Budget { seconds: limit, ..enough };
    assert_eq!(spec.check_cost(&facts(), &seconds(1.001 * takes / CLOSE)), Ok(cost), "it may be that fast");
    let mib = cost.replica_bytes >> 20;
    let cases = [
        (
            seconds(0.999 * takes / CLOSE),
            format!(
                "about {takes:.0} s a trial (at most {:.0}, and the estimate is right to a factor of 2)",
                takes / 2.0
            ),
        ),
        (
            Budget { replica_bytes: cost.replica_bytes - 1, ..enough },
            format!("{mib} MiB a net (at most {})", (cost.replica_bytes - 1) >> 20),
        ),
        (
            Budget { params: cost.params - 1, ..enough },
            format!("{} parameters (at most {})", cost.params, cost.params - 1),
        ),
        (Budget { flops: 1e6, ..enough }, format!("{:.2e} floating point operations (at most 1.00e6)", cost.flops)),
    ];
    for (budget, words) in cases {
        let refused = spec.check_cost(&facts(), &budget).expect_err("over the budget").to_string();
        assert_eq!(refused, format!("spec: network: over the budget: {words}"));
        let to_people = spec.check_all(&facts(), &budget).expect_err("over the budget").to_string();
        assert_eq!(to_people, format!("{refused}; make the model smaller, or raise `budget` in autoresearch.yaml"));
    }
}

#[test]
fn what_cannot_be_laid_out_is_not_said_to_be_too_expensive_as_well() {
    let text = "network: [{ parallel: { combine: sum, branches: [[], [{ dense: { width: 9 } }]] } }]\n";
    let spec = Spec::parse(text, "test").expect("right for nine features");
    let found = spec.check_all(&facts(), &just_enough(&a_spec().1)).expect_err("there are sixteen");
    assert_eq!(found.errors.len(), 1, "{found}");
}
