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
