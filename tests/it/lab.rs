//! A small lab in a temporary folder of its own, and the program as a person would call it there. Nothing of the
//! machine gets in: the environment is empty but for what is set here, and git reads no configuration but the lab's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A market that trains in a fraction of a second and that a net can learn about: its scores are far from zero.
pub(crate) const PROTOCOL: &str = "\
version: 1
data:
  synthetic:
    seed: 1
    sizes:
      eras: 60
      rows: 60
      sets: [{ name: serenity, features: 6 }, { name: wisdom, features: 6 }]
      targets: [target_ender_20, target_ender_60]
      benchmark: [v52_lgbm_ender20, v52_lgbm_ender60]
      factors: 2
      linear: 0.5
      interaction: 0.2
features: { sets: [serenity, wisdom] }
targets: { train_on: [target_ender_20, target_ender_60], score_on: target_ender_20 }
benchmark: { columns: [v52_lgbm_ender20, v52_lgbm_ender60] }
eras: { stride: 4 }
folds: { count: 2, embargo: 16 }
seeds: [42, 17, 73]
holdout: { eras: 4 }
objective: { corr: 1.0, bmc: 0.5 }
";

/// A baseline that is trained in milliseconds.
pub(crate) const QUICK: &str = "\
version: 1
network: [ { dense: { width: 8 } } ]
loss: [ { mse: { weight: 1.0 } } ]
training: { epochs: 2, batch_rows: 512, patience: 2 }
";

/// A baseline that is as good as untrained: its learning rate moves nothing.
pub(crate) const UNTRAINED: &str = "\
version: 1
network: [ { dense: { width: 8 } } ]
loss: [ { mse: { weight: 1.0 } } ]
optimizer: { sgd: { lr: 1.0e-6 } }
training: { epochs: 1, batch_rows: 1024, patience: 1 }
";

/// A model that beats [`UNTRAINED`] on this market by many standard errors, whatever the machine.
pub(crate) const GOOD: &str = "\
version: 1
network: [ { dense: { width: 32, norm: batch, activation: gelu } } ]
loss: [ { pearson: { weight: 1.0 } } ]
training: { epochs: 30, batch_rows: 128, patience: 30 }
";

/// Where a lab with a scripted model has its key.
pub(crate) const KEY_VARIABLE: &str = "SOME_KEY";

/// How a call of the program ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Demands the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Demands words of standard error.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` expected in: {}", self.stderr);
        }
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in: {}", self.stdout))
    }
}

/// A lab, and a home folder beside it. Both are gone in the end.
pub(crate) struct TestLab {
    folder: tempfile::TempDir,
}

impl TestLab {
    /// A new lab with the small market and a quick baseline, all of it committed on `main`; nothing is prepared yet.
    pub(crate) fn new() -> Self {
        Self::with(PROTOCOL, QUICK)
    }

    /// The same with a protocol and a model of one's own.
    pub(crate) fn with(protocol: &str, model: &str) -> Self {
        let lab = Self::bare();
        lab.program(&["init", "lab"]).exits(0);
        lab.write("prepare/protocol.yaml", protocol);
        lab.write("model.yaml", model);
        lab.commit("a small market");
        lab
    }

    /// The lab's researcher is the model behind this address, and its key is in [`KEY_VARIABLE`]; not yet committed.
    pub(crate) fn ask(&self, base_url: &str) {
        self.edit("autoresearch.yaml", "https://api.openai.com/v1 ", &format!("{base_url} "));
        self.edit("autoresearch.yaml", "OPENAI_API_KEY ", &format!("{KEY_VARIABLE} "));
    }

