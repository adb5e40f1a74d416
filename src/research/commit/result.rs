//! The result in a trial's commit, beside the incumbent's: like with like. What was measured over some of the eras, or some
//! of the seeds, stands beside the same of the incumbent, or beside nothing.

use prepare::{EraScore, SeedScore, Summary};

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
    let beside = Beside::new(measured, incumbent);
    // What the gate compared: every seed that the incumbent had then.
    let compared = incumbent.and_then(|other| Some((other, record.compared_with()?)));
    let as_the_gate = compared.is_none_or(|(other, payout)| (payout - other.evaluation.payout).abs() < 1e-9);
    let says_seeds = incumbent.is_some() && !(beside.same_seeds && as_the_gate);
    lines.push(match incumbent {
        Some(_) if says_seeds => {
            format!("{name:<18}{:>10}{:>11}{:>12}  over seeds", "candidate", "incumbent", "difference")
        }
        Some(_) => format!("{name:<18}{:>10}{:>11}{:>12}", "candidate", "incumbent", "difference"),
        None => format!("{name:<18}{:>10}", "candidate"),
    });
    let mut row = |name: &str, value: f64, other: &Other| {
        let columns = match other.value {
            Some(theirs) => {
                let difference = if other.comparable { signed(value - theirs) } else { String::new() };
                let seeds = if says_seeds { other.seeds.as_str() } else { "" };
                format!("{:>11}{difference:>12}  {seeds}", plain(theirs))
            }
            None => String::new(),
        };
        lines.push(format!("  {name:<16}{:>10}{columns}", plain(value)).trim_end().to_owned());
    };
    let own = &measured.evaluation;
    row("payout", own.payout, &compared.map_or_else(|| beside.payout(), |(_, payout)| beside.all(payout)));
    row("CORR", own.corr.mean, &beside.score(|theirs| theirs.corr.mean, |era| era.corr, |seed| seed.corr));
    row("BMC", own.bmc.mean, &beside.score(|theirs| theirs.bmc.mean, |era| era.bmc, |seed| seed.bmc));
    row("BMC Sharpe", own.bmc.sharpe, &beside.sharpe());
    row("with benchmark", own.corr_with_benchmark, &beside.whole(|theirs| theirs.corr_with_benchmark));
    for seed in &own.seeds {
        if beside.is_whole(seed.seed) {
            row(&format!("seed {}", seed.seed), seed.payout, &beside.seed(seed.seed));
        } else {
            // Some folds of it: the incumbent's payout under it is over all.
            row(&format!("seed {}, part", seed.seed), seed.payout, &Other::default());
        }
    }
    for fold in &own.folds {
        row(&format!("fold {}", fold.fold), fold.payout, &beside.fold(fold.fold));
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

/// The incumbent's number beside one of the candidate's.
#[derive(Default)]
struct Other {
    value: Option<f64>,
    /// Whether both are over the same cells, or are what the gate compared.
    comparable: bool,
    /// Over how many seeds the candidate's is, and over how many the incumbent's.
    seeds: String,
}

/// The incumbent's numbers over the eras of a candidate.
struct Beside<'a> {
    own: &'a Measurement,
    incumbent: Option<&'a Measurement>,
    /// Its eras that the candidate has; None where it lacks one of them.
    eras: Option<Vec<&'a EraScore>>,
    /// Whether both have the same eras.
    whole: bool,
    /// Whether both have the same seeds over the same eras: only then are means the same thing of both.
    same_seeds: bool,
}

impl<'a> Beside<'a> {
    fn new(own: &'a Measurement, incumbent: Option<&'a Measurement>) -> Self {
        let theirs = incumbent.map_or(&[][..], |other| &other.evaluation.eras);
        let of_era = |era: u32| theirs.binary_search_by_key(&era, |other| other.era).ok().map(|at| &theirs[at]);
        let eras: Option<Vec<&EraScore>> = own.evaluation.eras.iter().map(|own| of_era(own.era)).collect();
        let whole = eras.as_ref().is_some_and(|eras| eras.len() == theirs.len());
        let same_seeds = incumbent.is_some_and(|other| {
            own.evaluation.seeds.iter().map(|seed| seed.seed).eq(other.evaluation.seeds.iter().map(|seed| seed.seed))
        });
        Self { own, incumbent, eras, whole, same_seeds: whole && same_seeds }
    }

