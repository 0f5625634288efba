//! Lists of images and classes as CSV, as people and their tools write them.

use std::path::Path;

use gpu_resnet::data::{open_dataset, open_splits};

use crate::datasets::{labels, names, picture};
use crate::{assert_error, put};

/// The paths and the classes of the list `text` in `folder`.
fn read(folder: &Path, text: impl AsRef<[u8]>) -> Vec<(String, String)> {
    let data = open_dataset(&put(folder.join("list.csv"), text)).expect("a list");
    let classes = labels(&*data).into_iter().map(|label| data.classes()[label].clone());
    names(&*data, folder).into_iter().zip(classes).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
}

#[test]
fn csv_lists() {
    let dir = tempfile::tempdir().expect("a folder");
    picture(dir.path(), "pics/a, b.png");
    picture(dir.path(), "pics/c.png");
    let list = put(dir.path().join("list.csv"), "path,label\r\n\"pics/a, b.png\",10\r\npics/c.png,9\r\n");
    let data = open_dataset(&list).expect("a list");
    assert_eq!((labels(&*data), data.classes()), (vec![1, 0], &["9".to_string(), "10".to_string()][..]));
    assert_eq!(names(&*data, dir.path()), ["pics/a, b.png", "pics/c.png"]);
    put(&list, "pics/c.png,sun\n\"pics/a, b.png\",moon");
    assert_eq!(open_dataset(&list).expect("no header").classes(), ["moon", "sun"]);

    put(dir.path().join("parts/train.csv"), "../pics/c.png,sun\n\"../pics/a, b.png\",moon\n");
    put(dir.path().join("parts/test.csv"), "../pics/c.png,sun\n");
    let splits = open_splits(&dir.path().join("parts")).expect("two lists");
    assert_eq!(labels(&*splits.val.expect("a held-out part")), [1]);

    put(&list, "pics/c.png,sun\npics/gone.png,sun\npics/gone too.png,sun\n");
    assert_error(open_dataset(&list), &["list.csv", "line 2", "gone.png", "does not exist", "1 more"]);
    put(&list, "pics/c.png,sun\npics/c.png\n");
    assert_error(open_dataset(&list), &["line 2", "1 field instead of two"]);
    put(&list, "pics/c.png,\n");
    assert_error(open_dataset(&list), &["line 1", "empty field"]);
    for empty in ["path,label\n", "\n,\n", ""] {
        put(&list, empty);
        assert!(open_dataset(&list).is_err(), "{empty:?}");
    }
    put(&list, "path,label\n");
    assert_error(open_dataset(&list), &["lists no images"]);
    put(&list, "a,\"b\n");
    assert_error(open_dataset(&list), &["line 1", "never closed"]);
    put(&list, [0xff, 0xfe, b'a', 0]);
    assert_error(open_dataset(&list), &["not UTF-8"]);
    put(&list, b"pics/c.png,caf\xe9\n");
    assert_error(open_dataset(&list), &["line 1", "label `caf\u{fffd}`", "save the list as UTF-8"]);
    put(&list, "pics/gone.png,sun\n".repeat(10_001));
    assert_error(open_dataset(&list), &["line 1", "gone.png", "and 9999 or more others"]);
    put(&list, "my file,my class\npics/c.png,sun\n");
    assert_error(open_dataset(&list), &["line 1 names", "if that line is a header, make it path,label"]);
}

#[test]
fn csv_as_tools_write_it() {
    let dir = tempfile::tempdir().expect("a folder");
    picture(dir.path(), "a.png");
    picture(dir.path(), "b.png");
    let expected = pairs(&[("a.png", "cat"), ("b.png", "dog")]);
    for text in [
        "\"a.png\", \"cat\"\n\"b.png\", \"dog\"\n",
        "\u{feff}path,label\r\na.png,cat\r\nb.png,dog\r\n",
        "\u{feff}\"filename\";\"label\"\r\n\"a.png\";\"cat\"\r\n\"b.png\";\"dog\"\r\n",
        "image\tclass name\na.png\tcat\nb.png\tdog",
        "label,image\ncat,a.png\ndog,b.png\n",
        "cat,a.png\ndog,b.png\n",
        ",img,width,Target\n0,a.png,5,cat\n1,b.png,5,dog\n",
        "path,label\ra.png,cat\rb.png,dog\r",
        "path,label\n.\\a.png,cat\n./b.png,dog\n,\n",
    ] {
        let mut found = read(dir.path(), text);
        found.iter_mut().for_each(|(name, _)| *name = name.trim_start_matches("./").to_owned());
        assert_eq!(found, expected, "{text:?}");
    }
    let tsv = put(dir.path().join("list.tsv"), "a.png\tcat\n");
    assert_eq!(open_dataset(&tsv).expect("a list").classes(), ["cat"]);
    let absolute = format!("path,label\n{}/a.png,cat\n{}/b.png,dog\n", dir.path().display(), dir.path().display());
    assert_eq!(read(dir.path(), absolute), expected);
    let list = put(dir.path().join("list.csv"), "file,label,class\na.png,cat,1\n");
    assert_error(open_dataset(&list), &["list.csv", "`label` and `class`", "keep one"]);
    put(&list, "a.png,cat,1\n");
    assert_error(open_dataset(&list), &["3 columns and no header", "`path`", "`label`"]);
    put(&list, "id,path,label\n1,a.png,cat\n");
    assert!(open_dataset(&list).expect("a list").remarks()[0].contains("files by the column `path`"));
}

