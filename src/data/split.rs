//! Parts and unions of data sets, and the deterministic orders in which they are visited.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::names::without_decimals;
use super::{Dataset, Rgb8};
use crate::error::{Error, Result};

/// A selection of a data set's images, in any order.
pub struct Subset {
    data: Arc<dyn Dataset>,
    indices: Vec<usize>,
}

impl Subset {
    /// The images of `data` at `indices`, or an error if an index is past its end.
    pub fn new(data: Arc<dyn Dataset>, indices: Vec<usize>) -> Result<Self> {
        check_indices(&indices, data.len())?;
        Ok(Subset { data, indices })
    }

    /// The number of each image in the whole data set.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

pub(crate) fn check_indices(indices: &[usize], len: usize) -> Result<()> {
    match indices.iter().find(|&&i| i >= len) {
        Some(i) => Err(Error::Usage(format!("image {i} was asked for, but the data set has only {len}"))),
        None => Ok(()),
    }
}

impl Dataset for Subset {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn classes(&self) -> &[String] {
        self.data.classes()
    }

    fn name(&self, i: usize) -> String {
        self.data.name(self.indices[i])
    }

    fn label(&self, i: usize) -> usize {
        self.data.label(self.indices[i])
    }

    fn image(&self, i: usize) -> Result<Rgb8> {
        self.data.image(self.indices[i])
    }

    fn content_key(&self, i: usize) -> Result<[u8; 32]> {
        self.data.content_key(self.indices[i])
    }

    fn has_numbers_for_labels(&self) -> bool {
        self.data.has_numbers_for_labels()
    }

    fn remarks(&self) -> Vec<String> {
        self.data.remarks()
    }
}

/// The concatenation of two data sets with the same classes.
pub struct Concat {
    first: Box<dyn Dataset>,
    second: Box<dyn Dataset>,
}

impl Concat {
    /// `first` and then `second`, whose classes must be the same (see [`align_classes`](super::align_classes)).
    pub fn new(first: Box<dyn Dataset>, second: Box<dyn Dataset>) -> Result<Self> {
        if first.classes() != second.classes() {
            return Err(Error::Usage("two data sets with different classes cannot be joined".into()));
        }
        Ok(Concat { first, second })
    }

    fn find(&self, i: usize) -> (&dyn Dataset, usize) {
        match i.checked_sub(self.first.len()) {
            None => (&*self.first, i),
            Some(i) => (&*self.second, i),
        }
    }
}

impl Dataset for Concat {
    fn len(&self) -> usize {
        self.first.len() + self.second.len()
    }

    fn classes(&self) -> &[String] {
        self.first.classes()
    }

    fn name(&self, i: usize) -> String {
        let (data, i) = self.find(i);
        data.name(i)
    }

    fn label(&self, i: usize) -> usize {
        let (data, i) = self.find(i);
        data.label(i)
    }

    fn image(&self, i: usize) -> Result<Rgb8> {
        let (data, i) = self.find(i);
        data.image(i)
    }

    fn content_key(&self, i: usize) -> Result<[u8; 32]> {
        let (data, i) = self.find(i);
        data.content_key(i)
    }

    fn has_numbers_for_labels(&self) -> bool {
        self.first.has_numbers_for_labels() && self.second.has_numbers_for_labels()
    }

    fn remarks(&self) -> Vec<String> {
        [self.first.remarks(), self.second.remarks()].concat()
    }
}

/// A data set whose labels are numbered by another list of classes.
pub(crate) struct Relabelled {
    data: Box<dyn Dataset>,
    /// The new label of each old one.
    place: Vec<usize>,
    classes: Vec<String>,
    /// A message besides the data's own remarks.
    remark: Option<String>,
}

impl Relabelled {
    /// `data` with label `place[label]` in place of each label, and `classes` for names.
    pub fn boxed(data: Box<dyn Dataset>, place: Vec<usize>, classes: Vec<String>) -> Box<dyn Dataset> {
        Box::new(Relabelled { data, place, classes, remark: None })
    }
}

impl Dataset for Relabelled {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, i: usize) -> String {
        self.data.name(i)
    }

    fn label(&self, i: usize) -> usize {
        self.place[self.data.label(i)]
    }

    fn image(&self, i: usize) -> Result<Rgb8> {
        self.data.image(i)
    }

    fn content_key(&self, i: usize) -> Result<[u8; 32]> {
        self.data.content_key(i)
    }

    fn has_numbers_for_labels(&self) -> bool {
        self.data.has_numbers_for_labels()
    }

    fn remarks(&self) -> Vec<String> {
        let mut remarks = self.data.remarks();
        remarks.extend(self.remark.clone());
        remarks
    }
}

