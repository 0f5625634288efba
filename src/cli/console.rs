//! Where a command's words go: results to stdout, everything else to stderr, progress only to a terminal. Nothing else in the
//! command line writes to either.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::signals::Ignored;
use crate::error::{Error, Result};
use crate::train::Interrupt;

/// The problem of a write to a pipe that nobody reads any more.
const CLOSED: &str = "stdout was closed";

/// Whether a bad input was reported.
static COMPLAINED: AtomicBool = AtomicBool::new(false);

/// The exit status of a command that ended because nobody reads its results any more: that of the work it did until then.
pub(super) fn status_when_closed() -> u8 {
    u8::from(COMPLAINED.load(Ordering::Relaxed))
}

/// Writes a line to stderr. A line that can't be written is dropped: the work goes on when nobody reads stderr any more
/// (`2>&1 | head`), or when the disk that it goes to is full.
pub fn say(text: impl Display) {
    // Whole lines, so that those of several threads don't mix.
    let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// How much is said.
#[derive(Debug, Clone)]
pub struct Console {
    verbose: bool,
    quiet: bool,
}

impl Console {
    pub fn new(verbose: bool, quiet: bool) -> Self {
        Self { verbose, quiet }
    }

    /// Something the user should know, on stderr.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            say(text);
        }
    }

    /// Something that only `--verbose` shows, on stderr.
    pub fn verbose(&self, text: impl Display) {
        if self.verbose {
            say(text);
        }
    }

    /// One bad input among many, on stderr even with `--quiet`.
    pub fn complain(&self, text: impl Display) {
        COMPLAINED.store(true, Ordering::Relaxed);
        say(format_args!("error: {text}"));
    }

    /// A progress bar over `total` items; invisible without a terminal.
    pub fn progress(&self, total: u64, what: &str) -> ProgressBar {
        self.bar(Some(total), what, "{prefix} {wide_bar} {pos}/{len} {per_sec} eta {eta} {msg}")
    }

    /// A progress bar over `total` bytes, if it is known how many.
    pub fn transfer(&self, total: Option<u64>, what: &str) -> ProgressBar {
        self.bar(total, what, "{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} eta {eta} {msg}")
    }

    /// A line of text that changes; invisible without a terminal.
    pub fn line(&self) -> ProgressBar {
        self.bar(None, "", "{msg}")
    }

    fn bar(&self, total: Option<u64>, what: &str, template: &str) -> ProgressBar {
        let visible = !self.quiet && std::io::stderr().is_terminal();
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(what.to_owned());
        bar
    }
}

/// How far a long job is, told every ten seconds where there is no terminal to draw a bar on.
pub struct Pace<'a> {
    console: &'a Console,
    total: usize,
    started: Instant,
    told: Instant,
}

impl<'a> Pace<'a> {
    pub fn new(console: &'a Console, total: usize) -> Self {
        let now = Instant::now();
        Self { console, total, started: now, told: now }
    }

    /// `done` of all images are.
    pub fn at(&mut self, done: usize) {
        if self.told.elapsed() < Duration::from_secs(10) || std::io::stderr().is_terminal() {
            return;
        }
        self.told = Instant::now();
        let rate = done as f64 / self.started.elapsed().as_secs_f64();
        let left = self.total.saturating_sub(done) as f64 / rate.max(1e-9);
        self.console.note(format!("{done} of {} images, {rate:.1} images/s, {left:.0} s left", self.total));
    }
}

/// Writes a command's result to stdout. That nobody reads it any more (`| head`) is no failure: the work is done, and its status
/// stands.
pub fn print(text: impl Display) -> Result<()> {
    match print_bytes(text.to_string().as_bytes()) {
        Err(error) if is_closed(&error) => Ok(()),
        result => result,
    }
}

/// Whether `error` is that nobody reads stdout any more.
pub(super) fn is_closed(error: &Error) -> bool {
    matches!(error, Error::File { problem, .. } if problem == CLOSED)
}

/// Writes results that need not be text, such as the names of files, to stdout. A closed stdout is an error, so that a long list of
/// them ends; see [`is_closed`].
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(unwritten)
}

/// Writes what clap has to say where it belongs: help and versions are results, complaints are not.
pub fn print_usage(error: &clap::Error) -> Result<()> {
    let written = error.print();
    if error.use_stderr() {
        return Ok(());
    }
    written.and_then(|()| std::io::stdout().flush()).map_err(unwritten)
}

/// Why results could not be written.
fn unwritten(error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Error::file("-", CLOSED),
        _ => Error::file("stdout", format!("could not be written: {error}; check where it is redirected to")),
    }
}

/// Writes one value as pretty JSON to stdout.
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::file("stdout", e))?;
    print(text + "\n")
}

/// Pairs as a JSON object, in their order.
pub fn as_map<T: serde::Serialize, S: serde::Serializer>(
    pairs: &[(String, T)],
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

/// The flag that Ctrl-C raises, and SIGTERM, and SIGHUP; what the process was started to ignore stays ignored. The second Ctrl-C
/// ends the process at once.
pub fn interrupt() -> Interrupt {
    static FLAG: OnceLock<Interrupt> = OnceLock::new();
    FLAG.get_or_init(|| {
        let flag = Interrupt::new();
        let raised = flag.clone();
        // Without a handler Ctrl-C still ends the process; only the orderly end is lost.
        let ignored = Ignored::look();
        let _ = ctrlc::set_handler(move || {
            if raised.is_raised() {
                std::process::exit(130);
            }
            raised.raise();
        });
        ignored.restore();
        flag
    })
    .clone()
}