#[test]
fn ids_are_files_beside_the_list_or_in_a_folder_of_its_name() {
    let dir = tempfile::tempdir().expect("a folder");
    for folder in ["", "list", "list_images", "images", "images/list", "train", "train_images"] {
        let home = dir.path().join(format!("in {folder}").replace('/', " "));
        picture(&home.join(folder), "000bec.JPG");
        picture(&home.join(folder), "1.5.png");
        let found = read(&home, "image_id,breed\n000bec,pug\n1.5,boxer\n");
        let file = |name: &str| Path::new(folder).join(name).display().to_string();
        assert_eq!(found, pairs(&[(&file("000bec.JPG"), "pug"), (&file("1.5.png"), "boxer")]));
        // With extensions they are found in the same places.
        assert_eq!(read(&home, "image,label\n1.5.png,boxer\n")[0].0, file("1.5.png"));
        let remarks = open_dataset(&home.join("list.csv")).expect("a list").remarks().join("; ");
        assert_eq!(remarks.contains("1 file of"), !folder.is_empty(), "{remarks}");
    }
    picture(dir.path(), "a.png");
    picture(dir.path(), "a.jpg");
    let list = put(dir.path().join("list.csv"), "id,label\na,cat\n");
    assert_error(open_dataset(&list), &["line 2 names `a`", "`a.jpg`, `a.png`", "extension"]);
    put(&list, "id,label\nb,cat\n");
    assert_error(open_dataset(&list), &["line 2 names", "/b, which does not exist"]);
}

#[test]
fn repeated_rows_are_said_and_two_classes_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    picture(dir.path(), "a.png");
    picture(dir.path(), "b.png");
    let list = put(dir.path().join("list.csv"), "a.png,cat\nb.png,dog\n./a.png,cat\na.png,cat\n");
    let data = open_dataset(&list).expect("a list");
    assert_eq!(labels(&*data), [0, 1, 0, 0]);
    assert!(data.remarks()[0].contains("2 rows repeat others") && data.remarks()[0].contains("line 3 is line 1"));
    put(&list, "path,label\na.png,cat\nb.png,dog\na.png,dog\n");
    assert_error(open_dataset(&list), &["line 4 calls", "a.png `dog`, and line 2 calls it `cat`", "one class"]);
    // One class, written in two ways.
    put(&list, "a.png,1\na.png,1.0\nb.png,0.0\n");
    assert_eq!(open_dataset(&list).expect("a list").classes(), ["0", "1"]);
}

#[test]
fn labels_are_numbers_if_all_are_and_keep_their_quoted_spaces() {
    let dir = tempfile::tempdir().expect("a folder");
    let rows = |labels: &[&str]| {
        let row = |(i, label): (usize, &&str)| {
            picture(dir.path(), &format!("{i}.png"));
            format!("{i}.png,{label}\n")
        };
        let list = put(dir.path().join("list.csv"), labels.iter().enumerate().map(row).collect::<String>());
        open_dataset(&list).expect("a list")
    };
    assert_eq!(rows(&["10.0", "9.0", "0.0"]).classes(), ["0", "9", "10"]);
    assert_eq!(rows(&["10.0", "9.0", "n/a"]).classes(), ["10.0", "9.0", "n/a"]);
    let spaced = rows(&["cat", " cat", "cat ", "dog"]);
    assert_eq!((spaced.classes(), labels(&*spaced)), (&["cat".into(), "dog".into()][..], vec![0, 0, 0, 1]));
    assert!(spaced.remarks()[0].contains("2 labels of") && spaced.remarks()[0].contains("without the spaces"));
    assert_eq!(rows(&["cat", "\" cat\""]).classes(), [" cat", "cat"]);
    assert_eq!(rows(&[" cat", " dog"]).remarks(), [""; 0]);
}

