//! Nights of trials on a landscape: the program's own proposers, history, phases and gate; only the training is replaced,
//! by draws around the landscape's truth.

use autoresearch::research::event::Event;
use autoresearch::research::evidence::evidence;
use autoresearch::research::gate::level::level;
use autoresearch::research::gate::settings::{Claim, GateSettings};
use autoresearch::research::gate::{Design, Ground, KnownEras, Race, Ruling, Step};
use autoresearch::research::history::History;
use autoresearch::research::near_miss::near_misses;
use autoresearch::research::phases::{PhaseMove, breadth_now, next_phase};
use autoresearch::research::rules::Rules;
use autoresearch::research::settings::{Breadth, PhaseSettings, WhenConverged};
use autoresearch::research::trial::{
    KnobChange, Measurement, Proposal, RECORD_VERSION, Scores, SeedPayouts, TrialRecord, Usage, Verdict,
};
use autoresearch::researcher::settings::OptimizerSettings;
use autoresearch::researcher::{Briefing, Optimizer};
use autoresearch::spec::cost::Budget;
use autoresearch::spec::{DataFacts, FoldFacts, Spec, diff};
use prepare::{Evaluation, Summary};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::landscapes::Landscape;
use super::scripted::Scripted;

/// Who proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arm {
    /// The optimizer.
    Optimizer,
    /// Random edits of the very same kinds.
    Random,
    /// By a coin, the optimizer or the scripted stand-in for a model.
    Mix,
    /// The stand-in alone.
    Scripted,
}

impl Arm {
    /// Its name in the tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Optimizer => "optimizer",
            Self::Random => "random",
            Self::Mix => "mix",
            Self::Scripted => "scripted",
        }
    }
}

/// Folds, and retained eras of each.
const FOLDS: usize = 2;
const ERAS: usize = 20;
/// Standard deviation of a seed's mean payout over all folds.
const SEEDS: f64 = 0.0012;
/// Standard deviation of a payout in one era beyond that.
const REST: f64 = 0.004;
/// Seeds that every trial is measured under at least, the incumbent from the start, and anything at most.
const REQUIRED: usize = 3;
const INCUMBENT: usize = 12;
const MOST: u64 = 12;
/// Weeks that a target of sixty days spans.
const OVERLAP: u32 = 12;

/// The first phases that the program ships, as far as a night of sixty trials comes.
fn phases() -> Vec<PhaseSettings> {
    [("explore", Breadth::Focused), ("combine", Breadth::Combined), ("diverge", Breadth::Wide)]
        .map(|(name, breadth)| PhaseSettings { trials: Some(25), ..PhaseSettings::new(name, breadth) })
        .to_vec()
}

fn facts() -> DataFacts {
    let set = |index: usize| (index * 20..(index + 1) * 20).collect();
    DataFacts {
        feature_sets: ["alpha", "beta", "gamma"]
            .into_iter()
            .enumerate()
            .map(|(at, name)| (name.into(), set(at)))
            .collect(),
        features: 60,
        targets: ["one_20", "two_20", "one_60", "two_60"].map(String::from).to_vec(),
        rows: 36_000,
        eras: 120,
        folds: vec![FoldFacts { train_eras: 60, learned_eras: 47 }; FOLDS],
        seeds: REQUIRED,
    }
}

/// The true payout of the incumbent after each trial of a night.
pub(crate) fn night(landscape: &Landscape, arm: Arm, seed: u64, trials: u32) -> Vec<f64> {
    let mut night = Night::new(landscape, seed);
    // Arms with the same seed have the same luck of cells only as long as they propose the same; the pairing is by the
    // seeds of their generators and the baseline's measurement.
    let settings = OptimizerSettings { seed };
    let mut optimizer = if arm == Arm::Random { Optimizer::random(&settings) } else { Optimizer::new(&settings) };
    let mut scripted = Scripted::new(seed);
    let mut coin = ChaCha8Rng::seed_from_u64(seed ^ 0xc011);
    let mut path = Vec::with_capacity(trials as usize);
    for _ in 0..trials {
        night.enter_phase();
        let by_script = match arm {
            Arm::Optimizer | Arm::Random => false,
            Arm::Mix => coin.random::<bool>(),
            Arm::Scripted => true,
        };
        let proposed = night.brief(|briefing| {
            if by_script && let Some(proposal) = scripted.propose(briefing) {
                return proposal;
            }
            optimizer.propose(briefing, &[]).expect("there is always something new on a landscape")
        });
        night.trial(proposed);
        path.push((landscape.truth)(&night.incumbent));
    }
    path
}

