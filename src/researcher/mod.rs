//! Those who propose: several implementations over one ledger.
//!
//! A [`Researcher`] turns a [`Briefing`] into a [`Proposal`](crate::research::trial::Proposal) and, after a trial, into
//! a new learnings.md. It neither validates its own proposals (the loop does, and sends back what fails as a
//! [`Rejection`]) nor touches files: templates and the briefing's texts are given to it.

pub mod briefing;
pub mod categories;
pub mod command;
mod dialogue;
pub mod error;
pub mod meter;
pub mod openai;
pub mod optimizer;
pub mod prompt;
pub mod reply;
pub mod secret;
pub mod settings;
pub mod team;

pub use briefing::{Briefing, Rejection, Synthesis};
pub use command::Agent;
pub use error::{ErrorKind, ResearcherError};
pub use meter::Meter;
pub use openai::OpenAi;
pub use optimizer::Optimizer;
pub use prompt::templates::Templates;
pub use team::Team;

use self::settings::{Kind, ResearcherSettings};
use crate::research::trial::{Proposal, TrialRecord, Usage};

/// One of the researchers.
#[derive(Clone, Debug)]
pub enum Researcher {
    /// The embedded optimizer, or its control arm.
    Optimizer(Box<Optimizer>),
    /// An LLM behind an endpoint.
    OpenAi(Box<OpenAi>),
    /// A command line agent.
    Command(Box<Agent>),
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// How many candidates; at least 1. An answer may have fewer, and never more.
    pub count: usize,
    /// Earlier proposals of the same round that could not be taken, and why.
    pub rejected: &'a [Rejection],
}

impl Ask<'static> {
    /// One candidate, for the first time.
    pub const ONE: Self = Self { count: 1, rejected: &[] };
}

impl Researcher {
    /// The researcher of a kind. A key is read here, once.
    ///
    /// # Errors
    /// What is missing or wrong, before anything is started.
    pub fn new(kind: Kind, settings: &ResearcherSettings, templates: Templates) -> Result<Self, ResearcherError> {
        Ok(match kind {
            Kind::Openai => Self::OpenAi(Box::new(OpenAi::new(settings, templates)?)),
            Kind::Command => Self::Command(Box::new(Agent::new(settings, templates)?)),
            Kind::Random => Self::Optimizer(Box::new(Optimizer::random(&settings.optimizer))),
            _ => Self::Optimizer(Box::new(Optimizer::new(&settings.optimizer))),
        })
    }

    /// Whatever its calls cost from now on is on this meter as well.
    pub fn metered(mut self, meter: &Meter) -> Self {
        match &mut self {
            // It costs nothing.
            Self::Optimizer(_) => {}
            Self::OpenAi(openai) => openai.meter = meter.clone(),
            Self::Command(agent) => agent.meter = meter.clone(),
        }
        self
    }

    /// Its name, as it stands in commits and in the ledger.
    pub fn name(&self) -> &str {
        match self {
            Self::Optimizer(optimizer) => optimizer.name(),
            Self::OpenAi(_) => openai::NAME,
            Self::Command(_) => command::NAME,
        }
    }

    /// The next proposals: at least one, at most as many as were asked for.
    ///
    /// # Errors
    /// Why there is none, and what it cost all the same.
    pub async fn propose(&mut self, briefing: &Briefing<'_>, ask: &Ask<'_>) -> Result<Vec<Proposal>, ResearcherError> {
        match self {
            Self::Optimizer(optimizer) => optimizer.propose_several(briefing, ask),
            Self::OpenAi(openai) => dialogue::propose(openai.as_mut(), briefing, ask).await,
            Self::Command(agent) => dialogue::propose(agent.as_mut(), briefing, ask).await,
        }
    }

    /// A new learnings.md after a trial, people's notes included; None from a researcher that does not write. The caller
    /// checks it with `research::learnings::accept` before it replaces the old one.
    ///
    /// # Errors
    /// Why there is none, and what it cost all the same; the template's version serves then.
    pub async fn synthesize(
        &mut self,
        briefing: &Briefing<'_>,
        last: &TrialRecord,
    ) -> Result<Option<Synthesis>, ResearcherError> {
        match self {
            Self::Optimizer(_) => Ok(None),
            Self::OpenAi(openai) => dialogue::synthesize(openai.as_mut(), briefing, last).await.map(Some),
            Self::Command(agent) => dialogue::synthesize(agent.as_mut(), briefing, last).await.map(Some),
        }
    }

    /// Whether it can be reached, in words, for `doctor` and for a session's start: one small call, without retries.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub async fn check(&self) -> Result<(String, Usage), ResearcherError> {
        match self {
            Self::Optimizer(optimizer) => {
                let words = match optimizer.name() {
                    optimizer::NAME => "the embedded optimizer needs neither key nor network".into(),
                    other => format!("the embedded researcher `{other}` needs neither key nor network"),
                };
                Ok((words, Usage::default()))
            }
            Self::OpenAi(openai) => openai.check().await,
            Self::Command(agent) => agent.check().await,
        }
    }
}
