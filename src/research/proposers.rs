//! Those who propose, compared at equal budget: what each gains with a trained trial, and with a dollar.
//!
//! **The gain of a trial** is 0 unless it was kept and stands (it was not demoted). A keep gains what is likely true of it:
//! its gain on fresh seeds where it was measured again, else the median-unbiased estimate that takes its selection into
//! account (`session_statistics`), and never less than 0; one that was kept as simpler gains nothing. The mean over all
//! trained trials of a proposer, crashes and time-outs included, is its gain per trial. It is no share of the incumbent's
//! payout: a gain is the proposer's whatever was built on it.
//!
//! **The interval** is that of [`rare`]: the rate of keeps and their size, each with its uncertainty, so that somebody who
//! has proposed little and kept nothing is not said to be certain to gain nothing.
//!
//! Only trials under the protocol and on the data of the present incumbent count. What a proposer cost is counted over the
//! whole ledger: replies that came to no trial and calls that failed were paid for, too, and so was learnings.md, by who wrote it
//! (nobody in old ledgers).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::history::History;
use super::session_statistics::kept_gain;
use super::trial::{TrialRecord, Verdict};
use crate::stats::rare::{Gained, draws, quantile};

/// Whom the others are compared with: the first of these that has trials, else whoever has the most.
const CONTROLS: [&str; 2] = ["random", "optimizer"];
/// Draws that an interval is taken of.
const DRAWS: usize = 2_000;

/// One proposer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proposer {
    /// Its name.
    pub researcher: String,
    /// Its trials that were trained.
    pub trials: u32,
    /// Of them, kept and standing.
    pub keeps: u32,
    /// Mean gain of a trained trial, in payout; None without a trained trial.
    pub gain_per_trial: Option<f64>,
    /// 95 % interval of it; None where nothing was kept by anybody. It is 0 at the least, by what a gain is, and begins
    /// there for who kept nothing: only its upper end then says anything.
    pub interval: Option<(f64, f64)>,
    /// How far it is ahead of the control; None for the control itself, and where nothing was kept by anybody.
    pub ahead: Option<Ahead>,
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// US dollars, by the configured prices.
    pub cost_usd: f64,
    /// Gain of a dollar; None of what costs none.
    pub gain_per_dollar: Option<f64>,
    /// 95 % interval of it: the dollars are known, the gain is not.
    pub dollar_interval: Option<(f64, f64)>,
}

/// A difference in gain per trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ahead {
    /// The control: `random` where it has trials, else the optimizer, else whoever has the most.
    pub of: String,
    /// The difference.
    pub difference: f64,
    /// Its 95 % interval, the two being independent.
    pub interval: (f64, f64),
}

/// Compares all that have trained trials or have cost something, those with the most trials first.
pub fn proposers(history: &History) -> Vec<Proposer> {
    let mut trained: BTreeMap<&str, Vec<&TrialRecord>> = BTreeMap::new();
    let all: Vec<&TrialRecord> = history.comparable().collect();
    for record in all.iter().filter(|record| record.verdict.was_trained() && record.incumbent.is_some()) {
        trained.entry(&record.proposal.researcher).or_default().push(record);
    }
    let gained: BTreeMap<&str, Vec<Gained>> =
        trained.iter().map(|(name, records)| (*name, gains(records, history))).collect();
    let everybody: Vec<Gained> = gained.values().flatten().copied().collect();
    let of = |name: &str| -> (usize, &[Gained]) {
        (trained.get(name).map_or(0, Vec::len), gained.get(name).map_or(&[], Vec::as_slice))
    };
    let drawn = |name: &str| -> Option<Vec<f64>> {
        let (trials, own) = of(name);
        draws(own, trials, &everybody, DRAWS, seed(name)).ok()
    };
    let control = control(&trained);
    let of_control = control.and_then(drawn);
    let paid = history.spenders();
    let names: BTreeSet<&str> = trained.keys().copied().chain(paid.iter().map(String::as_str)).collect();
    let mut found: Vec<Proposer> = names
        .into_iter()
        .map(|name| {
            let (trials, own) = of(name);
            // The sum of no numbers at all is -0.0, which nobody wants to read.
            let total = own.iter().fold(0.0, |total, gained| total + gained.gain);
            let mean = (trials > 0).then(|| total / trials as f64);
            let own_draws = drawn(name);
            let interval = own_draws.as_deref().zip(mean).map(|(draws, mean)| interval(draws, mean, own.is_empty()));
            let usage = history.usage_of(name);
            let dollars = Some(usage.cost_usd).filter(|dollars| *dollars > 0.0);
            let a_dollar = |gain: f64| dollars.map(|dollars| gain * trials as f64 / dollars);
            Proposer {
                researcher: name.to_owned(),
                trials: u32::try_from(trials).unwrap_or(u32::MAX),
                keeps: u32::try_from(own.len()).unwrap_or(u32::MAX),
                gain_per_trial: mean,
                interval,
                ahead: ahead(own_draws.as_deref().zip(mean), of_control.as_deref(), control, name, &of),
                input_tokens: usage.input_tokens,
                output_tokens: usage.output_tokens,
                cost_usd: usage.cost_usd,
                gain_per_dollar: mean.and_then(a_dollar),
                dollar_interval: interval.and_then(|(low, high)| a_dollar(low).zip(a_dollar(high))),
            }
        })
        .collect();
    // Stable: those with as many trials stay in alphabetical order.
    found.sort_by_key(|proposer| std::cmp::Reverse(proposer.trials));
    found
}

