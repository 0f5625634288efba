//! The shader files and their flags as Rust constants: a misspelt one is a compile error where an operation asks for a kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What is written of the files, in the order of the table of shaders.
#[derive(Default)]
pub struct Files {
    /// The file's name without its ending, and where names start with it its folder, and the flags that pick its shaders.
    files: Vec<(String, BTreeSet<String>)>,
}

impl Files {
    /// The next file of the table, with its flags.
    pub fn add(&mut self, stem: &str, selectors: BTreeSet<String>) {
        self.files.push((stem.to_owned(), selectors));
    }

    /// A Rust expression of the set of `flags`.
    pub fn set<'a>(flags: impl IntoIterator<Item = &'a String>) -> String {
        let each = flags.into_iter().map(|flag| format!(".with(flags::{flag})"));
        format!("Flags::NONE{}", each.collect::<String>())
    }

    /// The module `flags`, the names of all in the order of their bits, and a module for each file.
    pub fn text(&self) -> String {
        let all: BTreeSet<&String> = self.files.iter().flat_map(|(_, flags)| flags).collect();
        let all: Vec<&String> = all.into_iter().collect();
        let mut out =
            String::from("/// Every flag that picks a shader of a file.\npub mod flags {\n    use super::Flags;\n");
        for (bit, flag) in all.iter().enumerate() {
            write_to(&mut out, format_args!("    pub const {flag}: Flags = Flags::bit({bit});\n"));
        }
        write_to(
            &mut out,
            format_args!("}}\n/// Their names, by bit.\npub(super) static FLAG_NAMES: &[&str] = &{all:?};\n"),
        );
        out + "/// The files of `shaders/`, each with the flags that pick its shaders.\npub mod files {\n"
            + &self.modules()
            + "}\n"
    }

    /// A module for each file; those of a folder are in a module of its name.
    fn modules(&self) -> String {
        let mut folders: BTreeMap<&str, String> = BTreeMap::new();
        for (number, (stem, flags)) in self.files.iter().enumerate() {
            let (folder, name) = stem.split_once('/').unwrap_or(("", stem));
            let depth = if folder.is_empty() { "super::super" } else { "super::super::super" };
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let uses = match flags.len() {
                0 => String::new(),
                _ => format!(" pub use {depth}::flags::{{{}}};", flags.join(", ")),
            };
            write_to(
                folders.entry(folder).or_default(),
                format_args!(
                    "/// Of `{stem}.wgsl`.\npub mod {name} {{ pub const FILE: {depth}::ShaderFile = {depth}::ShaderFile({number});{uses} }}\n"
                ),
            );
        }
        let wrapped = folders.into_iter().map(|(folder, text)| match folder {
            "" => text,
            _ => format!("/// `shaders/{folder}/`.\npub mod {folder} {{\n{text}}}\n"),
        });
        wrapped.collect()
    }
}

fn write_to(out: &mut String, text: std::fmt::Arguments) {
    out.write_fmt(text).expect("writing to a string");
}
