//! Which column holds the paths and which the classes: by the header, otherwise by position.

use super::lookup::Look;

/// Headers of the column of files, the most certain first; only lower-case letters and digits.
const PATHS: [&[&str]; 3] = [
    &[
        "path",
        "paths",
        "file",
        "files",
        "filename",
        "filenames",
        "filepath",
        "filepaths",
        "fname",
        "imagepath",
        "imagefile",
        "imagefilename",
        "imgpath",
        "imgfile",
        "imgfilename",
    ],
    &["image", "images", "img", "imagename", "imgname", "picture", "photo"],
    &["imageid", "imgid", "id", "name", "uuid"],
];

/// Headers of the column of classes, the most certain first.
const LABELS: [&[&str]; 3] = [
    &[
        "label",
        "labels",
        "class",
        "classes",
        "classname",
        "labelname",
        "target",
        "targets",
        "category",
        "categories",
        "categoryname",
    ],
    &["classid", "labelid", "categoryid", "targetid", "classindex", "labelindex", "labelidx", "classidx"],
    &["breed", "species", "tag", "y", "synset", "wnid", "diagnosis", "groundtruth", "type"],
];

/// The columns of a list.
#[derive(Debug, PartialEq, Eq)]
pub struct Columns {
    pub path: usize,
    pub label: usize,
    /// Whether the first record is a header.
    pub header: bool,
}

/// Headers of a column that assigns rows to parts of the data.
const PARTS: [&str; 8] = ["split", "splits", "set", "subset", "fold", "partition", "part", "phase"];

impl Columns {
    /// The column of parts among `names`, which are the header's.
    pub fn part(&self, names: &[String]) -> Option<usize> {
        let is_part = |&i: &usize| ![self.path, self.label].contains(&i) && PARTS.contains(&&*letters(&names[i]));
        (0..names.len()).find(|i| self.header && is_part(i))
    }
}

/// The columns of a list whose first record is `first`; `look` tells what a field of it looks like, and `recurs` whether
/// it comes again in its column.
///
/// # Errors
/// What is unclear, to follow the list's name.
pub fn find(first: &[String], look: impl Fn(usize) -> Look, recurs: impl Fn(usize) -> bool) -> Result<Columns, String> {
    let names: Vec<String> = first.iter().map(|field| letters(field)).collect();
    let known = |tiers: &[&[&str]], name: &String| tiers.iter().any(|tier| tier.contains(&name.as_str()));
    let is_known = |&i: &usize| known(&PATHS, &names[i]) || known(&LABELS, &names[i]);
    // Pandas leaves the name of its index empty.
    let named: Vec<usize> = (0..names.len()).filter(|&i| !first[i].is_empty()).collect();
    let words: Vec<usize> = named.iter().copied().filter(is_known).collect();
    let looks: Vec<Look> = (0..names.len()).map(&look).collect();
    let is_row = (0..names.len()).any(|i| looks[i] == Look::File || (looks[i] == Look::Id && !words.contains(&i)));
    if words.is_empty() || is_row {
        return by_place(first, &looks);
    }
    if let Some(&word) = words.iter().find(|&&i| looks[i] == Look::Id) {
        let word = &first[word];
        return Err(format!(
            "has the first line `{}`, which may be a header or a row, since there is an image called `{word}`; write that \
             image with its extension, or name the column otherwise",
            first.join(",")
        ));
    }
    // Classes may have the names of columns: `photo` beside `drawing`.
    if names.len() == 2 && words.len() == 1 && recurs(words[0]) {
        return by_place(first, &looks);
    }
    let header = true;
    let path = choose(first, &names, &PATHS, "path")?;
    let label = choose(first, &names, &LABELS, "label")?;
    let other = |known: usize| named.iter().copied().find(|&i| i != known);
    let (path, label) = match (path, label, named.len()) {
        (Some(path), Some(label), _) => (Some(path), Some(label)),
        // Of two columns, the unknown one is the other kind.
        (Some(path), None, 2) => (Some(path), other(path)),
        (None, Some(label), 2) => (other(label), Some(label)),
        (path, label, _) => (path, label),
    };
    match (path, label) {
        (Some(path), Some(label)) => Ok(Columns { path, label, header }),
        (None, _) => Err(unnamed(first, "files", "path")),
        (_, None) => Err(unnamed(first, "classes", "label")),
    }
}

