//! The baseline: model.yaml as it stands, under every seed of the protocol, judged by nothing.

use jiff::Timestamp;

use super::check::knob_changes;
use super::session::{Flow, Session};
use super::train::Training;
use crate::error::Result;
use crate::research::trial::{Proposal, RECORD_VERSION, TrialRecord, Usage, Verdict};
use crate::spec::Spec;

impl Session<'_> {
    /// Measures a baseline: every seed, no gate.
    pub(super) async fn measure_baseline(&mut self, spec: Spec, hash: String, why: &str) -> Result<Flow<TrialRecord>> {
        let begun = self.begin("baseline", &hash, vec![why.to_owned()])?;
        let mut training = Training::new(spec.clone(), false);
        let seeds = self.protocol.seeds.clone();
        let trained = match self.train_seeds(&mut training, &seeds).await? {
            Flow::End(reason) => return Ok(Flow::End(reason)),
            Flow::On(trained) => trained,
        };
        let (verdict, reason, measurement) = match trained {
            Ok(()) => (
                Verdict::Keep,
                format!("the baseline: every later trial is compared with it or its successors ({why})"),
                Some(self.measurement(&training)?),
            ),
            Err((verdict, reason)) => (verdict, reason, None),
        };
        let earlier = self.history.incumbent().map(|record| record.proposal.spec.clone());
        let changes = match earlier.map(|text| Spec::parse(&text, "earlier incumbent")) {
            Some(Ok(earlier)) => knob_changes(&earlier, &spec),
            _ => Vec::new(),
        };
        Ok(Flow::On(TrialRecord {
            version: RECORD_VERSION,
            trial: begun.trial,
            verdict,
            reason,
            proposal: Proposal {
                title: "baseline".into(),
                hypothesis: "model.yaml as it stands is what every proposal has to beat.".into(),
                category: "baseline".into(),
                expected_effect: None,
                spec: self.model_text()?,
                researcher: "human".into(),
                parents: Vec::new(),
                usage: Usage::default(),
            },
            phase: self.history.phase().unwrap_or("baseline").to_owned(),
            phase_why: self.history.phase_why().map(str::to_owned),
            origin: None,
            spec_hash: Some(hash),
            protocol_hash: self.protocol.hash(),
            data_hash: self.data_hash.clone(),
            incumbent: None,
            changes,
            measurement,
            judgement: None,
            wall_seconds: begun.clock.elapsed().as_secs_f64(),
            started: begun.started.to_string(),
            ended: Timestamp::now().to_string(),
        }))
    }

    /// model.yaml, byte for byte: the baseline's commit leaves it as it is.
    fn model_text(&self) -> Result<String> {
        let path = self.lab.model();
        Ok(std::fs::read_to_string(&path).map_err(|error| crate::lab::LabError::io("read it", &path, error))?)
    }
}
