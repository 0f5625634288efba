//! GPUs that are not installed: the drivers of a current Mesa with shims in place of their devices, as `scripts/vendor-gpus.sh` unpacks
//! them. A child of this program is started through the tree's own loader, and compiles kernels as for the real card.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::super::child::Setup;
use crate::error::{Error, Result};

/// A GPU, and how its driver is told to act as it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VendorGpu {
    /// Its name in `scripts/vendor-gpus.sh`.
    pub name: &'static str,
    /// Stem of the driver's ICD file.
    icd: &'static str,
    /// Stem of the shim library that replaces the device.
    shim: &'static str,
    device: (&'static str, &'static str),
}

const fn amd(name: &'static str, id: &'static str) -> VendorGpu {
    VendorGpu { name, icd: "radeon", shim: "amdgpu", device: ("AMDGPU_GPU_ID", id) }
}

const fn nvidia(name: &'static str, chipset: &'static str) -> VendorGpu {
    VendorGpu { name, icd: "nouveau", shim: "nouveau", device: ("NOUVEAU_CHIPSET", chipset) }
}

impl VendorGpu {
    /// Vega 20, RX 6800, RX 7900 XTX, RDNA4; NVIDIA's Ampere, Ada and Blackwell; Adreno 750; Apple M1. Those whose compilers take longest
    /// come first.
    pub const ALL: [Self; 9] = [
        nvidia("nvidia-172", "172"),
        nvidia("nvidia-192", "192"),
        nvidia("nvidia-1b2", "1b2"),
        amd("amd-vega20", "vega20"),
        amd("amd-navi21", "navi21"),
        amd("amd-navi31", "navi31"),
        amd("amd-gfx1201", "gfx1201"),
        Self { name: "adreno-750", icd: "freedreno", shim: "freedreno", device: ("FD_GPU_ID", "750") },
        Self { name: "apple-m1", icd: "asahi", shim: "asahi", device: ("ASAHI", "m1") },
    ];

    /// The GPU of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|gpu| gpu.name == name)
    }
}

/// The unpacked drivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree(PathBuf);

impl Tree {
    /// Where `scripts/vendor-gpus.sh` puts it: `vendors` in `GPU_RESNET_DRIVERS`, or in `gpu-resnet/drivers` of the user's cache folder.
    ///
    /// # Errors
    /// One sentence that says why there is none.
    pub fn find() -> Result<Self, String> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = || variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        let drivers = variable("GPU_RESNET_DRIVERS").or_else(|| Some(cache()?.join("gpu-resnet/drivers")));
        match drivers {
            _ if !cfg!(all(target_os = "linux", target_arch = "x86_64")) => {
                Err("vendors' compilers are asked on Linux on x86_64 only, which their drivers are built for".into())
            }
            Some(drivers) => Self::at(drivers.join("vendors")),
            None => Err("the environment names no folder of drivers; set GPU_RESNET_DRIVERS to one".into()),
        }
    }

    /// The tree in `folder`.
    ///
    /// # Errors
    /// One sentence that says that there is none.
    pub fn at(folder: PathBuf) -> Result<Self, String> {
        match folder.join(".complete").is_file() {
            true => Ok(Self(folder)),
            false => {
                Err(format!("vendors' compilers are not in {}; scripts/vendor-gpus.sh fetches them", folder.display()))
            }
        }
    }

    /// How a child of `program` starts on `gpu`.
    ///
    /// # Errors
    /// A part of the tree that is missing.
    pub fn setup(&self, gpu: &VendorGpu, program: &Path) -> Result<Setup> {
        let libraries = self.0.join("usr/lib/x86_64-linux-gnu");
        let loader = self.0.join("usr/lib64/ld-linux-x86-64.so.2");
        let icd = self.0.join(format!("usr/share/vulkan/icd.d/{}_icd.json", gpu.icd));
        let shim = libraries.join(format!("lib{}_noop_drm_shim.so", gpu.shim));
        for part in [&loader, &icd, &shim] {
            if !part.is_file() {
                return Err(Error::file(
                    part,
                    "is missing; remove its tree, and scripts/vendor-gpus.sh fetches it anew",
                ));
            }
        }
        let (variable, device) = gpu.device;
        // As in scripts/vendor-gpus.sh. The user's settings for this program's own adapter do not apply to the child.
        let unset = ["GPU_RESNET_CONV2D", "GPU_RESNET_ADAPTER", "WGPU_ADAPTER_NAME", "VK_ADD_DRIVER_FILES"];
        let mut environment: Vec<(String, OsString)> = unset.map(|name| (name.to_owned(), OsString::new())).into();
        environment.extend([
            (variable.to_owned(), device.into()),
            ("MESA_SHADER_CACHE_DISABLE".to_owned(), "true".into()),
            ("VK_DRIVER_FILES".to_owned(), icd.clone().into_os_string()),
            ("VK_ICD_FILENAMES".to_owned(), icd.into_os_string()),
        ]);
        if std::env::var_os("XDG_RUNTIME_DIR").is_none_or(|folder| folder.is_empty()) {
            environment.push(("XDG_RUNTIME_DIR".to_owned(), std::env::temp_dir().into_os_string()));
        }
        Ok(Setup {
            program: loader,
            loading: vec![
                "--library-path".into(),
                libraries.into_os_string(),
                "--preload".into(),
                shim.into_os_string(),
                program.as_os_str().to_owned(),
            ],
            arguments: ["--backend", "vulkan", "--adapter", "0"].map(str::to_owned).into(),
            environment,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_knows_the_same_gpus() {
        let script = include_str!("../../../scripts/vendor-gpus.sh");
        for VendorGpu { name, icd, shim, device: (variable, value) } in VendorGpu::ALL {
            let (kind, number) = name.split_once('-').unwrap();
            let line = script.lines().find(|line| line.starts_with(&format!("{kind}-")) && line.contains("shim="));
            let line = line.unwrap_or_else(|| panic!("{name} is not in the script"));
            assert!(line.contains(&format!("shim={shim} icd={icd} device={variable}=")), "{line}");
            assert_eq!(value, number);
        }
        let all = VendorGpu::ALL.map(|gpu| gpu.name);
        assert_eq!(VendorGpu::named("apple-m1").map(|gpu| gpu.name), Some("apple-m1"));
        assert!(all.len() == 9 && VendorGpu::named("apple-m9").is_none());
    }

    #[test]
    fn a_tree_that_is_not_there_or_not_whole_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Tree::at(folder.path().join("vendors")).unwrap_err();
        assert!(missing.contains("vendor-gpus.sh") && missing.contains("vendors"), "{missing}");
        std::fs::write(folder.path().join(".complete"), "").unwrap();
        let tree = Tree::at(folder.path().to_owned()).unwrap();
        let error = tree.setup(&VendorGpu::ALL[0], Path::new("program")).unwrap_err().to_string();
        assert!(error.contains("ld-linux") && error.contains("is missing"), "{error}");
    }
}
