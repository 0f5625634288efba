//! The process that cases run in, so that a crash, a hang or a lost device ends a case and not the run. The parent sends
//! one task a line (JSON, on stdin) and gets one answer a line; the child ends when its stdin does.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::case::Case;
use super::check::Checker;
use super::controls;
use super::report::{CaseResult, ControlResult, Fingerprint, Peaks};
use crate::bench;
use crate::error::{Error, Result};
use crate::gpu::{AdapterReport, Capabilities, Gpu};

/// What a child is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// What the opened adapter is.
    Describe,
    /// How it computes.
    Fingerprint,
    /// How fast it can be.
    Peaks,
    /// Runs a negative control, by name.
    Control(String),
    /// Runs a case, by line.
    Case(String),
}

/// What a child answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Description(Box<(AdapterReport, Capabilities)>),
    Fingerprint(Fingerprint),
    Peaks(Peaks),
    /// None where the adapter can't run the kernel that the control breaks.
    Control(Option<ControlResult>),
    Case(Box<CaseResult>),
    /// The task could not be done at all.
    Refused(String),
}

/// Answers tasks from stdin until it ends; for the hidden `verify --child`. When the parent is gone so is the child, even in
/// the middle of a task that hangs.
pub fn serve(gpu: &Arc<Gpu>) -> Result<()> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines().map_while(|line| line.ok());
        lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
        std::process::exit(0);
    });
    let mut checker = Checker::default();
    for line in lines {
        let task = serde_json::from_str(&line).map_err(|e| Error::Usage(format!("{line:?} is no task: {e}")))?;
        let answer = answer(gpu, &mut checker, task).unwrap_or_else(|error| Answer::Refused(error.to_string()));
        let mut text = serde_json::to_string(&answer).map_err(|e| Error::file("stdout", e))?;
        text.push('\n');
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Error::file("stdout", e))?;
    }
    Ok(())
}

fn answer(gpu: &Arc<Gpu>, checker: &mut Checker, task: Task) -> Result<Answer> {
    Ok(match task {
        Task::Describe => Answer::Description(Box::new((gpu.report().clone(), gpu.capabilities()))),
        Task::Fingerprint => Answer::Fingerprint(super::fingerprint::fingerprint(gpu)?),
        Task::Peaks => Answer::Peaks(bench::peaks(gpu)?),
        Task::Control(name) => Answer::Control(controls::run(gpu, &name)?),
        Task::Case(line) => Answer::Case(Box::new(checker.check(gpu, &Case::parse(&line)?).result)),
    })
}

/// How to start a child.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The program, whose `verify --child` serves.
    pub program: PathBuf,
    /// Options of `verify --child` that choose the adapter and its device's options.
    pub arguments: Vec<String>,
    /// Environment of the child alone.
    pub environment: Vec<(String, String)>,
}

/// Why a child gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Not in time; it was killed.
    Timeout,
    /// It died; what it said last, and how.
    Died(String),
}

/// A running child. Dropped, it is killed.
pub struct Child {
    process: std::process::Child,
    answers: Receiver<String>,
    /// The last line on stderr.
    said: Arc<Mutex<String>>,
    /// Tasks asked so far.
    pub asked: usize,
}

impl Child {
    pub fn start(setup: &Setup) -> Result<Self> {
        let mut command = Command::new(&setup.program);
        command.args(["verify", "--child"]).args(&setup.arguments).envs(setup.environment.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(|e| Error::file(&setup.program, format!("could not start: {e}")))?;
        let (sender, answers) = channel();
        if let Some(stdout) = process.stdout.take() {
            std::thread::spawn(move || {
                let lines = BufReader::new(stdout).lines().map_while(|line| line.ok());
                lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
            });
        }
        let said = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = process.stderr.take() {
            let said = said.clone();
            std::thread::spawn(move || {
                let lines = BufReader::new(stderr).split(b'\n').map_while(|line| line.ok());
                for line in lines.map(|line| String::from_utf8_lossy(&line).trim().to_owned()) {
                    if let (false, Ok(mut said)) = (line.is_empty(), said.lock()) {
                        *said = line;
                    }
                }
            });
        }
        Ok(Self { process, answers, said, asked: 0 })
    }

    /// Sends a task and waits for its answer, at most `timeout`.
    pub fn ask(&mut self, task: &Task, timeout: Duration) -> Result<Answer, Ended> {
        self.asked += 1;
        let text = serde_json::to_string(task).map_err(|e| Ended::Died(e.to_string()))?;
        if let Some(stdin) = &mut self.process.stdin {
            // A child that is gone is noticed below.
            let _ = writeln!(stdin, "{text}").and_then(|()| stdin.flush());
        }
        match self.answers.recv_timeout(timeout) {
            Ok(line) => serde_json::from_str(&line).map_err(|_| Ended::Died(format!("its answer was {line:?}"))),
            Err(RecvTimeoutError::Timeout) => Err(Ended::Timeout),
            Err(RecvTimeoutError::Disconnected) => Err(Ended::Died(self.last_words())),
        }
    }

    /// How a dead child ended.
    fn last_words(&mut self) -> String {
        let how = self.process.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
        let said = self.said.lock().map(|said| said.clone()).unwrap_or_default();
        if said.is_empty() { how } else { format!("{how}: {said}") }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