/// The images of `data` whose class is in `classes`, numbered by that list; a remark counts those that are left out.
///
/// # Errors
/// No name at all, a repeated name, or one that no class of `data` has.
pub fn keep_classes(data: Box<dyn Dataset>, classes: &[String]) -> Result<Box<dyn Dataset>> {
    if classes.is_empty() {
        return Err(Error::Usage("no class was named to keep; give one name per line".into()));
    }
    // `11.0`, as pandas writes it, is the class `11`.
    let exact: HashSet<&String> = data.classes().iter().collect();
    let alike: HashMap<&str, &String> = data.classes().iter().map(|own| (without_decimals(own), own)).collect();
    let named = |class: &String| match exact.contains(class) {
        true => class.clone(),
        false => alike.get(without_decimals(class)).map_or(class, |own| own).clone(),
    };
    let classes: Vec<String> = classes.iter().map(named).collect();
    let mut known = HashMap::new();
    for (class, i) in classes.iter().zip(0..) {
        if known.insert(class, i).is_some() {
            return Err(Error::Usage(format!("the class `{class}` is named twice; name it once")));
        }
        if !exact.contains(class) {
            let some = data.classes().iter().take(5).map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
            let count = data.classes().len();
            return Err(Error::Usage(format!(
                "the data has no class `{class}`; its {count} classes begin with {some}"
            )));
        }
    }
    let place = data.classes().iter().map(|class| known.get(class).copied());
    let place: Vec<Option<usize>> = place.collect();
    let kept: Vec<usize> = (0..data.len()).filter(|&i| place[data.label(i)].is_some()).collect();
    let (left, others) = (data.len() - kept.len(), data.classes().len() - classes.len());
    let remark = (left > 0).then(|| {
        format!(
            "{} of {} left out",
            super::count(left, "image"),
            if others == 1 { "1 other class".into() } else { format!("{others} other classes") }
        )
    });
    let place = place.into_iter().map(Option::unwrap_or_default).collect();
    let data = Box::new(Subset::new(Arc::from(data), kept)?);
    Ok(Box::new(Relabelled { data, place, classes, remark }))
}

/// Splits images into a training and a validation part, class by class: `fraction` of each class, rounded, goes to
/// validation, but at least one image of a class that has two, and never a class's last one. Both parts come in
/// ascending order; the same `seed` gives the same split on every platform. A `fraction` outside 0..=1 is clamped.
pub fn stratified_split(labels: &[usize], fraction: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let fraction = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
    let mut by_class = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for (i, &label) in labels.iter().enumerate() {
        by_class.entry(label).or_default().push(i);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut train, mut val) = (Vec::new(), Vec::new());
    for mut members in by_class.into_values() {
        shuffle(&mut members, &mut rng);
        let wanted = (members.len() as f64 * fraction).round() as usize;
        let least = usize::from(fraction > 0.0 && members.len() > 1);
        let held = wanted.max(least).min(members.len() - 1);
        val.extend_from_slice(&members[..held]);
        train.extend_from_slice(&members[held..]);
    }
    train.sort_unstable();
    val.sort_unstable();
    (train, val)
}

/// The numbers 0..n in an order drawn by `seed` for this `epoch`; the same on every platform.
pub fn shuffled_indices(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // One stream of the generator for each epoch; stream 0 is left to the split.
    rng.set_stream(epoch.wrapping_add(1));
    let mut order: Vec<usize> = (0..n).collect();
    shuffle(&mut order, &mut rng);
    order
}

/// `labels.len()` of the numbers 0..`labels.len()`, in an order drawn by `seed` for this `epoch`, every class equally often to within
/// one: images of small classes are repeated, and each epoch sees different images of large ones.
pub fn balanced_indices(labels: &[usize], seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch.wrapping_add(1));
    let mut by_class = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for (i, &label) in labels.iter().enumerate() {
        by_class.entry(label).or_default().push(i);
    }
    let mut classes: Vec<Vec<usize>> = by_class.into_values().collect();
    // Which classes get the remainder is drawn too.
    let mut turns: Vec<usize> = (0..classes.len()).collect();
    shuffle(&mut turns, &mut rng);
    let mut order = Vec::with_capacity(labels.len());
    for (turn, &class) in turns.iter().enumerate() {
        let members = &mut classes[class];
        shuffle(members, &mut rng);
        let share = labels.len() / turns.len() + usize::from(turn < labels.len() % turns.len());
        order.extend(members.iter().cycle().take(share));
    }
    shuffle(&mut order, &mut rng);
    order
}

/// Fisher and Yates's shuffle. Written out because rand's own depends on its version and on the width of `usize`.
fn shuffle(items: &mut [usize], rng: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        let below = last as u128 + 1;
        let pick = ((u128::from(rng.next_u64()) * below) >> 64) as usize;
        items.swap(last, pick);
    }
}
