//! Accuracy of a network, image by image.

use serde::{Serialize, Serializer};

use super::probabilities::{cross_entropy, probabilities, top_k};

/// A network's accuracy. All accuracies are fractions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Accuracy {
    /// Images that were measured.
    pub count: usize,
    /// Mean cross-entropy.
    pub loss: f64,
    /// Share of the images whose class is the most likely one.
    pub top1: f64,
    /// Share of the images whose class is among the five most likely.
    pub top5: f64,
    /// The accuracy of each class; a class without images is left out.
    #[serde(serialize_with = "as_map")]
    pub per_class: Vec<(String, f64)>,
}

/// Pairs as an object, in their order.
fn as_map<S: Serializer>(pairs: &[(String, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

/// Counts over all images so far.
#[derive(Debug, Clone)]
pub struct Tally {
    classes: usize,
    /// Images so far.
    pub count: usize,
    loss: f64,
    top5: usize,
    /// `[true class][predicted class]`.
    pub confusion: Vec<Vec<usize>>,
}

impl Tally {
    /// An empty tally of this many classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, count: 0, loss: 0.0, top5: 0, confusion: vec![vec![0; classes]; classes] }
    }

    /// Adds the finite logits of an image of class `target`.
    pub fn add(&mut self, logits: &[f32], target: usize) {
        let best = top_k(&probabilities(logits), 5);
        self.count += 1;
        self.loss += cross_entropy(logits, target);
        self.top5 += usize::from(best.contains(&target));
        self.confusion[target][best[0]] += 1;
    }

    /// The result; `labels` are the names of the classes.
    pub fn accuracy(&self, labels: &[String]) -> Accuracy {
        let correct: usize = (0..self.classes).map(|k| self.confusion[k][k]).sum();
        let share = |part: usize, whole: usize| part as f64 / whole as f64;
        let mut uses = std::collections::HashMap::new();
        labels.iter().for_each(|label| *uses.entry(label).or_insert(0) += 1);
        let per_class = labels.iter().zip(&self.confusion).enumerate().filter_map(|(k, (label, row))| {
            let seen: usize = row.iter().sum();
            // Two outputs with the same name are distinguished by their numbers.
            let name = if uses[label] > 1 { format!("{label} ({k})") } else { label.clone() };
            // A class without images has no accuracy.
            (seen > 0).then(|| (name, share(row[k], seen)))
        });
        Accuracy {
            count: self.count,
            loss: self.loss / self.count as f64,
            top1: share(correct, self.count),
            top5: share(self.top5, self.count),
            per_class: per_class.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_shares() {
        let labels: Vec<String> = ["a", "b", "c"].map(String::from).into();
        let mut tally = Tally::new(3);
        tally.add(&[5.0, 0.0, 0.0], 0);
        tally.add(&[5.0, 0.0, 0.0], 1);
        tally.add(&[0.0, 5.0, 0.0], 1);
        let report = tally.accuracy(&labels);
        assert_eq!((report.count, report.top1, report.top5), (3, 2.0 / 3.0, 1.0));
        // In the order of the outputs, without the class that no image has.
        assert_eq!(report.per_class, [("a".to_owned(), 1.0), ("b".to_owned(), 0.5)]);
        assert!(serde_json::to_string(&report).unwrap().ends_with(r#""per_class":{"a":1.0,"b":0.5}}"#));
        let same: Vec<String> = ["a", "a", "c"].map(String::from).into();
        assert_eq!(tally.accuracy(&same).per_class, [("a (0)".to_owned(), 1.0), ("a (1)".to_owned(), 0.5)]);
        let hit = -(5f64.exp() / (5f64.exp() + 2.0)).ln();
        let miss = -(1.0 / (5f64.exp() + 2.0)).ln();
        assert!((report.loss - (2.0 * hit + miss) / 3.0).abs() < 1e-9);
    }
}