/// What the standing keeps among these trials gained.
fn gains(records: &[&TrialRecord], history: &History) -> Vec<Gained> {
    let stands = |record: &&&TrialRecord| record.verdict == Verdict::Keep && !history.is_demoted(record.trial);
    records
        .iter()
        .filter(stands)
        .map(|record| {
            let nothing = Gained { gain: 0.0, standard_error: 0.0 };
            let Some(kept) = kept_gain(record, history) else { return nothing };
            let (gain, error) = match (kept.fresh_gain, kept.shrunk) {
                (Some(fresh), _) => (fresh, kept.fresh_gain_error.unwrap_or(kept.standard_error)),
                (None, Some(shrunk)) => (shrunk, kept.standard_error),
                (None, None) => return nothing,
            };
            let usable = gain.is_finite() && error.is_finite() && error >= 0.0;
            if usable { Gained { gain: gain.max(0.0), standard_error: error } } else { nothing }
        })
        .collect()
}

fn control<'a>(trained: &BTreeMap<&'a str, Vec<&TrialRecord>>) -> Option<&'a str> {
    let named = CONTROLS.iter().find_map(|name| trained.get_key_value(name).map(|(name, _)| *name));
    named.or_else(|| trained.iter().max_by_key(|(_, records)| records.len()).map(|(name, _)| *name))
}

fn ahead<'a>(
    own: Option<(&[f64], f64)>,
    control_draws: Option<&[f64]>,
    control: Option<&str>,
    name: &str,
    of: &dyn Fn(&str) -> (usize, &'a [Gained]),
) -> Option<Ahead> {
    let control = control.filter(|control| *control != name)?;
    let (own_draws, mean) = own?;
    let (trials, gained) = of(control);
    let theirs = gained.iter().fold(0.0, |total, gained| total + gained.gain) / trials.max(1) as f64;
    let differences: Vec<f64> = own_draws.iter().zip(control_draws?).map(|(own, other)| own - other).collect();
    let difference = mean - theirs;
    Some(Ahead {
        of: control.to_owned(),
        difference,
        interval: (quantile(&differences, 0.025).min(difference), quantile(&differences, 0.975).max(difference)),
    })
}

/// The interval of draws, which holds the mean itself. It begins at 0 where nothing was gained: a trial gains nothing at the
/// least, and what is not known is how much went unseen.
fn interval(draws: &[f64], mean: f64, nothing: bool) -> (f64, f64) {
    let low = if nothing { 0.0 } else { quantile(draws, 0.025) };
    (low.min(mean), quantile(draws, 0.975).max(mean))
}

