//! Expands every shader under `shaders/`, validates it with naga, reflects its entry points and bindings, and writes
//! the table that `src/gpu/shaders.rs` includes. A shader error is a build error that names the file and line.

#[path = "build/files.rs"]
mod files;
#[allow(dead_code)]
#[path = "src/gpu/preprocess/mod.rs"]
mod preprocess;
#[path = "build/uniforms.rs"]
mod uniforms;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use files::Files;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use naga::SourceLocation;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use preprocess::{Axes, Expanded, Flags, Variant};
use uniforms::Uniforms;

fn main() {
    let root = Path::new("shaders");
    println!("cargo::rerun-if-changed=shaders");
    println!("cargo::rerun-if-changed=src/gpu/preprocess");
    println!("cargo::rerun-if-changed=build");
    let sources = sources(root);
    let known = sources.iter().flat_map(|source| source.axes.flags()).map(str::to_owned).collect();
    let mut table = String::from("&[\n");
    let mut made = Made::default();
    let mut files = Files::default();
    for (number, source) in sources.iter().enumerate() {
        let variants = source.axes.variants(&source.stem).unwrap_or_else(|e| fail(&source.path, &e));
        let selectors: BTreeSet<String> = variants.iter().flat_map(|variant| variant.selectors.clone()).collect();
        let shaders: String =
            variants.iter().map(|variant| source.shader(root, number, variant, &known, &mut made)).collect();
        let forms = Files::set(&source.axes.forms());
        let stem = &source.stem;
        writeln!(table, "File {{ name: {stem:?}, forms: {forms}, shaders: &[\n{shaders}] }},")
            .expect("writing to a string");
        files.add(stem, selectors);
    }
    table.push(']');
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for (name, text) in [("shaders.rs", table), ("files.rs", files.text()), ("uniforms.rs", made.uniforms.text())] {
        let out = folder.join(name);
        std::fs::write(&out, text).unwrap_or_else(|e| fail(&out, &e.to_string()));
    }
    let out = folder.join("shaders.zlib");
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
    let packed = packer.write_all(made.texts.as_bytes()).and_then(|()| packer.finish());
    packed.and_then(|packed| std::fs::write(&out, packed)).unwrap_or_else(|e| fail(&out, &e.to_string()));
    for library in ["wgpu", "naga"] {
        println!("cargo::rustc-env=GPU_RESNET_{}_VERSION={}", library.to_uppercase(), locked_version(library));
    }
}

/// The version of `library` in the lock file, for reports; a dependent crate's lock file is out of reach.
fn locked_version(library: &str) -> String {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let lock = std::fs::read_to_string("Cargo.lock").unwrap_or_default();
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = {library:?}"));
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = "));
    version.map_or("unknown".to_owned(), |version| version.trim_matches('"').to_owned())
}

/// What all shaders add to.
#[derive(Default)]
struct Made {
    uniforms: Uniforms,
    /// Their expanded texts, one after the other.
    texts: String,
}

/// A file that yields shaders.
struct Source {
    path: PathBuf,
    /// Its name under `shaders/`, without its ending.
    stem: String,
    text: String,
    axes: Axes,
}

/// The files of `shaders/`, of its kernels for software drivers, and of the fingerprint.
fn sources(root: &Path) -> Vec<Source> {
    let read = |prefix: &str, path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| fail(&path, &e.to_string()));
        let axes = preprocess::axes(&text).unwrap_or_else(|(line, what)| fail(&path, &format!("line {line}: {what}")));
        let stem = format!("{prefix}{}", path.file_stem().unwrap_or_default().to_string_lossy());
        Source { path, stem, text, axes }
    };
    let folders = [("", root.to_owned()), ("", root.join("software")), ("fingerprint/", root.join("fingerprint"))];
    let all = folders
        .into_iter()
        .flat_map(|(prefix, folder)| shader_files(&folder).into_iter().map(move |path| read(prefix, path)));
    all.collect()
}

