//! What was measured of each convolution.

use serde::Serialize;

/// One algorithm for one pass and shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    pub algorithm: String,
    /// Best time; `None` if it was rejected.
    pub ms: Option<f64>,
    /// Rate of the formula's operations, a multiply-add counted as two. Winograd takes fewer.
    pub gflops: Option<f64>,
    /// NMSE from the default.
    pub nmse: Option<f64>,
    /// Why it was rejected.
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
    /// Fastest first, then the rejected ones.
    pub candidates: Vec<Candidate>,
    #[serde(skip)]
    pub(super) key: String,
}
