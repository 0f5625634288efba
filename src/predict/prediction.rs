//! What a network says about an image.

use std::sync::Arc;

use serde::Serialize;

use super::probabilities::{probabilities, top_k};

/// A candidate class of an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The class's number, from 0.
    pub index: usize,
    /// Its name, or its number if the network has no names.
    pub label: String,
    /// From 0 to 1.
    pub probability: f64,
}

/// The `most` most likely classes for one row of finite `logits`, most likely first, without those below `threshold`.
/// `labels` has a name for each class.
pub fn predictions(logits: &[f32], labels: &[String], most: usize, threshold: f64) -> Vec<Prediction> {
    let probabilities = probabilities(logits);
    top_k(&probabilities, most)
        .into_iter()
        .map(|index| Prediction { index, label: labels[index].clone(), probability: probabilities[index] })
        .filter(|prediction| prediction.probability >= threshold)
        .collect()
}

/// A network's answer for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    pub(super) logits: Vec<f32>,
    pub(super) labels: Arc<[String]>,
}

impl Classification {
    /// The `k` most likely classes, most likely first.
    pub fn top(&self, k: usize) -> Vec<Prediction> {
        predictions(&self.logits, &self.labels, k, 0.0)
    }

    /// The most likely class.
    pub fn best(&self) -> Prediction {
        self.top(1).remove(0)
    }

    /// The probability of each class, in the order of the classes. They sum to 1.
    pub fn probabilities(&self) -> Vec<f64> {
        probabilities(&self.logits)
    }

    /// The network's output: one logit per class, or the single logit of a network with two classes and one output.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// The names of the classes, in their order.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_come_by_their_probability() {
        let labels: Arc<[String]> = ["a", "b", "c"].map(String::from).into();
        let said = Classification { logits: vec![0.0, 2.0, 1.0], labels: labels.clone() };
        let top = said.top(2);
        assert_eq!(top.iter().map(|p| (p.index, p.label.as_str())).collect::<Vec<_>>(), [(1, "b"), (2, "c")]);
        // torch.softmax(torch.tensor([0., 2., 1.], dtype=torch.float64), 0)
        assert!((top[0].probability - 0.6652409557748219).abs() < 1e-12);
        assert_eq!((said.best(), said.top(9).len()), (top[0].clone(), 3));
        assert_eq!(predictions(&said.logits, &labels, 3, 0.5).len(), 1);
        let one = Classification { logits: vec![2.0], labels: ["no", "yes"].map(String::from).into() };
        assert_eq!((one.best().label.as_str(), one.probabilities().len()), ("yes", 2));
    }
}
