//! Records and events for tests.

use prepare::{EraScore, Evaluation, FoldScore, SeedScore, Summary};

use super::calibration::NoiseFloor;
use super::event::Event;
use super::remeasure::Remeasurement;
use super::trial::{
    Judgement, JudgementKind, KnobChange, Measurement, Proposal, RECORD_VERSION, Scores, SeedPayouts, TrialRecord,
    Usage, Verdict,
};

/// A trial against baseline 0 in the phase `explore`, measured and judged where its verdict says so, with a payout of
/// 0.010 and a difference of -0.0004. The number is in its title and its hash.
pub(crate) fn trial(number: u32, verdict: Verdict) -> TrialRecord {
    let measured = matches!(verdict, Verdict::Keep | Verdict::Discard);
    TrialRecord {
        version: RECORD_VERSION,
        trial: number,
        verdict,
        reason: format!("sample: {verdict}"),
        proposal: Proposal {
            title: format!("change {number}"),
            hypothesis: "it should help".into(),
            category: "architecture".into(),
            expected_effect: None,
            spec: format!("# spec of trial {number}\n"),
            researcher: "optimizer".into(),
            parents: Vec::new(),
            usage: Usage::default(),
        },
        phase: "explore".into(),
        phase_why: None,
        origin: None,
        spec_hash: (verdict != Verdict::Invalid).then(|| format!("{number:016x}")),
        protocol_hash: "1111111111111111".into(),
        data_hash: "2222222222222222".into(),
        incumbent: Some(0),
        changes: vec![change("network[0].dense.width", Some("64"), Some("128"))],
        measurement: measured.then(|| measurement(0.010)),
        judgement: measured.then(|| judgement(verdict == Verdict::Keep, -0.0004, 0.6)),
        wall_seconds: 12.3,
        started: "2026-03-01T22:00:00Z".into(),
        ended: "2026-03-01T22:00:12Z".into(),
    }
}

/// Trial 0, kept with nothing to beat.
pub(crate) fn baseline(payout: f64) -> TrialRecord {
    TrialRecord {
        incumbent: None,
        changes: Vec::new(),
        measurement: Some(measurement(payout)),
        judgement: None,
        reason: "the baseline".into(),
        proposal: Proposal { title: "baseline".into(), ..trial(0, Verdict::Keep).proposal },
        ..trial(0, Verdict::Keep)
    }
}

/// A trial of a category and with changes, and how it was judged.
pub(crate) fn judged(
    number: u32,
    category: &str,
    changes: &[KnobChange],
    (keep, delta, p_value): (bool, f64, f64),
) -> TrialRecord {
    let mut record = trial(number, if keep { Verdict::Keep } else { Verdict::Discard });
    record.proposal.category = category.into();
    record.changes = changes.to_vec();
    record.measurement = Some(measurement(0.010 + delta));
    record.judgement = Some(judgement(keep, delta, p_value));
    record
}

/// A discard that fell after the first of two folds of seed 42: of its payout there are the first four eras alone.
pub(crate) fn fallen(number: u32, payout: f64, delta: f64) -> TrialRecord {
    let mut record = judged(number, "loss", &[], (false, delta, 0.9));
    let mut found = measurement(payout);
    found.scores = Scores::default();
    found.evaluation.seeds.truncate(1);
    found.evaluation.folds.truncate(1);
    found.evaluation.eras.truncate(4);
    record.measurement = Some(found);
    if let Some(own) = &mut record.judgement {
        own.seeds = 0;
    }
    record
}

pub(crate) fn change(path: &str, from: Option<&str>, to: Option<&str>) -> KnobChange {
    KnobChange { path: path.into(), from: from.map(Into::into), to: to.map(Into::into) }
}

pub(crate) fn judgement(keep: bool, delta: f64, p_value: f64) -> Judgement {
    Judgement {
        keep,
        kind: if keep { JudgementKind::Better } else { JudgementKind::NotBetter },
        delta,
        standard_error: 0.0006,
        p_value,
        seeds: 3,
        folds: Some(2),
        level: Some(0.0005),
        bound: None,
        between_seeds: Some(0.0005),
        between_eras: Some(0.0003),
        degrees_of_freedom: Some(30.0),
        reason: "sample".into(),
    }
}

pub(crate) fn measurement(payout: f64) -> Measurement {
    let summary = Summary {
        mean: payout / 3.0,
        std: 0.02,
        sharpe: payout / 0.06,
        max_drawdown: 0.1,
        positive_share: 0.6,
        autocorrelation: 0.2,
    };
    let eras = (0..8).map(|index| EraScore { era: 1 + 4 * index, corr: payout / 3.0, bmc: payout / 3.0, payout });
    Measurement {
        evaluation: Evaluation {
            payout,
            corr: summary,
            bmc: summary,
            corr_with_benchmark: 0.4,
            seeds: [42, 17, 73].map(|seed| SeedScore { seed, payout, corr: payout / 3.0, bmc: payout / 3.0 }).to_vec(),
            folds: (0..2).map(|fold| FoldScore { fold, payout }).collect(),
            eras: eras.collect(),
        },
        scores: Scores {
            eras: (0..8).map(|index| 1 + 4 * index).collect(),
            seeds: [42, 17, 73].map(|seed| SeedPayouts { seed, payout: vec![payout; 8] }).to_vec(),
        },
        wall_seconds: 12.0,
        rows_per_second: 1e5,
        params: 12_000,
        device: "cpu, 2 threads".into(),
    }
}

pub(crate) fn ended(record: TrialRecord) -> Event {
    Event::TrialEnded { record: Box::new(record) }
}

pub(crate) fn entered(phase: &str) -> Event {
    Event::PhaseEntered { phase: phase.into(), why: "test".into() }
}

/// A re-measurement of a trial against baseline 0 on two fresh seeds, with a gain of its own; `back` is the incumbent again.
pub(crate) fn remeasured(trial: u32, gain: f64, back: Option<u32>) -> Remeasurement {
    Remeasurement {
        trial,
        after_trial: trial,
        seeds: vec![2001, 2002],
        selected: 0.014,
        fresh: 0.010 + gain,
        standard_error: 0.001,
        predecessor: Some(0),
        gain: Some(gain),
        gain_error: Some(0.0008),
        p_value: Some(if gain > 0.0 { 0.3 } else { 0.9 }),
        demoted_to: back,
        reason: "sample".into(),
        ended: format!("2026-03-02T07:30:0{}Z", if back.is_some() { 1 } else { 0 }),
    }
}

/// A calibration of trial 7, of protocol `p` and data `d`.
pub(crate) fn noise_floor() -> NoiseFloor {
    NoiseFloor {
        trial: 7,
        protocol_hash: "p".into(),
        data_hash: "d".into(),
        seeds: 24,
        payout: 0.01824,
        standard_error: 0.0031,
        between_seeds: 0.0048,
        between_folds: 0.0061,
        between_eras: 0.0253,
        between_cells: 0.0096,
        comparison_error: 0.0014,
        most_seeds: 24,
        incumbent_seeds: 48,
        level: 0.0005,
        power: 0.8,
        detectable: 0.0058,
        era_error: Some(0.0031),
        bootstrap_error: Some(0.0029),
        bootstrap_block: Some(2.34),
        series_eras: Some(30),
        ended: "2026-03-02T07:30:00.5Z".into(),
    }
}
