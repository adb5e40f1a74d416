//! A stand-in for a language model: sensible edits, and noisy ones.
//!
//! It has a list of what anybody would try first (rates, decay, dropout, widths, depth, GELU, norms, schedules, members,
//! pure correlation), goes on in a direction that was kept, half of the time leaves an idea alone that lost, and else
//! repeats itself; one edit in ten is a wild value. It knows nothing of the landscape and nothing of the noise: it stands
//! for a model that proposes as people do, not for any model.

use autoresearch::research::trial::{Proposal, Usage, Verdict};
use autoresearch::researcher::Briefing;
use autoresearch::spec::knobs::{knobs, with};
use autoresearch::spec::{Spec, Value, knobs};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The stand-in.
pub(crate) struct Scripted {
    rng: ChaCha8Rng,
}

/// What it tries: the end of a knob's path, and what to do with it.
const IDEAS: [(&str, Turn); 24] = [
    ("lr", Turn::Times(2.0)),
    ("lr", Turn::Times(0.5)),
    ("weight_decay", Turn::To(1e-4)),
    ("weight_decay", Turn::Times(3.0)),
    ("dropout", Turn::To(0.1)),
    ("dropout", Turn::To(0.2)),
    ("dropout", Turn::Plus(0.1)),
    ("width", Turn::Times(2.0)),
    ("width", Turn::Times(0.5)),
    ("activation", Turn::Word("gelu")),
    ("activation", Turn::Word("silu")),
    ("activation", Turn::Word("tanh")),
    ("norm", Turn::Word("batch")),
    ("norm", Turn::Word("layer")),
    ("epochs", Turn::Times(2.0)),
    ("batch_rows", Turn::Times(2.0)),
    ("batch_rows", Turn::Times(0.5)),
    ("members", Turn::To(3.0)),
    ("schedule", Turn::Word("cosine")),
    ("schedule", Turn::Word("one_cycle")),
    ("within", Turn::Word("era")),
    ("ema", Turn::On),
    ("clip_norm", Turn::To(1.0)),
    ("network", Turn::Deeper),
];

#[derive(Clone, Copy, Debug)]
enum Turn {
    Times(f64),
    Plus(f64),
    To(f64),
    Word(&'static str),
    On,
    Deeper,
}

impl Scripted {
    /// The same seed gives the same edits.
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed ^ 0x5c21) }
    }

    /// An edit that is valid and new; None where a few tries brought none.
    pub(crate) fn propose(&mut self, briefing: &Briefing<'_>) -> Option<Proposal> {
        for _ in 0..20 {
            let (knob, turn) = self.idea(briefing);
            let title = format!("{knob}: {turn:?}");
            let lost = briefing
                .history
                .records()
                .any(|record| record.verdict == Verdict::Discard && record.proposal.title == title);
            if lost && self.rng.random::<bool>() {
                continue;
            }
            let Some(spec) = self.turned(briefing.incumbent, knob, turn) else { continue };
            if spec.check_data(briefing.facts).is_err() || briefing.history.find_spec(&spec.hash()).is_some() {
                continue;
            }
            return Some(Proposal {
                title,
                hypothesis: "It often helps.".into(),
                category: "other".into(),
                expected_effect: None,
                spec: spec.to_yaml(),
                researcher: "scripted".into(),
                parents: Vec::new(),
                usage: Usage::default(),
            });
        }
        None
    }

    /// The idea that was last kept, once in three; else any.
    fn idea(&mut self, briefing: &Briefing<'_>) -> (&'static str, Turn) {
        let kept = briefing.incumbent_record.map_or("", |record| record.proposal.title.as_str());
        let again = IDEAS.iter().find(|(knob, turn)| format!("{knob}: {turn:?}") == kept);
        match again {
            Some(idea) if self.rng.random_range(0..3) == 0 => *idea,
            _ => IDEAS[self.rng.random_range(0..IDEAS.len())],
        }
    }

    /// The knob turned wherever it is.
    fn turned(&mut self, spec: &Spec, knob: &str, turn: Turn) -> Option<Spec> {
        if matches!(turn, Turn::Deeper) {
            let network = spec.canonical().get("network")?.clone();
            let Value::List(blocks) = network else { return None };
            return knobs::insert(spec, "network", blocks.len(), blocks.last()?.clone()).ok();
        }
        // One edit in ten is far off.
        let wild = if self.rng.random_range(0..10) == 0 { 8.0 } else { 1.0 };
        let mut made = spec.clone();
        let places = knobs(spec).into_iter().filter(|known| known.path.rsplit('.').next() == Some(knob));
        for place in places {
            let number = |to: f64| match place.value {
                Value::Int(_) => Value::Int(to.round() as i64),
                _ => Value::Float((to * 1e6).round() / 1e6),
            };
            let value = match (turn, place.value.number()) {
                (Turn::Times(by), Some(from)) if by > 1.0 => number(from * by * wild),
                (Turn::Times(by), Some(from)) => number(from * by / wild),
                (Turn::Plus(by), Some(from)) => number(from + by),
                (Turn::To(to), _) => number(to),
                (Turn::Word(word), _) => Value::Text(word.into()),
                (Turn::On, _) => Value::Bool(true),
                _ => return None,
            };
            made = with(&made, &place.path, value).ok()?;
        }
        (made.hash() != spec.hash()).then_some(made)
    }
}
