//! Negative controls: the crate's own shaders, each broken on purpose in one place, which the ordinary checks must catch on
//! every adapter. If they don't, a pass says nothing and the run is invalid.
//!
//! A fault is a substitution in the text of a shader (imports expanded) that must match exactly once, so that a shader that
//! is rewritten can't leave its control behind.

mod convolutions;
mod cooperative;
mod layers;
mod others;

use std::sync::{Arc, OnceLock};

use convolutions::CONVOLUTIONS;
use cooperative::COOPERATIVE;
use layers::LAYERS;
use others::OTHERS;

use super::case::Case;
use super::check::Checker;
use super::judgement::Check;
use super::report::{ControlResult, MAY_HIDE, Status};
use super::requirements::lacks;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::gpu::shaders::{self, Shader, flags};
use crate::ops::Conv2dVariant;
use crate::ops::conv2d_kernels::kernel_of;

/// A shader broken on purpose, and the case that shows it.
#[derive(Debug, Clone)]
pub struct Control {
    pub name: String,
    /// What is wrong, in words.
    pub breaks: &'static str,
    pub shader: &'static str,
    /// What is replaced, and by what.
    pub from: &'static str,
    pub to: &'static str,
    /// Line of the case that must fail.
    pub case: String,
    /// Whether the same fault is put into other kernels too.
    pub shared: bool,
}

impl Control {
    /// Whether the fault may stay hidden: a race that an adapter happens to win.
    pub fn may_hide(&self) -> bool {
        MAY_HIDE.contains(&self.name.as_str())
    }

    /// Whether its shader is a kernel for convolutions, and not what packs, transforms or mends around any of them.
    pub fn of_one_kernel(&self) -> bool {
        let own = |shader: &Shader| kernel_of(shader).is_some() && !shader.flags.contains(flags::EMULATED);
        shaders::find(self.shader).is_some_and(own)
    }
}

/// Every control.
pub fn controls() -> &'static [Control] {
    static CONTROLS: OnceLock<Vec<Control>> = OnceLock::new();
    CONTROLS.get_or_init(|| {
        let conv = CONVOLUTIONS.iter().flat_map(|&(breaks, from, to, victims, case)| {
            victims.shaders().map(move |(shader, variant)| Control {
                name: format!("{shader}: {breaks}"),
                breaks,
                shader,
                from,
                to,
                case: format!("{case} variant={}", variant.name()),
                shared: victims.kernels.len() > 1,
            })
        });
        let others = OTHERS.iter().chain(LAYERS).chain(COOPERATIVE).map(|&(breaks, shader, from, to, case)| Control {
            name: format!("{shader}: {breaks}"),
            breaks,
            shader,
            from,
            to,
            case: case.into(),
            shared: false,
        });
        conv.chain(others).chain([barrier()]).collect()
    })
}

/// A race: invocations read the tile before all have written it. An adapter may run them in an order that hides it.
fn barrier() -> Control {
    let breaks = "the barrier between writing and reading a tile is missing";
    Control {
        name: format!("conv2d_gemm: {breaks}"),
        breaks,
        shader: "conv2d_gemm",
        from: "workgroupBarrier();\n            let fetched = multiply(&sums, places, own_quad, own_channel4);",
        to: "let fetched = multiply(&sums, places, own_quad, own_channel4);",
        case: "conv2d n=1 c=64 h=14 w=14 k=64 kernel=3 padding=1 variant=gemm".into(),
        shared: false,
    }
}

/// The text of the shader `name` with `from` replaced by `to`.
///
/// # Errors
/// If there is no such shader, or `from` is not there exactly once.
pub fn broken(name: &str, from: &str, to: &str) -> Result<String> {
    let shader = shaders::find(name).ok_or_else(|| Error::Usage(format!("there is no shader {name:?}")))?;
    match shader.source.matches(from).count() {
        1 => Ok(shader.source.replacen(from, to, 1)),
        n => Err(Error::Usage(format!("{from:?} is {n} times in {name}, not once"))),
    }
}

