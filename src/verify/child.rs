//! The process that cases run in, so that a crash, a hang or a lost device ends a case and not the run. The parent sends one task per line
//! (JSON, on stdin) and gets one answer per line. The child ends when its stdin does.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::process::Group;
use super::task::{Answer, Served, Task};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, block_on};

/// Answers tasks from stdin until it ends; for the hidden `verify --child`. The child ends with its parent, even in the middle of a task
/// that hangs.
pub fn serve(gpu: &Arc<Gpu>) -> Result<()> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines().map_while(|line| line.ok());
        lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        std::process::exit(0);
    });
    let mut served = Served::default();
    for line in lines {
        let task = serde_json::from_str(&line).map_err(|e| Error::Usage(format!("{line:?} is no task: {e}")))?;
        let answer = block_on(served.answer(gpu, task)).unwrap_or_else(|error| Answer::Refused(error.to_string()));
        let mut text = serde_json::to_string(&answer).map_err(|e| Error::file("stdout", e))?;
        text.push('\n');
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Error::file("stdout", e))?;
    }
    Ok(())
}

/// The command that starts a child.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The program, whose `verify --child` serves.
    pub program: PathBuf,
    /// Arguments before `verify --child`: if `program` is a loader, its options and the actual program.
    pub loading: Vec<OsString>,
    /// Options of `verify --child` that choose the adapter and its device's options.
    pub arguments: Vec<String>,
    /// Environment of the child alone.
    pub environment: Vec<(String, OsString)>,
}

/// The longest line that a child may write: an answer has a few kilobytes, and the list of capabilities some dozens.
const MOST_LINE: u64 = 4 << 20;
/// How much of a dead child's last line on stderr is reported.
const MOST_LAST_WORDS: usize = 1000;
/// How often a wait for an answer checks whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a child that has closed its stdout may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// How long its stderr may take to end then.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);

/// Why a child gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// The run is to stop.
    Stopped,
    /// It did not answer in time, and was killed.
    Timeout,
    /// It died; its last line on stderr, and how it ended.
    Died(String),
}

/// A running child, which is killed when dropped.
pub struct Child {
    process: Group,
    answers: Receiver<String>,
    /// The last line on stderr.
    said: Arc<Mutex<String>>,
    /// Disconnected once stderr is read to its end.
    stderr_read: Receiver<()>,
}

impl Child {
    pub fn start(setup: &Setup) -> Result<Self> {
        let mut command = Command::new(&setup.program);
        command.args(&setup.loading).args(["verify", "--child"]).args(&setup.arguments);
        command.envs(setup.environment.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process =
            Group::spawn(&mut command).map_err(|e| Error::file(&setup.program, format!("could not start: {e}")))?;
        // At most one answer is buffered: a child that writes more has to wait.
        let (sender, answers) = sync_channel(1);
        if let Some(stdout) = process.child().stdout.take() {
            std::thread::spawn(move || for_each_line(stdout, |line| sender.send(line).is_ok()));
        }
        let said = Arc::new(Mutex::new(String::new()));
        let (reading, stderr_read) = channel();
        if let Some(stderr) = process.child().stderr.take() {
            let said = said.clone();
            std::thread::spawn(move || {
                for_each_line(stderr, |line| {
                    let line: String = line.trim().chars().filter(|c| !c.is_control()).take(MOST_LAST_WORDS).collect();
                    if let (false, Ok(mut said)) = (line.is_empty(), said.lock()) {
                        *said = line;
                    }
                    true
                });
                drop(reading);
            });
        }
        Ok(Self { process, answers, said, stderr_read })
    }

    /// Sends a task and waits for its answer, at most `timeout`, or until `stop` returns true.
    pub fn ask(&mut self, task: &Task, timeout: Duration, stop: &dyn Fn() -> bool) -> Result<Answer, NoAnswer> {
        let text = serde_json::to_string(task).map_err(|e| NoAnswer::Died(e.to_string()))?;
        if let Some(stdin) = &mut self.process.child().stdin {
            // A dead child is noticed below.
            let _ = writeln!(stdin, "{text}").and_then(|()| stdin.flush());
        }
        let started = Instant::now();
        loop {
            let left = timeout.saturating_sub(started.elapsed());
            match self.answers.recv_timeout(left.min(LOOK_EVERY)) {
                Ok(line) => {
                    let wrong =
                        |_| NoAnswer::Died(format!("its answer was {:?}", line.chars().take(200).collect::<String>()));
                    return serde_json::from_str(&line).map_err(wrong);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(NoAnswer::Died(self.last_words())),
                Err(RecvTimeoutError::Timeout) if stop() => return Err(NoAnswer::Stopped),
                Err(RecvTimeoutError::Timeout) if started.elapsed() >= timeout => return Err(NoAnswer::Timeout),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// How a child that closed its stdout has ended.
    fn last_words(&mut self) -> String {
        let how = self.process.wait(ENDS_WITHIN).map_or("it closed its output".into(), |status| status.to_string());
        // Its last output may still be in the pipe.
        let _ = self.stderr_read.recv_timeout(LAST_WORDS_WITHIN);
        let said = self.said.lock().map(|said| said.clone()).unwrap_or_default();
        if said.is_empty() { how } else { format!("{how}: {said}") }
    }
}

/// Passes the lines of `pipe` to `take` until that returns false, the pipe ends, or a line is longer than any answer.
fn for_each_line(pipe: impl Read, mut take: impl FnMut(String) -> bool) {
    let mut pipe = BufReader::new(pipe);
    loop {
        let mut line = Vec::new();
        match (&mut pipe).take(MOST_LINE).read_until(b'\n', &mut line) {
            Ok(1..) if take(String::from_utf8_lossy(&line).into_owned()) && line.ends_with(b"\n") => {}
            _ => return,
        }
    }
}
