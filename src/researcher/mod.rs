//! Those who propose: several implementations over one ledger.
//!
//! A [`Researcher`] turns a [`Briefing`] into a [`Proposal`](crate::research::trial::Proposal) and, after a trial, into
//! a new learnings.md. It neither validates its own proposals (the loop does, and sends back what fails as a
//! [`Rejection`]) nor touches files: templates and the briefing's texts are given to it.

pub mod briefing;
pub mod categories;
pub mod error;
pub mod openai;
pub mod optimizer;
pub mod prompt;
pub mod reply;
pub mod settings;

pub use briefing::{Briefing, Rejection, Synthesis};
pub use error::{ErrorKind, ResearcherError};
pub use openai::OpenAi;
pub use optimizer::Optimizer;
pub use prompt::templates::Templates;

use self::settings::{Kind, ResearcherSettings};
use crate::research::trial::{Proposal, TrialRecord};

/// One of the researchers.
#[derive(Clone, Debug)]
pub enum Researcher {
    /// The embedded optimizer.
    Optimizer(Box<Optimizer>),
    /// An LLM behind an endpoint.
    OpenAi(Box<OpenAi>),
}

impl Researcher {
    /// The researcher that the settings name. A key is read from the environment here, once.
    ///
    /// # Errors
    /// What is missing or wrong, before anything is started.
    pub fn new(settings: &ResearcherSettings, templates: Templates) -> Result<Self, ResearcherError> {
        Ok(match settings.kind {
            Kind::Optimizer => Self::Optimizer(Box::new(Optimizer::new(&settings.optimizer))),
            Kind::Openai => Self::OpenAi(Box::new(OpenAi::new(&settings.openai, settings.repairs, templates)?)),
        })
    }

    /// Its name, as it stands in commits and in the ledger.
    pub fn name(&self) -> &str {
        match self {
            Self::Optimizer(_) => optimizer::NAME,
            Self::OpenAi(_) => openai::NAME,
        }
    }

    /// The next proposal. `rejected` are its earlier ones for the same trial that could not be taken, and why.
    ///
    /// # Errors
    /// Why there is none, and what it cost all the same.
    pub async fn propose(
        &mut self,
        briefing: &Briefing<'_>,
        rejected: &[Rejection],
    ) -> Result<Proposal, ResearcherError> {
        match self {
            Self::Optimizer(optimizer) => optimizer.propose(briefing, rejected),
            Self::OpenAi(openai) => openai.propose(briefing, rejected).await,
        }
    }

    /// A new learnings.md after a trial, people's notes included. The caller checks it with
    /// `research::learnings::accept` before it replaces the old one.
    ///
    /// # Errors
    /// Why there is none, and what it cost all the same; the template's version serves then.
    pub async fn synthesize(
        &mut self,
        briefing: &Briefing<'_>,
        last: &TrialRecord,
    ) -> Result<Synthesis, ResearcherError> {
        match self {
            Self::Optimizer(optimizer) => Ok(optimizer.synthesize(briefing)),
            Self::OpenAi(openai) => openai.synthesize(briefing, last).await,
        }
    }

    /// Whether it can be reached, in words, for `doctor`.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub async fn check(&self) -> Result<String, ResearcherError> {
        match self {
            Self::Optimizer(_) => Ok("the embedded optimizer needs neither key nor network".into()),
            Self::OpenAi(openai) => openai.check().await,
        }
    }
}