    /// Runs the program with a key for the model.
    pub(crate) fn program_with_key(&self, arguments: &[&str], key: &str) -> Outcome {
        let output = self.command(arguments).env(KEY_VARIABLE, key).output().expect("the program runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// A folder without a lab.
    pub(crate) fn bare() -> Self {
        let folder = tempfile::Builder::new().prefix("autoresearch-it-").tempdir().expect("a temporary folder");
        Self { folder }
    }

    /// The folder around the lab: home, and the place of what does not belong into it.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("the temporary folder")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.home().join("lab")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    #[track_caller]
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("a folder");
        }
        fs::write(path, text).expect("written");
    }

    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Replaces the words `from` of a file by `to`.
    #[track_caller]
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let old = self.read(name);
        assert!(old.contains(from), "`{from}` is not in {name}:\n{old}");
        self.write(name, old.replacen(from, to, 1));
    }

    fn isolated(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.folder.path()).env("LANG", "C.UTF-8").env("TZ", "UTC");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    /// The program, called with these arguments on this lab.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.isolated(env!("CARGO_BIN_EXE_autoresearch"));
        command.arg("--lab").arg(self.root()).args(arguments);
        command
    }

    /// Runs the program on this lab to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        finish(self.command(arguments))
    }

    /// Runs the program without naming a lab, in the folder around it.
    #[track_caller]
    pub(crate) fn program(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.isolated(env!("CARGO_BIN_EXE_autoresearch"));
        command.args(arguments);
        finish(command)
    }

    /// What git prints; it must succeed.
    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let (done, text) = self.try_git(arguments);
        assert!(done, "git {arguments:?}: {text}");
        text
    }

    /// Whether git succeeds, and what it prints.
    #[track_caller]
    pub(crate) fn try_git(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = self.isolated("git");
        command.arg("-C").arg(self.root()).args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]);
        let output = command.args(arguments).output().expect("git runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        let text = String::from_utf8_lossy(&output.stdout);
        (output.status.success(), if output.status.success() { text.into() } else { format!("{text}{errors}") })
    }

    /// Commits everything, as a person does.
    #[track_caller]
    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    /// Demands a repository without a flaw, and nothing uncommitted in it.
    #[track_caller]
    pub(crate) fn is_clean(&self) {
        assert_eq!(self.git(&["fsck", "--strict", "--full", "--no-dangling"]), "");
        assert_eq!(self.git(&["status", "--porcelain"]), "");
    }

    /// Every file of the lab, git's own among them, but for `.autoresearch`.
    pub(crate) fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry")) {
                let path = entry.path();
                match entry.file_type().expect("a type") {
                    kind if kind.is_dir() && entry.file_name() == ".autoresearch" => {}
                    kind if kind.is_dir() => folders.push(path),
                    _ => {
                        found.insert(path.clone(), fs::read(&path).expect("readable"));
                    }
                }
            }
        }
        found
    }

    /// Demands that [`TestLab::contents`] are still those. An object in git that nothing refers to is no change: to
    /// compare a file with HEAD may make one.
    #[track_caller]
    pub(crate) fn is_unchanged_since(&self, before: &BTreeMap<PathBuf, Vec<u8>>) {
        let after = self.contents();
        let all: BTreeSet<&PathBuf> = before.keys().chain(after.keys()).collect();
        let objects = self.path(".git/objects");
        let differs = |path: &&PathBuf| before.get(*path) != after.get(*path) && !path.starts_with(&objects);
        let changed: Vec<_> = all.into_iter().filter(differs).collect();
        assert!(changed.is_empty(), "changed: {changed:?}");
    }

    /// The ledger's whole lines; none where there is no ledger.
    pub(crate) fn ledger(&self) -> Vec<Value> {
        let text = fs::read(self.path("runs/ledger.jsonl")).unwrap_or_default();
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("a line of JSON")).collect()
    }

    /// The ledger's events of a kind.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        let events = self.ledger().into_iter().map(|line| line["event"].clone());
        events.filter(|event| event["event"] == kind).collect()
    }

    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.run(&["status", "--json"]).exits(0).json()
    }

    /// Starts the program on this lab; what it prints goes into files beside the lab.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_with(arguments, &[])
    }

    /// The same with variables in its environment.
    pub(crate) fn start_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
        let file = |name: &str| fs::File::create(self.home().join(name)).expect("a file");
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        let child = command.stdout(file("stdout")).stderr(file("stderr")).spawn().expect("the program starts");
        Running { child, home: self.home() }
    }

    /// Processes that have this lab's folder in their command line: its daemon, its workers.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let root = self.root().display().to_string();
        let numbers = fs::read_dir("/proc").expect("/proc").flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let ours = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&root)
        };
        numbers.filter(ours).collect()
    }

    /// Waits until none of this lab's processes is left: the kernel ends a worker a moment after its daemon.
    #[track_caller]
    pub(crate) fn is_deserted(&self) {
        eventually("no process of this lab is left", || self.processes().is_empty().then_some(()));
    }
}

/// The program, running. It is killed if a test ends before it.
pub(crate) struct Running {
    child: Child,
    home: PathBuf,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid()).expect("a process number"));
        nix::sys::signal::kill(pid, signal).expect("a signal is sent");
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ends(mut self) -> Outcome {
        let status = eventually("the program ends", || self.child.try_wait().expect("a child"));
        let text = |name: &str| fs::read_to_string(self.home.join(name)).expect("what it printed");
        let outcome = Outcome { code: status.code(), stdout: text("stdout"), stderr: text("stderr") };
        has_no_panic(&outcome);
        outcome
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be over already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks again and again until there is an answer, for two minutes at most.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

#[track_caller]
fn finish(mut command: Command) -> Outcome {
    let output = command.output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let outcome = Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    has_no_panic(&outcome);
    outcome
}

/// Whatever goes wrong: no panic, and no bug's report, reaches a user.
#[track_caller]
fn has_no_panic(outcome: &Outcome) {
    for text in [&outcome.stdout, &outcome.stderr] {
        assert!(!text.contains("panicked") && !text.contains("internal error:"), "{text}");
    }
}

/// The keys of a JSON object, in alphabetical order.
#[track_caller]
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// A file's bytes.
#[track_caller]
pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
