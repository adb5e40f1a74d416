//! One run of a program: its input, its output and its time bounded, and nothing left of it afterwards.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::environment::Environment;

/// Of standard error, so much of the end is kept: more than is shown, so that no secret is cut in two before it is found.
const KEPT_WORDS: usize = 16 << 10;
/// How often it is looked whether the program has ended while something that it started still holds its output open.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long what such a program has already printed may take to arrive.
const DRAIN: Duration = Duration::from_millis(500);

/// What a run may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// From start to end.
    pub(super) time: Duration,
    /// Of standard output.
    pub(super) bytes: usize,
}

/// A program that has ended by itself.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// Standard output.
    pub(super) reply: Vec<u8>,
    /// The end of standard error.
    pub(super) words: Vec<u8>,
}

/// Why there is no end to report.
#[derive(Debug)]
pub(super) enum Failure {
    /// It could not be started.
    Start(std::io::Error),
    /// Its pipes failed.
    Pipes(std::io::Error),
    /// It was not done in time.
    Timeout {
        /// The end of standard error.
        words: Vec<u8>,
    },
    /// It printed more than is taken.
    TooLarge,
}

/// Runs a program to its end. Whatever comes of it, and if this future is dropped half-way too, the program and all of its
/// process group are killed: nothing that it started stays behind, unless it made a session of its own.
///
/// # Errors
/// See [`Failure`].
pub(super) async fn run(
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
    environment: &Environment,
    folder: &Path,
    input: &str,
    limits: Limits,
) -> Result<Ended, Failure> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment.variables()).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let mut group = Group::new(command.spawn().map_err(Failure::Start)?);
    let (mut reply, mut words) = (Vec::new(), Vec::new());
    let done = tokio::time::timeout(limits.time, group.talk(input, &mut reply, limits.bytes, &mut words)).await;
    group.kill();
    let status = group.child.wait().await.map_err(Failure::Pipes)?;
    match done {
        Err(_) => Err(Failure::Timeout { words }),
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(())) => Ok(Ended { status, reply, words }),
    }
}

/// A process and the group that it leads. Dropping it kills the group.
struct Group {
    child: Child,
    leader: Option<Pid>,
}

impl Group {
    fn new(child: Child) -> Self {
        let leader = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        Self { child, leader }
    }

    /// Gives the program its input, takes its output, and waits for its end.
    async fn talk(
        &mut self,
        input: &str,
        reply: &mut Vec<u8>,
        limit: usize,
        words: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let (stdin, stdout, stderr) = (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(Failure::Pipes(std::io::Error::other("its pipes are missing")));
        };
        let tell = async {
            // A program may have heard enough before the end.
            let _ = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
            Ok(())
        };
        let talk = async { tokio::try_join!(tell, listen(stdout, reply, limit), overhear(stderr, words)).map(|_| ()) };
        tokio::pin!(talk);
        tokio::select! {
            biased;
            done = &mut talk => done?,
            () = self.ended() => {
                // Something that it started still holds its output open, and may do so for ever.
                if let Ok(done) = tokio::time::timeout(DRAIN, &mut talk).await {
                    done?;
                }
                return Ok(());
            }
        }
        self.ended().await;
        Ok(())
    }

    /// Returns once the leader has ended. It is not reaped by that, so that its number stays that of its group.
    async fn ended(&self) {
        let Some(leader) = self.leader else { return };
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        while matches!(waitid(Id::Pid(leader), flags), Ok(WaitStatus::StillAlive) | Err(Errno::EINTR)) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn kill(&self) {
        // Once the leader is reaped its number may belong to someone else; the group is signalled only before that.
        if let (Some(_), Some(leader)) = (self.child.id(), self.leader) {
            // Nobody left to signal is what is wanted.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn listen(mut from: impl AsyncRead + Unpin, into: &mut Vec<u8>, limit: usize) -> Result<(), Failure> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        match from.read(&mut buffer).await.map_err(Failure::Pipes)? {
            0 => return Ok(()),
            count if into.len() + count > limit => return Err(Failure::TooLarge),
            count => into.extend_from_slice(&buffer[..count]),
        }
    }
}

async fn overhear(mut from: impl AsyncRead + Unpin, into: &mut Vec<u8>) -> Result<(), Failure> {
    let mut buffer = vec![0; 4 << 10];
    loop {
        match from.read(&mut buffer).await.map_err(Failure::Pipes)? {
            0 => return Ok(()),
            count => into.extend_from_slice(&buffer[..count]),
        }
        if into.len() > 2 * KEPT_WORDS {
            into.drain(..into.len() - KEPT_WORDS);
        }
    }
}
