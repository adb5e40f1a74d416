//! How fast a device trains, as it was measured, and the seconds of a trial that follow from its cost. Pure.

use serde::{Deserialize, Serialize};

use super::cost::Cost;

/// An estimate of seconds is claimed to be this close: reality is between its half and its double. Other programs on the
/// machine are not foreseen.
pub const CLOSE: f64 = 2.0;

/// What a device does in a second while all of its lanes are busy. Measured by the worker on nets whose cost is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceRates {
    /// Groups of nets that train side by side: the CPU's threads; 1 on a GPU.
    pub lanes: u64,
    /// Bytes that the nets of a group may need together; None where each net is a group by itself.
    pub group_bytes: Option<u64>,
    /// Floating point operations of matrix products, a second and lane.
    pub flops: f64,
    /// Numbers that element-wise operations go over, a second and lane.
    pub numbers: f64,
    /// Seconds that an operation takes to begin, however small it is.
    pub seconds_an_operation: f64,
    /// Multiplications of what the host does beside the training, a second, all of its threads together.
    pub host: f64,
}

/// Seconds of a trial of that cost: every fold, seed and member, all epochs.
pub fn seconds(cost: &Cost, rates: &DeviceRates) -> f64 {
    let nets = cost.nets.max(1);
    let at_once = rates.group_bytes.map_or(1, |bytes| (bytes / cost.replica_bytes.max(1)).max(1));
    let groups = nets.div_ceil(at_once);
    let rounds = groups.div_ceil(rates.lanes.max(1)) as f64;
    let a_net = (cost.flops / rates.flops + cost.numbers / rates.numbers) / nets as f64;
    let begun = cost.operations / nets as f64 * rates.seconds_an_operation;
    rounds * (a_net * nets as f64 / groups as f64 + begun) + cost.host / rates.host
}

/// Seconds of one net of that cost while all lanes are busy, with its part of what the host does beside.
pub fn seconds_a_net(cost: &Cost, rates: &DeviceRates) -> f64 {
    let work = cost.flops / rates.flops + cost.numbers / rates.numbers + cost.operations * rates.seconds_an_operation;
    (work + cost.host / rates.host) / cost.nets.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::{DeviceRates, seconds, seconds_a_net};
    use crate::spec::cost::Cost;

    #[test]
    fn nets_wait_for_lanes_and_groups_share_the_beginning_of_operations() {
        let cost = Cost {
            params: 1,
            weight_bytes: 50,
            activation_bytes: 50,
            replica_bytes: 100,
            flops: 5e9,
            numbers: 5e8,
            operations: 5_000.0,
            nets: 5,
            host: 0.0,
            shared_bytes: 0,
            era_bytes: 0,
        };
        let lanes = DeviceRates {
            lanes: 2,
            group_bytes: None,
            flops: 1e9,
            numbers: 1e8,
            seconds_an_operation: 1e-3,
            host: 1e9,
        };
        // A net: 1 s of products, 1 s of other numbers, 1 s of beginnings; five nets in two lanes are three rounds.
        assert!((seconds(&cost, &lanes) - 9.0).abs() < 1e-9);
        assert!((seconds_a_net(&cost, &lanes) - 3.0).abs() < 1e-9);
        assert!((seconds_a_net(&Cost { host: 5e9, ..cost }, &lanes) - 4.0).abs() < 1e-9, "and a fifth of the host's");
        let grouped = DeviceRates { lanes: 1, group_bytes: Some(500), ..lanes };
        assert!((seconds(&cost, &grouped) - 11.0).abs() < 1e-9, "five nets at once begin together");
        let halves = DeviceRates { group_bytes: Some(300), ..grouped };
        assert!((seconds(&cost, &halves) - 12.0).abs() < 1e-9, "two groups begin twice");
        let processed = Cost { host: 3e9, ..cost };
        assert!((seconds(&processed, &lanes) - 12.0).abs() < 1e-9, "the host works on its own account");
    }
}
