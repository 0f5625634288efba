//! The shader compilers of this machine, each run as a process on a file in a temporary folder, for a bounded time.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::super::process::{self, Stopped};
use super::outcome::Outcome;
use super::translate::{Target, Translation};

/// A compiler that did not end on this many kernels is not run on others, so that the whole check ends too.
pub(super) const MOST_HANGS: usize = 3;

/// wgpu's own arguments for DXC.
const DXC: [&str; 6] = ["-T", "cs_6_2", "-HV", "2018", "-no-warnings", "-enable-16bit-types"];

/// A compiler or validator.
#[derive(Debug, Clone, Serialize)]
pub struct Tool {
    pub name: &'static str,
    /// The program to run: the name, unless the environment sets another.
    #[serde(skip)]
    program: String,
    /// What it does, as text.
    pub checks: &'static str,
    /// The first line of its version; `None` if it was not found.
    pub version: Option<String>,
    /// Why it can't be used although it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// How often it had to be stopped.
    #[serde(skip)]
    hangs: Arc<AtomicUsize>,
    #[serde(skip)]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    SpirvVal,
    Metal,
    Xcrun,
    Dxc,
    GlslangHlsl,
    GlslangGlsl,
    /// On many kernels at once: see [`super::lists`].
    Tint,
    /// Runs the kernel's text, in tests.
    #[cfg(test)]
    Script,
}

/// How long a tool may run.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For one kernel.
    pub timeout: Duration,
    /// Whether to stop now.
    pub stop: fn() -> bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(60), stop: || false }
    }
}

/// All tools, in order of preference for their target.
#[derive(Debug, Clone)]
pub struct Tools {
    list: Vec<Tool>,
    pub(super) limits: Limits,
}

impl Tools {
    /// Looks for every tool on the path, and at the path in `GPU_RESNET_DXC` (and so on).
    pub fn find(limits: Limits) -> Self {
        let tool = |kind, checks, name: &'static str, arguments: &[&str]| {
            let program = std::env::var(format!("GPU_RESNET_{}", name.to_uppercase())).unwrap_or(name.into());
            let found = process::run(Command::new(&program).args(arguments), limits.timeout, limits.stop);
            let (version, problem) = match found {
                Ok(output) if output.status.success() => (first_line(&output.stdout), None),
                Ok(_) | Err(Stopped::NotStarted(_)) => (None, None),
                Err(stopped) => (None, Some(format!("{program} {} {}", arguments.join(" "), why(&stopped, limits)))),
            };
            Tool { name, program, checks, version, problem, hangs: Arc::default(), kind }
        };
        let list = vec![
            tool(Kind::SpirvVal, "SPIR-V", "spirv-val", &["--version"]),
            tool(Kind::Metal, "MSL", "metal", &["--version"]),
            tool(Kind::Xcrun, "MSL", "xcrun", &["-sdk", "macosx", "metal", "--version"]),
            tool(Kind::Dxc, "HLSL", "dxc", &["--version"]),
            tool(Kind::GlslangHlsl, "HLSL without f16, waves and u64", "glslangValidator", &["--version"]),
            tool(Kind::GlslangGlsl, "GLSL", "glslangValidator", &["--version"]),
            tool(Kind::Tint, "WGSL, as Chrome does", "tint", &["--version"]),
        ];
        Self { list, limits }
    }

    /// No tools, as if none were installed.
    pub fn none() -> Self {
        Self { list: Vec::new(), limits: Limits::default() }
    }

    pub(super) fn list(&self) -> Vec<Tool> {
        self.list.clone()
    }

    /// The one that compiles lists of kernels for `target`, if it is here.
    pub(super) fn of_lists(&self, target: Target) -> Option<&Tool> {
        let tool = self.list.iter().find(|tool| tool.version.is_some() && tool.kind.target() == target)?;
        tool.takes_lists().then_some(tool)
    }

    /// Compiles with the first tool found that can take the kernel.
    pub(super) fn compile(&self, target: Target, translation: &Translation, source: &str) -> Outcome {
        let matrices = source.contains("enable wgpu_cooperative_matrix;");
        let modern = ["enable f16;", "subgroup_invocation_id", "u64"].iter().any(|part| source.contains(part));
        let fits = |tool: &&Tool| {
            tool.version.is_some()
                && match (target, tool.kind) {
                    (Target::Spirv, Kind::SpirvVal) => !matrices || tool.knows_matrices(),
                    (Target::Msl, Kind::Metal | Kind::Xcrun)
                    | (Target::Hlsl, Kind::Dxc)
                    | (Target::Glsl, Kind::GlslangGlsl) => true,
                    (Target::Hlsl, Kind::GlslangHlsl) => !modern,
                    _ => false,
                }
        };
        let Some(tool) = self.list.iter().find(fits) else { return Outcome::Translated };
        tool.run(translation, self.limits)
    }
}

