//! The report itself. Field names are the keys of the JSON file; `docs/guide/verify.md` describes them to its readers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use web_time::SystemTime;

use super::{number, time};
use crate::bench::Peaks;
use crate::gpu::{AdapterReport, Capabilities};

/// Version of the file format; a change that an older reader would misread raises it.
pub const SCHEMA: u32 = 1;

/// Everything that one `verify` found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// When the run started: RFC 3339, UTC.
    pub created: String,
    pub crate_version: String,
    /// Operating system and processor architecture, such as `linux x86_64`.
    pub platform: String,
    /// Versions of the libraries between the shaders and the driver: `wgpu`, `naga`.
    pub libraries: BTreeMap<String, String>,
    /// The program's own switches that were set in the environment, such as `GPU_RESNET_CONV2D`.
    pub switches: BTreeMap<String, String>,
    /// SHA-256 (hex) of every shader, imports expanded.
    pub shader_hashes: BTreeMap<String, String>,
    /// `quick` or `full`.
    pub suite: String,
    /// The regular expression that chose the cases, if one did.
    pub filter: Option<String>,
    pub adapters: Vec<AdapterRun>,
    /// Whether every negative control was caught on every adapter. If not, no verdict of this run means anything.
    pub valid: bool,
}

/// What was found on one adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdapterRun {
    pub adapter: AdapterReport,
    pub capabilities: Capabilities,
    /// The numeric fingerprint; `None` if the probes could not run.
    pub fingerprint: Option<Fingerprint>,
    /// Measured peaks; `None` if they were not measured.
    pub peaks: Option<Peaks>,
    pub controls: Vec<ControlResult>,
    pub cases: Vec<CaseResult>,
    /// Cases that there was no time for (`--limit`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
    /// Shaders that the adapter can run and no case ran; `None` if not every kernel was requested, or a child that would know died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shaders_not_run: Option<Vec<String>>,
    /// Wall time of all cases.
    pub seconds: f64,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A kernel broken on purpose, and whether the comparison noticed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlResult {
    pub name: String,
    /// What is wrong with it, in words.
    pub breaks: String,
    /// The check that caught it (`tolerance`, `guard`, `unwritten`, `repeat`, …); empty if none did.
    pub caught_by: String,
    pub caught: bool,
    pub message: String,
}

/// Controls whose fault an adapter may happen to hide: a race that it wins.
pub const MAY_HIDE: [&str; 1] = ["conv2d_gemm: the barrier between writing and reading a tile is missing"];

impl ControlResult {
    /// Whether the run stays valid with this result: the fault was caught, or may hide.
    pub fn is_good(&self) -> bool {
        self.caught || MAY_HIDE.contains(&self.name.as_str())
    }
}

/// What a case runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    Forward,
    Backward,
    /// A whole network, against stored references.
    Network,
}

impl Direction {
    /// As in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Network => "network",
        }
    }
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Every value within its tolerance, no stray write, the same bits each time.
    Pass,
    /// It ran, and a check failed.
    Fail,
    /// The adapter lacks what the kernel needs; the message says what.
    Unsupported,
    /// The process that ran it died.
    Crash,
    /// It did not end in time and was stopped.
    Timeout,
    /// The adapter ran out of memory.
    Oom,
    /// The driver reset or removed the device.
    DeviceLost,
}

impl Status {
    pub const ALL: [Self; 7] =
        [Self::Pass, Self::Fail, Self::Unsupported, Self::Crash, Self::Timeout, Self::Oom, Self::DeviceLost];

    /// As in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unsupported => "unsupported",
            Self::Crash => "crash",
            Self::Timeout => "timeout",
            Self::Oom => "oom",
            Self::DeviceLost => "device-lost",
        }
    }

    /// Whether nothing is wrong with the adapter: the case passed, or needs what the adapter does not claim to have.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Pass | Self::Unsupported)
    }
}

/// The result of one case. Measures are of the worst of the case's outputs, and `None` if nothing was compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// One line that names the case and can be given to `--filter`.
    pub id: String,
    pub op: String,
    pub direction: Direction,
    /// The kernel variant, or `-` if an op has only one.
    pub variant: String,
    /// `f32` or `f16`.
    pub precision: String,
    pub status: Status,
    /// Sum of squared errors over the sum of squared expected values.
    #[serde(with = "number", default)]
    pub nmse: Option<f64>,
    #[serde(with = "number", default)]
    pub max_abs: Option<f64>,
    /// Largest error relative to its own expected value.
    #[serde(with = "number", default)]
    pub max_rel: Option<f64>,
    /// Which value is off by `max_abs`, and of which output: `grad_weight[12, 3, 0, 1]`.
    pub worst_index: Option<String>,
    /// The NMSE that is allowed.
    #[serde(with = "number", default)]
    pub tolerance: Option<f64>,
    /// Share of the tolerance used; above 1 is a failure.
    #[serde(with = "number", default)]
    pub share: Option<f64>,
    /// Arithmetic operations of one run, a multiply-add counted as two.
    pub flops: f64,
    /// Bytes that one run must read and write at least once.
    pub bytes: f64,
    /// Time of one run on the device, if it was timed.
    pub seconds: Option<f64>,
    /// What went wrong or is missing; empty for a pass.
    pub message: String,
    /// A known driver bug that covers this case.
    pub expectation: Option<Expectation>,
}

/// A known driver bug: how the cases that it covers are expected to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    pub expected: Status,
    pub reason: String,
    /// Where the bug is tracked.
    pub link: String,
}

impl CaseResult {
    /// Whether it ended otherwise than expected: a failure that no expectation covers, or a pass where one does.
    pub fn is_unexpected(&self) -> bool {
        match &self.expectation {
            Some(expectation) => expectation.expected != self.status,
            None => !self.status.is_good(),
        }
    }
}

/// The numeric fingerprint: which freedoms of the floating-point and shading-language standards the driver uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub probes: Vec<Probe>,
}

/// One question to the adapter and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// `group.question`, such as `fma.contraction`.
    pub name: String,
    /// The answer, a word or a number, by which two reports are compared.
    pub value: String,
    /// The numbers behind it.
    pub detail: String,
}

/// The verdict of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every case ended as expected.
    Pass,
    /// At least one case ended otherwise than expected, or no case ran.
    Fail,
    /// A negative control was not caught.
    Invalid,
}

impl Report {
    /// A report with no adapters yet, about this program on this platform, with no switch set.
    pub fn new(suite: &str, filter: Option<&str>) -> Self {
        let libraries = [("wgpu", env!("GPU_RESNET_WGPU_VERSION")), ("naga", env!("GPU_RESNET_NAGA_VERSION"))];
        Self {
            schema: SCHEMA,
            created: time::rfc3339(SystemTime::now()),
            crate_version: env!("CARGO_PKG_VERSION").into(),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            libraries: libraries.map(|(name, version)| (name.into(), version.into())).into(),
            switches: BTreeMap::new(),
            shader_hashes: crate::gpu::shaders::hashes(),
            suite: suite.into(),
            filter: filter.map(str::to_owned),
            adapters: Vec::new(),
            valid: false,
        }
    }

    /// The verdict of the whole run.
    pub fn verdict(&self) -> Verdict {
        let ran = |run: &AdapterRun| run.cases.iter().any(|case| case.status != Status::Unsupported);
        if !self.valid {
            Verdict::Invalid
        } else if self.adapters.iter().any(|run| run.cases.iter().any(CaseResult::is_unexpected))
            || !self.adapters.iter().any(ran)
        {
            Verdict::Fail
        } else {
            Verdict::Pass
        }
    }
}
