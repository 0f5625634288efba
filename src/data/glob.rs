//! Globs over paths that need not be UTF-8: `*`, `?` and `[…]` within a name, `**` for any folders.
//!
//! The `glob` crate matches names; its own walk stops at names that are not UTF-8. A byte that is not UTF-8 matches `?`.

use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::clutter::is_clutter;
use crate::error::{Error, Result};

const META: [char; 3] = ['*', '?', '['];

/// True if `path` could be a glob.
pub(crate) fn is_glob(path: &Path) -> bool {
    path.to_string_lossy().contains(META)
}

/// The files and folders that match, in the order of their names, folder by folder. Hidden names match only a pattern that starts with a
/// dot; clutter matches only its own name.
///
/// # Errors
/// An invalid pattern. An unreadable folder has no match.
pub(crate) fn glob(pattern: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    let mut components = pattern.components().peekable();
    while let Some(component) = components.next() {
        let text = component.as_os_str().to_string_lossy();
        found = match component {
            Component::Normal(_) if text == "**" => match components.peek() {
                // A folder stands for all that is below it, and two `**` for one.
                None => found,
                Some(next) if next.as_os_str() == "**" => found,
                Some(_) => below(found),
            },
            Component::Normal(_) if text.contains(META) => {
                let matcher = Pattern::new(&text).map_err(|e| {
                    let pattern = pattern.display();
                    Error::Usage(format!("`{pattern}` is not a valid glob ({}); see `--help`", e.msg))
                })?;
                found.iter().flat_map(|folder| matches(folder, &matcher)).collect()
            }
            part => found.into_iter().map(|folder| folder.join(part)).collect(),
        };
    }
    found.retain(|path| path.exists());
    Ok(found)
}

fn matches(folder: &Path, matcher: &Pattern) -> Vec<PathBuf> {
    let options = MatchOptions { require_literal_leading_dot: true, ..Default::default() };
    let is_match = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        matcher.matches_with(&name, options) && (!is_clutter(path) || name.starts_with('.'))
    };
    entries(folder).into_iter().filter(is_match).collect()
}

/// `folders`, and every folder below them that is not clutter.
fn below(folders: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut all = Vec::new();
    folders.into_iter().for_each(|folder| descend(folder, &mut all));
    all
}

fn descend(folder: PathBuf, all: &mut Vec<PathBuf>) {
    let inner = entries(&folder);
    all.push(folder);
    // Links to folders are not followed, so that there are no circles.
    let is_folder = |path: &PathBuf| !is_clutter(path) && path.is_dir() && !path.is_symlink();
    inner.into_iter().filter(is_folder).for_each(|path| descend(path, all));
}

/// What lies in `folder`, sorted; the paths begin as `folder` does.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = std::fs::read_dir(here).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut paths: Vec<PathBuf> = names.map(|name| folder.join(name)).collect();
    paths.sort();
    paths
}