impl Kind {
    fn target(self) -> Target {
        match self {
            Self::SpirvVal => Target::Spirv,
            Self::Metal | Self::Xcrun => Target::Msl,
            Self::Dxc | Self::GlslangHlsl => Target::Hlsl,
            Self::GlslangGlsl => Target::Glsl,
            Self::Tint => Target::Wgsl,
            #[cfg(test)]
            Self::Script => Target::Hlsl,
        }
    }
}

impl Tool {
    /// Whether it compiles many kernels in one process: Tint, and a DXC that says so with its version, as `scripts/dxc.py` does.
    fn takes_lists(&self) -> bool {
        let says_so = || self.version.as_deref().is_some_and(|version| version.ends_with(", lists of kernels"));
        self.kind == Kind::Tint || self.kind == Kind::Dxc && says_so()
    }

    /// The command for a list of kernels, to which the list's path and that of the results are added.
    pub(super) fn list_command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if self.kind == Kind::Dxc {
            command.args(DXC).arg("--list");
        }
        command
    }

    /// Whether it had to be stopped so often that it is not run any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.hangs.load(Ordering::Relaxed) >= MOST_HANGS
    }

    pub(super) fn was_stopped(&self) {
        self.hangs.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a spirv-val knows cooperative matrices: from v2023.4 on.
    fn knows_matrices(&self) -> bool {
        let version = self.version.as_deref().unwrap_or_default();
        let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
        let year = version.split_once('v').and_then(|(_, rest)| rest.split_once('.'));
        let found = year.and_then(|(year, minor)| Some((number(year)?, number(minor)?)));
        found.is_some_and(|found: (u32, u32)| found >= (2023, 4))
    }

    /// What `command`, one of this tool's, says within the limits.
    pub(super) fn output(&self, command: &mut Command, limits: Limits) -> Result<process::Output, Stopped> {
        process::run(command, limits.timeout, limits.stop)
    }

    fn run(&self, translation: &Translation, limits: Limits) -> Outcome {
        let by = self.name.to_owned();
        if self.is_given_up() {
            let message = format!("not run: it had to be stopped on {MOST_HANGS} kernels before this one");
            return Outcome::Timeout { by, message };
        }
        match self.try_run(translation, limits) {
            Ok(Ok(())) => Outcome::Compiled { tool: by },
            Ok(Err(message)) => Outcome::Failed { by, message },
            Err(Stopped::NotStarted(error)) => Outcome::Failed { by, message: format!("could not be run: {error}") },
            Err(stopped) => {
                self.was_stopped();
                Outcome::Timeout { by, message: format!("it {}", why(&stopped, limits)) }
            }
        }
    }

    /// Whether the kernel compiles, and the tool's message if not.
    fn try_run(&self, translation: &Translation, limits: Limits) -> Result<Result<(), String>, Stopped> {
        let folder = tempfile::tempdir().map_err(Stopped::NotStarted)?;
        let extension = match self.kind {
            Kind::SpirvVal => "spv",
            Kind::Metal | Kind::Xcrun => "metal",
            Kind::Dxc | Kind::GlslangHlsl => "hlsl",
            Kind::GlslangGlsl => "comp",
            Kind::Tint => "wgsl",
            #[cfg(test)]
            Kind::Script => "sh",
        };
        let input = folder.path().join("kernel").with_extension(extension);
        std::fs::write(&input, &translation.bytes).map_err(Stopped::NotStarted)?;
        let mut command = self.command(&input, &translation.entry);
        let output = process::run(command.current_dir(&folder), limits.timeout, limits.stop)?;
        if output.status.success() {
            return Ok(Ok(()));
        }
        let folder = format!("{}/", folder.path().display());
        let said = format!("{}{}", output.stdout, output.stderr).replace(&folder, "").trim().to_owned();
        // A tool that crashes says nothing.
        Ok(Err(if said.is_empty() { output.status.to_string() } else { said }))
    }

    fn command(&self, input: &Path, entry: &str) -> Command {
        let mut command = Command::new(&self.program);
        match self.kind {
            Kind::SpirvVal => command.args(["--target-env", "vulkan1.1"]),
            Kind::Metal => command.args(["-c", "-o", "kernel.air"]),
            Kind::Xcrun => command.args(["-sdk", "macosx", "metal", "-c", "-o", "kernel.air"]),
            Kind::Dxc => command.args(DXC).args(["-E", entry, "-Fo", "kernel.dxil"]),
            Kind::GlslangHlsl => command.args(["-D", "-V", "-S", "comp", "-e", entry, "-o", "kernel.spv"]),
            Kind::GlslangGlsl => command.args(["-S", "comp"]),
            Kind::Tint => &mut command,
            #[cfg(test)]
            Kind::Script => &mut command,
        };
        command.arg(input);
        command
    }
}

