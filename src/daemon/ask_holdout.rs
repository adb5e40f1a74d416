//! Asking the holdout about a keep while a session runs, where the configuration says so. The session learns that it was
//! asked, and nothing of the answer.

use super::holdout::{Question, score};
use super::propose::over;
use super::session::Session;
use crate::error::Result;

impl Session<'_> {
    /// Has a keep scored. A budget that is used up, and a training that fails, are said and left alone.
    pub(super) async fn ask_holdout(&mut self, trial: u32) -> Result<()> {
        let Some(record) = self.history.trial(trial).cloned() else { return Ok(()) };
        let (lab, protocol, config) = (self.lab.clone(), self.protocol.clone(), self.config.clone());
        let asked = Question::new(&lab, (&protocol, &self.data_hash), &config, &record, self.ledger.events());
        let question = match asked.and_then(|question| question.next_query().map(|_| question)) {
            Ok(question) => question,
            Err(error) => {
                self.warn(format!("trial {trial:06} was not scored on the holdout: {error}"));
                return Ok(());
            }
        };
        self.live.live.doing = format!("asking the holdout about trial {trial:06}");
        self.live.write();
        let mut worker = self.worker().await?;
        let notify = &mut self.notify;
        let answered = tokio::select! {
            answered = score(&mut worker, &question, |_| notify.progress()) => answered,
            _ = over(&mut self.stop, self.limits.until) => {
                worker.kill().await;
                return Ok(());
            }
        };
        match answered {
            Ok(event) => {
                self.worker = Some(worker);
                event.map_or(Ok(()), |event| self.record(event))
            }
            Err(error) => {
                worker.kill().await;
                self.warn(format!("trial {trial:06} was not scored on the holdout: {error}"));
                Ok(())
            }
        }
    }
}
