//! Which images belong to which part of a data set: lists that name a part, folders that are parts and not classes.

use std::path::Path;

use gpu_resnet::data::{open_dataset, open_splits};

use crate::datasets::{labels, names, picture};
use crate::{assert_error, put};

fn pictures(folder: &Path, names: &[&str]) {
    names.iter().for_each(|name| drop(picture(folder, name)));
}

#[test]
fn a_held_out_list_never_reads_the_training_images() {
    for (list, own) in [
        ("val.csv", "validation"),
        ("valid.csv", "val_images"),
        ("val_labels.csv", "val"),
        ("test.csv", "test_images"),
        ("testing.tsv", "images/test"),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        pictures(dir.path(), &["train/0001.png", "train_images/0001.png"]);
        let list = put(dir.path().join(list), "id\tlabel\n0001\tcat\n");
        assert_error(open_dataset(&list), &["line 2 names", "0001, which does not exist"]);
        picture(dir.path(), &format!("{own}/0001.png"));
        let data = open_dataset(&list).expect("a list");
        assert_eq!(names(&*data, dir.path()), [format!("{own}/0001.png")]);
    }
    // The training list does not read the held-out images, and one of both parts reads both.
    let dir = tempfile::tempdir().expect("a folder");
    pictures(dir.path(), &["val/2.png", "training/1.png"]);
    put(dir.path().join("train.csv"), "id,label\n2,cat\n");
    assert_error(open_dataset(&dir.path().join("train.csv")), &["2, which does not exist"]);
    let both = put(dir.path().join("train_val.csv"), "id,label\n1,cat\n2,cat\n");
    assert_eq!(names(&*open_dataset(&both).expect("a list"), dir.path()), ["training/1.png", "val/2.png"]);
}

#[test]
fn folders_with_a_part_in_their_names_are_parts_if_they_share_classes() {
    for (train, held_out, other) in [
        ("training_set", "test_set", "notes"),
        ("seg_train", "seg_test", "seg_pred"),
        ("train_data", "val_data", "test_data"),
        ("trainset", "testset", "notes"),
        ("Train-2017", "val2017", "test2017"),
        ("train", "my val", "notes"),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        pictures(&dir.path().join(train), &["cat/a.png", "dog/a.png"]);
        pictures(&dir.path().join(held_out), &["cat/b.png", "dog/b.png"]);
        picture(&dir.path().join(other), "c.png");
        let splits = open_splits(dir.path()).expect("two parts");
        assert_eq!(splits.train.classes(), ["cat", "dog"], "{train}");
        assert!(names(&*splits.train, dir.path())[0].starts_with(train));
        assert_eq!(labels(&*splits.val.expect("a held-out part")), [0, 1]);
        let said = splits.train.remarks().join("; ");
        let taken = format!("`{train}` in {} is taken for the training part and `{held_out}`", dir.path().display());
        assert!(said.contains(&taken) && said.contains(&format!("`{other}` beside")), "{said}");
    }
    // Classes that only have such words.
    let dir = tempfile::tempdir().expect("a folder");
    pictures(dir.path(), &["train_ticket/a.png", "test_tube/a.png", "test_tube/old/b.png"]);
    assert_eq!(open_splits(dir.path()).expect("classes").train.classes(), ["test_tube", "train_ticket"]);
    let dir = tempfile::tempdir().expect("a folder");
    pictures(dir.path(), &["train_a/cat/a.png", "train_b/cat/a.png", "test/cat/a.png"]);
    assert_error(open_splits(dir.path()), &["more than one training part", "`test`, `train_a`, `train_b`"]);
}

#[test]
fn folders_that_share_their_subfolders_may_be_parts() {
    let dir = tempfile::tempdir().expect("a folder");
    pictures(dir.path(), &["first/cat/a.png", "first/dog/a.png", "second/cat/b.png", "second/dog/b.png"]);
    assert_error(open_splits(dir.path()), &["`first` and `second`", "(`cat`, `dog`)", "call them `train` and `val`"]);
    // Classes with images of their own, with one name in common, or with none, are classes.
    for images in [
        ["cat/in/a.png", "cat/out/a.png", "cat/a.png", "dog/in/b.png", "dog/out/b.png", "dog/b.png"],
        ["cat/in/a.png", "cat/out/a.png", "cat/in/b.png", "dog/in/b.png", "dog/far/b.png", "dog/in/c.png"],
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        pictures(dir.path(), &images);
        assert_eq!(open_splits(dir.path()).expect("classes").train.classes(), ["cat", "dog"]);
    }
}
