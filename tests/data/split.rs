//! Splits and orders: the same everywhere, and fair to each class.

use std::sync::Arc;

use gpu_resnet::data::{
    Dataset, FileList, Subset, balanced_indices, keep_classes, open_dataset, shuffled_indices, stratified_split,
};

use crate::{assert_error, put};

// Written down once; another generator, seeding or shuffle would change them.
const ORDER_0_0: [usize; 10] = [5, 1, 9, 0, 3, 2, 8, 4, 6, 7];
const ORDER_0_1: [usize; 10] = [7, 6, 2, 1, 9, 4, 0, 5, 8, 3];
const SPLIT_42: [usize; 3] = [2, 7, 9];

#[test]
fn a_split_is_a_partition_with_each_classs_share() {
    let labels: Vec<usize> = (0..230).map(|i| if i < 200 { i % 2 } else { 2 }).collect();
    let (train, val) = stratified_split(&labels, 0.1, 7);
    let mut all = [train.clone(), val.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..230).collect::<Vec<_>>());
    let held = |class| val.iter().filter(|&&i| labels[i] == class).count();
    assert_eq!([held(0), held(1), held(2)], [10, 10, 3]);
    assert!(train.is_sorted() && val.is_sorted());
    assert_eq!(stratified_split(&labels, 0.1, 7), (train, val.clone()));
    assert_ne!(stratified_split(&labels, 0.1, 8).1, val);
}

#[test]
fn small_classes_keep_an_image_on_each_side() {
    let (train, val) = stratified_split(&[0, 1, 1, 5, 5, 5], 0.1, 1);
    assert_eq!(val.len(), 2, "{val:?}");
    assert!(train.contains(&0), "the only image of a class is for training");
    let (train, _) = stratified_split(&[0, 0, 1, 1], 1.0, 1);
    assert_eq!(train.len(), 2);
    assert_eq!(stratified_split(&[0, 0, 1, 1], 0.0, 1).1, [] as [usize; 0]);
    assert_eq!(stratified_split(&[], 0.5, 1), (vec![], vec![]));
    assert_eq!(stratified_split(&[0, 0], f64::NAN, 1).0, [0, 1]);
}

#[test]
fn the_orders_are_the_same_bits_on_every_platform() {
    assert_eq!(shuffled_indices(10, 0, 0), ORDER_0_0);
    assert_eq!(shuffled_indices(10, 0, 1), ORDER_0_1);
    assert_eq!(stratified_split(&[0; 10], 0.3, 42).1, SPLIT_42);
    for n in [0, 1, 2, 1000] {
        let mut order = shuffled_indices(n, 3, 4);
        order.sort_unstable();
        assert_eq!(order, (0..n).collect::<Vec<_>>());
    }
}

#[test]
fn every_place_is_as_likely() {
    let n = 5;
    let mut counts = [[0u32; 5]; 5];
    for epoch in 0..5000 {
        for (place, i) in shuffled_indices(n, 9, epoch).into_iter().enumerate() {
            counts[place][i] += 1;
        }
    }
    // 1000 expected, with a standard deviation of 28.
    assert!(counts.as_flattened().iter().all(|&c| (850..1150).contains(&c)), "{counts:?}");
}

#[test]
fn a_subset_keeps_its_order() {
    let list: Arc<dyn Dataset> = Arc::new(FileList::new(vec!["a".into(), "b".into(), "c".into()]));
    let subset = Subset::new(list.clone(), vec![2, 0, 2]).expect("valid");
    assert_eq!((0..subset.len()).map(|i| subset.name(i)).collect::<Vec<_>>(), ["c", "a", "c"]);
    assert_error(Subset::new(list, vec![3]), &["image 3", "only 3"]);
}

#[test]
fn a_balanced_epoch_shows_every_class_equally_often() {
    let labels: Vec<usize> = (0..101).map(|i| if i < 90 { 4 } else { i % 2 }).collect();
    let order = balanced_indices(&labels, 3, 1);
    let shown = |class| order.iter().filter(|&&i| labels[i] == class).count();
    let mut counts = [shown(0), shown(1), shown(4)];
    counts.sort_unstable();
    assert_eq!((order.len(), counts), (101, [33, 34, 34]));
    // Of a large class no image comes twice, of a small one each as often as another, to within one.
    let times = |i: usize| order.iter().filter(|&&j| i == j).count();
    assert!((0..90).all(|i| times(i) <= 1) && (90..101).all(|i| [5, 6, 7].contains(&times(i))), "{order:?}");
    assert_eq!(balanced_indices(&labels, 3, 1), order);
    let seen = |epoch| {
        balanced_indices(&labels, 3, epoch).into_iter().filter(|&i| i < 90).collect::<std::collections::BTreeSet<_>>()
    };
    assert!(seen(1) != seen(2) && balanced_indices(&labels, 4, 1) != order);
    assert_eq!(balanced_indices(&[], 0, 1), [] as [usize; 0]);
}

#[test]
fn classes_can_be_kept_and_ordered() {
    let dir = tempfile::tempdir().expect("a folder");
    let open = || {
        let rows =
            "cat,0.png\ndog,1.png\nape,2.png\ndog,3.png\n".lines().map(|row| row.split_once(',').expect("a row"));
        let lines: Vec<_> =
            rows.map(|(class, name)| format!("{},{class}", put(dir.path().join(name), "x").display())).collect();
        open_dataset(&put(dir.path().join("list.csv"), lines.join("\n"))).expect("a list")
    };
    let names = |list: &[&str]| list.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let data = keep_classes(open(), &names(&["dog", "ape"])).expect("classes that are there");
    assert_eq!(data.classes(), ["dog", "ape"]);
    let found: Vec<_> = (0..data.len()).map(|i| (data.name(i).chars().rev().nth(4), data.label(i))).collect();
    assert_eq!(found, [(Some('1'), 0), (Some('2'), 1), (Some('3'), 0)]);
    assert_eq!(data.remarks(), ["1 image of 1 other class left out"]);
    assert_eq!(keep_classes(open(), &names(&["ape", "cat", "dog"])).expect("all").remarks(), [""; 0]);
    for (list, word) in
        [(&["dog", "dog"][..], "named twice"), (&["dog", "cow"], "no class `cow`"), (&[], "no class was named")]
    {
        let text = keep_classes(open(), &names(list)).err().expect("an error").to_string();
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn classes_to_keep_may_be_written_with_decimals() {
    let dir = tempfile::tempdir().expect("a folder");
    for class in ["9", "10", "11"] {
        crate::datasets::picture(dir.path(), &format!("{class}/a.png"));
    }
    let keep = |list: &[&str]| {
        let names: Vec<String> = list.iter().map(|name| name.to_string()).collect();
        keep_classes(open_dataset(dir.path()).expect("three classes"), &names)
    };
    assert_eq!(keep(&["11.0", "9"]).expect("two classes").classes(), ["11", "9"]);
    assert!(keep(&["11.0", "11"]).err().expect("twice").to_string().contains("`11` is named twice"));
}
