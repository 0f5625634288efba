//! The shape of the source tree: no files of `src` import each other in a circle, files and functions stay short, and the files with `unsafe`
//! code are those that docs/internals/reliability.md lists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex_lite::Regex;

/// The longest file and the longest function, in lines.
const LONGEST: [usize; 2] = [500, 70];

type Module = Vec<String>;

/// A file of `src` without comments, texts and tests.
struct Source {
    text: String,
    /// What it defines by itself.
    defined: BTreeSet<String>,
    /// Each name that it imports, with the path that it stands for, and whether it hands it on.
    imports: Vec<(String, Vec<String>, bool)>,
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

fn files(folder: &Path, module: &[String], found: &mut Vec<(Module, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder of src").map(|entry| entry.expect("an entry")) {
        let (path, name) = (entry.path(), entry.file_name().into_string().expect("a name"));
        if path.is_dir() {
            files(&path, &[module, &[name]].concat(), found);
        } else if let Some(stem) = name.strip_suffix(".rs").filter(|stem| *stem != "main") {
            let own = if ["mod", "lib"].contains(&stem) { vec![] } else { vec![stem.to_owned()] };
            found.push(([module, &own].concat(), std::fs::read_to_string(&path).expect("a source file")));
        }
    }
}

/// The paths of a `use` tree with the names that they get here.
fn expand(tree: &str, before: &[String], found: &mut Vec<(String, Vec<String>)>) {
    let (mut depth, mut start) = (0, 0);
    let mut parts = Vec::new();
    for (at, c) in tree.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tree[start..]);
    for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        let segments = |text: &str| text.split("::").map(|part| part.trim().to_owned()).collect::<Vec<_>>();
        if let Some((head, inner)) = part.strip_suffix('}').and_then(|part| part.split_once('{')) {
            let head = segments(head.trim_end().trim_end_matches("::"));
            expand(inner, &[before, &head].concat(), found);
            continue;
        }
        let (path, name) = part.split_once(" as ").unwrap_or((part, ""));
        let mut path = [before, &segments(path)].concat();
        path.retain(|segment| segment != "self" || path_is_self(part));
        let name = if name.is_empty() { path.last().cloned().unwrap_or_default() } else { name.trim().to_owned() };
        found.push((name, path));
    }
}

/// `self::…`, where the word says where the path begins.
fn path_is_self(part: &str) -> bool {
    part.starts_with("self::")
}

impl Source {
    fn new(text: &str) -> Self {
        let text = text.split("\nmod tests {").next().unwrap_or_default();
        let text = pattern(r"(?m)//.*$").replace_all(text, "");
        let text = pattern(r#""(\\.|[^"\\])*""#).replace_all(&text, "\"\"").into_owned();
        let items = pattern(
            r"(?m)^(?:pub(?:\([^)]*\))? )?(?:unsafe |const |async )*(?:fn|struct|enum|trait|type|const|static) (\w+)",
        );
        let defined = items.captures_iter(&text).map(|item| item[1].to_owned()).collect();
        let mut imports = Vec::new();
        for import in pattern(r"(?m)^\s*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);").captures_iter(&text) {
            let mut found = Vec::new();
            expand(&import[2], &[], &mut found);
            imports.extend(found.into_iter().map(|(name, path)| (name, path, import.get(1).is_some())));
        }
        Self { text, defined, imports }
    }
}

struct Tree(BTreeMap<Module, Source>);

impl Tree {
    /// `path`, as the file `module` says it, from the crate's root; none if it leads out of the crate.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        let above = path.iter().take_while(|part| *part == "super").count();
        let base = &module[..module.len().checked_sub(above)?];
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([module, &path[1..]].concat()),
            "super" => Some([base, &path[above..]].concat()),
            first => self.0.contains_key(&[module, &[first.to_owned()]].concat()).then(|| [module, path].concat()),
        }
    }

    /// The file that defines what `path` names, wherever it is handed on.
    fn definer(&self, path: &[String], steps: usize) -> Module {
        let length = (0..=path.len()).rev().find(|&length| self.0.contains_key(&path[..length])).unwrap_or(0);
        let (module, rest) = path.split_at(length);
        let (source, Some(name)) = (&self.0[module], rest.first()) else { return module.to_vec() };
        if source.defined.contains(name) || steps == 0 {
            return module.to_vec();
        }
        let import = source.imports.iter().find(|(known, ..)| known == name);
        match import.and_then(|(_, path, _)| self.absolute(module, path)) {
            Some(path) => self.definer(&[&path, &rest[1..]].concat(), steps - 1),
            None => module.to_vec(),
        }
    }

    /// The files that `module` takes something of. A face that only hands on what its folder has does not count as taking it.
    fn taken(&self, module: &Module) -> BTreeSet<Module> {
        let source = &self.0[module];
        let mut taken = BTreeSet::new();
        for (name, path, handed_on) in &source.imports {
            let Some(path) = self.absolute(module, path) else { continue };
            let file = self.definer(&path, 8);
            if *handed_on && file.starts_with(module) {
                continue;
            }
            if file == path && self.0.contains_key(&path) {
                // A module: what is taken of it stands behind its name.
                let uses = pattern(&format!(r"\b{name}::(\w+)"));
                let names = uses.captures_iter(&source.text).map(|found| found[1].to_owned());
                taken.extend(names.map(|name| self.definer(&[&path[..], &[name]].concat(), 8)));
            } else {
                taken.insert(file);
            }
        }
        let imports = pattern(r"(?m)^\s*(pub(?:\([^)]*\))?\s+)?use\s+[^;]+;|pub\([^)]*\)");
        let body = imports.replace_all(&source.text, "");
        for found in pattern(r"\b((?:crate|super)(?:::\w+)+)").captures_iter(&body) {
            let path: Vec<String> = found[1].split("::").map(str::to_owned).collect();
            taken.extend(self.absolute(module, &path).map(|path| self.definer(&path, 8)));
        }
        taken.remove(module);
        taken
    }
}

