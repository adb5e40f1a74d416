//! Agents that are little shell scripts.

use std::fs::{Permissions, set_permissions, write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::research::evidence::evidence;
use crate::research::trial::Proposal;
use crate::researcher::optimizer::testing::Lab;
use crate::researcher::{Ask, Kind, Researcher, dialogue};

const BASE: &str = "network: [ { dense: { width: 32 } } ]\n";
const SECRET: &str = "a-secret-that-nobody-should-see";

/// A script and the folder that it stands in.
struct Script {
    folder: TempDir,
    settings: CommandSettings,
}

impl Script {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent");
        write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
        set_permissions(&path, Permissions::from_mode(0o755)).expect("changed");
        let run = vec![path.display().to_string()];
        Self { folder, settings: CommandSettings { run, timeout_seconds: 60, ..CommandSettings::default() } }
    }

    fn agent(&self) -> Agent {
        let prices = [("its-model".to_owned(), Price { input: 1.0, output: 10.0 })].into();
        let settings = ResearcherSettings { command: self.settings.clone(), repairs: 1, prices, ..Default::default() };
        let mut agent = Agent::new(&settings, Templates::embedded().expect("templates")).expect("a program is named");
        agent.folders = self.folder.path().to_owned();
        // Of a test's own, so that no other test sees it.
        let all = std::env::vars_os().chain([("MY_KEY".into(), SECRET.into()), ("OTHERS".into(), SECRET.into())]);
        agent.environment = Environment::new(&self.settings.environment, all);
        agent
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn run(&self) -> Result<String, ErrorKind> {
        self.agent().run("the prompt").await
    }

    async fn fails(&self) -> ErrorKind {
        self.run().await.expect_err("it must fail")
    }
}

async fn propose(agent: &mut Agent) -> Result<Vec<Proposal>, ResearcherError> {
    let lab = Lab::new(BASE);
    let (misses, found) = (Vec::new(), evidence(&lab.history));
    dialogue::propose(agent, &lab.briefing(&misses, &found), &Ask::ONE).await
}

/// Waits until a process is gone. A killed one stays for a moment, until it is reaped.
fn is_gone(pid: &str) -> bool {
    (0..500).any(|_| {
        let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
        let gone = stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']));
        if !gone {
            std::thread::sleep(Duration::from_millis(10));
        }
        gone
    })
}

#[tokio::test]
async fn a_reply_is_a_proposal_and_is_paid_for() {
    let reply = r#"{"title": "Wider", "hypothesis": "Room.", "category": "architecture", "spec": "network: []"}"#;
    let mut script = Script::new(&format!("cat > \"$0.heard\"\necho '{reply}'"));
    script.settings.model = Some("its-model".into());
    let found = propose(&mut script.agent()).await.expect("a proposal");
    let [proposal] = found.as_slice() else { panic!("one was asked for") };
    assert_eq!((proposal.title.as_str(), proposal.researcher.as_str()), ("Wider", NAME));
    let heard = std::fs::read_to_string(script.path("agent.heard")).expect("it heard something");
    assert!(heard.starts_with("===== SYSTEM =====\n") && heard.contains("===== USER =====\n"), "{heard}");
    assert!(heard.contains("Raise the payout.") && heard.contains("Propose the next trial now"), "{heard}");
    let usage = proposal.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (u64::from(tokens(&heard)), u64::from(tokens(reply) + 1)));
    let cost = (usage.input_tokens as f64 + 10.0 * usage.output_tokens as f64) / 1e6;
    assert!((usage.cost_usd - cost).abs() < 1e-12 && usage.seconds > 0.0, "{usage:?}");
}

#[tokio::test]
async fn an_unreadable_reply_goes_back_in_the_same_conversation() {
    let good = r#"{"title": "Wider", "spec": "network: []"}"#;
    let script =
        Script::new(&format!("cat > \"$0.$$\"\nif grep -q ASSISTANT \"$0.$$\"; then echo '{good}'; else echo No.; fi"));
    let found = propose(&mut script.agent()).await.expect("the second reply is good");
    assert_eq!(found[0].title, "Wider");
    assert!(found[0].usage.output_tokens > u64::from(tokens(good)), "both calls are counted");
}

