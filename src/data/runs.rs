//! Folders in a data set that are not classes because training put them there: `finetune .` writes its run into `runs/finetune`, which
//! is in the data's own folder.

use std::path::Path;

use super::image_names::{is_image_name, unread_format};
use crate::files::read_limited;

/// How deep folders of runs may be nested.
const MOST_DEPTH: usize = 4;
/// The largest config.toml of a run.
const MAX_CONFIG: u64 = 16 << 20;

/// The marker file in a folder that `infer --grad-cam` created.
const MAPS_MARKER: &str = ".gpu-resnet-maps";

/// Creates the folder that maps are drawn into, and marks it as not a class if nothing else is in it. A folder with other images stays a
/// class.
///
/// # Errors
/// A folder or a mark that can't be written.
pub fn make_maps_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    if visible(folder).is_some_and(|mut entries| entries.next().is_none()) {
        std::fs::write(folder.join(MAPS_MARKER), "Pictures by infer --grad-cam; they are left out of data sets.\n")?;
    }
    Ok(())
}

/// True for a folder that [`make_maps_folder`] marked.
pub(crate) fn is_maps(folder: &Path) -> bool {
    folder.join(MAPS_MARKER).is_file()
}

/// True for the folder of a run, for one of maps, and for a folder that holds only runs, down to a plausible depth. None of these is a class.
/// A folder called `runs` may also be empty.
pub(crate) fn is_output(folder: &Path) -> bool {
    let named_runs = folder.file_name().is_some_and(|name| name.eq_ignore_ascii_case("runs"));
    is_run(folder)
        || is_maps(folder)
        || (holds_only_runs(folder, MOST_DEPTH) && (named_runs || holds_run(folder, MOST_DEPTH)))
}

/// True for the picture that training draws of a run, which is not an image of the data.
pub(crate) fn is_curves(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == "curves.svg") && file.parent().is_some_and(is_run)
}

/// Whether a run is somewhere in `folder`.
fn holds_run(folder: &Path, depth: usize) -> bool {
    let mut folders = visible(folder).into_iter().flatten().filter(|path| path.is_dir());
    folders.any(|path| is_run(&path) || (depth > 0 && holds_run(&path, depth - 1)))
}

/// Whether `finetune` or `train` has written its settings into `folder`, or was killed just before.
fn is_run(folder: &Path) -> bool {
    match read_limited(&folder.join("config.toml"), MAX_CONFIG) {
        Ok(Some(bytes)) => {
            let table = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse::<toml::Table>().ok());
            table.is_some_and(|table| ["command", "training"].iter().all(|key| table.contains_key(*key)))
        }
        _ => folder.join(".lock").is_file() && visible(folder).is_some_and(|mut entries| entries.next().is_none()),
    }
}

/// Whether `folder` contains no image, and only folders that are runs or contain only runs.
fn holds_only_runs(folder: &Path, depth: usize) -> bool {
    visible(folder).is_some_and(|mut entries| {
        entries.all(|path| match path.is_dir() {
            true => is_run(&path) || (depth > 0 && holds_only_runs(&path, depth - 1)),
            false => !is_image_name(&path) && unread_format(&path).is_none(),
        })
    })
}

/// The visible entries of `folder`; `None` if it can't be read.
fn visible(folder: &Path) -> Option<impl Iterator<Item = std::path::PathBuf>> {
    let entries = std::fs::read_dir(folder).ok()?;
    let hidden = |path: &Path| path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    Some(entries.flatten().map(|entry| entry.path()).filter(move |path| !hidden(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_from_classes() {
        let here = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = here.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let config = "[command]\ndata = \"x\"\n[training]\nlr = 1.0\n";
        write("mine/config.toml", config);
        write("mine/cam/a.png", "an overlay");
        write("killed/.lock", "");
        write("runs/finetune/config.toml", config);
        write("runs/sweep/a/config.toml", config);
        write("runs/sweep/b/.lock", "");
        write("runs/table.csv", "");
        for run in ["mine", "killed", "runs", "runs/sweep/a"] {
            assert!(is_output(&here.path().join(run)), "{run}");
        }
        write("sweep/a/config.toml", config);
        write("deep/er/mine/config.toml", config);
        write("deep/er/mine/curves.svg", "");
        write("shots/a/config.toml", config);
        write("shots/a.heic", "an image that is not read");
        for folder in ["sweep", "deep", "deep/er"] {
            assert!(is_output(&here.path().join(folder)), "{folder}");
        }
        std::fs::create_dir_all(here.path().join("empty/er")).unwrap();
        assert!(is_curves(&here.path().join("deep/er/mine/curves.svg")));
        write("locked/.lock", "");
        write("locked/a.png", "");
        write("project/config.toml", "[package]\nname = \"x\"");
        for class in ["shots", "empty", "locked", "project", "nosuch"] {
            assert!(!is_output(&here.path().join(class)), "{class}");
        }
        // A class of photographs of runs.
        for image in ["runs/a.jpg", "runs/marathon/a.jpg"] {
            write(image, "");
            assert!(!is_output(&here.path().join("runs")), "{image}");
            std::fs::remove_file(here.path().join(image)).unwrap();
        }
        std::fs::create_dir_all(here.path().join("new/runs/finetune")).unwrap();
        assert!(is_output(&here.path().join("new/runs")));
    }

    #[test]
    fn folders_of_maps_are_marked_if_they_hold_nothing_else() {
        let here = tempfile::tempdir().unwrap();
        let at = |name: &str| here.path().join(name);
        make_maps_folder(&at("new/maps")).unwrap();
        assert!(is_output(&at("new/maps")) && !is_output(&at("new")));
        // Once more, beside what was drawn.
        std::fs::write(at("new/maps/a.png"), "").unwrap();
        make_maps_folder(&at("new/maps")).unwrap();
        assert!(is_output(&at("new/maps")));
        std::fs::create_dir(at("cat")).unwrap();
        std::fs::write(at("cat/a.png"), "").unwrap();
        make_maps_folder(&at("cat")).unwrap();
        assert!(!is_output(&at("cat")));
    }
}
