//! Finds the files of a list: by their paths or by ids without an extension, beside the list or in a folder beside it.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::data::bytes::path_from_bytes;
use crate::data::clutter::is_clutter;
use crate::data::image_names::{is_image_name, unread_format};
use crate::data::part_names::{Part, parts_in};

/// What a field of the column of paths means.
pub enum Found {
    File(PathBuf),
    /// No file has that name; the path is where it should be.
    Missing(PathBuf),
    /// An id without an extension that matches several images.
    Several(Vec<OsString>),
    /// Not the bytes of a path on this system.
    NoPath,
}

/// What a field looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub enum Look {
    /// Not the name of an image.
    Text,
    /// The name of an existing image, without its extension.
    Id,
    /// The path of an existing file, or a name with the extension of an image.
    File,
}

/// Looks files up for one list.
pub struct Lookup {
    /// The list's own folder, and the folders beside it that may hold its images.
    folders: Vec<PathBuf>,
    /// The images of each folder by their names without extension.
    by_stem: HashMap<PathBuf, HashMap<OsString, Vec<OsString>>>,
    /// The first file that was not where its path says, and the number of such files.
    pub elsewhere: Option<(PathBuf, usize)>,
}

impl Lookup {
    /// For the list at `list`.
    pub fn new(list: &Path) -> Self {
        let folder = list.parent().unwrap_or(Path::new(""));
        let beside = beside(list.file_stem().unwrap_or_default());
        let beside = beside.into_iter().map(|name| folder.join(name)).filter(|path| path.is_dir());
        let folders = std::iter::once(folder.to_path_buf()).chain(beside).collect();
        Lookup { folders, by_stem: HashMap::new(), elsewhere: None }
    }

    /// What `field` looks like, before it is known whether its record is a header. An image's extension is enough: the
    /// first row of a list is no header because its file is missing.
    pub fn look(&mut self, field: &[u8]) -> Look {
        let path = path_from_bytes(field).unwrap_or_default();
        let is_id = |file: &Path| file.file_name() != path.file_name() && file.file_stem() == path.file_name();
        match self.search(field).0 {
            Found::Several(_) => Look::Id,
            Found::File(file) if is_id(&file) => Look::Id,
            Found::File(_) => Look::File,
            _ if is_image_name(&path) => Look::File,
            _ => Look::Text,
        }
    }

    /// The file that `field` means.
    pub fn find(&mut self, field: &[u8]) -> Found {
        let (found, is_own) = self.search(field);
        if let Found::File(file) = &found
            && !is_own
        {
            self.elsewhere.get_or_insert_with(|| (file.clone(), 0)).1 += 1;
        }
        found
    }

    /// The file that `field` means, and whether it is where its path says.
    fn search(&mut self, field: &[u8]) -> (Found, bool) {
        let Some(path) = path_from_bytes(field) else { return (Found::NoPath, false) };
        let own = self.folders[0].join(&path);
        if own.is_file() {
            return (Found::File(own), true);
        }
        let found = self.elsewhere(&path).or_else(|| {
            // A list from Windows.
            let slashes = field.contains(&b'\\').then(|| field.iter().map(|&b| if b == b'\\' { b'/' } else { b }));
            let path = path_from_bytes(&slashes?.collect::<Vec<u8>>())?;
            let own = self.folders[0].join(&path);
            if own.is_file() { Some(Found::File(own)) } else { self.elsewhere(&path) }
        });
        (found.unwrap_or(Found::Missing(own)), false)
    }

    /// For an id whose file is missing: its image in a format that is not read, if there is one.
    pub fn unread(&self, missing: &Path) -> Option<PathBuf> {
        let id = missing.strip_prefix(&self.folders[0]).unwrap_or(missing);
        let named = |folder: &PathBuf| {
            let wanted = folder.join(id);
            let entries = std::fs::read_dir(here(wanted.parent()?)).ok()?;
            let mut files = entries.flatten().map(|entry| wanted.with_file_name(entry.file_name()));
            files.find(|file| file.file_stem() == wanted.file_name() && unread_format(file).is_some())
        };
        self.folders.iter().find_map(named)
    }

    /// `path` in the folders beside the list, then as an id in all of them.
    fn elsewhere(&mut self, path: &Path) -> Option<Found> {
        if path.as_os_str().is_empty() {
            return None;
        }
        let folders = self.folders.clone();
        if path.is_relative()
            && let Some(file) = folders[1..].iter().map(|folder| folder.join(path)).find(|file| file.is_file())
        {
            return Some(Found::File(file));
        }
        if is_image_name(path) {
            return None;
        }
        folders.iter().find_map(|folder| self.by_id(&folder.join(path)))
    }

    /// The image whose path without its extension is `id`.
    fn by_id(&mut self, id: &Path) -> Option<Found> {
        let folder = id.parent()?;
        // Only for existing folders, so that a list can't fill the memory with others.
        if !self.by_stem.contains_key(folder) && !folder.as_os_str().is_empty() && !folder.is_dir() {
            return None;
        }
        let images = self.by_stem.entry(folder.to_path_buf()).or_insert_with(|| images_by_stem(folder));
        match &images.get(id.file_name()?)?[..] {
            [one] => Some(Found::File(folder.join(one))),
            several => Some(Found::Several(several.to_vec())),
        }
    }
}

/// The folders that may hold the images of the list `STEM.csv`. Those of another part are excluded: its images may have the same
/// names, and a held-out list would be read as images of the training part.
fn beside(stem: &OsStr) -> Vec<PathBuf> {
    let parts = match parts_in(&stem.to_string_lossy()) {
        none if none.is_empty() => vec![Part::Train],
        parts => parts,
    };
    let with_images = |name: &OsStr| {
        let mut images = name.to_owned();
        images.push("_images");
        [PathBuf::from(name), PathBuf::from(images)]
    };
    let mut folders = with_images(stem).to_vec();
    folders.extend([PathBuf::from("images"), Path::new("images").join(stem)]);
    for name in parts.iter().flat_map(|part| part.names()) {
        folders.extend(with_images(OsStr::new(name)));
        folders.push(Path::new("images").join(name));
    }
    let mut seen = HashSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

fn images_by_stem(folder: &Path) -> HashMap<OsString, Vec<OsString>> {
    let mut images: HashMap<OsString, Vec<OsString>> = HashMap::new();
    let mut names: Vec<OsString> =
        std::fs::read_dir(here(folder)).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    for name in names {
        let path = Path::new(&name);
        if is_image_name(path)
            && !is_clutter(path)
            && let Some(stem) = path.file_stem()
        {
            images.entry(stem.to_owned()).or_default().push(name);
        }
    }
    images
}

/// `folder`, or the current one if it has no name.
fn here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}
