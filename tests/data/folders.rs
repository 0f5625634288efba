//! Folders as people have them: parts beside other folders, what systems leave, numbers for names, names that are bytes.

use std::path::Path;

use gpu_resnet::data::{Depth, check, make_maps_folder, open_dataset, open_splits, order_note};

use crate::datasets::{labels, names, picture};
use crate::{assert_error, put};

fn pictures(folder: &Path, names: &[&str]) {
    names.iter().for_each(|name| drop(picture(folder, name)));
}

#[test]
fn train_beside_a_held_out_part_is_a_part_whatever_else_is_there() {
    for held_out in ["val", "valid", "Validation", "dev", "eval", "test", "testing"] {
        let dir = tempfile::tempdir().expect("a folder");
        pictures(dir.path(), &["Train/cat/a.png", "Train/dog/a.png", "extra/cow/a.png", "docs/b.png"]);
        picture(dir.path(), &format!("{held_out}/dog/b.png"));
        let splits = open_splits(dir.path()).expect("two parts");
        assert_eq!((splits.train.classes(), labels(&*splits.train)), (&["cat".into(), "dog".into()][..], vec![0, 1]));
        assert_eq!(labels(&*splits.val.expect("a held-out part")), [1], "{held_out}");
        let said = splits.train.remarks().join("; ");
        assert!(said.contains(&format!("`docs`, `extra` beside `Train` and `{held_out}` left out")), "{said}");
    }
    let dir = tempfile::tempdir().expect("a folder");
    pictures(dir.path(), &["train/cat/a.png", "val/cat/b.png", "test/cat/c.png"]);
    let splits = open_splits(dir.path()).expect("two parts");
    assert!(splits.train.remarks()[0].contains("`test` beside `train` and `val`"));
    assert!(names(&*splits.val.expect("a held-out part"), dir.path())[0].starts_with("val"));
}

#[test]
fn train_alone_is_a_part_or_a_class_or_unclear() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    // Alone, or beside folders without images, it is the training part.
    pictures(&at("alone"), &["training/cat/a.png", "training/dog/a.png"]);
    put(at("alone/annotations/a.xml"), "");
    let alone = open_splits(&at("alone")).expect("a part");
    assert_eq!((alone.train.classes().len(), alone.val.is_none()), (2, true));
    assert!(alone.train.remarks()[0].contains("`annotations` beside `training` left out"));
    // Among other classes, with images of its own, it is a vehicle.
    pictures(&at("vehicles"), &["train/a.png", "tram/a.png"]);
    let vehicles = open_splits(&at("vehicles")).expect("classes");
    assert_eq!(vehicles.train.classes(), ["train", "tram"]);
    assert!(vehicles.train.remarks()[0].contains("`train` in") && vehicles.train.remarks()[0].contains("for a class"));
    // With folders in it, it could be either.
    pictures(&at("unclear"), &["train/x/a.png", "cat/a.png"]);
    assert_error(
        open_splits(&at("unclear")),
        &["unclear", "`train` with folders in it beside `cat`", "call the held-out"],
    );
    // Held-out parts alone are not classes; `test` beside a class is one.
    pictures(&at("held"), &["val/x/a.png", "test/x/a.png"]);
    assert_error(open_splits(&at("held")), &["`test`, `val` and no `train`", "name the part"]);
    pictures(&at("groups"), &["control/a.png", "test/a.png"]);
    assert_eq!(open_splits(&at("groups")).expect("classes").train.classes(), ["control", "test"]);
}

#[test]
fn a_list_beside_its_folder_of_images_is_the_data() {
    let dir = tempfile::tempdir().expect("a folder");
    pictures(dir.path(), &["train/1.png", "train/2.png", "test/3.png"]);
    put(dir.path().join("train.csv"), "id,breed\n1,pug\n2,boxer\n");
    let splits = open_splits(dir.path()).expect("a list");
    assert_eq!((labels(&*splits.train), splits.val.is_none()), (vec![1, 0], true));
    put(dir.path().join("test.csv"), "id\n3\n");
    assert_error(open_splits(dir.path()), &["test.csv", "which holds the classes", "or give", "train.csv alone"]);
}

#[test]
fn what_systems_leave_is_neither_a_class_nor_an_image() {
    let dir = tempfile::tempdir().expect("a folder");
    pictures(dir.path(), &["cat/a.png", "dog/b.png"]);
    for clutter in [
        "@eaDir",
        "#recycle",
        "$RECYCLE.BIN",
        "lost+found",
        "System Volume Information",
        "__MACOSX",
        ".ipynb_checkpoints",
    ] {
        picture(dir.path(), &format!("{clutter}/x/c.png"));
        picture(dir.path(), &format!("dog/deep/{clutter}/d.png"));
        std::fs::create_dir_all(dir.path().join("cat").join(clutter)).expect("a folder");
    }
    for clutter in ["Thumbs.db", "desktop.ini", "cat/._a.png", "cat/Thumbs.db"] {
        put(dir.path().join(clutter), "x");
    }
    let data = open_dataset(dir.path()).expect("two classes");
    assert_eq!((data.classes(), labels(&*data)), (&["cat".into(), "dog".into()][..], vec![0, 1]));
    assert_eq!(data.remarks(), [""; 0]);
}

