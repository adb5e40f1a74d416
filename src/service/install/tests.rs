//! Units: written, left alone when unchanged, and verified by systemd where it is there.

use super::*;

fn facts(folder: &Path) -> ServiceFacts {
    let lab = folder.join("a lab 100% $HOME");
    let binary = folder.join("bin dir/autoresearch");
    fs::create_dir_all(&lab).expect("made");
    fs::create_dir_all(folder.join("bin dir")).expect("made");
    fs::write(&binary, "#!/bin/sh\n").expect("written");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("executable");
    ServiceFacts {
        name: "night".into(),
        binary,
        lab,
        writable: Vec::new(),
        environment_file: folder.join("night.env"),
        scope: Scope::User,
        watchdog_seconds: 300,
        stop_seconds: 90,
    }
}

#[test]
fn installs_twice_and_refuses_another_labs_unit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let units = folder.path().join("systemd/user");
    let facts = facts(folder.path());
    let first = install(&facts, &units).expect("installed");
    assert!(first.changed && first.path.ends_with("autoresearch-night.service"));
    assert!(first.next_steps.iter().any(|step| step.contains("OPENAI_API_KEY")), "{:?}", first.next_steps);
    assert!(!install(&facts, &units).expect("installed again").changed);
    let other = ServiceFacts { lab: folder.path().join("other"), ..facts.clone() };
    assert!(matches!(install(&other, &units), Err(ServiceError::NameTaken { .. })));
    let newer = ServiceFacts { watchdog_seconds: 600, ..facts };
    assert!(install(&newer, &units).expect("the same lab's unit is replaced").changed);
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let facts = facts(folder.path());
    fs::write(&facts.environment_file, "OPENAI_API_KEY=secret\n").expect("written");
    fs::set_permissions(&facts.environment_file, fs::Permissions::from_mode(0o640)).expect("opened");
    let error = install(&facts, folder.path()).expect_err("others can read it");
    assert!(error.to_string().contains("mode 640") && error.to_string().contains("chmod 600"), "{error}");
    assert!(!error.to_string().contains("secret"));
    assert!(!folder.path().join("autoresearch-night.service").exists());
    fs::set_permissions(&facts.environment_file, fs::Permissions::from_mode(0o600)).expect("closed");
    let steps = install(&facts, folder.path()).expect("installed").next_steps;
    assert!(!steps.iter().any(|step| step.contains("OPENAI_API_KEY")), "{steps:?}");
}

#[test]
#[expect(clippy::print_stderr, reason = "a check that could not be made must be heard of")]
fn systemd_accepts_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("NOT CHECKED: systemd-analyze is not installed, so nobody has looked at the unit");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let facts = facts(folder.path());
    for (scope, option) in [(Scope::User, "--user"), (Scope::System { user: "root".into() }, "--system")] {
        let installed = install(&ServiceFacts { name: option[2..].into(), scope, ..facts.clone() }, folder.path())
            .expect("installed");
        let output = Command::new("systemd-analyze")
            .args([option, "--man=no", "--recursive-errors=no", "verify"])
            .arg(&installed.path)
            .env("XDG_RUNTIME_DIR", folder.path())
            .output()
            .expect("systemd-analyze runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{option}: {said}");
    }
}
