//! The ranges of the configuration's values. Pure: a configuration in, its first mistake out.

use std::collections::BTreeSet;

use super::{Config, Device, Precision};
use crate::researcher::secret::looks_like_a_key;
use crate::researcher::settings::CommandSettings;
use crate::researcher::settings::Kind;

mod gate;

/// One value that is out of its range.
pub(super) struct Mistake {
    /// Where: `gate.alpha`, `phases[2].name`.
    pub(super) path: String,
    /// What was found and what is allowed.
    pub(super) message: String,
}

/// The first mistake, in the order of the file that `init` writes.
pub(super) fn first_mistake(config: &Config) -> Option<Mistake> {
    let mut check = Check(None);
    check.that(config.version == 1, "version", || format!("found {}; this program reads version 1", config.version));
    researcher(config, &mut check);
    gate::check(&config.gate, &mut check);
    phases(config, &mut check);
    check.range("plateau", u64::from(config.plateau), 1, 10_000);
    budget(config, &mut check);
    check.range("holdout.budget", u64::from(config.holdout.budget), 0, 10_000);
    if let Some(threads) = config.threads {
        check.range("threads", threads as u64, 1, 4_096);
    }
    if let Some(most) = config.side_by_side {
        check.range("side_by_side", most as u64, 1, 4_096);
    }
    let coarser = config.precision.is_some_and(|asked| asked != Precision::Fp32);
    check.that(config.device != Device::Cpu || !coarser, "precision", || {
        "with device: cpu only fp32 (or null) is there; tf32 and bf16 are for a GPU".into()
    });
    if let Some(mb) = config.gpu_memory_mb {
        check.range("gpu_memory_mb", mb, 64, 1 << 24);
    }
    if let Some(tag) = &config.tag {
        check.that(is_tag(tag), "tag", || {
            format!("`{}` does not make a branch name; allowed are up to 60 letters, digits, `-`, `_` and `.`, beginning with a letter or digit", shown(tag))
        });
    }
    check.0
}

/// Whether git takes `autoresearch/TAG` for a branch, and a person would.
pub(in crate::lab) fn is_tag(tag: &str) -> bool {
    !tag.is_empty()
        && tag.len() <= 60
        && tag.starts_with(|first: char| first.is_ascii_alphanumeric())
        && tag.chars().all(|each| each.is_ascii_alphanumeric() || matches!(each, '-' | '_' | '.'))
        && git2::Reference::is_valid_name(&format!("refs/heads/autoresearch/{tag}"))
}