fn first_line(text: &str) -> Option<String> {
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// Why a tool was stopped, to follow its name.
pub(super) fn why(stopped: &Stopped, limits: Limits) -> String {
    match stopped {
        Stopped::NotStarted(error) => format!("could not be run: {error}"),
        Stopped::Timeout => format!("did not end within {} s and was stopped", limits.timeout.as_secs_f64()),
        Stopped::Flood => "wrote too much output and was stopped".into(),
        Stopped::Interrupted => "was interrupted".into(),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// A tool whose program is a shell, which runs the kernel's text.
    fn fake(text: &str) -> (Tool, Translation) {
        let shell = Tool {
            name: "fake",
            program: "sh".into(),
            checks: "HLSL",
            version: Some("1".into()),
            problem: None,
            hangs: Arc::default(),
            kind: Kind::Script,
        };
        (shell, Translation { bytes: text.into(), entry: "main".into() })
    }

    #[test]
    fn every_end_of_a_tool_is_an_outcome() {
        let outcome = |text: &str, timeout| {
            let (tool, translation) = fake(text);
            tool.run(&translation, Limits { timeout, ..Limits::default() })
        };
        let long = Duration::from_secs(60);
        assert_eq!(outcome("true", long), Outcome::Compiled { tool: "fake".into() });
        assert_eq!(outcome("echo wrong; exit 1", long), Outcome::Failed { by: "fake".into(), message: "wrong".into() });
        let failed = |outcome: Outcome, part: &str| match outcome {
            Outcome::Failed { message, .. } => assert!(message.contains(part), "{message}"),
            other => panic!("{other:?}"),
        };
        failed(outcome("kill -SEGV $$", long), "signal");
        let stopped = |outcome: Outcome, part: &str| match outcome {
            Outcome::Timeout { message, .. } => assert!(message.contains(part), "{message}"),
            other => panic!("{other:?}"),
        };
        stopped(outcome("sleep 600", Duration::from_millis(300)), "within 0.3 s");
        stopped(outcome("yes", long), "wrote too much output");
    }

    #[test]
    fn a_tool_that_always_hangs_is_run_a_few_times() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runs");
        let (tool, translation) = fake(&format!("echo run >> {}; sleep 600", file.display()));
        let limits = Limits { timeout: Duration::from_millis(300), ..Limits::default() };
        for _ in 0..8 {
            assert!(matches!(tool.run(&translation, limits), Outcome::Timeout { .. }));
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), MOST_HANGS);
    }
}
