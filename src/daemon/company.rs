//! Who trains beside a candidate, and how many cells each has at a time. Pure.
//!
//! Few cells at a time are cheap: most candidates are given up after one or two, and what was trained beside those is lost
//! (benchmarks/results/gate.txt). So the threads of a CPU are better shared among candidates that wait for their turn anyway
//! than given to more cells of one.

use crate::spec::cost::Cost;
use crate::spec::rates::{DeviceRates, seconds_a_net};

/// So many candidates a round has, or about that: what each has at a time while they train together is how often the gate is
/// asked, whether they do or not. A verdict then does not depend on company.
const A_ROUND: usize = 4;
/// Whose cells take this many times as long as another's does not train beside it: threads would wait.
const ALIKE: f64 = 3.0;

/// A candidate as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Runner {
    /// Nets of a cell.
    pub(super) nets: usize,
    /// Estimated seconds of a net.
    pub(super) seconds: f64,
    /// Bytes that a net in training needs, with what its thread needs beside.
    pub(super) net_bytes: u64,
    /// Bytes of what all of its nets share.
    pub(super) shared_bytes: u64,
}

/// What they train on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Machine {
    /// Threads that train nets side by side; None on a GPU.
    pub(super) threads: Option<usize>,
    /// Memory of all nets together.
    pub(super) bytes: u64,
    /// The most candidates that a person wants to train together; None: as many as there is room for.
    pub(super) most: Option<usize>,
    /// Folds of the protocol.
    pub(super) folds: usize,
}

impl Runner {
    /// A candidate of that cost. Where the device has not been measured, a net counts as any other.
    pub(super) fn new(cost: &Cost, members: u32, rates: Option<&DeviceRates>) -> Self {
        Self {
            nets: members.max(1) as usize,
            seconds: rates.map_or(1.0, |rates| seconds_a_net(cost, rates)),
            net_bytes: cost.replica_bytes.saturating_add(cost.era_bytes),
            shared_bytes: cost.shared_bytes,
        }
    }

    fn cell_seconds(&self) -> f64 {
        self.seconds * self.nets as f64
    }
}

/// Cells after which the gate is asked again.
pub(super) fn cells_a_step(machine: &Machine, nets: usize) -> usize {
    let folds = machine.folds.max(1);
    // A GPU is filled by whole seeds.
    machine.threads.map_or(folds, |threads| (threads / (nets.max(1) * A_ROUND)).clamp(1, folds))
}

/// The most candidates that train together where the main one's cells have so many nets: none of them is to have less than a
/// cell at a time.
pub(super) fn most_together(machine: &Machine, nets: usize) -> usize {
    // On a GPU nets train as one group, which nets of different specs are not yet.
    let Some(threads) = machine.threads else { return 1 };
    (threads / nets.max(1)).min(machine.most.unwrap_or(usize::MAX)).max(1)
}

/// Which of those that wait train beside the main one, by their places: the first that take about as long, as far as there
/// are threads and memory for them.
pub(super) fn beside(main: &Runner, waiting: &[Runner], machine: &Machine) -> Vec<usize> {
    let most = most_together(machine, main.nets);
    let mut chosen: Vec<usize> = Vec::new();
    for place in 0..waiting.len() {
        if chosen.len() + 1 >= most {
            break;
        }
        let together = || std::iter::once(main).chain(chosen.iter().chain([&place]).map(|place| &waiting[*place]));
        let seconds = || together().map(Runner::cell_seconds);
        let alike = seconds().fold(0.0, f64::max) <= ALIKE * seconds().fold(f64::INFINITY, f64::min);
        let shared = together().fold(0_u64, |sum, one| sum.saturating_add(one.shared_bytes));
        let net = together().map(|one| one.net_bytes).max().unwrap_or(0);
        let bytes = net.saturating_mul(machine.threads.unwrap_or(1) as u64).saturating_add(shared);
        if alike && bytes <= machine.bytes {
            chosen.push(place);
        }
    }
    chosen
}

