//! Faults on purpose: what a driver may do to a run, at a chosen moment, in release builds too. A fault goes through the handlers that the
//! driver's own errors go through, and leaves wgpu in the state that a real one leaves it in, so that what follows is what a user would see.
//! This file says when a fault strikes; the device makes it happen.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(target_arch = "wasm32"))]
use std::time::Duration;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The driver has no memory for a buffer.
    OutOfMemory,
    /// The device is lost when work is submitted.
    Lost,
    /// The driver's compiler fails.
    Shader,
    /// A wait for the device does not end.
    Hang,
}

impl FaultKind {
    const NAMED: [(&str, Self); 4] =
        [("oom", Self::OutOfMemory), ("lost", Self::Lost), ("shader", Self::Shader), ("hang", Self::Hang)];
}

/// A fault, and when each opened device has it: `oom@3` at the third allocation of a buffer, `lost@3` at the third submit, `shader@3` at the
/// third kernel that is compiled, `hang@3` at the third wait. `oom@3+` is at all later ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    /// Which of its occasions, from 1.
    pub at: u64,
    /// Whether it recurs at every later occasion.
    pub stays: bool,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "it is oom, lost, shader or hang, then @ and a number from 1, as in oom@3, or oom@3+ for all that follow"
                .to_owned()
        };
        let (kind, at) = text.split_once('@').ok_or_else(wrong)?;
        let kind = FaultKind::NAMED.iter().find(|(name, _)| *name == kind).ok_or_else(wrong)?.1;
        let (at, stays) = at.strip_suffix('+').map_or((at, false), |at| (at, true));
        let at = at.parse().ok().filter(|at| *at > 0).ok_or_else(wrong)?;
        Ok(Self { kind, at, stays })
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let name = FaultKind::NAMED.iter().find(|(_, kind)| *kind == self.kind).map_or("", |(name, _)| name);
        write!(f, "{name}@{}{}", self.at, if self.stays { "+" } else { "" })
    }
}

/// Longest that a driver may take over a submit, whose work is estimated to take less than half a second. The first submit contains what
/// slow drivers put off when they compile.
#[cfg(not(target_arch = "wasm32"))]
const HANGS_AFTER: Duration = Duration::from_secs(600);
/// The same where a hang is injected, which nobody wants to wait for.
#[cfg(not(target_arch = "wasm32"))]
const INJECTED_HANG: Duration = Duration::from_millis(50);

/// How often faults struck in this process.
static STRUCK: AtomicU64 = AtomicU64::new(0);

/// How often faults struck in this process, on all of its devices.
pub fn faults_struck() -> u64 {
    STRUCK.load(Ordering::Relaxed)
}

/// The fault of a device, if it is to have one, and how many of its occasions there were.
#[derive(Default)]
pub(super) struct Injected {
    fault: Option<Fault>,
    occasions: AtomicU64,
}

impl Injected {
    pub fn new(fault: Option<Fault>) -> Self {
        Self { fault, occasions: AtomicU64::new(0) }
    }

    /// Whether this occasion of `kind` is the one that goes wrong.
    pub fn strikes(&self, kind: FaultKind) -> bool {
        let Some(fault) = self.fault.filter(|fault| fault.kind == kind) else { return false };
        let occasion = self.occasions.fetch_add(1, Ordering::Relaxed) + 1;
        let strikes = occasion == fault.at || (fault.stays && occasion > fault.at);
        STRUCK.fetch_add(u64::from(strikes), Ordering::Relaxed);
        strikes
    }

    /// How long a wait may take, and whether it is one that does not end.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait(&self) -> (Duration, bool) {
        if self.strikes(FaultKind::Hang) { (INJECTED_HANG, true) } else { (HANGS_AFTER, false) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_as_it_is_written() {
        for text in ["oom@1", "lost@2", "shader@30", "hang@4", "oom@5+"] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        for text in
            ["", "oom", "oom@", "oom@0", "oom@-1", "oom@x", "fire@1", "@1", "oom@1++", "oom@99999999999999999999"]
        {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn it_strikes_once_or_from_then_on() {
        let struck = |fault: &str| {
            let injected = Injected::new(fault.parse().ok());
            [0; 4].map(|_| injected.strikes(FaultKind::OutOfMemory))
        };
        assert_eq!(struck("oom@2"), [false, true, false, false]);
        assert_eq!(struck("oom@2+"), [false, true, true, true]);
        assert_eq!(struck("lost@2"), [false; 4]);
        assert!(!Injected::default().strikes(FaultKind::Hang));
    }
}
