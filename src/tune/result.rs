//! What was measured of each convolution.

use serde::Serialize;

/// One algorithm for one pass and shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    pub algorithm: String,
    /// Best time; none if it may not be used.
    pub ms: Option<f64>,
    /// Of the formula's arithmetic, multiply-adds counted as two: Winograd's way takes fewer.
    pub gflops: Option<f64>,
    /// How far it is from the default.
    pub nmse: Option<f64>,
    /// Why it may not be used.
    pub rejected: Option<String>,
}

/// The result for one pass over one shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuned {
    /// The first layer of this shape, and how many there are.
    pub layer: String,
    pub layers: usize,
    pub pass: &'static str,
    /// NCHW.
    pub input: [usize; 4],
    /// KCRS.
    pub weight: [usize; 4],
    pub stride: usize,
    pub default: String,
    pub default_ms: f64,
    pub choice: String,
    pub ms: f64,
    /// Fastest first, then those that may not be used.
    pub candidates: Vec<Candidate>,
    #[serde(skip)]
    pub(super) key: String,
}