/// How many cells each of those who train together has at a time: those that fill its part of the threads for as long as the
/// dearest one's, so that no thread waits, and never more than alone.
pub(super) fn cells_each(together: &[Runner], machine: &Machine) -> Vec<usize> {
    let Some(threads) = machine.threads else { return vec![machine.folds.max(1); together.len()] };
    let lanes = (threads / together.len().max(1)).max(1);
    let rounds = |cells: usize, one: &Runner| (cells * one.nets).div_ceil(lanes) as f64;
    let least = |one: &Runner| lanes.div_ceil(one.nets.max(1));
    let longest = together.iter().map(|one| one.seconds * rounds(least(one), one)).fold(0.0, f64::max);
    let of = |one: &Runner| {
        let alone = threads.div_ceil(one.nets.max(1));
        let fits = |cells: &usize| one.seconds * rounds(*cells, one) <= longest * (1.0 + 1e-9);
        (least(one)..=alone).take_while(fits).last().unwrap_or_else(|| least(one))
    };
    together.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner(nets: usize, seconds: f64) -> Runner {
        Runner { nets, seconds, net_bytes: 10, shared_bytes: 0 }
    }

    fn cpu(threads: usize) -> Machine {
        Machine { threads: Some(threads), bytes: 1_000, most: None, folds: 4 }
    }

    const GPU: Machine = Machine { threads: None, bytes: 1_000, most: None, folds: 4 };

    #[test]
    fn the_gate_is_asked_as_often_as_a_rounds_candidates_allow() {
        for (machine, nets, cells) in [
            (cpu(1), 1, 1),
            (cpu(2), 1, 1),
            (cpu(7), 1, 1),
            (cpu(8), 1, 2),
            (cpu(8), 4, 1),
            (cpu(64), 1, 4),
            (cpu(64), 8, 2),
            (GPU, 1, 4),
            (GPU, 9, 4),
        ] {
            assert_eq!(cells_a_step(&machine, nets), cells, "{machine:?}, {nets} nets");
            let others = Machine { most: Some(1), ..machine };
            assert_eq!(cells_a_step(&others, nets), cells, "whoever trains beside");
        }
    }

    #[test]
    fn nobody_has_less_than_a_cell_at_a_time() {
        let one = |most| Machine { most, ..cpu(8) };
        for (machine, nets, most) in [
            (cpu(1), 1, 1),
            (cpu(2), 1, 2),
            (cpu(2), 2, 1),
            (cpu(3), 2, 1),
            (cpu(8), 3, 2),
            (one(Some(1)), 1, 1),
            (one(Some(3)), 1, 3),
            (one(Some(99)), 1, 8),
            (GPU, 1, 1),
        ] {
            assert_eq!(most_together(&machine, nets), most, "{machine:?}, {nets} nets");
        }
    }

    #[test]
    fn those_that_take_about_as_long_come_along_as_far_as_there_is_room() {
        let alike = [runner(1, 1.0), runner(1, 2.0), runner(1, 0.5)];
        for (machine, main, waiting, wanted) in [
            (cpu(2), runner(1, 1.0), &alike[..], vec![0]),
            (cpu(3), runner(1, 1.0), &alike, vec![0, 1]),
            // 2.0 and 0.5 are too far apart.
            (cpu(9), runner(1, 1.0), &alike, vec![0, 1]),
            (cpu(9), runner(1, 1.0), &alike[..1], vec![0]),
            (cpu(1), runner(1, 1.0), &alike, vec![]),
            (cpu(4), runner(4, 1.0), &alike, vec![]),
            (cpu(2), runner(1, 9.0), &alike, vec![]),
            (cpu(2), runner(1, 1.0), &[], vec![]),
            // A cell of four nets takes as long as four.
            (cpu(2), runner(1, 1.0), &[runner(4, 1.0), runner(4, 0.5)], vec![1]),
            (GPU, runner(1, 1.0), &alike, vec![]),
            (Machine { most: Some(2), ..cpu(9) }, runner(1, 1.0), &alike, vec![0]),
        ] {
            assert_eq!(beside(&main, waiting, &machine), wanted, "{machine:?}, {main:?}");
        }
    }

    #[test]
    fn they_need_no_more_memory_than_there_is() {
        let machine = Machine { bytes: 100, ..cpu(2) };
        let with = |net_bytes, shared_bytes| Runner { net_bytes, shared_bytes, ..runner(1, 1.0) };
        for (main, other, fits) in [
            (with(50, 0), with(50, 0), true),
            (with(50, 0), with(51, 0), false),
            (with(40, 10), with(40, 10), true),
            (with(40, 10), with(40, 11), false),
            (with(1, 0), with(u64::MAX, 5), false),
        ] {
            assert_eq!(beside(&main, &[other], &machine), if fits { vec![0] } else { vec![] }, "{main:?}, {other:?}");
        }
        // One that has no room is passed over for the next.
        assert_eq!(beside(&with(40, 0), &[with(90, 0), with(50, 0)], &machine), [1]);
    }

    #[test]
    fn threads_are_shared_and_none_waits_long() {
        for (machine, together, cells) in [
            // Alone, all threads are its own.
            (cpu(2), vec![runner(1, 1.0)], vec![2]),
            (cpu(2), vec![runner(4, 1.0)], vec![1]),
            (cpu(8), vec![runner(3, 1.0)], vec![3]),
            (cpu(2), vec![runner(1, 1.0); 2], vec![1, 1]),
            (cpu(4), vec![runner(1, 1.0); 2], vec![2, 2]),
            (cpu(5), vec![runner(1, 1.0); 2], vec![2, 2]),
            (cpu(8), vec![runner(2, 1.0); 2], vec![2, 2]),
            // While one of the dear one's is trained, two of the cheap one's are; never more than alone.
            (cpu(2), vec![runner(1, 1.0), runner(1, 2.0)], vec![2, 1]),
            (cpu(2), vec![runner(1, 1.0), runner(1, 1.9)], vec![1, 1]),
            (cpu(2), vec![runner(1, 3.0), runner(1, 1.0)], vec![1, 2]),
            (cpu(2), vec![runner(1, 1.0), runner(4, 0.5)], vec![2, 1]),
            (GPU, vec![runner(1, 1.0)], vec![4]),
        ] {
            assert_eq!(cells_each(&together, &machine), cells, "{machine:?}, {together:?}");
        }
    }
}