#[tokio::test]
async fn arguments_are_no_shells() {
    let mut script = Script::new("cat > /dev/null\nprintf '%s|' \"$@\"");
    script.settings.run.extend(["-p", "a b; exit 3", "$HOME", ""].map(String::from));
    assert_eq!(script.run().await.expect("a reply"), "-p|a b; exit 3|$HOME||");
}

#[tokio::test]
async fn it_runs_in_an_empty_folder_of_its_own() {
    let script = Script::new("pwd -P\nls -A | wc -l\ntouch mine\nls -ld . | cut -c1-10");
    let reply = script.run().await.expect("a reply");
    let lines: Vec<&str> = reply.lines().map(str::trim).collect();
    let folder = Path::new(lines[0]);
    let parent = script.folder.path().canonicalize().expect("it is there");
    assert!(folder.starts_with(&parent) && folder != parent, "{reply}");
    assert_ne!(folder, std::env::current_dir().expect("one"));
    assert_eq!((lines[1], lines[2]), ("0", "drwx------"), "empty, and for nobody else");
    assert!(!folder.exists(), "nothing of it stays");
}

#[tokio::test]
async fn it_sees_no_secret_that_was_not_named() {
    let mut script = Script::new("cat > /dev/null\nenv");
    let seen = script.run().await.expect("a reply");
    assert!(seen.contains("PATH=") && seen.contains("NO_COLOR=1"), "{seen}");
    assert!(!seen.contains(SECRET) && !seen.contains("MY_KEY") && !seen.contains("CARGO"), "{seen}");
    script.settings.environment = vec!["MY_KEY".into()];
    let seen = script.run().await.expect("a reply");
    // It was given the key, and what it prints of it is not passed on.
    assert!(seen.contains("MY_KEY=[key]") && !seen.contains("OTHERS"), "{seen}");
    let shown = format!("{:?}", script.agent());
    assert!(!shown.contains(SECRET), "{shown}");
}

#[tokio::test]
async fn a_failure_says_how_it_ended_and_what_it_said() {
    let mut script = Script::new(
        "cat > /dev/null\necho half a reply\nprintf '%05000d' 7 >&2\necho \" quota used up for $MY_KEY\" >&2\nexit 3",
    );
    script.settings.environment = vec!["MY_KEY".into()];
    let error = script.fails().await;
    assert!(!error.needs_a_person() && error.retry_after().is_none());
    let ErrorKind::AgentFailed { how, said, .. } = &error else { panic!("{error}") };
    assert_eq!(how, "exit status: 3");
    assert!(said.ends_with("quota used up for [key]") && said.len() <= LONGEST_WORDS + 10, "{said}");
    assert!(!format!("{error} {error:?}").contains(SECRET));
    let killed = Script::new("kill -9 $$").fails().await.to_string();
    assert!(killed.contains("signal: 9") && killed.contains("said: (nothing)"), "{killed}");
}

#[tokio::test]
async fn nothing_printed_is_named() {
    let error = Script::new("cat > /dev/null\necho '  '\necho no credits >&2").fails().await;
    assert!(matches!(&error, ErrorKind::AgentSilent { said, .. } if said == "no credits"), "{error}");
    assert!(!error.needs_a_person());
}

#[tokio::test]
async fn one_that_hangs_is_killed_with_its_grandchildren() {
    let mut script = Script::new(
        "(sh -c 'echo $$ > \"$0\"; sleep 1000' \"$0.grandchild\" &)\n\
         while [ ! -s \"$0.grandchild\" ]; do sleep 0.01; done\necho $$ > \"$0.child\"\necho thinking >&2\nsleep 1000",
    );
    script.settings.timeout_seconds = 2;
    let error = script.fails().await;
    assert!(matches!(&error, ErrorKind::AgentTimeout { seconds: 2, said, .. } if said == "thinking"), "{error}");
    assert!(!error.needs_a_person());
    for name in ["agent.child", "agent.grandchild"] {
        let pid = std::fs::read_to_string(script.path(name)).expect("it said its number");
        assert!(is_gone(pid.trim()), "{name} {pid} still runs");
    }
}

