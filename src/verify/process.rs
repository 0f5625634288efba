//! Runs programs as processes with bounded time and output, and ends them together with everything that they started.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much is kept of each of a program's two outputs.
const MOST_KEPT: usize = 256 << 10;
/// A program that writes more is stopped.
const MOST_SAID: u64 = 64 << 20;
/// How long a killed process may take to end; one that waits inside a driver may never end.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How long an output may stay open once its program is gone.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// A process in its own group, so that everything that it starts can be ended with it. It is ended when dropped.
pub(super) struct Group {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Group {
    pub fn spawn(command: &mut Command) -> std::io::Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        Ok(Self { child: command.spawn()?, ended: None })
    }

    /// The process itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether the process has ended. It is not reaped yet, so that its number remains its group's.
    #[cfg(unix)]
    fn has_ended(&mut self) -> bool {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.ended.is_some() || !matches!(waitid(WaitId::Pid(Pid::from_child(&self.child)), how), Ok(None))
    }

    #[cfg(not(unix))]
    fn has_ended(&mut self) -> bool {
        self.ended = self.ended.or_else(|| self.child.try_wait().ok().flatten());
        self.ended.is_some()
    }

    /// Waits until the process ends by itself, at most `within`, and ends the rest of its group. `None` if it did not end.
    pub fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let (started, mut pause) = (Instant::now(), Pause::default());
        while !self.has_ended() {
            if started.elapsed() >= within {
                return None;
            }
            pause.wait();
        }
        self.end()
    }

    /// Ends the process and all others of its group. `None` if it could not be ended.
    pub fn end(&mut self) -> Option<ExitStatus> {
        if self.ended.is_some() {
            return self.ended;
        }
        #[cfg(unix)]
        {
            use rustix::process::{Pid, Signal, kill_process_group};
            // Not reaped yet, so the group is still its own.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        }
        let _ = self.child.kill();
        let (started, mut pause) = (Instant::now(), Pause::default());
        while self.ended.is_none() && started.elapsed() < GONE_WITHIN {
            self.ended = self.child.try_wait().ok().flatten();
            if self.ended.is_none() {
                pause.wait();
            }
        }
        self.ended
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits between two polls: a millisecond at first, then longer.
#[derive(Default)]
struct Pause(u32);

impl Pause {
    fn wait(&mut self) {
        std::thread::sleep(Duration::from_millis(1 << self.0.min(4)));
        self.0 += 1;
    }
}

/// The output of a program that ended, each stream truncated after [`MOST_KEPT`] bytes.
pub(super) struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Why a program has no result.
#[derive(Debug)]
pub(super) enum Stopped {
    NotStarted(std::io::Error),
    /// It did not end in time.
    Timeout,
    /// It wrote more than [`MOST_SAID`] bytes.
    Flood,
    /// The caller no longer wants it.
    Interrupted,
}

/// Runs `command`, without input, until it ends, `timeout` is over or `stop` returns true; then ends the rest of its group.
pub(super) fn run(command: &mut Command, timeout: Duration, stop: fn() -> bool) -> Result<Output, Stopped> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = Instant::now();
    let mut group = Group::spawn(command).map_err(Stopped::NotStarted)?;
    let outputs = [group.child().stdout.take().map(Said::from), group.child().stderr.take().map(Said::from)];
    let said = || outputs.iter().flatten().map(Said::bytes).sum::<u64>();
    let mut pause = Pause::default();
    let stopped = loop {
        // Checked first: a process that has ended writes nothing more.
        let ended = group.has_ended();
        if said() > MOST_SAID {
            break Some(Stopped::Flood);
        }
        if ended {
            break None;
        }
        if started.elapsed() >= timeout {
            break Some(Stopped::Timeout);
        }
        if stop() {
            break Some(Stopped::Interrupted);
        }
        pause.wait();
    };
    let status = group.end();
    match (stopped, status) {
        (Some(stopped), _) => Err(stopped),
        (None, None) => Err(Stopped::Timeout),
        (None, Some(status)) => {
            let [stdout, stderr] = outputs.map(|output| output.map(Said::text).unwrap_or_default());
            Ok(Output { status, stdout, stderr })
        }
    }
}

/// The data of a pipe so far, read by a thread.
struct Said {
    kept: Arc<Mutex<Vec<u8>>>,
    bytes: Arc<AtomicU64>,
    closed: Receiver<()>,
}

impl<P: Read + Send + 'static> From<P> for Said {
    fn from(mut pipe: P) -> Self {
        let (kept, bytes) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
        let (done, closed) = channel();
        let said = Self { kept: kept.clone(), bytes: bytes.clone(), closed };
        std::thread::spawn(move || {
            let mut chunk = vec![0; 16 << 10];
            // Only `read_exact` and the like retry interrupted reads.
            while let Ok(read @ 1..) = retry(|| pipe.read(&mut chunk)) {
                bytes.fetch_add(read as u64, Ordering::Relaxed);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = MOST_KEPT.saturating_sub(kept.len());
                kept.extend_from_slice(&chunk[..read.min(room)]);
            }
            // There may be no waiter left.
            let _ = done.send(());
        });
        said
    }
}

fn retry(mut read: impl FnMut() -> std::io::Result<usize>) -> std::io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl Said {
    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Everything that was kept, once the pipe is closed. A process that left the group may hold it open; it is not waited for.
    fn text(self) -> String {
        let _ = self.closed.recv_timeout(CLOSED_WITHIN);
        String::from_utf8_lossy(&self.kept.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> Result<Output, Stopped> {
        run(Command::new("sh").args(["-c", script]), timeout, || false)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_a_program_says_and_how_it_ends_is_told() {
        let output = shell("echo out; echo err >&2; exit 3", LONG).unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
        let missing = run(&mut Command::new("/no/such/program"), LONG, || false);
        assert!(matches!(missing, Err(Stopped::NotStarted(_))));
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let started = Instant::now();
        let script = format!("sleep 600 & echo $! > {}; wait", file.display());
        assert!(matches!(shell(&script, Duration::from_millis(700)), Err(Stopped::Timeout)));
        assert!(started.elapsed() < Duration::from_secs(30));
        let pid = std::fs::read_to_string(&file).unwrap();
        let (waited, mut pause) = (Instant::now(), Pause::default());
        // Orphans are reaped by init, a moment later.
        while Command::new("kill").args(["-0", pid.trim()]).stderr(Stdio::null()).status().unwrap().success() {
            assert!(waited.elapsed() < Duration::from_secs(10) || zombie(&pid), "{pid} is still there");
            if zombie(&pid) {
                break;
            }
            pause.wait();
        }
    }

    fn zombie(pid: &str) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| stat.contains(") Z "))
    }

    #[test]
    fn what_it_leaves_behind_does_not_hold_the_run() {
        let started = Instant::now();
        let output = shell("sleep 600 & echo done", LONG).unwrap();
        assert_eq!(output.stdout, "done\n");
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_flood_is_stopped_and_little_of_it_is_kept() {
        assert!(matches!(shell("yes", LONG), Err(Stopped::Flood)));
        let output = shell("head -c 3000000 /dev/zero", LONG).unwrap();
        assert_eq!(output.stdout.len(), MOST_KEPT);
    }

    #[test]
    fn a_stop_ends_it() {
        let started = Instant::now();
        let stopped = run(Command::new("sleep").arg("600"), LONG, || true);
        assert!(matches!(stopped, Err(Stopped::Interrupted)));
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}