#[cfg(unix)]
#[test]
fn paths_in_a_list_are_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().expect("a folder");
    let name = dir.path().join(OsStr::from_bytes(b"caf\xe9.png"));
    std::fs::rename(picture(dir.path(), "x.png"), name).expect("renamed");
    let list = put(dir.path().join("list.csv"), b"path,label\ncaf\xe9.png,drink\n");
    let data = open_dataset(&list).expect("a list");
    assert!(data.image(0).is_ok() && data.name(0).ends_with("caf\u{fffd}.png"));
    // The list is in another encoding than the file's name.
    put(&list, b"path,label\ncaf\xe8.png,drink\n");
    assert_error(open_dataset(&list), &["line 2", "does not exist; save the list as UTF-8"]);
}

#[test]
fn no_first_row_is_taken_for_a_header() {
    let dir = tempfile::tempdir().expect("a folder");
    picture(dir.path(), "0001.png");
    picture(dir.path(), "images/0002.png");
    let expected = |class: &str| pairs(&[("0001.png", class), ("images/0002.png", "drawing")]);
    for class in ["photo", "image", "type", "y", "label"] {
        assert_eq!(read(dir.path(), format!("0001,{class}\n0002,drawing\n")), expected(class));
        assert_eq!(read(dir.path(), format!(".\\0001.png,{class}\n0002.png,drawing\n"))[0].1, class);
        assert_eq!(read(dir.path(), format!("{class},0001\ndrawing,0002\n")), expected(class));
        // The first image is missing, which is no header either.
        for gone in [format!("gone.png,{class}\n0001,drawing\n"), format!("0009,{class}\n0001,{class}\n")] {
            assert_error(open_dataset(&put(dir.path().join("list.csv"), gone)), &["line 1 names", "does not exist"]);
        }
    }
    picture(dir.path(), "image.png");
    let list = put(dir.path().join("list.csv"), "image,label\n0001,cat\n");
    assert_error(open_dataset(&list), &["list.csv", "`image,label`", "may be a header or a row"]);
    put(&list, "image.png,label\n0001,cat\n");
    assert_eq!(labels(&*open_dataset(&list).expect("a list")), [1, 0]);
}

#[test]
fn separators_that_the_file_says() {
    let dir = tempfile::tempdir().expect("a folder");
    picture(dir.path(), "a.png");
    picture(dir.path(), "b, c.png");
    let expected = pairs(&[("a.png", "cat"), ("b, c.png", "dog")]);
    for text in [
        "\u{feff}sep=;\r\npath;label\r\na.png;cat\r\nb, c.png;dog\r\n",
        "sep=\t\na.png\tcat\nb, c.png\tdog\n",
        "sep=|\nb, c.png|dog\na.png|cat\n",
    ] {
        let mut found = read(dir.path(), text);
        found.sort();
        assert_eq!(found, expected, "{text:?}");
    }
    let list = put(dir.path().join("list.csv"), "sep=;\npath;label\ngone.png;cat\n");
    assert_error(open_dataset(&list), &["line 3 names", "gone.png"]);
    let tsv = put(dir.path().join("list.TSV"), "b, c.png\tdog, cat\n");
    assert_eq!(open_dataset(&tsv).expect("a list").classes(), ["dog, cat"]);
}

#[test]
fn a_column_of_parts_is_not_left_out_in_silence() {
    let dir = tempfile::tempdir().expect("a folder");
    picture(dir.path(), "a.png");
    picture(dir.path(), "b.png");
    let remarks =
        |text: &str| open_dataset(&put(dir.path().join("list.csv"), text)).expect("a list").remarks().join("; ");
    let said = remarks("path,label,Split\na.png,cat,train\nb.png,dog,VAL\n");
    assert!(said.contains("the column `Split` of") && said.contains("rows of all parts are read as one"), "{said}");
    assert!(!remarks("path,label,set\na.png,cat,1\nb.png,dog,2\n").contains("all parts"));
}

#[test]
fn an_image_under_two_paths_is_one_and_of_a_format_that_is_not_read_is_said() {
    let dir = tempfile::tempdir().expect("a folder");
    picture(dir.path(), "a.png");
    picture(dir.path(), "sub/b.png");
    let list = put(dir.path().join("list.csv"), "a.png,cat\nsub/../a.png,dog\n");
    assert_error(open_dataset(&list), &["line 2 calls", "`dog`, and line 1 calls it `cat`"]);
    put(&list, "a.png,cat\nsub/../a.png,cat\nsub/b.png,cat\n");
    assert!(open_dataset(&list).expect("a list").remarks()[0].contains("1 row repeats another"));
    put(dir.path().join("images/c.heic"), "x");
    put(&list, "id,label\na,cat\nc,dog\n");
    assert_error(open_dataset(&list), &["line 3 names", "c.heic, an image in a format that is not read", "convert it"]);
}
