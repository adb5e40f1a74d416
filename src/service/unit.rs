//! The unit's text. Pure.

use std::path::{Path, PathBuf};

use super::escape::{refusal, whole_line, word};

/// Exit codes after which another start would end the same way: usage, lab or configuration, another process.
const NO_RESTART: &str = "2 3 7";

/// Whose service it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A service of the user's own manager.
    User,
    /// A service of the system, run as this user.
    System {
        /// The user, who owns the lab.
        user: String,
    },
}

/// Everything that the unit depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFacts {
    /// The service's name is `autoresearch-NAME`.
    pub name: String,
    /// The program, absolute.
    pub binary: PathBuf,
    /// The lab, absolute.
    pub lab: PathBuf,
    /// Folders outside the lab that the loop writes to (the git folder of a linked work tree); as a rule none.
    pub writable: Vec<PathBuf>,
    /// File of variables such as the LLM's key, mode 0600; it need not be there.
    pub environment_file: PathBuf,
    /// Whose service it is.
    pub scope: Scope,
    /// Seconds without a sign of progress after which systemd ends and restarts the loop.
    pub watchdog_seconds: u64,
    /// Seconds that the loop has to end after SIGTERM.
    pub stop_seconds: u64,
}

/// A service's name for a lab: its folder's name, in characters that systemd takes.
pub fn default_name(lab: &Path) -> String {
    let folder = lab.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let plain: String = folder
        .chars()
        .map(|each| if each.is_ascii_alphanumeric() || each == '_' { each } else { '-' })
        .take(60)
        .collect();
    match plain.trim_matches('-') {
        "" => "lab".into(),
        name => name.into(),
    }
}