fn researcher(config: &Config, check: &mut Check) {
    let settings = &config.researcher;
    let openai = &settings.openai;
    check.range("researcher.repairs", u64::from(settings.repairs), 0, 20);
    check.range("researcher.learnings_every", u64::from(settings.learnings_every), 0, 10_000);
    check.that(is_endpoint(&openai.base_url), "researcher.openai.base_url", || {
        "must be `http://HOST…` or `https://HOST…`, without spaces, user name or password".into()
    });
    check.that(!openai.model.trim().is_empty() && openai.model.len() <= 200, "researcher.openai.model", || {
        "must be the name of a model".into()
    });
    // What stands here by mistake may be the key itself, so it is not repeated.
    check.that(is_variable(&openai.key_variable), "researcher.openai.key_variable", || {
        "must be the name of an environment variable (capital letters, digits and `_`, as in OPENAI_API_KEY); the key itself never belongs into a file of the lab"
            .into()
    });
    if let Some(file) = &openai.key_file {
        check.that(file.is_absolute() || file.starts_with("~"), "researcher.openai.key_file", || {
            "must be an absolute path, or one that begins with `~/`, of a file outside the lab that holds the key"
                .into()
        });
    }
    if let Some(temperature) = openai.temperature {
        check.between("researcher.openai.temperature", temperature, 0.0, 2.0);
    }
    check.range("researcher.openai.max_output_tokens", u64::from(openai.max_output_tokens), 256, 1_000_000);
    check.range("researcher.openai.max_prompt_tokens", u64::from(openai.max_prompt_tokens), 2_000, 2_000_000);
    check.range("researcher.openai.timeout_seconds", openai.timeout_seconds, 1, 3_600);
    check.range("researcher.openai.retries", u64::from(openai.retries), 0, 20);
    command(&settings.command, check);
    let shares = &settings.mix.shares;
    for (kind, share) in shares {
        check.between(&format!("researcher.mix.shares.{}", kind.name()), *share, 0.0, 1e6);
    }
    check.that(
        !shares.contains_key(&Kind::Mix) && shares.values().any(|share| *share > 0.0),
        "researcher.mix.shares",
        || "must give at least one of optimizer, openai, command, random a share above 0; a mix holds no mix".into(),
    );
    check.that(!settings.ladder.contains(&Kind::Mix), "researcher.ladder", || {
        "must name optimizer, openai, command or random; a mix stands in for nobody".into()
    });
    if config.budget.session_usd.is_some() {
        let takes_part = |wanted: Kind| match settings.kind {
            Kind::Mix => shares.get(&wanted).is_some_and(|share| *share > 0.0),
            kind => kind == wanted,
        } || settings.ladder.contains(&wanted);
        let models = [(Kind::Openai, Some(&openai.model)), (Kind::Command, settings.command.model.as_ref())];
        for (kind, model) in models.into_iter().filter(|(kind, _)| takes_part(*kind)) {
            check.that(model.is_some_and(|model| settings.prices.contains_key(model)), "budget.session_usd", || {
                format!(
                    "needs the price of the model of `{}` in researcher.prices, or nothing is ever spent",
                    kind.name()
                )
            });
        }
    }
    check.range("researcher.rest_seconds", settings.rest_seconds, 1, 3_600);
    check.range("researcher.patience_seconds", settings.patience_seconds, 1, 86_400);
    for (model, price) in &settings.prices {
        check.between(&format!("researcher.prices.{model}.input"), price.input, 0.0, 1e6);
        check.between(&format!("researcher.prices.{model}.output"), price.output, 0.0, 1e6);
    }
}

fn command(settings: &CommandSettings, check: &mut Check) {
    for (index, word) in settings.run.iter().enumerate() {
        let path = format!("researcher.command.run[{index}]");
        check.that(index > 0 || !word.trim().is_empty(), &path, || "must name a program".into());
        check.that(word.len() <= 4_000 && !word.contains('\0'), &path, || {
            format!("has {} bytes; an argument has at most 4000, and no NUL", word.len())
        });
        // Not repeated: it would stand in a log.
        check.that(!looks_like_a_key(word), &path, || {
            "looks like a key, and this file is committed; put it into a variable, and name that in researcher.command.environment"
                .into()
        });
    }
    if let Some(program) = settings.run.first() {
        let fine = !program.contains('/') || program.starts_with('/') || program.starts_with("~/");
        check.that(fine, "researcher.command.run[0]", || {
            format!("found `{}`; must be a name on PATH, or an absolute path", shown(program))
        });
    }
    for (index, name) in settings.environment.iter().enumerate() {
        let proxy = name.ends_with("_proxy") && name.len() <= 20;
        check.that(is_variable(name) || proxy, &format!("researcher.command.environment[{index}]"), || {
            "must be the name of an environment variable (capital letters, digits and `_`), without its value".into()
        });
    }
    check.range("researcher.command.timeout_seconds", settings.timeout_seconds, 1, 14_400);
    check.range("researcher.command.max_prompt_tokens", u64::from(settings.max_prompt_tokens), 2_000, 2_000_000);
    if let Some(model) = &settings.model {
        check.that(!model.trim().is_empty() && model.len() <= 200, "researcher.command.model", || {
            "must be the name of a model".into()
        });
    }
}

