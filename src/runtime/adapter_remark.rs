//! The remark when nobody chose an adapter and the best one is a software driver: that the CPU computes, and what to install.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::gpu::AdapterReport;

/// Where the program runs, as far as that decides how a GPU is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Machine,
    /// Windows Subsystem for Linux.
    Wsl,
    Container,
}

impl Place {
    /// Detects the place from the files below `root`.
    fn below(root: &Path) -> Self {
        let kernel = std::fs::read_to_string(root.join("proc/version")).unwrap_or_default().to_lowercase();
        // A container on WSL sees WSL's kernel, but gets the GPU like any container.
        if ["run/.containerenv", ".dockerenv"].iter().any(|file| root.join(file).exists()) {
            Self::Container
        } else if root.join("dev/dxg").exists() || kernel.contains("microsoft") {
            Self::Wsl
        } else {
            Self::Machine
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Machine => {
                "if this machine has a GPU, install its vendor's Vulkan driver (for AMD and Intel, Mesa's)"
            }
            Self::Wsl => {
                "this is WSL, where Vulkan reaches a GPU through Mesa's dzn driver: install a Mesa that has it, or run the \
                 program on Windows"
            }
            Self::Container => {
                "this is a container: start it with the GPU (--gpus all and NVIDIA_DRIVER_CAPABILITIES=all for NVIDIA's, \
                 --device /dev/dri for others) and install the GPU's Vulkan driver in it"
            }
        }
    }
}

/// The remark that `adapter` computes on the CPU, if it does; once per process.
pub fn remark(adapter: &AdapterReport) -> Option<String> {
    static SAID: AtomicBool = AtomicBool::new(false);
    let is_news = adapter.kind == "cpu" && !SAID.swap(true, Ordering::Relaxed);
    is_news.then(|| sentence(adapter.index, &adapter.name, Place::below(Path::new("/"))))
}

fn sentence(index: usize, name: &str, place: Place) -> String {
    let advice = place.advice();
    format!("no usable GPU was found, so the CPU computes ({name}): {advice}; --adapter {index} leaves this line out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart_by_their_files() {
        let place = |files: &[(&str, &str)]| {
            let root = tempfile::tempdir().unwrap();
            for (file, text) in files {
                let path = root.path().join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Place::below(root.path())
        };
        let kernel = ("proc/version", "Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)");
        let wsl = ("proc/version", "Linux version 5.15.153.1-microsoft-standard-WSL2 (root@941d701f84f1)");
        assert_eq!(place(&[]), Place::Machine);
        assert_eq!(place(&[kernel]), Place::Machine);
        assert_eq!(place(&[wsl]), Place::Wsl);
        assert_eq!(place(&[kernel, ("dev/dxg", "")]), Place::Wsl);
        assert_eq!(place(&[kernel, (".dockerenv", "")]), Place::Container);
        assert_eq!(place(&[wsl, ("dev/dxg", ""), ("run/.containerenv", "")]), Place::Container);
    }

    #[test]
    fn the_sentence_names_the_adapter_and_what_to_do() {
        for (place, words) in
            [(Place::Machine, "Vulkan driver"), (Place::Wsl, "this is WSL"), (Place::Container, "this is a container")]
        {
            let said = sentence(3, "llvmpipe", place);
            assert!(
                said.contains("(llvmpipe)")
                    && said.contains("--adapter 3")
                    && said.contains(words)
                    && !said.contains('\n'),
                "{said}"
            );
        }
    }
}