fn read() -> Vec<(Module, String)> {
    let mut all = Vec::new();
    files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &[], &mut all);
    assert!(all.len() > 300, "{} files of src", all.len());
    all
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let tree = Tree(read().into_iter().map(|(module, text)| (module, Source::new(&text))).collect());
    let mut arrows: BTreeMap<Module, BTreeSet<Module>> =
        tree.0.keys().map(|module| (module.clone(), tree.taken(module))).collect();
    let count: usize = arrows.values().map(BTreeSet::len).sum();
    assert!(count > 1000, "only {count} imports were understood");
    // Whoever takes nothing that is left is in no circle, nor is who takes only of those.
    loop {
        let left: BTreeSet<Module> = arrows.keys().cloned().collect();
        arrows.retain(|_, taken| taken.iter().any(|file| left.contains(file)));
        if arrows.len() == left.len() {
            break;
        }
    }
    let left: Vec<String> = arrows.keys().map(|module| module.join("/")).collect();
    assert!(left.is_empty(), "in circles, or above one: {left:?}");
}

#[test]
fn files_and_functions_are_short() {
    let head = pattern(r"^(\s*)(?:pub(?:\([^)]*\))? )?(?:const |async |unsafe )*fn (\w+)");
    for (module, text) in read() {
        let (name, lines) = (module.join("/"), text.lines().collect::<Vec<_>>());
        assert!(lines.len() <= LONGEST[0], "{name} has {} lines", lines.len());
        for (at, line) in lines.iter().enumerate() {
            let Some(found) = head.captures(line) else { continue };
            let end = format!("{}}}", &found[1]);
            let length = lines[at..].iter().position(|line| *line == end).map_or(0, |length| length + 1);
            assert!(length <= LONGEST[1] || line.ends_with(['}', ';']), "{name}: {} has {length} lines", &found[2]);
        }
    }
}

/// The Rust files of `folder` and below it.
fn sources(folder: &Path, found: &mut BTreeSet<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.insert(path);
        }
    }
}

#[test]
fn the_list_of_unsafe_code_is_that_of_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = BTreeSet::from([root.join("build.rs")]);
    ["src", "python/src", "web/src"].iter().for_each(|folder| sources(&root.join(folder), &mut all));
    let (allowed, code) = (pattern(r"allow\(unsafe_code\)"), pattern(r"\bunsafe\s*(\{|fn\b|impl\b|extern\b)"));
    let mut found = BTreeSet::new();
    for path in all {
        let name = path.strip_prefix(root).expect("a path below").display().to_string().replace('\\', "/");
        let text = std::fs::read_to_string(&path).expect("a source file");
        let text = pattern(r"(?m)//.*$").replace_all(&text, "").into_owned();
        // `deny(unsafe_code)` keeps the compiler to it; a file of a crate without that would be seen here.
        assert!(allowed.is_match(&text) || !code.is_match(&text), "{name} has unsafe code without allow(unsafe_code)");
        if allowed.is_match(&text) {
            found.insert(name);
        }
    }
    let page = std::fs::read_to_string(root.join("docs/internals/reliability.md")).expect("the page");
    let table = page.split("`unsafe` code is denied").nth(1).expect("the list of unsafe code");
    let rows = pattern(r"(?m)^\| `([^`]+\.rs)` \| \S");
    let listed: BTreeSet<String> = rows.captures_iter(table).map(|row| row[1].to_owned()).collect();
    assert_eq!(listed, found, "docs/internals/reliability.md lists the first, the code has the second");
}