/// A stream of its own for each name, so that who else has trials changes nobody's interval more than it must.
fn seed(name: &str) -> u64 {
    let hash = blake3::hash(name.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::research::event::Event;
    use crate::research::sample::{baseline, ended, judged};
    use crate::research::trial::Usage;

    fn trials(from: u32, who: &str, keeps: &[f64], count: u32) -> Vec<Event> {
        (0..count)
            .map(|index| {
                let gain = keeps.get(index as usize);
                let mut record =
                    judged(from + index, "loss", &[], (gain.is_some(), gain.copied().unwrap_or(-0.001), 1e-5));
                record.proposal.researcher = who.into();
                if let Some(judged) = &mut record.judgement {
                    judged.level = Some(0.0005);
                }
                ended(record)
            })
            .collect()
    }

    fn history(parts: &[Vec<Event>]) -> History {
        let mut events = vec![ended(baseline(0.01))];
        events.extend(parts.concat());
        History::from_events(&events)
    }

    fn of<'a>(found: &'a [Proposer], name: &str) -> &'a Proposer {
        found.iter().find(|proposer| proposer.researcher == name).expect(name)
    }

    #[test]
    fn gains_are_means_over_all_that_was_trained() {
        // So far beyond the threshold that selection takes nothing from the estimate: 0.006 is ten standard errors.
        let history = history(&[trials(1, "optimizer", &[0.006, 0.006], 20), trials(21, "random", &[], 10)]);
        let found = proposers(&history);
        let optimizer = of(&found, "optimizer");
        assert_eq!((optimizer.trials, optimizer.keeps), (20, 2));
        assert!((optimizer.gain_per_trial.expect("trials") - 0.0006).abs() < 1e-6, "{optimizer:?}");
        let (low, high) = optimizer.interval.expect("keeps");
        assert!(0.0 < low && low < 0.0006 && 0.0006 < high && high < 0.004, "{low} {high}");
        let random = of(&found, "random");
        assert_eq!((random.keeps, random.gain_per_trial), (0, Some(0.0)));
        assert!(random.gain_per_trial.is_some_and(f64::is_sign_positive), "-0 is no gain that anybody has seen");
        let (low, high) = random.interval.expect("others kept something");
        assert!(low == 0.0 && high > 0.0002, "ten trials without a keep prove little: {high}");
        assert!(random.ahead.is_none(), "it is the control");
        let ahead = optimizer.ahead.as_ref().expect("of the control");
        assert_eq!(ahead.of, "random");
        assert!((ahead.difference - 0.0006).abs() < 1e-6 && ahead.interval.0 < 0.0006 && ahead.interval.1 > 0.0006);
    }

    #[test]
    fn what_was_demoted_or_measured_elsewhere_does_not_count() {
        let mut elsewhere = judged(30, "loss", &[], (false, -0.001, 0.9));
        elsewhere.protocol_hash = "another".into();
        elsewhere.proposal.researcher = "openai".into();
        let history = history(&[trials(1, "optimizer", &[0.006], 5), vec![ended(elsewhere)]]);
        let found = proposers(&history);
        assert_eq!(found.iter().map(|it| it.researcher.as_str()).collect::<Vec<_>>(), ["optimizer"]);
        assert_eq!(found[0].keeps, 1);
    }

    #[test]
    fn dollars_count_whatever_came_of_them() {
        let usage = |cost_usd| Usage { input_tokens: 1000, output_tokens: 100, cost_usd, seconds: 1.0 };
        let mut own = trials(1, "openai", &[0.006], 6);
        let failed = Event::ResearcherFailed { researcher: "openai".into(), error: "cut".into(), usage: usage(0.5) };
        if let Event::TrialEnded { record } = &mut own[0] {
            record.proposal.usage = usage(1.5);
        }
        own.push(failed);
        let history = history(&[own, trials(20, "optimizer", &[], 6)]);
        let found = proposers(&history);
        let openai = of(&found, "openai");
        assert_eq!((openai.input_tokens, openai.output_tokens, openai.cost_usd), (2000, 200, 2.0));
        assert!((openai.gain_per_dollar.expect("it cost something") - 0.003).abs() < 1e-6);
        let (low, high) = openai.dollar_interval.expect("with an interval");
        assert!(low < 0.003 && 0.003 < high);
        let optimizer = of(&found, "optimizer");
        assert_eq!((optimizer.cost_usd, optimizer.gain_per_dollar), (0.0, None));
    }

    #[test]
    fn without_a_keep_there_is_no_interval_and_without_a_past_nobody() {
        let found = proposers(&history(&[trials(1, "optimizer", &[], 3)]));
        assert_eq!((found[0].gain_per_trial, found[0].interval), (Some(0.0), None));
        assert!(proposers(&History::default()).is_empty());
    }
}
