//! What `infer` says of an image, and the forms that it has as text.

use std::path::Path;

use serde::Serialize;

use crate::cli::probabilities::{probabilities, top_k};
use crate::error::{Error, Result};

/// What is said of an image; its JSON is a line of `--json`.
#[derive(Serialize)]
pub struct Answer<'a> {
    pub input: &'a str,
    /// The most likely first.
    pub predictions: Vec<Prediction<'a>>,
    /// The picture that `--grad-cam` drew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grad_cam: Option<&'a Path>,
}

/// A class that an image may be of.
#[derive(Serialize)]
pub struct Prediction<'a> {
    pub index: usize,
    pub label: &'a str,
    pub probability: f64,
}

/// The `most` most likely classes, without those that are less likely than `threshold`.
pub fn predict<'a>(logits: &[f32], labels: &'a [String], most: usize, threshold: f64) -> Vec<Prediction<'a>> {
    let probabilities = probabilities(logits);
    top_k(&probabilities, most)
        .into_iter()
        .map(|index| Prediction { index, label: &labels[index], probability: probabilities[index] })
        .filter(|prediction| prediction.probability >= threshold)
        .collect()
}

/// The first line of CSV.
pub const CSV_HEADER: &str = "input,rank,index,label,probability\n";

impl Answer<'_> {
    /// A JSON object and a line's end.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self).map_err(|e| Error::file("stdout", e))? + "\n")
    }

    /// A line of CSV for each prediction.
    pub fn csv(&self) -> String {
        let input = csv_field(self.input);
        let line = |(rank, p): (usize, &Prediction)| {
            format!("{input},{},{},{},{}\n", rank + 1, p.index, csv_field(p.label), p.probability)
        };
        self.predictions.iter().enumerate().map(line).collect()
    }

    /// For people.
    pub fn text(&self) -> String {
        let line = |p: &Prediction| format!("  {:6.2} %  {}\n", p.probability * 100.0, p.label);
        let list: String = match self.predictions.is_empty() {
            true => "       –     no class is likely enough\n".into(),
            false => self.predictions.iter().map(line).collect(),
        };
        format!("{}\n{list}", self.input)
    }
}

/// A field of a CSV line (RFC 4180).
pub fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_output_gives_two_predictions_in_every_form() {
        let labels = ["not hotdog", "hotdog"].map(String::from);
        let answer =
            |threshold| Answer { input: "a", predictions: predict(&[-10.0], &labels, 5, threshold), grad_cam: None };
        let both = answer(0.0);
        assert_eq!(both.text(), "a\n  100.00 %  not hotdog\n    0.00 %  hotdog\n");
        let csv = both.csv();
        let rows: Vec<&str> = csv.lines().collect();
        assert!(
            rows[0].starts_with("a,1,0,not hotdog,0.99995460") && rows[1].starts_with("a,2,1,hotdog,0.0000453978"),
            "{csv}"
        );
        assert!(both.json().unwrap().contains("\"index\":1,\"label\":\"hotdog\",\"probability\":0.0000453978"));
        assert_eq!(answer(0.5).predictions.len(), 1);
    }
}
