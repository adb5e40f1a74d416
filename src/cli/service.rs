//! `autoresearch service print|install`

use std::path::PathBuf;

use clap::Subcommand;

use super::{Context, out};
use crate::error::{Error, Result};
use crate::lab::{Lab, LabError, Notebook};
use crate::service::{Scope, ServiceFacts, default_name, install, unit};

/// Print or install the systemd unit.
///
/// It runs this lab's loop: started at boot, restarted after a failure, watched, confined.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the unit.
    Print(Settings),
    /// Write the unit to where systemd looks for it, and say what to do next.
    Install(Settings),
}

/// How the unit is made.
#[derive(Debug, clap::Args)]
struct Settings {
    /// A unit of your own service manager instead of the system's: no root needed.
    #[arg(long)]
    user: bool,
    /// The service is called autoresearch-NAME; by default after the lab's folder.
    #[arg(long)]
    name: Option<String>,
    /// A file with variables such as OPENAI_API_KEY=…, readable by you alone.
    #[arg(long, value_name = "FILE")]
    environment_file: Option<PathBuf>,
}

/// The loop tells systemd of its progress at every net trained, at every epoch and while it waits for a researcher.
const WATCHDOG_SECONDS: u64 = 900;
/// A stop kills the training at once and writes the ledger's end.
const STOP_SECONDS: u64 = 60;

pub(super) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<()> {
    let lab = context.open()?;
    let (settings, write) = match &arguments.action {
        Action::Print(settings) => (settings, false),
        Action::Install(settings) => (settings, true),
    };
    let facts = facts(&lab, settings)?;
    if !write {
        let text = unit(&facts).map_err(Error::Configuration)?;
        out::print(&text);
        return Ok(());
    }
    let folder = if settings.user {
        home("XDG_CONFIG_HOME", ".config")?.join("systemd/user")
    } else {
        PathBuf::from("/etc/systemd/system")
    };
    std::fs::create_dir_all(&folder).map_err(|error| LabError::io("make the folder", &folder, error))?;
    let installed = install(&facts, &folder).map_err(|error| Error::Configuration(error.to_string()))?;
    if context.json {
        return out::json(&serde_json::json!({
            "path": installed.path, "changed": installed.changed, "next_steps": installed.next_steps,
        }));
    }
    out::line(&format!("{} {}", if installed.changed { "wrote" } else { "unchanged:" }, installed.path.display()));
    for step in &installed.next_steps {
        out::line(&format!("  {step}"));
    }
    Ok(())
}

fn facts(lab: &Lab, settings: &Settings) -> Result<ServiceFacts> {
    let binary = std::env::current_exe().map_err(|source| Error::File { path: "this program".into(), source })?;
    let root = lab.root().canonicalize().map_err(|error| LabError::io("find it", lab.root(), error))?;
    let outside = Notebook::view(lab)?.git_folders().into_iter().filter(|folder| !folder.starts_with(&root));
    let name = settings.name.clone().unwrap_or_else(|| default_name(&root));
    let scope = if settings.user { Scope::User } else { Scope::System { user: owner(&root)? } };
    let environment_file = match &settings.environment_file {
        Some(file) => {
            std::path::absolute(file).map_err(|source| Error::File { path: file.display().to_string(), source })?
        }
        None => home("XDG_CONFIG_HOME", ".config")?.join("autoresearch").join(format!("{name}.env")),
    };
    Ok(ServiceFacts {
        name,
        binary,
        lab: root.clone(),
        writable: outside.collect(),
        environment_file,
        scope,
        watchdog_seconds: WATCHDOG_SECONDS,
        stop_seconds: STOP_SECONDS,
    })
}

fn home(variable: &str, below_home: &str) -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set(variable)
        .or_else(|| set("HOME").map(|home| home.join(below_home)))
        .ok_or_else(|| Error::Configuration("HOME is not set, so it is not known where your files are; set it".into()))
}

/// The name of the user who owns the lab.
fn owner(root: &std::path::Path) -> Result<String> {
    use std::os::unix::fs::MetadataExt as _;
    let uid = std::fs::metadata(root).map_err(|error| LabError::io("look at it", root, error))?.uid();
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid));
    Ok(user.ok().flatten().map_or_else(|| uid.to_string(), |user| user.name))
}
