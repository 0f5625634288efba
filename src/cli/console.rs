//! A command's output: results to stdout, everything else to stderr, progress only to a terminal. Nothing else in the command
//! line writes to either.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::signals::Ignored;
use crate::error::{Error, Result};
use crate::panics::is_caught;
use crate::train::Interrupt;

/// The error text of a write to a closed pipe.
const CLOSED: &str = "stdout was closed";

/// Whether a bad input was reported.
static COMPLAINED: AtomicBool = AtomicBool::new(false);

/// The exit status of a command that ended because its stdout was closed: that of the work it did until then.
pub(super) fn status_when_closed() -> u8 {
    u8::from(COMPLAINED.load(Ordering::Relaxed))
}

/// Writes a line to stderr. A line that cannot be written is dropped: the work goes on if stderr is closed (`2>&1 | head`) or its
/// disk is full.
pub fn say(text: impl Display) {
    // What is quoted from a file may be commands to a terminal.
    let text = text.to_string().replace(|c: char| c.is_control() && c != '\n' && c != '\t', "?");
    // Whole lines, so that lines of several threads do not mix.
    let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Says that the program has a bug, which a panic is: in one line, without a backtrace. Of a reader that gives up on a broken file
/// its error is said instead.
pub fn report_panic(panic: &PanicHookInfo) {
    if is_caught() {
        return;
    }
    let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let cause = text.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown cause");
    say(format_args!("error: internal error{place}: {cause}"));
}

/// How much is printed.
#[derive(Debug, Clone)]
pub struct Console {
    verbose: bool,
    quiet: bool,
}

impl Console {
    pub fn new(verbose: bool, quiet: bool) -> Self {
        Self { verbose, quiet }
    }

    /// Prints something that the user should know, on stderr.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            say(text);
        }
    }

    /// Prints something that only `--verbose` shows, on stderr.
    pub fn verbose(&self, text: impl Display) {
        if self.verbose {
            say(text);
        }
    }

    /// Reports one bad input among many, on stderr even with `--quiet`.
    pub fn complain(&self, text: impl Display) {
        COMPLAINED.store(true, Ordering::Relaxed);
        say(format_args!("error: {text}"));
    }

    /// A progress bar over `total` items; invisible without a terminal.
    pub fn progress(&self, total: u64, what: &str) -> ProgressBar {
        self.bar(Some(total), what, "{prefix} {wide_bar} {pos}/{len} {per_sec} eta {eta} {msg}")
    }

    /// A progress bar over `total` bytes, if their number is known.
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

/// Progress of a long job, printed every ten seconds when there is no terminal for a bar.
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

    /// `done` images are finished.
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

/// Writes a command's result to stdout. A closed stdout (`| head`) is not a failure: the work is done, and its status stands.
pub fn print(text: impl Display) -> Result<()> {
    match print_bytes(text.to_string().as_bytes()) {
        Err(error) if is_closed(&error) => Ok(()),
        result => result,
    }
}

/// Whether `error` says that stdout was closed.
pub(super) fn is_closed(error: &Error) -> bool {
    matches!(error, Error::File { problem, .. } if problem == CLOSED)
}

/// Writes results that need not be text, such as file names, to stdout. A closed stdout is an error, so that a long list ends
/// early; see [`is_closed`].
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(unwritten)
}

/// Writes clap's output where it belongs: help and versions are results, usage errors are not.
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

/// The flag that Ctrl-C, SIGTERM and SIGHUP raise. Signals that the process was started to ignore stay ignored. A second Ctrl-C
/// ends the process at once.
pub fn interrupt() -> Interrupt {
    static FLAG: OnceLock<Interrupt> = OnceLock::new();
    FLAG.get_or_init(|| {
        let flag = Interrupt::new();
        let raised = flag.clone();
        // Without a handler Ctrl-C still ends the process, only not in an orderly way.
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
