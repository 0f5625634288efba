//! The environment variables that the program reads. An unknown value is an error before any work is done: a mistyped switch that
//! is ignored would look like one that makes no difference. An empty value counts as unset.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::ValueEnum;

use crate::error::{Error, Result};
use crate::gpu::BackendName;
use crate::ops::Conv2dSwitch;
use crate::runtime::{Switches, TunedKernels};

/// Looks a variable up; tests have their own.
pub type Variables<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

const CONV2D: &str = "GPU_RESNET_CONV2D";
const BOUNDS_CHECKS: &str = "GPU_RESNET_BOUNDS_CHECKS";
const TUNE: &str = "GPU_RESNET_TUNE";
const MIRROR: &str = "GPU_RESNET_MIRROR";

/// The process's variable `name`.
pub fn of_process(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// What the environment asks for. Refuses values that mean nothing, in every variable of the program's.
pub fn switches(variables: &Variables) -> Result<Switches> {
    check_mirror(variables)?;
    let names: Vec<&str> = Conv2dSwitch::all().map(Conv2dSwitch::name).collect();
    let conv2d = one_of(variables, CONV2D, &names, Conv2dSwitch::named)?;
    let checks =
        one_of(variables, BOUNDS_CHECKS, &["0", "1"], |value| ["0", "1"].iter().position(|word| *word == value))?;
    // In the order of the help.
    let modes = [TunedKernels::Kept, TunedKernels::Off, TunedKernels::FirstUse];
    let named = |value: &str| modes.into_iter().find(|mode| mode.name() == value);
    let tuned = one_of(variables, TUNE, &modes.map(TunedKernels::name), named)?.unwrap_or_default();
    Ok(Switches { conv2d, bounds_checks: checks == Some(1), tuned, fault: None })
}

/// The switches of a report that were set, with their values: none of them holds a path, since a report is sent to strangers.
pub fn reported(variables: &Variables) -> BTreeMap<String, String> {
    let set = |name: &str| Some((name.to_owned(), text(variables, name).ok()??));
    [CONV2D, BOUNDS_CHECKS].into_iter().filter_map(set).collect()
}

fn check_mirror(variables: &Variables) -> Result<()> {
    match text(variables, MIRROR)? {
        Some(url) if !url.starts_with("https://") && !url.starts_with("http://") => Err(Error::Usage(format!(
            "{MIRROR}={url:?} is not the address of a server; begin it with https://, or unset it"
        ))),
        _ => Ok(()),
    }
}

/// The adapter that the environment names: by this program's variable, or else by wgpu's.
pub fn adapter(variables: &Variables) -> Result<Option<String>> {
    match text(variables, "GPU_RESNET_ADAPTER")? {
        Some(name) => Ok(Some(name)),
        None => text(variables, "WGPU_ADAPTER_NAME"),
    }
}

/// The backend that the environment names, likewise.
pub fn backend(variables: &Variables) -> Result<Option<BackendName>> {
    const OURS: &str = "GPU_RESNET_BACKEND";
    const WGPU: &str = "WGPU_BACKEND";
    let (name, value) = match (text(variables, OURS)?, text(variables, WGPU)?) {
        (Some(value), _) => (OURS, value),
        (None, Some(value)) => (WGPU, value),
        (None, None) => return Ok(None),
    };
    let lower = value.trim().to_lowercase();
    // wgpu has more than one word for most of them.
    let word = match (name, lower.as_str()) {
        (WGPU, "vk") => "vulkan",
        (WGPU, "mtl") => "metal",
        (WGPU, "d3d12") => "dx12",
        (WGPU, "opengl" | "gles") => "gl",
        (_, word) => word,
    };
    match BackendName::from_str(word, true) {
        Ok(backend) => Ok(Some(backend)),
        Err(_) => {
            let words: Vec<String> = BackendName::value_variants()
                .iter()
                .filter_map(|backend| Some(backend.to_possible_value()?.get_name().to_owned()))
                .collect();
            Err(unknown(name, &value, &words.iter().map(String::as_str).collect::<Vec<_>>()))
        }
    }
}

/// The variable's text, if it has any.
fn text(variables: &Variables, name: &str) -> Result<Option<String>> {
    let Some(value) = variables(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    let text = value.into_string();
    text.map(Some).map_err(|value| Error::Usage(format!("{name}={value:?} is not UTF-8; set it to another value")))
}

/// What the variable's value means, if it has one; a value that means nothing is refused with `words`, those that do.
fn one_of<T>(
    variables: &Variables,
    name: &str,
    words: &[&str],
    meaning: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>> {
    let Some(value) = text(variables, name)? else { return Ok(None) };
    meaning(&value).map(Some).ok_or_else(|| unknown(name, &value, words))
}

fn unknown(name: &str, value: &str, words: &[&str]) -> Error {
    Error::Usage(format!("{name}={value:?} is not known; set it to one of {}, or unset it", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Conv2dVariant, WinogradTile};

    /// One variable that is set, and no other.
    fn only(name: &'static str, value: &'static str) -> impl Fn(&str) -> Option<OsString> {
        move |asked| (asked == name).then(|| value.into())
    }

    #[test]
    fn values_that_mean_nothing_are_refused_with_the_choices() {
        for (name, value, words) in [
            (CONV2D, "foo", "one of gemm, gemm-16x64,"),
            (CONV2D, "winograd2-subgroup", "winograd2, winograd4, space-to-depth"),
            (CONV2D, " register", "register"),
            ("GPU_RESNET_BOUNDS_CHECKS", "yes", "one of 0, 1"),
            (TUNE, "0", "one of on, off, first"),
            (MIRROR, "ftp://a", "begin it with https://"),
        ] {
            let error = switches(&only(name, value)).unwrap_err();
            assert_eq!(error.exit_status(), 2);
            let said = error.to_string();
            assert!(said.contains(&format!("{name}={value:?}")) && said.contains(words), "{said}");
            assert_eq!(switches(&only(name, "")).unwrap(), Switches::default(), "{name} is empty");
        }
        let of = |name, value| switches(&only(name, value)).unwrap();
        let none = Switches::default();
        let register = Some(Conv2dSwitch::Kernel(Conv2dVariant::Register));
        assert_eq!(of(CONV2D, "Register"), Switches { conv2d: register, ..none });
        let winograd = Some(Conv2dSwitch::Winograd(WinogradTile::Four));
        assert_eq!(of(CONV2D, "winograd4"), Switches { conv2d: winograd, ..none });
        assert_eq!(of(CONV2D, "space-to-depth"), Switches { conv2d: Some(Conv2dSwitch::SpaceToDepth), ..none });
        assert_eq!(of(BOUNDS_CHECKS, "0"), none);
        assert_eq!(of(BOUNDS_CHECKS, "1"), Switches { bounds_checks: true, ..none });
        for (value, tuned) in
            [("on", TunedKernels::Kept), ("off", TunedKernels::Off), ("first", TunedKernels::FirstUse)]
        {
            assert_eq!(of(TUNE, value), Switches { tuned, ..none });
        }
        assert_eq!(of(MIRROR, "http://127.0.0.1:9"), none);
    }

    #[test]
    fn a_report_has_the_switches_that_were_set() {
        let set = reported(&only(CONV2D, "Register"));
        assert_eq!(set, [(CONV2D.to_owned(), "Register".to_owned())].into());
        assert!(reported(&only(BOUNDS_CHECKS, "")).is_empty());
        assert!(reported(&only("GPU_RESNET_CACHE", "/home/somebody")).is_empty());
    }

    #[test]
    fn ours_go_before_wgpus() {
        let both = |name: &str| -> Option<OsString> {
            match name {
                "GPU_RESNET_BACKEND" => Some("Vulkan".into()),
                "GPU_RESNET_ADAPTER" => Some("1".into()),
                "WGPU_BACKEND" => Some("nonsense".into()),
                "WGPU_ADAPTER_NAME" => Some("llvmpipe".into()),
                _ => None,
            }
        };
        assert_eq!(backend(&both).unwrap(), Some(BackendName::Vulkan));
        assert_eq!(adapter(&both).unwrap().as_deref(), Some("1"));
        assert_eq!(adapter(&only("WGPU_ADAPTER_NAME", "llvm")).unwrap().as_deref(), Some("llvm"));
        assert_eq!(adapter(&only("GPU_RESNET_ADAPTER", "")).unwrap(), None);
        for (value, expected) in [("vk", BackendName::Vulkan), ("OpenGL", BackendName::Gl), ("dx12", BackendName::Dx12)]
        {
            assert_eq!(backend(&only("WGPU_BACKEND", value)).unwrap(), Some(expected), "{value}");
        }
        // Several, which wgpu would accept, and a backend that this program does not support.
        for value in ["vulkan,gl", "webgpu"] {
            let said = backend(&only("WGPU_BACKEND", value)).unwrap_err().to_string();
            assert!(said.contains("WGPU_BACKEND") && said.contains("vulkan, metal, dx12, gl"), "{said}");
        }
        assert!(backend(&only("GPU_RESNET_BACKEND", "vk")).is_err(), "an alias of wgpu's is taken for ours");
        assert_eq!(backend(&only("GPU_RESNET_BACKEND", "")).unwrap(), None);
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_refused() {
        use std::os::unix::ffi::OsStringExt;
        let bytes = |name: &str| (name == TUNE).then(|| OsString::from_vec(vec![0xff]));
        assert!(switches(&bytes).unwrap_err().to_string().contains("is not UTF-8"));
    }
}