/// The text of the unit file for a systemd of that version (None: not known): one complains of settings that it does not
/// know yet, so they are left out.
///
/// # Errors
/// A path that cannot stand in a unit file, and why; a name that cannot be a unit's.
pub fn unit_text(facts: &ServiceFacts, systemd: Option<u32>) -> Result<String, String> {
    let paths = [&facts.binary, &facts.lab, &facts.environment_file];
    for path in paths.into_iter().chain(&facts.writable) {
        if let Some(why) = refusal(path) {
            return Err(format!("{}: {why}; move it to a plainer path", path.display()));
        }
    }
    if facts.name.is_empty() || facts.name != default_name(Path::new(&facts.name)) {
        return Err(format!("`{}` is no name for a service; use small letters, digits, `-` and `_`", facts.name));
    }
    let lab = facts.lab.display().to_string();
    let cache = facts.lab.join(".autoresearch/cache").display().to_string();
    let writable: Vec<String> = std::iter::once(&facts.lab)
        .chain(&facts.writable)
        .map(|path| word(&path.display().to_string(), false))
        .collect();
    let (user, target) = match &facts.scope {
        Scope::User => (String::new(), "default.target"),
        Scope::System { user } => (format!("User={}\n", user.replace('%', "%%")), "multi-user.target"),
    };
    // Restarts that come later and later are known since systemd 254; before, they come evenly.
    let restarts = match systemd {
        Some(version) if version >= 254 => "RestartSec=30\nRestartSteps=6\nRestartMaxDelaySec=15min",
        _ => "RestartSec=2min",
    };
    Ok(format!(
        "\
{header}{lab_line}
# Commands: systemctl status, start, stop, restart; journalctl -u. Local changes belong into `systemctl edit`.

[Unit]
Description=autoresearch in {description}
Documentation=man:systemd.service(5)
After=network-online.target
Wants=network-online.target
# Ten failures within six hours are not passing troubles: systemd then gives up, and `systemctl status` says why.
StartLimitIntervalSec=6h
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
ExecStart={binary} --lab {lab_word} run
WorkingDirectory={working_directory}
{user}EnvironmentFile=-{environment_file}
# The home folder is read-only below: what the CUDA compiler and others cache goes into the lab.
Environment={cuda_cache}
Environment={cache_home}
# The loop says that it lives only while it makes progress.
WatchdogSec={watchdog}
TimeoutStartSec=15min
TimeoutStopSec={stop}
# SIGTERM goes to the loop alone, which ends its worker; what is left after the time is killed.
KillMode=mixed
Restart=on-failure
{restarts}
RestartPreventExitStatus={NO_RESTART}
# A worker that runs out of memory ends its trial, not the night.
OOMPolicy=continue
UMask=0022
LimitCORE=0

# The loop writes to its lab and nowhere else. Not used, because training on a GPU needs the opposite: PrivateDevices
# (hides /dev/nvidia*), MemoryDenyWriteExecute (kernels are compiled at run time), DevicePolicy=closed.
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={writable}
PrivateTmp=yes
ProtectControlGroups=yes
ProtectKernelTunables=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
RestrictNamespaces=yes
LockPersonality=yes
SystemCallArchitectures=native
# The LLM's endpoint and name look-ups, the service manager's and the loop's own socket.
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK

[Install]
WantedBy={target}
",
        header = super::install::HEADER,
        lab_line = lab.replace('%', "%%"),
        description = lab.replace('%', "%%"),
        binary = word(&facts.binary.display().to_string(), true),
        lab_word = word(&lab, true),
        working_directory = whole_line(&facts.lab),
        environment_file = whole_line(&facts.environment_file),
        cuda_cache = word(&format!("CUDA_CACHE_PATH={cache}/cuda"), false),
        cache_home = word(&format!("XDG_CACHE_HOME={cache}"), false),
        watchdog = facts.watchdog_seconds,
        stop = facts.stop_seconds,
        writable = writable.join(" "),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn facts() -> ServiceFacts {
        ServiceFacts {
            name: "night".into(),
            binary: "/opt/auto research/autoresearch".into(),
            lab: "/home/me/100% labs/it's \"night\" $1".into(),
            writable: vec!["/home/me/main/.git".into()],
            environment_file: "/home/me/.config/auto research/night.env".into(),
            scope: Scope::User,
            watchdog_seconds: 300,
            stop_seconds: 90,
        }
    }

    #[test]
    fn restarts_come_later_and_later_where_systemd_knows_how() {
        for (version, known) in [(None, false), (Some(253), false), (Some(254), true)] {
            let text = unit_text(&facts(), version).expect("a unit");
            assert_eq!(text.contains("\nRestartMaxDelaySec=15min\n"), known, "{version:?}");
            assert_eq!(text.contains("\nRestartSec=2min\n"), !known, "{version:?}");
        }
    }

    #[test]
    fn paths_are_escaped_where_they_stand() {
        let text = unit_text(&facts(), None).expect("a unit");
        for line in [
            r#"ExecStart="/opt/auto research/autoresearch" --lab "/home/me/100%% labs/it's \"night\" $$1" run"#,
            r#"WorkingDirectory=/home/me/100%% labs/it's "night" $1"#,
            r#"EnvironmentFile=-/home/me/.config/auto research/night.env"#,
            r#"ReadWritePaths="/home/me/100%% labs/it's \"night\" $1" "/home/me/main/.git""#,
            r#"Environment="CUDA_CACHE_PATH=/home/me/100%% labs/it's \"night\" $1/.autoresearch/cache/cuda""#,
            "RestartPreventExitStatus=2 3 7",
            "WantedBy=default.target",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n\n{text}");
        }
        assert!(!text.contains("User="));
    }

    #[test]
    fn a_system_service_runs_as_its_user() {
        let facts = ServiceFacts { scope: Scope::System { user: "me".into() }, ..facts() };
        let text = unit_text(&facts, None).expect("a unit");
        assert!(text.contains("\nUser=me\n") && text.contains("WantedBy=multi-user.target"), "{text}");
    }

    #[test]
    fn what_would_close_the_gpu_or_the_endpoint_is_not_there() {
        let text = unit_text(&facts(), None).expect("a unit");
        let settings: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        for bad in ["PrivateDevices", "MemoryDenyWriteExecute", "DevicePolicy", "PrivateNetwork", "IPAddressDeny"] {
            assert!(!settings.iter().any(|line| line.starts_with(bad)), "{bad}");
        }
    }

    #[test]
    fn names_and_paths_that_would_break_the_file_are_refused() {
        for name in ["", "a b", "../x", "a/b", "A"] {
            assert!(unit_text(&ServiceFacts { name: name.into(), ..facts() }, None).is_err(), "{name:?}");
        }
        let error =
            unit_text(&ServiceFacts { lab: "/a\nUser=root".into(), ..facts() }, None).expect_err("a line break");
        assert!(error.contains("line break"), "{error}");
        assert_eq!(default_name(Path::new("/home/me/My Lab (2)")), "my-lab--2");
        assert_eq!(default_name(Path::new("/")), "lab");
    }
}