/// Breaks a kernel of `gpu` until it is closed, to try a fault by hand: `fault` is `SHADER: FROM => TO`.
pub fn break_kernel(gpu: &Gpu, fault: &str) -> Result<()> {
    let parts =
        fault.split_once(": ").and_then(|(name, rest)| rest.split_once(" => ").map(|(from, to)| (name, from, to)));
    let (name, from, to) = parts.ok_or_else(|| Error::Usage(format!("{fault:?} is not SHADER: FROM => TO")))?;
    gpu.substitute(name, Some(broken(name, from, to)?));
    Ok(())
}

/// The result of a control that was not caught.
pub fn missed(control: &Control, message: String) -> ControlResult {
    let (name, breaks) = (control.name.clone(), control.breaks.to_owned());
    ControlResult { name, breaks, caught_by: String::new(), caught: false, message }
}

/// Runs the control `name` on `gpu`; none where the adapter can't run the kernel.
pub async fn run(gpu: &Arc<Gpu>, name: &str) -> Result<Option<ControlResult>> {
    let control = controls().iter().find(|control| control.name == name);
    let control = control.ok_or_else(|| Error::Usage(format!("there is no control {name:?}")))?;
    let case = Case::parse(&control.case)?;
    // Of the kernels for cooperative matrices an adapter runs those for the matrices that it has.
    let by_matrices = |shader: &&Shader| kernel_of(shader).is_some_and(Conv2dVariant::is_cooperative);
    let shader = shaders::find(control.shader).filter(by_matrices);
    let runs = |shader: &Shader| shader.entry_points.iter().any(|entry| lacks(gpu.report(), shader, entry).is_none());
    if shader.is_some_and(|shader| !runs(shader)) {
        return Ok(None);
    }
    // Cases may run with a fault of their own in this shader (`--fault`).
    let before = gpu.substituted(control.shader);
    gpu.substitute(control.shader, Some(broken(control.shader, control.from, control.to)?));
    let checked = Checker::default().check(gpu, &case).await;
    gpu.substitute(control.shader, before);
    // What the broken kernel made of the device is no affair of the next one.
    let _ = gpu.check();
    let (status, message) = (checked.result.status, checked.result.message);
    Ok(match checked.failed {
        None if status == Status::Unsupported => None,
        Some(check) if status == Status::Fail && check != Check::Refused => Some(ControlResult {
            caught_by: check.name().into(),
            caught: true,
            message: format!("{case}: {message}"),
            ..missed(control, String::new())
        }),
        _ => Some(missed(control, format!("{case} ended as {}: {message}", status.name()))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_one_place_of_a_valid_shader() {
        for control in controls() {
            let text = broken(control.shader, control.from, control.to);
            let text = text.unwrap_or_else(|e| panic!("{}: {e}", control.name));
            let module = naga::front::wgsl::parse_str(&text);
            let module = module.unwrap_or_else(|e| panic!("{}: {}", control.name, e.emit_to_string(&text)));
            let all = naga::valid::Capabilities::all();
            let valid = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), all).validate(&module);
            assert!(valid.is_ok(), "{}: {valid:?}", control.name);
            Case::parse(&control.case).unwrap_or_else(|e| panic!("{}: {e}", control.name));
        }
        let mut names: Vec<&str> = controls().iter().map(|control| control.name.as_str()).collect();
        assert!(MAY_HIDE.iter().all(|name| names.contains(name)), "a control that may hide is none");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), controls().len(), "two controls have one name");
    }

    #[test]
    fn a_place_that_is_not_there_once_is_an_error() {
        let problem = |from: &str| broken("conv2d_gemm", from, "").unwrap_err().to_string();
        assert!(problem("no such text").contains("0 times"));
        assert!(problem("workgroupBarrier();").contains("2 times"));
    }
}