/// Without a header there are two columns, path first unless only the second is a file.
fn by_place(first: &[String], looks: &[Look]) -> Result<Columns, String> {
    match first.len() {
        2 => {
            let path = usize::from(looks[0] < looks[1]);
            Ok(Columns { path, label: 1 - path, header: false })
        }
        1 => Err("has 1 field instead of two in its first line; each line is path,label".into()),
        n => Err(format!(
            "has {n} columns and no header that is known; let its first line call the column of files `path` and that of \
             classes `label`"
        )),
    }
}

/// The one column of the most certain kind; `None` if there is none of any kind.
fn choose(first: &[String], names: &[String], tiers: &[&[&str]], call_it: &str) -> Result<Option<usize>, String> {
    for tier in tiers {
        let found: Vec<usize> = (0..names.len()).filter(|&i| tier.contains(&names[i].as_str())).collect();
        match found[..] {
            [] => {}
            [one] => return Ok(Some(one)),
            [one, other, ..] => {
                let (a, b) = (&first[one], &first[other]);
                return Err(format!(
                    "has the columns `{a}` and `{b}`, either of which may be the {call_it}; keep one of them, or call the \
                     right one `{call_it}` and the other something else"
                ));
            }
        }
    }
    Ok(None)
}

fn unnamed(first: &[String], what: &str, call_it: &str) -> String {
    let columns = super::quoted(first.iter().map(String::as_str));
    format!("has the columns {columns}, and it is not clear which holds the {what}; call that column `{call_it}`")
}

/// `Image_ID` as `imageid`.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> Result<(usize, usize), String> {
        let first: Vec<String> = header.split(',').map(String::from).collect();
        let found = find(&first, |_| Look::Text, |_| false)?;
        assert!(found.header, "{header}");
        Ok((found.path, found.label))
    }

    #[test]
    fn headers_that_people_use() {
        for (header, columns) in [
            ("path,label", (0, 1)),
            ("Image_ID,breed", (0, 1)),
            ("label,image", (1, 0)),
            ("path,class_name", (0, 1)),
            ("id,target", (0, 1)),
            ("img,Class", (0, 1)),
            ("filename,what it shows", (0, 1)),
            ("picture of,label", (0, 1)),
            (",file_name,label", (1, 2)),
            (",photo,kind of bird", (1, 2)),
            ("id,path,width,height,label", (1, 4)),
            ("image_id,label_id,label,score", (0, 2)),
        ] {
            assert_eq!(of(header).unwrap(), columns, "{header}");
        }
    }

    #[test]
    fn unclear_headers_are_refused() {
        for (header, words) in [
            ("filename,path,label", "`filename` and `path`"),
            ("image,label,class_name", "`label` and `class_name`"),
            ("image_id,healthy,rust,scab", "which holds the classes; call that column `label`"),
            ("width,height,label", "which holds the files; call that column `path`"),
        ] {
            let said = of(header).unwrap_err();
            assert!(said.contains(words), "{header}: {said}");
        }
    }

    #[test]
    fn without_a_header_the_file_tells_the_columns() {
        let list = |fields: &[&str], looks: &[Look]| {
            let first: Vec<String> = fields.iter().map(|field| field.to_string()).collect();
            find(&first, |i| looks[i], |_| false)
        };
        use Look::{File, Id, Text};
        let (first, second) =
            (Columns { path: 0, label: 1, header: false }, Columns { path: 1, label: 0, header: false });
        assert_eq!(list(&["a.png", "b"], &[File, Text]).as_ref(), Ok(&first));
        assert_eq!(list(&["b", "a"], &[Text, Id]).as_ref(), Ok(&second));
        // Both are images, one by its path.
        assert_eq!(list(&["b", "a.png"], &[Id, File]).as_ref(), Ok(&second));
        assert_eq!(list(&["b", "a"], &[Id, Id]).as_ref(), Ok(&first));
        // A class may have the name of a column.
        assert_eq!(list(&["0001", "photo"], &[Id, Text]).as_ref(), Ok(&first));
        assert_eq!(list(&["image", "label"], &[File, Text]).as_ref(), Ok(&first));
        assert!(list(&["image", "label"], &[Text, Text]).unwrap().header);
        let said = list(&["image", "label"], &[Id, Text]).unwrap_err();
        assert!(said.contains("`image,label`, which may be a header or a row"), "{said}");
        let gone = ["0001", "photo"].map(String::from);
        assert_eq!(find(&gone, |_| Text, |i| i == 1).as_ref(), Ok(&first));
        assert!(list(&["a.png", "b", "c"], &[File, Text, Text]).unwrap_err().contains("3 columns and no header"));
        assert!(list(&["a.png"], &[File]).unwrap_err().contains("1 field instead of two"));
    }
}
