//! Signals that this process was started to ignore. `nohup` ignores SIGHUP, and a shell ignores SIGINT for its background jobs. The
//! handler for an orderly stop must leave those as they are.

/// Signals that ask for a stop and were ignored at the start.
#[cfg(unix)]
pub struct Ignored(Vec<libc::c_int>);

#[cfg(unix)]
#[allow(unsafe_code)]
impl Ignored {
    /// Records them before a handler is set.
    pub fn look() -> Self {
        let is_ignored = |signal: &libc::c_int| {
            // SAFETY: without a new action `sigaction` only writes the present one, into a value of its own type, for which zeros are valid.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                libc::sigaction(*signal, std::ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
            }
        };
        Self([libc::SIGHUP, libc::SIGINT, libc::SIGTERM].into_iter().filter(is_ignored).collect())
    }

    /// Ignores them again, after a handler was set.
    pub fn restore(self) {
        for signal in self.0 {
            // SAFETY: ignoring a signal runs none of our code.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
    }
}

/// Other systems inherit no signal.
#[cfg(not(unix))]
pub struct Ignored;

#[cfg(not(unix))]
impl Ignored {
    pub fn look() -> Self {
        Self
    }

    pub fn restore(self) {}
}