/// A night so far.
struct Night<'a> {
    landscape: &'a Landscape,
    facts: DataFacts,
    budget: Budget,
    gate: GateSettings,
    phases: Vec<PhaseSettings>,
    history: History,
    incumbent: Spec,
    scores: Scores,
    eras: KnownEras,
    luck: ChaCha8Rng,
    tests: usize,
    keeps: Vec<usize>,
    next_seed: u64,
}

impl<'a> Night<'a> {
    fn new(landscape: &'a Landscape, seed: u64) -> Self {
        let incumbent = Spec::parse(landscape.baseline, "baseline").expect("a landscape's baseline is a spec");
        let mut night = Self {
            landscape,
            facts: facts(),
            budget: Budget {
                params: 20_000_000,
                replica_bytes: 1 << 32,
                at_once: 2,
                flops: 1e18,
                seconds: f64::INFINITY,
                rates: None,
            },
            gate: GateSettings::default(),
            phases: phases(),
            history: History::default(),
            incumbent,
            scores: Scores::default(),
            eras: KnownEras::new(OVERLAP),
            luck: ChaCha8Rng::seed_from_u64(seed),
            tests: 0,
            keeps: Vec::new(),
            next_seed: 1_000,
        };
        night.scores = night.measured(INCUMBENT);
        let proposal = Proposal {
            title: "baseline".into(),
            hypothesis: String::new(),
            category: String::new(),
            expected_effect: None,
            spec: landscape.baseline.into(),
            researcher: "person".into(),
            parents: Vec::new(),
            usage: Usage::default(),
        };
        let record = night.record(proposal, Verdict::Keep, None);
        night.history.apply(&Event::TrialEnded { record: Box::new(record) });
        night
    }

    fn enter_phase(&mut self) {
        let to = next_phase(&self.history, &self.phases, 15, WhenConverged::Continue);
        if let PhaseMove::Enter { phase, why } = to {
            self.history.apply(&Event::PhaseEntered { phase, why });
        }
    }

