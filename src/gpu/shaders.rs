//! Every shader of the crate, expanded, validated and reflected when the crate was built (see `build.rs`).

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Deref;
use std::sync::LazyLock;

use flate2::read::ZlibDecoder;
use sha2::{Digest, Sha256};

/// How an entry point uses a buffer binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BindingKind {
    Uniform,
    Read,
    ReadWrite,
}

/// One compute entry point of a shader.
#[derive(Debug)]
pub struct EntryPoint {
    pub name: &'static str,
    /// Invocations per workgroup, as the WGSL says.
    pub workgroup_size: [u32; 3],
    /// Bindings of group 0 that the entry point uses, in order of their slot.
    pub bindings: &'static [(u32, BindingKind)],
}

/// A file of `shaders/` (see [`files`]): one text, of which each set of flags picks a shader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShaderFile(u16);

/// A set of the flags that pick a shader of a file (see [`flags`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Flags(u64);

/// What a file yields.
struct File {
    name: &'static str,
    /// The flags that the device picks by itself.
    forms: Flags,
    shaders: &'static [Shader],
}

/// One WGSL module, with imports and conditionals expanded.
#[derive(Debug)]
pub struct Shader {
    /// What it is called in reports, tuning files and messages: the pieces of its axes.
    pub name: &'static str,
    pub file: ShaderFile,
    /// What picks it among the shaders of its file.
    pub flags: Flags,
    /// Whether it uses subgroup operations, and so needs the adapter feature.
    pub subgroups: bool,
    /// Whether it runs without bounds checks: its tests surround every output with guard words.
    pub is_unchecked: bool,
    pub entry_points: &'static [EntryPoint],
    pub source: Text,
}

/// A shader's WGSL. The program holds all of them as one compressed stream, which is a twentieth of their size, and unpacks it when the
/// first is read.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    start: usize,
    len: usize,
}

impl Text {
    /// All of it.
    pub fn as_str(&self) -> &'static str {
        static ALL: LazyLock<String> = LazyLock::new(|| {
            let packed: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shaders.zlib"));
            let mut text = String::new();
            ZlibDecoder::new(packed).read_to_string(&mut text).expect("the build script packed it");
            text
        });
        &ALL[self.start..][..self.len]
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

/// The uniform blocks, laid out as the shaders have them; `end` is what pads a block to 16 bytes.
#[allow(missing_docs)]
pub(crate) mod uniforms {
    include!(concat!(env!("OUT_DIR"), "/uniforms.rs"));
}

#[allow(missing_docs)]
mod generated {
    use super::{Flags, ShaderFile};
    include!(concat!(env!("OUT_DIR"), "/files.rs"));
}
pub use generated::{files, flags};

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// All shaders, sorted by file.
pub fn all() -> impl Iterator<Item = &'static Shader> {
    FILES.iter().flat_map(|file| file.shaders)
}

/// The shader of that name, if there is one: for names from outside. Operations pick theirs by [`ShaderFile::shader`].
pub fn find(name: &str) -> Option<&'static Shader> {
    all().find(|shader| shader.name == name)
}

/// A shader's text for browsers, which require `enable subgroups;`. naga 30 refuses that directive. Lines keep their
/// numbers.
pub fn for_browsers(source: &str) -> String {
    let uses_subgroups = USE_OF_SUBGROUPS.iter().any(|name| source.contains(name));
    format!("{}{source}", if uses_subgroups { "enable subgroups; " } else { "" })
}

/// Names that mark the use of subgroup operations.
const USE_OF_SUBGROUPS: [&str; 4] = ["subgroupAdd", "subgroupBroadcast", "subgroup_invocation_id", "quadSwap"];

/// SHA-256 (hex) of every shader's text by its name: two programs with equal hashes gave the driver the same work.
pub fn hashes() -> BTreeMap<String, String> {
    let hash = |shader: &Shader| format!("{:x}", Sha256::digest(shader.source.as_bytes()));
    all().map(|shader| (shader.name.to_owned(), hash(shader))).collect()
}