#[tokio::test]
async fn one_that_nobody_waits_for_any_more_is_killed_too() {
    let script = Script::new("echo $$ > \"$0.tmp\"; mv \"$0.tmp\" \"$0.pid\"\nsleep 1000");
    let agent = script.agent();
    let place = script.path("agent.pid");
    let appeared = async {
        while !place.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        ended = agent.run("the prompt") => panic!("it hangs: {ended:?}"),
        () = appeared => {}
    }
    let pid = std::fs::read_to_string(&place).expect("it said its number");
    assert!(is_gone(pid.trim()), "{pid} still runs");
}

#[tokio::test]
async fn what_an_agent_leaves_running_is_not_waited_for() {
    // It holds the output open, and would for a quarter of an hour.
    let script = Script::new("cat > /dev/null\nsh -c 'echo $$ > \"$0\"; exec sleep 1000' \"$0.left\" &\necho done");
    let started = Instant::now();
    assert_eq!(script.run().await.expect("a reply").trim(), "done");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    // If it was killed before it could say its number, it is gone as well.
    let pid = std::fs::read_to_string(script.path("agent.left")).unwrap_or_default();
    assert!(pid.trim().is_empty() || is_gone(pid.trim()), "{pid} still runs");
}

#[tokio::test]
async fn a_flood_is_cut_off() {
    let error =
        Script::new("cat > /dev/null\nwhile :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done")
            .fails()
            .await;
    assert!(matches!(&error, ErrorKind::TooLarge { limit: MAX_REPLY_BYTES, .. }), "{error}");
    assert!(error.to_string().starts_with("the agent `/"), "{error}");
    let noisy = Script::new("cat > /dev/null\nhead -c 3000000 /dev/zero | tr '\\0' 'x' >&2\necho fine");
    assert_eq!(noisy.run().await.expect("what it says on the other side is bounded too").trim(), "fine");
}

#[tokio::test]
async fn one_that_does_not_listen_is_heard_all_the_same() {
    let script = Script::new("echo fine");
    let long = "x".repeat(1 << 20);
    assert_eq!(script.agent().run(&long).await.expect("a reply").trim(), "fine");
}

#[tokio::test]
async fn what_cannot_be_started_is_no_weather() {
    let mut script = Script::new("echo OK");
    script.settings.run = vec!["a-program-that-nobody-has".into()];
    let error = script.agent().check().await.expect_err("it is not there");
    assert!(matches!(&error.kind, ErrorKind::AgentMissing { program, .. } if program == "a-program-that-nobody-has"));
    assert!(error.kind.needs_a_person() && error.usage.input_tokens == 0, "{error}");
    let script = Script::new("echo OK");
    write(script.path("agent"), "\u{7f}neither program nor script").expect("written");
    let error = script.agent().check().await.expect_err("no program");
    assert!(error.kind.needs_a_person(), "{error}");
    let settings = ResearcherSettings::default();
    let unset = Researcher::new(Kind::Command, &settings, Templates::embedded().expect("templates"));
    let unset = unset.expect_err("no program is named").to_string();
    assert!(unset.contains("researcher.command.run is empty"), "{unset}");
}

#[tokio::test]
async fn doctor_gets_one_honest_answer() {
    let mut script = Script::new("cat > /dev/null\necho OK");
    let (fine, _) = script.agent().check().await.expect("it answers");
    assert!(fine.contains("` answered in ") && fine.ends_with("so that its cost is not counted"), "{fine}");
    script.settings.model = Some("its-model".into());
    let (fine, usage) = script.agent().check().await.expect("it answers");
    assert!(fine.ends_with(" s") && usage.cost_usd > 0.0, "{fine}");
    script = Script::new("exit 41");
    let error = script.agent().check().await.expect_err("it fails").to_string();
    assert!(error.contains("exit status: 41"), "{error}");
}
