//! The shader compilers of this machine, each run as a process on a file in a temporary folder.

use std::path::Path;
use std::process::Command;

use serde::Serialize;

use super::Outcome;
use super::translate::{Target, Translation};

/// A compiler or validator that was looked for.
#[derive(Debug, Clone, Serialize)]
pub struct Tool {
    pub name: &'static str,
    /// The program that is run: the name, unless the environment has another.
    #[serde(skip)]
    program: String,
    /// What it is asked to do, in words.
    pub checks: &'static str,
    /// First line that it says about itself; none if it was not found.
    pub version: Option<String>,
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
}

/// All tools, in order of preference for their target.
#[derive(Debug, Clone)]
pub struct Tools(Vec<Tool>);

impl Tools {
    /// Looks for every tool on the path, and where `GPU_RESNET_DXC` (and so on) says.
    pub fn find() -> Self {
        let tool = |kind, checks, name: &'static str, arguments: &[&str]| {
            let program = std::env::var(format!("GPU_RESNET_{}", name.to_uppercase())).unwrap_or(name.into());
            let output = Command::new(&program).args(arguments).output().ok().filter(|output| output.status.success());
            let version = output.and_then(|output| {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
            });
            Tool { name, program, checks, version, kind }
        };
        Self(vec![
            tool(Kind::SpirvVal, "SPIR-V", "spirv-val", &["--version"]),
            tool(Kind::Metal, "MSL", "metal", &["--version"]),
            tool(Kind::Xcrun, "MSL", "xcrun", &["-sdk", "macosx", "metal", "--version"]),
            tool(Kind::Dxc, "HLSL", "dxc", &["--version"]),
            tool(Kind::GlslangHlsl, "HLSL without f16, waves and u64", "glslangValidator", &["--version"]),
            tool(Kind::GlslangGlsl, "GLSL", "glslangValidator", &["--version"]),
        ])
    }

    /// As if none were installed.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn list(&self) -> Vec<Tool> {
        self.0.clone()
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
        let Some(tool) = self.0.iter().find(fits) else { return Outcome::Translated };
        match tool.run(translation) {
            Ok(()) => Outcome::Compiled { tool: tool.name.into() },
            Err(message) => Outcome::Failed { by: tool.name.into(), message },
        }
    }
}

impl Tool {
    /// Whether a spirv-val has heard of cooperative matrices: from v2023.4 on.
    fn knows_matrices(&self) -> bool {
        let version = self.version.as_deref().unwrap_or_default();
        let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
        let year = version.split_once('v').and_then(|(_, rest)| rest.split_once('.'));
        let found = year.and_then(|(year, minor)| Some((number(year)?, number(minor)?)));
        found.is_some_and(|found: (u32, u32)| found >= (2023, 4))
    }

    fn run(&self, translation: &Translation) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{} could not be run: {error}", self.name);
        let folder = tempfile::tempdir().map_err(failed)?;
        let extension = match self.kind {
            Kind::SpirvVal => "spv",
            Kind::Metal | Kind::Xcrun => "metal",
            Kind::Dxc | Kind::GlslangHlsl => "hlsl",
            Kind::GlslangGlsl => "comp",
        };
        let input = folder.path().join("kernel").with_extension(extension);
        std::fs::write(&input, &translation.bytes).map_err(failed)?;
        let output = self.command(&input, &translation.entry).current_dir(&folder).output().map_err(failed)?;
        if output.status.success() {
            return Ok(());
        }
        let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        let folder = format!("{}/", folder.path().display());
        Err(format!("{stdout}{stderr}").replace(&folder, "").trim().to_owned())
    }

    fn command(&self, input: &Path, entry: &str) -> Command {
        let mut command = Command::new(&self.program);
        match self.kind {
            Kind::SpirvVal => command.args(["--target-env", "vulkan1.1"]),
            Kind::Metal => command.args(["-c", "-o", "kernel.air"]),
            Kind::Xcrun => command.args(["-sdk", "macosx", "metal", "-c", "-o", "kernel.air"]),
            // wgpu's own arguments.
            Kind::Dxc => command.args(["-T", "cs_6_2", "-HV", "2018", "-no-warnings", "-enable-16bit-types"]).args([
                "-E",
                entry,
                "-Fo",
                "kernel.dxil",
            ]),
            Kind::GlslangHlsl => command.args(["-D", "-V", "-S", "comp", "-e", entry, "-o", "kernel.spv"]),
            Kind::GlslangGlsl => command.args(["-S", "comp"]),
        };
        command.arg(input);
        command
    }
}