/// The shaders of a folder.
fn shader_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| fail(folder, &e.to_string()));
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "wgsl"))
        .collect();
    files.sort();
    files
}

impl Source {
    /// The Rust text of the `Shader` value of one of its variants; `number` is the file's in the table.
    fn shader(
        &self,
        root: &Path,
        number: usize,
        variant: &Variant,
        known: &BTreeSet<String>,
        made: &mut Made,
    ) -> String {
        let file = self.path.strip_prefix(root).unwrap_or(&self.path).display().to_string();
        let flags = Flags { set: &variant.flags, known, numbers: &variant.numbers };
        let shader = preprocess::expand(&file, &self.text, &flags, &mut |name| {
            std::fs::read_to_string(root.join(name)).map_err(|e| format!("{name}: {e}"))
        })
        .unwrap_or_else(|e| fail(root, &e));
        let (name, flags) = (&variant.name, Files::set(&variant.selectors));
        let reflected = reflect(&self.path, name, &shader, made);
        format!("    Shader {{ name: {name:?}, file: ShaderFile({number}), flags: {flags}, {reflected} }},\n")
    }
}

/// The Rust text of a `Shader` value's fields that follow from its expanded text.
fn reflect(path: &Path, name: &str, shader: &Expanded, made: &mut Made) -> String {
    let Expanded { text, is_unchecked, .. } = shader;
    // naga counts lines of the expanded text.
    let wrong = |at: Option<SourceLocation>, what: String| -> ! {
        let origin = at.and_then(|at| shader.origin(at.line_number as usize)).unwrap_or_default();
        fail(path, &format!("variant {name}, {origin}, here with its number after imports:\n{what}"))
    };
    let module = naga::front::wgsl::parse_str(text).unwrap_or_else(|e| wrong(e.location(text), e.emit_to_string(text)));
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .unwrap_or_else(|e| wrong(e.location(text), e.emit_to_string(text)));
    let declared_in = |ty| {
        let line = module.types.get_span(ty).location(text).line_number;
        let origin = shader.origin(line as usize).unwrap_or_default();
        let file = origin.split(':').next().unwrap_or_default();
        Path::new(file).file_stem().unwrap_or_default().to_string_lossy().into_owned()
    };
    made.uniforms.add(&module, declared_in).unwrap_or_else(|e| fail(path, &format!("variant {name}: {e}")));
    let mut entries = String::new();
    for (index, entry) in module.entry_points.iter().enumerate() {
        let used = info.get_entry_point(index);
        let mut bindings: Vec<(u32, &str)> = module
            .global_variables
            .iter()
            .filter(|(handle, _)| !used[*handle].is_empty())
            .filter_map(|(_, global)| {
                let binding = global.binding.as_ref()?;
                let kind = match global.space {
                    naga::AddressSpace::Uniform => "Uniform",
                    naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => {
                        "ReadWrite"
                    }
                    naga::AddressSpace::Storage { .. } => "Read",
                    _ => fail(path, "only uniform and storage buffers are bound"),
                };
                Some((binding.binding, kind))
            })
            .collect();
        bindings.sort();
        let list: Vec<String> = bindings.iter().map(|(slot, kind)| format!("({slot}, BindingKind::{kind})")).collect();
        writeln!(
            entries,
            "        EntryPoint {{ name: {:?}, workgroup_size: {:?}, bindings: &[{}] }},",
            entry.name,
            entry.workgroup_size,
            list.join(", ")
        )
        .expect("writing to a string");
    }
    let subgroups = text.contains("subgroup_invocation_id") || text.contains("subgroupBroadcast");
    let (start, len) = (made.texts.len(), text.len());
    made.texts.push_str(text);
    format!(
        "subgroups: {subgroups}, is_unchecked: {is_unchecked}, entry_points: &[\n{entries}    ], source: Text {{ start: {start}, len: {len} }}"
    )
}

fn fail(path: &Path, problem: &str) -> ! {
    eprintln!("{}: {problem}", path.display());
    std::process::exit(1)
}
