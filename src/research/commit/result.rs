//! The result in a trial's commit, beside the incumbent's: like with like. What was measured over some of the eras, or some
//! of the seeds, stands beside the same of the incumbent, or beside nothing.

use prepare::{EraScore, Summary};

use super::{or, p_value, plain, signed};
use crate::research::foreign::one_line;
use crate::research::gate::mean;
use crate::research::trial::{Judgement, Measurement, TrialRecord};
use crate::research::words::{noise, over};

/// The table; empty where nothing was measured.
pub(super) fn table(record: &TrialRecord, incumbent: Option<&TrialRecord>) -> Vec<String> {
    let Some(measured) = &record.measurement else { return Vec::new() };
    let incumbent = incumbent.and_then(|record| record.measurement.as_ref());
    let mut lines = Vec::new();
    let name = match over(record).filter(|_| record.folds_of_no_whole_seed().is_some()) {
        Some(part) => {
            lines.push(format!("Result over {part}, the incumbent's over the same eras"));
            ""
        }
        None => "Result",
    };
    lines.push(match incumbent {
        Some(_) => format!("{name:<18}{:>10}{:>11}{:>12}", "candidate", "incumbent", "difference"),
        None => format!("{name:<18}{:>10}", "candidate"),
    });
    let beside = Beside::new(measured, incumbent);
    let mut row = |name: &str, value: f64, (other, comparable): (Option<f64>, bool)| {
        let difference = |other: f64| if comparable { signed(value - other) } else { String::new() };
        let beside = other.map_or_else(String::new, |other| format!("{:>11}{:>12}", plain(other), difference(other)));
        lines.push(format!("  {name:<16}{:>10}{beside}", plain(value)).trim_end().to_owned());
    };
    let own = &measured.evaluation;
    let payout = incumbent.and_then(|_| record.compared_with()).map(|payout| (Some(payout), true));
    row("payout", own.payout, payout.unwrap_or_else(|| beside.of(|theirs| theirs.payout, |era| era.payout)));
    row("CORR", own.corr.mean, beside.of(|theirs| theirs.corr.mean, |era| era.corr));
    row("BMC", own.bmc.mean, beside.of(|theirs| theirs.bmc.mean, |era| era.bmc));
    row("BMC Sharpe", own.bmc.sharpe, beside.sharpe());
    row("with benchmark", own.corr_with_benchmark, beside.whole(|theirs| theirs.corr_with_benchmark));
    for seed in &own.seeds {
        row(&format!("seed {}", seed.seed), seed.payout, (beside.seed(seed.seed), true));
    }
    for fold in &own.folds {
        let same = incumbent.and_then(|other| other.evaluation.folds.iter().find(|other| other.fold == fold.fold));
        row(&format!("fold {}", fold.fold), fold.payout, (same.map(|other| other.payout), beside.same_seeds));
    }
    if let Some(judgement) = &record.judgement {
        lines.extend(judged(judgement, &over(record).unwrap_or_default()));
    }
    lines.push(format!(
        "  {} parameters, {:.1} s on {}",
        measured.params,
        measured.wall_seconds,
        or(one_line(&measured.device, 60), "an unnamed device")
    ));
    lines
}

fn judged(judgement: &Judgement, over: &str) -> Vec<String> {
    let mut lines = vec![format!(
        "  gain {} ± {}, one-sided p {}, over {over}",
        signed(judgement.delta),
        plain(judgement.standard_error),
        p_value(judgement.p_value),
    )];
    if let (Some(seeds), Some(eras)) = (judgement.between_seeds, judgement.between_eras) {
        lines.push(format!("  noise of seeds {}, of eras {}", noise(seeds, 4), noise(eras, 4)));
    }
    if let Some(level) = judgement.level {
        let bound = match judgement.bound {
            Some(bound) => format!("p had to be below {} at this look", p_value(bound)),
            None => "ended between looks".into(),
        };
        lines.push(format!("  {bound}; level of the whole trial {}", p_value(level)));
    }
    lines
}

/// The incumbent's numbers over the eras of a candidate.
struct Beside<'a> {
    incumbent: Option<&'a Measurement>,
    /// Its eras that the candidate has; None where it lacks one of them.
    eras: Option<Vec<&'a EraScore>>,
    /// Whether both have the same eras.
    whole: bool,
    /// Whether both have the same seeds over the same eras: only then are means the same thing of both.
    same_seeds: bool,
}

impl<'a> Beside<'a> {
    fn new(own: &Measurement, incumbent: Option<&'a Measurement>) -> Self {
        let theirs = incumbent.map_or(&[][..], |other| &other.evaluation.eras);
        let of_era = |era: u32| theirs.binary_search_by_key(&era, |other| other.era).ok().map(|at| &theirs[at]);
        let eras: Option<Vec<&EraScore>> = own.evaluation.eras.iter().map(|own| of_era(own.era)).collect();
        let whole = eras.as_ref().is_some_and(|eras| eras.len() == theirs.len());
        let same_seeds = incumbent.is_some_and(|other| {
            own.evaluation.seeds.iter().map(|seed| seed.seed).eq(other.evaluation.seeds.iter().map(|seed| seed.seed))
        });
        Self { incumbent, eras, whole, same_seeds: whole && same_seeds }
    }

    /// A mean over eras, with whether it can be compared.
    fn of(&self, whole: impl Fn(&prepare::Evaluation) -> f64, era: impl Fn(&EraScore) -> f64) -> (Option<f64>, bool) {
        let value = if self.whole { self.whole(whole).0 } else { self.series(era).map(|series| mean(&series)) };
        (value, self.same_seeds)
    }

    fn sharpe(&self) -> (Option<f64>, bool) {
        if self.whole {
            return self.whole(|theirs| theirs.bmc.sharpe);
        }
        (self.series(|era| era.bmc).map(|series| Summary::of(&series).sharpe), false)
    }

    fn whole(&self, value: impl Fn(&prepare::Evaluation) -> f64) -> (Option<f64>, bool) {
        (self.incumbent.filter(|_| self.whole).map(|other| value(&other.evaluation)), self.same_seeds)
    }

    /// The incumbent's payout under one seed, over the same eras.
    fn seed(&self, seed: u64) -> Option<f64> {
        let scores = &self.incumbent?.scores;
        let own = scores.seeds.iter().find(|own| own.seed == seed)?;
        let of_era = |era: &&EraScore| scores.eras.binary_search(&era.era).ok().map(|at| own.payout[at]);
        Some(mean(&self.eras.as_ref()?.iter().map(of_era).collect::<Option<Vec<f64>>>()?))
    }

    fn series(&self, value: impl Fn(&EraScore) -> f64) -> Option<Vec<f64>> {
        let eras = self.eras.as_ref().filter(|eras| !eras.is_empty())?;
        Some(eras.iter().map(|era| value(era)).collect())
    }
}