impl Flags {
    pub const NONE: Self = Self(0);

    const fn bit(number: u32) -> Self {
        Self(1 << number)
    }

    /// These and those of `more`.
    pub const fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// How many there are.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether all of `others` are among them.
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

/// `HALF SPLIT`
impl std::fmt::Display for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = generated::FLAG_NAMES.iter().enumerate().filter(|(bit, _)| self.0 & (1 << bit) != 0);
        let names: Vec<&str> = names.map(|(_, name)| *name).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(" "))
    }
}

impl std::fmt::Debug for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flags({self})")
    }
}

impl ShaderFile {
    fn entry(self) -> &'static File {
        &FILES[usize::from(self.0)]
    }

    /// Its name without its ending; that of the fingerprint starts with the folder, `fingerprint/`.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// All that it yields.
    pub fn shaders(self) -> &'static [Shader] {
        self.entry().shaders
    }

    /// The shader that `flags` pick, if there is one.
    pub fn shader(self, flags: Flags) -> Option<&'static Shader> {
        self.shaders().iter().find(|shader| shader.flags == flags)
    }
}

impl Shader {
    /// The form of it with `flag`, if the file has one and leaves the choice to the device.
    pub(super) fn form(&self, flag: Flags) -> Option<&'static Self> {
        let file = self.file.entry();
        if file.forms.contains(flag) { self.file.shader(self.flags.with(flag)) } else { None }
    }

    /// The entry point `name`, if there is one.
    pub fn entry_point(&self, name: &str) -> Option<&EntryPoint> {
        self.entry_points.iter().find(|entry| entry.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::files::{conv2d_cooperative, conv2d_gemm, winograd_map};
    use super::*;

    #[test]
    fn a_file_and_flags_are_a_shader() {
        let name = |file: ShaderFile, flags: Flags| file.shader(flags).map(|shader| shader.name);
        let tile = conv2d_gemm::TILE_64X32;
        assert_eq!(name(conv2d_gemm::FILE, tile), Some("conv2d_gemm_64x32"));
        let split = tile.with(conv2d_gemm::HALF).with(conv2d_gemm::SPLIT);
        assert_eq!(name(conv2d_gemm::FILE, split), Some("conv2d_gemm_64x32_split_f16"));
        // Nothing without a tile, no parts of f16 gradients.
        assert_eq!(name(conv2d_gemm::FILE, Flags::NONE), None);
        assert_eq!(name(conv2d_gemm::FILE, split.with(conv2d_gemm::TRANSPOSED)), None);
        assert_eq!(split.to_string(), "HALF SPLIT TILE_64X32");
        assert_eq!(Flags::NONE.to_string(), "none");
    }

    #[test]
    fn every_shader_is_found_by_its_name_and_by_its_flags() {
        assert!(all().count() > 200, "where are the shaders?");
        for shader in all() {
            for found in [find(shader.name), shader.file.shader(shader.flags)] {
                assert!(found.is_some_and(|found| std::ptr::eq(found, shader)), "{}", shader.name);
            }
        }
    }

    #[test]
    fn a_device_picks_forms_where_the_file_leaves_it_the_choice() {
        let form = |shader: Option<&'static Shader>, flag| shader.expect("a shader").form(flag).map(|form| form.name);
        assert_eq!(form(files::adam::FILE.shader(flags::SCALED), flags::WIDE), Some("adam_scaled_wide"));
        assert_eq!(form(files::relu_backward::FILE.shader(flags::HALF), flags::WIDE), None);
        // There the operation decides.
        assert_eq!(form(winograd_map::FILE.shader(Flags::NONE), flags::WIDE), None);
        let matrices = conv2d_cooperative::FILE.shader(flags::HALF);
        assert_eq!(form(matrices, flags::MATRICES_8X8), Some("conv2d_cooperative_f16_eight"));
        assert_eq!(form(matrices, flags::EMULATED), Some("conv2d_cooperative_f16_emulated"));
    }
}
