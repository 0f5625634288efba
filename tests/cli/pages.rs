//! The pages of the documentation: every relative link leads to a file, every anchor to a heading, and no source names a page that
//! is not there.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Markdown files below these paths are pages.
const PAGES: [&str; 6] = ["README.md", "docs", "weights", "examples", "tests/golden", "benches"];
/// Text files below these paths may name pages as `docs/…`.
const SOURCES: [&str; 10] =
    ["Cargo.toml", "Makefile", "README.md", "build.rs", "build", "docs", "scripts", "shaders", "src", "tests"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files at or below `path`, which is relative to the root.
fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root().join(path)) else { return vec![path.to_path_buf()] };
    let names = entries.map(|entry| entry.unwrap().file_name());
    names.flat_map(|name| files(&path.join(name))).collect()
}

fn files_below(paths: &[&str], keep: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found: Vec<_> = paths.iter().flat_map(|path| files(Path::new(path))).filter(|file| keep(file)).collect();
    found.sort();
    found
}

fn is_page(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "md")
}

/// Lines outside of fenced code blocks, with their numbers.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((number + 1, line));
        }
    }
    lines
}

/// The anchor that GitHub gives to a heading: lower case, dashes for spaces, punctuation dropped.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).into_iter().filter(|(_, line)| line.starts_with('#'));
    headings.map(|(_, line)| anchor(line.trim_start_matches('#'))).collect()
}

/// Targets of `[text](target)`, `![text](target)` and `src="target"` in a line. Code spans are left out.
fn targets(line: &str) -> Vec<String> {
    let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
    let between = |open: &str, close: char| {
        let parts = outside.split(open).skip(1).filter_map(|rest| rest.split_once(close));
        parts.map(|(target, _)| target.to_string()).collect::<Vec<_>>()
    };
    [between("](", ')'), between("src=\"", '"')].concat()
}

/// What is wrong with the relative link `target` of `page`, if anything.
fn broken(page: &Path, target: &str, headings: &HashMap<PathBuf, Vec<String>>) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, wanted) = target.split_once('#').map_or((target, None), |(path, wanted)| (path, Some(wanted)));
    let file = if path.is_empty() { page.to_path_buf() } else { page.parent().unwrap().join(path) };
    let Ok(file) = root().join(&file).canonicalize() else { return Some(format!("{target}: no such file")) };
    let known = |wanted: &str| headings.get(&file).is_some_and(|anchors| anchors.iter().any(|it| it == wanted));
    wanted.filter(|wanted| !known(wanted)).map(|wanted| format!("{target}: no heading #{wanted}"))
}

/// Every broken link of `pages`, as `FILE:LINE: what`, and the number of links.
fn broken_links(pages: &[(PathBuf, String)]) -> (Vec<String>, usize) {
    let canonical = |page: &Path| root().join(page).canonicalize().unwrap_or_else(|_| page.to_path_buf());
    let headings = pages.iter().map(|(page, text)| (canonical(page), anchors(text))).collect();
    let links = pages.iter().flat_map(|(page, text)| {
        let of_line = move |(number, line)| targets(line).into_iter().map(move |target| (page, number, target));
        prose(text).into_iter().flat_map(of_line)
    });
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (page, number, target) in links {
        count += 1;
        wrong.extend(broken(page, &target, &headings).map(|what| format!("{}:{number}: {what}", page.display())));
    }
    (wrong, count)
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let read = |page: PathBuf| (page.clone(), fs::read_to_string(root().join(page)).unwrap());
    let pages: Vec<_> = files_below(&PAGES, is_page).into_iter().map(read).collect();
    let (wrong, count) = broken_links(&pages);
    assert!(wrong.is_empty(), "broken links:\n{}", wrong.join("\n"));
    assert!(count > 100, "only {count} links were found");
}

#[test]
fn broken_links_are_found() {
    let text = "# One `two`\n\n[a](missing.md) [b](#three) [c](#one-two) [d](../Cargo.toml) `[e](none.md)`\n\n```text\n[f](none.md)\n```\n<img src=\"none.png\">\n";
    let (wrong, count) = broken_links(&[(PathBuf::from("docs/README.md"), text.to_string())]);
    let found: Vec<&str> = wrong.iter().map(String::as_str).collect();
    let expected = [
        "docs/README.md:3: missing.md: no such file",
        "docs/README.md:3: #three: no heading #three",
        "docs/README.md:8: none.png: no such file",
    ];
    assert_eq!(found, expected);
    assert_eq!(count, 5);
}

/// Paths of pages in `line`: words that begin with `docs/` and name a Markdown file.
fn named_pages(line: &str) -> impl Iterator<Item = &str> {
    let of_path = |c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    let starts = line.match_indices("docs/").map(|(start, _)| start);
    starts.filter_map(move |start| {
        let path = line[start..].split(|c| !of_path(c)).next()?;
        path.strip_suffix('.').unwrap_or(path).strip_suffix(".md").map(|stem| &line[start..start + stem.len() + 3])
    })
}

#[test]
fn sources_name_only_pages_that_exist() {
    let (mut missing, mut count) = (Vec::new(), 0);
    for file in files_below(&SOURCES, |file| !file.ends_with("cli/pages.rs")) {
        // Weights, pictures and archives are no text.
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            for page in named_pages(line) {
                count += 1;
                if !root().join(page).is_file() {
                    missing.push(format!("{}:{}: {page}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(missing.is_empty(), "pages that are not there:\n{}", missing.join("\n"));
    assert!(count > 10, "only {count} names of pages were found");
}