fn phases(config: &Config, check: &mut Check) {
    check.that(!config.phases.is_empty(), "phases", || "is empty; the search needs at least one phase".into());
    check.that(config.phases.len() <= 100, "phases", || format!("has {} phases; at most 100", config.phases.len()));
    let mut names = BTreeSet::new();
    for (index, phase) in config.phases.iter().enumerate() {
        let path = format!("phases[{index}]");
        check.that(is_word(&phase.name), &format!("{path}.name"), || {
            format!("found `{}`; must be a word of up to 40 small letters, digits, `-` and `_`", shown(&phase.name))
        });
        check.that(names.insert(&phase.name), &format!("{path}.name"), || {
            format!("`{}` is the name of an earlier phase", shown(&phase.name))
        });
        check.that(!phase.brief.trim().is_empty() && phase.brief.len() <= 4_000, &format!("{path}.brief"), || {
            format!("has {} bytes; must have 1 to 4000", phase.brief.trim().len())
        });
        check.that(phase.categories.len() <= 50, &format!("{path}.categories"), || "at most 50".into());
        for (at, category) in phase.categories.iter().enumerate() {
            check.that(is_word(category), &format!("{path}.categories[{at}]"), || {
                format!("found `{}`; must be a word such as `optimizer`", shown(category))
            });
        }
        if let Some(trials) = phase.trials {
            check.range(&format!("{path}.trials"), u64::from(trials), 1, 1_000_000);
        }
        if let Some(plateau) = phase.plateau {
            check.range(&format!("{path}.plateau"), u64::from(plateau), 1, 10_000);
        }
        check.range(&format!("{path}.candidates"), u64::from(phase.candidates), 1, 16);
        if let Some(share) = phase.combinations {
            check.between(&format!("{path}.combinations"), share, 0.0, 1.0);
        }
    }
}

fn budget(config: &Config, check: &mut Check) {
    let budget = &config.budget;
    check.range("budget.trial_seconds", budget.trial_seconds, 1, 604_800);
    if let Some(memory) = budget.memory_mb {
        check.range("budget.memory_mb", memory, 256, 16 * 1024 * 1024);
    }
    check.range("budget.parameters", budget.parameters, 1, 10_000_000_000);
    if let Some(flops) = budget.flops {
        check.between("budget.flops", flops, 1.0, 1e24);
    }
    if let Some(tokens) = budget.session_tokens {
        check.range("budget.session_tokens", tokens, 1, u64::MAX);
    }
    if let Some(usd) = budget.session_usd {
        check.between("budget.session_usd", usd, 1e-6, 1e9);
    }
    if let Some(trials) = budget.session_trials {
        check.range("budget.session_trials", u64::from(trials), 1, 1_000_000);
    }
    if let Some(hours) = budget.session_hours {
        check.that(hours > 0.0 && hours <= 8_784.0, "budget.session_hours", || {
            format!("found {hours}; must be above 0 and at most 8784")
        });
    }
}

/// Keeps the first mistake.
pub(super) struct Check(Option<Mistake>);

impl Check {
    fn that(&mut self, holds: bool, path: &str, message: impl FnOnce() -> String) {
        if !holds && self.0.is_none() {
            self.0 = Some(Mistake { path: path.to_owned(), message: message() });
        }
    }

    fn range(&mut self, path: &str, found: u64, least: u64, most: u64) {
        self.that((least..=most).contains(&found), path, || format!("found {found}; must be {least} to {most}"));
    }

    fn between(&mut self, path: &str, found: f64, least: f64, most: f64) {
        self.that((least..=most).contains(&found), path, || format!("found {found}; must be {least} to {most}"));
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 40
        && text.chars().all(|each| each.is_ascii_lowercase() || each.is_ascii_digit() || matches!(each, '-' | '_'))
}

fn is_variable(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text.chars().all(|each| each.is_ascii_uppercase() || each.is_ascii_digit() || each == '_')
}

fn is_endpoint(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split('/').next().unwrap_or_default();
        !host.is_empty() && !rest.contains(char::is_whitespace) && !host.contains('@')
    })
}

/// A person's text for a message: one line, not too long.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(60).map(|each| if each.is_control() { '�' } else { each }).collect()
}