#[test]
fn numbered_folders_are_in_the_order_of_their_numbers() {
    let dir = tempfile::tempdir().expect("a folder");
    (0..12).for_each(|i| drop(picture(dir.path(), &format!("{i}/a.png"))));
    let data = open_dataset(dir.path()).expect("twelve classes");
    assert_eq!(data.classes(), (0..12).map(|i| i.to_string()).collect::<Vec<_>>());
    assert_eq!(labels(&*data), (0..12).collect::<Vec<_>>());
    assert_eq!(names(&*data, dir.path())[2], "2/a.png");
    assert!(order_note(data.classes()).expect("not torchvision's").contains("(0, 1, 10, …)"));
    // One name that is no number, and all are text, as in torchvision.
    picture(dir.path(), "none/a.png");
    let data = open_dataset(dir.path()).expect("thirteen classes");
    assert_eq!((&data.classes()[..3], order_note(data.classes())), (&["0", "1", "10"].map(String::from)[..], None));

    let dir = tempfile::tempdir().expect("a folder");
    pictures(dir.path(), &["2.0/a.png", "10.0/a.png"]);
    assert_eq!(open_dataset(dir.path()).expect("two classes").classes(), ["2", "10"]);
    picture(dir.path(), "2/a.png");
    assert_error(open_dataset(dir.path()), &["two folders for the class `2`", "\"2\" and \"2.0\""]);
}

#[test]
fn names_that_look_alike_are_warned_of() {
    let dir = tempfile::tempdir().expect("a folder");
    pictures(dir.path(), &["polar bear/a.png", "polar_bear/b.png", "cafe\u{301}/c.png", "caf\u{e9}/d.png"]);
    let data = open_dataset(dir.path()).expect("four classes");
    let said = check(&*data, None, Depth::Labels, || ());
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("Unicode normalisation") && said[1].contains("`polar bear` and `polar_bear`"), "{said:?}");
}

#[test]
fn formats_that_are_not_read_are_named() {
    let dir = tempfile::tempdir().expect("a folder");
    picture(dir.path(), "cat/a.png");
    put(dir.path().join("dog/b.jp2"), "x");
    assert_error(open_dataset(dir.path()), &["dog", "without images but has 1 image", "(.jp2)", "convert"]);
    picture(dir.path(), "dog/c.png");
    let said = open_dataset(dir.path()).expect("two classes").remarks().join("; ");
    assert!(
        said.contains("1 file without an image's extension, 1 image in a format that is not read (.jp2)"),
        "{said}"
    );
    put(dir.path().join("flat/a.jp2"), "x");
    assert_error(open_dataset(&dir.path().join("flat")), &["1 image in a format that is not read", "no class folders"]);
}

#[cfg(unix)]
#[test]
fn class_folders_whose_names_are_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().expect("a folder");
    let bytes = |name: &[u8]| dir.path().join(OsStr::from_bytes(name));
    picture(dir.path(), "tea/a.png");
    picture(&bytes(b"caf\xe9"), "a.png");
    let data = open_dataset(dir.path()).expect("two classes");
    assert_eq!(data.classes(), ["caf\u{fffd}", "tea"]);
    assert!(data.image(0).is_ok() && data.remarks()[0].contains("not UTF-8; its class is called `caf\u{fffd}`"));
    picture(&bytes(b"caf\xe8"), "a.png");
    assert_error(open_dataset(dir.path()), &["two folders for the class `caf\u{fffd}`", r#""caf\xE8" and "caf\xE9""#]);
}

#[test]
fn pictures_of_grad_cam_are_no_class_and_no_images_of_one() {
    let dir = tempfile::tempdir().expect("a folder");
    pictures(dir.path(), &["cat/a.png", "dog/a.png"]);
    for maps in ["maps", "cat/maps"] {
        make_maps_folder(&dir.path().join(maps)).expect("a folder");
        picture(dir.path(), &format!("{maps}/a.png"));
    }
    let data = open_dataset(dir.path()).expect("two classes");
    assert_eq!((data.classes(), labels(&*data)), (&["cat".into(), "dog".into()][..], vec![0, 1]));
    assert!(data.remarks()[0].contains("`maps` with pictures of infer --grad-cam left out"), "{:?}", data.remarks());
}