    /// The payout that the gate compared with.
    fn all(&self, payout: f64) -> Other {
        Other { value: Some(payout), comparable: true, seeds: format!("{} against all", self.own_seeds()) }
    }

    /// The payout where the gate compared nothing.
    fn payout(&self) -> Other {
        self.score(|theirs| theirs.payout, |era| era.payout, |seed| seed.payout)
    }

    /// A mean over eras: of the candidate's own seeds where the incumbent has each of them, else of the seeds that it was
    /// evaluated under.
    fn score(
        &self,
        whole: impl Fn(&prepare::Evaluation) -> f64,
        era: impl Fn(&EraScore) -> f64,
        seed: impl Fn(&SeedScore) -> f64,
    ) -> Other {
        if self.same_seeds || !self.whole {
            let value = if self.whole { self.whole(whole).value } else { self.series(era).map(|series| mean(&series)) };
            return self.theirs(value);
        }
        let own = &self.own.evaluation.seeds;
        let of_seed = |own: &SeedScore| {
            let theirs = &self.incumbent?.evaluation.seeds;
            theirs.iter().find(|theirs| theirs.seed == own.seed).map(&seed)
        };
        let common: Option<Vec<f64>> = own.iter().map(of_seed).collect();
        match common.filter(|_| own.iter().all(|own| self.is_whole(own.seed))) {
            Some(common) if !common.is_empty() => {
                Other { value: Some(mean(&common)), comparable: true, seeds: format!("the same {}", common.len()) }
            }
            _ => self.whole(whole),
        }
    }

    fn sharpe(&self) -> Other {
        if self.whole {
            return self.whole(|theirs| theirs.bmc.sharpe);
        }
        Other { comparable: false, ..self.theirs(self.series(|era| era.bmc).map(|series| Summary::of(&series).sharpe)) }
    }

    fn whole(&self, value: impl Fn(&prepare::Evaluation) -> f64) -> Other {
        self.theirs(self.incumbent.filter(|_| self.whole).map(|other| value(&other.evaluation)))
    }

    fn fold(&self, fold: usize) -> Other {
        let folds = self.incumbent.map_or(&[][..], |other| &other.evaluation.folds);
        self.theirs(folds.iter().find(|other| other.fold == fold).map(|other| other.payout))
    }

    /// The incumbent's payout under one seed, over the same eras.
    fn seed(&self, seed: u64) -> Other {
        Other { value: self.of_seed(seed), comparable: true, seeds: "the same".into() }
    }

    fn of_seed(&self, seed: u64) -> Option<f64> {
        let scores = &self.incumbent?.scores;
        let own = scores.seeds.iter().find(|own| own.seed == seed)?;
        let of_era = |era: &&EraScore| scores.eras.binary_search(&era.era).ok().map(|at| own.payout[at]);
        Some(mean(&self.eras.as_ref()?.iter().map(of_era).collect::<Option<Vec<f64>>>()?))
    }

    fn series(&self, value: impl Fn(&EraScore) -> f64) -> Option<Vec<f64>> {
        let eras = self.eras.as_ref().filter(|eras| !eras.is_empty())?;
        Some(eras.iter().map(|era| value(era)).collect())
    }

    /// A number over the seeds that the incumbent was evaluated under.
    fn theirs(&self, value: Option<f64>) -> Other {
        let theirs = self.incumbent.map_or(0, |other| other.evaluation.seeds.len());
        Other { value, comparable: self.same_seeds, seeds: format!("{} against {theirs}", self.own_seeds()) }
    }

    /// `1`, or `1 and part` where a further seed was begun.
    fn own_seeds(&self) -> String {
        let seeds = &self.own.evaluation.seeds;
        let whole = seeds.iter().filter(|own| self.is_whole(own.seed)).count();
        if whole < seeds.len() { format!("{whole} and part") } else { whole.to_string() }
    }

    /// Whether the candidate has every era of its own under this seed. Where no seed is whole there is one alone, which has.
    fn is_whole(&self, seed: u64) -> bool {
        let scores = &self.own.scores.seeds;
        scores.is_empty() || scores.iter().any(|own| own.seed == seed)
    }
}
