//! When a process is killed: so long after a line of its output. A moment of the whole duration alone would seldom fall into a short phase.

#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long a run may take to end once it was asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// A moment of a process.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// A part of the line on stderr that it follows; empty for the start.
    pub after: &'static str,
    pub delay: Duration,
}

/// A process whose lines on stderr are read as they come.
struct Watched {
    child: Child,
    lines: Receiver<String>,
    said: String,
}

impl Watched {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let reader = BufReader::new(child.stderr.take().unwrap());
        // Ends with the process, whose pipe it reads.
        std::thread::spawn(move || {
            for line in reader.split(b'\n').map_while(Result::ok) {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Self { child, lines, said: String::new() }
    }

    fn note(&mut self, line: &str) {
        self.said.push_str(line);
        self.said.push('\n');
    }

    /// Waits for a line with `part`; false if the process ends before.
    fn reaches(&mut self, part: &str) -> bool {
        while !part.is_empty() {
            let Ok(line) = self.lines.recv() else { return false };
            self.note(&line);
            if line.contains(part) {
                break;
            }
        }
        true
    }

    fn send(&self, signal: &str) {
        // A process that has ended is still this one's child, so its number is its own.
        let _ = Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.child.id())]).status().unwrap();
    }

    /// Waits for the end; how it ended, and all that it said.
    fn end(mut self, what: &str) -> (ExitStatus, String) {
        let asked = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if asked.elapsed() > ENDS_WITHIN {
                let _ = self.child.kill();
                panic!("{what}: it did not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        while let Ok(line) = self.lines.recv() {
            self.note(&line);
        }
        (status, self.said)
    }
}

/// Runs `command` to its end; the time until each of `marks` (a part of a line) was said, and all of it.
pub fn timeline(command: &mut Command, marks: &[&str]) -> Vec<Duration> {
    let started = Instant::now();
    let mut watched = Watched::start(command);
    let mut times: Vec<Duration> = Vec::new();
    for mark in marks {
        let reached = watched.reaches(mark);
        assert!(reached, "it never said {mark:?}: {}", watched.said);
        times.push(started.elapsed());
    }
    let (status, said) = watched.end("a run in peace");
    assert!(status.success(), "{said}");
    times.push(started.elapsed());
    times
}

/// Sends `signals` at `moment`; all that it said, or nothing if it had ended by then.
pub fn disturb(command: &mut Command, moment: Moment, signals: &[&str], what: &str) -> Option<String> {
    let mut watched = Watched::start(command);
    let reached = watched.reaches(moment.after);
    std::thread::sleep(moment.delay);
    if !reached || watched.child.try_wait().unwrap().is_some() {
        let (status, said) = watched.end(what);
        assert!(status.success(), "{what}: it failed by itself: {said}");
        return None;
    }
    for signal in signals {
        watched.send(signal);
        std::thread::sleep(Duration::from_millis(2));
    }
    let (status, said) = watched.end(what);
    assert!(!said.replace("error: interrupted", "").contains("error:"), "{what}: {said}");
    // Interrupted, ended by the signal where nothing had to be put in order, or finished at that moment.
    assert!([None, Some(0), Some(130)].contains(&status.code()), "{what}: {status}: {said}");
    Some(said)
}