    fn brief<T>(&self, call: impl FnOnce(&Briefing<'_>) -> T) -> T {
        let misses = near_misses(&self.history, 6);
        let evidence = evidence(&self.history);
        let rules = Rules::default();
        let phase = self.phases.iter().find(|phase| self.history.phase() == Some(&phase.name)).expect("it was entered");
        let (breadth, widened) = breadth_now(&self.history, phase);
        call(&Briefing {
            program: "",
            learnings: "",
            incumbent: &self.incumbent,
            incumbent_record: self.history.incumbent(),
            history: &self.history,
            phase,
            breadth,
            widened: widened.as_deref(),
            plateau: None,
            near_misses: &misses,
            pending: &[],
            view: None,
            rules: &rules,
            rules_text: "",
            evidence: &evidence,
            facts: &self.facts,
            protocol_summary: "",
            min_effect: 0.0005,
            level: 0.0005,
            hints: &[],
            trials_left: None,
            seconds_left: None,
            tokens_left: None,
            usd_left: None,
            budget: &self.budget,
        })
    }

    /// One trial through the gate.
    fn trial(&mut self, proposal: Proposal) {
        let spec = Spec::parse(&proposal.spec, "proposal").expect("proposals are valid");
        let truth = (self.landscape.truth)(&spec);
        let ruling = self.race(truth);
        let judgement = ruling.judgement();
        let verdict = if judgement.keep { Verdict::Keep } else { Verdict::Discard };
        let mut record = self.record(proposal, verdict, Some(&spec));
        record.judgement = Some(judgement);
        self.tests += 1;
        if verdict == Verdict::Keep {
            self.keeps.push(self.tests);
            self.incumbent = spec;
            self.scores = self.measured(INCUMBENT);
        }
        self.history.apply(&Event::TrialEnded { record: Box::new(record) });
    }

    fn race(&mut self, truth: f64) -> Ruling {
        let folds = folds();
        let design = Design {
            folds: folds.clone(),
            order: (0..FOLDS).collect(),
            seeds: (0..MOST).collect(),
            required: REQUIRED,
            cells_at_once: FOLDS,
            incumbent_seeds: INCUMBENT,
            level: level(&self.gate, self.tests, &self.keeps).expect("a level"),
            min_effect: 0.0005,
            futility: self.gate.futility,
            simplify: None,
        };
        let mut race = Race::new(design).expect("a design that makes sense");
        loop {
            let ground = Ground { folds: &folds, eras: &self.eras, prior: None, claim: Claim::NewEras };
            match race.step(&self.scores, &ground).expect("scores that can be compared") {
                Step::Done(ruling) => return *ruling,
                Step::Incumbent(wanted) => {
                    let further = self.measured(wanted - self.scores.seeds.len());
                    self.scores.seeds.extend(further.seeds);
                }
                Step::Train(cells) => {
                    for (fold, seed) in cells {
                        let payout = self.cell(truth);
                        race.add(fold, seed, payout).expect("it was asked for");
                    }
                }
            }
        }
    }

    /// Further seeds of the incumbent.
    fn measured(&mut self, seeds: usize) -> Scores {
        let truth = (self.landscape.truth)(&self.incumbent);
        let seeds = (0..seeds)
            .map(|_| {
                self.next_seed += 1;
                let payout = (0..FOLDS).flat_map(|_| self.cell(truth)).collect();
                SeedPayouts { seed: self.next_seed, payout }
            })
            .collect();
        Scores { eras: folds().concat(), seeds }
    }

    /// The payouts of a fold's eras under one seed.
    fn cell(&mut self, truth: f64) -> Vec<f64> {
        // A seed's mean over F folds has the F-th part of the variance of a cell's.
        let run = SEEDS * (FOLDS as f64).sqrt() * normal(&mut self.luck);
        (0..ERAS).map(|_| truth + run + REST * normal(&mut self.luck)).collect()
    }

    fn record(&self, proposal: Proposal, verdict: Verdict, spec: Option<&Spec>) -> TrialRecord {
        let changes = spec.map(|spec| diff::changes(&self.incumbent, spec)).unwrap_or_default();
        let hash = spec.unwrap_or(&self.incumbent).hash();
        TrialRecord {
            version: RECORD_VERSION,
            trial: self.history.next_trial(),
            verdict,
            reason: String::new(),
            proposal,
            phase: self.history.phase().unwrap_or_default().to_owned(),
            phase_why: None,
            origin: None,
            spec_hash: Some(hash),
            protocol_hash: "1".into(),
            data_hash: "2".into(),
            incumbent: self.history.incumbent().map(|incumbent| incumbent.trial),
            changes: changes.into_iter().map(KnobChange::from).collect(),
            measurement: Some(measurement()),
            judgement: None,
            wall_seconds: 1.0,
            started: String::new(),
            ended: String::new(),
        }
    }
}

/// Era numbers of each fold, every fourth week.
fn folds() -> Vec<Vec<u32>> {
    let era = |index: usize| 1 + 4 * index as u32;
    (0..FOLDS).map(|fold| (fold * ERAS..(fold + 1) * ERAS).map(era).collect()).collect()
}

/// A measurement that nobody reads: proposers learn from judgements.
fn measurement() -> Measurement {
    let none =
        Summary { mean: 0.0, std: 0.0, sharpe: 0.0, max_drawdown: 0.0, positive_share: 0.0, autocorrelation: 0.0 };
    Measurement {
        evaluation: Evaluation {
            payout: 0.0,
            corr: none,
            bmc: none,
            corr_with_benchmark: 0.0,
            seeds: Vec::new(),
            folds: Vec::new(),
            eras: Vec::new(),
        },
        scores: Scores::default(),
        wall_seconds: 1.0,
        rows_per_second: 1.0,
        params: 1,
        device: "a landscape".into(),
    }
}

/// Standard normal (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}
