//! Every shader of the crate, expanded, validated and reflected when the crate was built (see `build.rs`).

use std::collections::BTreeMap;

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

/// One WGSL module, with imports and conditionals expanded.
#[derive(Debug)]
pub struct Shader {
    pub name: &'static str,
    /// Whether it uses subgroup operations, and so needs the adapter feature.
    pub subgroups: bool,
    /// Whether it runs without bounds checks: its tests surround every output with guard words.
    pub is_unchecked: bool,
    pub entry_points: &'static [EntryPoint],
    pub source: &'static str,
}

/// The uniform blocks, laid out as the shaders have them; `end` is what pads a block to 16 bytes.
#[allow(missing_docs)]
pub(crate) mod uniforms {
    include!(concat!(env!("OUT_DIR"), "/uniforms.rs"));
}

static SHADERS: &[Shader] = include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// All shaders, sorted by file.
pub fn all() -> &'static [Shader] {
    SHADERS
}

/// The shader `name`, if there is one.
pub fn find(name: &str) -> Option<&'static Shader> {
    SHADERS.iter().find(|shader| shader.name == name)
}

/// A shader's text as browsers take it: they want subgroup operations enabled, which naga 30 refuses to be told. Lines keep their
/// numbers.
pub fn for_browsers(source: &str) -> String {
    let uses_subgroups = USE_OF_SUBGROUPS.iter().any(|name| source.contains(name));
    format!("{}{source}", if uses_subgroups { "enable subgroups; " } else { "" })
}

/// How the shaders call subgroup operations.
const USE_OF_SUBGROUPS: [&str; 4] = ["subgroupAdd", "subgroupBroadcast", "subgroup_invocation_id", "quadSwap"];

/// SHA-256 (hex) of every shader's text by its name: two programs with equal hashes gave the driver the same work.
pub fn hashes() -> BTreeMap<String, String> {
    let hash = |shader: &Shader| format!("{:x}", Sha256::digest(shader.source));
    all().iter().map(|shader| (shader.name.to_owned(), hash(shader))).collect()
}

impl Shader {
    /// The entry point `name`, if there is one.
    pub fn entry_point(&self, name: &str) -> Option<&EntryPoint> {
        self.entry_points.iter().find(|entry| entry.name == name)
    }
}
