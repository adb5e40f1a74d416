//! The prompt templates: embedded, and each overridable by a file of the same name in the lab's `prompts/`.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value};

use crate::researcher::error::ErrorKind;

/// Who the model is, the language of specs, the form of the answer.
pub const SYSTEM: &str = "system.md.j2";
/// The state of the search, and the request for one proposal.
pub const PROPOSE: &str = "propose.md.j2";
/// A proposal that could not be taken, and why.
pub const REPAIR: &str = "repair.md.j2";
/// The request for a new learnings.md.
pub const SYNTHESIZE: &str = "synthesize.md.j2";

/// The embedded templates by file name; `init` and people copy them from here into `prompts/`.
pub const EMBEDDED: [(&str, &str); 4] = [
    (SYSTEM, include_str!("../templates/system.md.j2")),
    (PROPOSE, include_str!("../templates/propose.md.j2")),
    (REPAIR, include_str!("../templates/repair.md.j2")),
    (SYNTHESIZE, include_str!("../templates/synthesize.md.j2")),
];

/// Steps that one rendering may take: thousands of times what the embedded ones need, seconds at most.
const FUEL: u64 = 2_000_000;
/// A template larger than this is no prompt.
const MAX_TEMPLATE_BYTES: usize = 1 << 18;

/// Compiled templates.
#[derive(Clone, Debug)]
pub struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    /// The embedded ones.
    ///
    /// # Errors
    /// Never in a build whose tests pass: they are compiled there.
    pub fn embedded() -> Result<Self, ErrorKind> {
        Self::with_overrides(&[])
    }

    /// The embedded ones, with those replaced that stand in `overrides` as (file name, text).
    ///
    /// # Errors
    /// [`ErrorKind::Template`], with file and line, for an unknown name or a text that is no template.
    pub fn with_overrides(overrides: &[(String, String)]) -> Result<Self, ErrorKind> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        // Tags on lines of their own leave no lines behind.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| located(SYSTEM, &error))?);
        environment.set_fuel(Some(FUEL));
        for (name, text) in EMBEDDED {
            environment.add_template(name, text).map_err(|error| located(name, &error))?;
        }
        for (name, text) in overrides {
            if !EMBEDDED.iter().any(|(known, _)| known == name) {
                let why = format!("no such template; those that can be overridden are {}", Self::names());
                return Err(ErrorKind::Template { name: name.clone(), line: None, why });
            }
            if text.len() > MAX_TEMPLATE_BYTES {
                let why = format!("it has {} bytes; the limit is {MAX_TEMPLATE_BYTES}", text.len());
                return Err(ErrorKind::Template { name: name.clone(), line: None, why });
            }
            environment.add_template_owned(name.clone(), text.clone()).map_err(|error| located(name, &error))?;
        }
        Ok(Self { environment })
    }

    /// The names of those that can be overridden.
    pub fn names() -> String {
        EMBEDDED.map(|(known, _)| known).join(", ")
    }

    /// Renders a template.
    ///
    /// # Errors
    /// [`ErrorKind::Template`] for a name that the template uses and the prompt has not, or when it runs too long.
    pub fn render(&self, name: &str, context: Value) -> Result<String, ErrorKind> {
        let template = self.environment.get_template(name).map_err(|error| located(name, &error))?;
        let text = template.render(context).map_err(|error| located(name, &error))?;
        Ok(squeezed(&text))
    }
}

/// No more than one empty line in a row: sections that are left out leave no holes.
fn squeezed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.trim().lines() {
        empty = if line.trim().is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

fn located(name: &str, error: &minijinja::Error) -> ErrorKind {
    let why = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    ErrorKind::Template { name: name.to_owned(), line: error.line(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overriding(name: &str, text: &str) -> Result<Templates, ErrorKind> {
        Templates::with_overrides(&[(name.to_owned(), text.to_owned())])
    }

    #[test]
    fn the_embedded_templates_compile() {
        Templates::embedded().expect("the templates in src/researcher/templates");
    }

    #[test]
    fn an_override_replaces_one_template() {
        let templates = overriding(REPAIR, "Mend it: {{ error }}").expect("a template");
        let text = templates.render(REPAIR, minijinja::context! { error => "<b> & 'c'" }).expect("renders");
        assert_eq!(text, "Mend it: <b> & 'c'\n", "nothing is escaped: it is no HTML");
    }

    #[test]
    fn wrong_templates_are_named_with_their_line() {
        let unknown = overriding("proposal.md.j2", "").expect_err("no such name");
        assert!(unknown.to_string().starts_with("prompts/proposal.md.j2: no such template"), "{unknown}");
        let broken = overriding(PROPOSE, "a\n{% if %}").expect_err("syntax");
        assert!(broken.to_string().starts_with("prompts/propose.md.j2:2: syntax error"), "{broken}");
        let undefined = overriding(REPAIR, "a\nb {{ eror }}").expect("compiles");
        let undefined = undefined.render(REPAIR, minijinja::context! { error => 1 }).expect_err("misspelt");
        assert!(undefined.to_string().starts_with("prompts/repair.md.j2:2: undefined value"), "{undefined}");
        let endless =
            overriding(REPAIR, "{% for i in range(90000) %}{% for j in range(90000) %}x{% endfor %}{% endfor %}");
        let endless = endless.expect("compiles").render(REPAIR, minijinja::context! {}).expect_err("out of fuel");
        assert!(endless.to_string().contains("fuel"), "{endless}");
    }
}
