//! What may be wrong with a case.

/// Which check failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// A value differs from the twin's by more than its tolerance.
    Tolerance,
    /// An output has the wrong shape, or the number of outputs is wrong.
    Shape,
    /// The kernel wrote past the end of a tensor.
    Guard,
    /// The kernel left a value unwritten.
    Unwritten,
    /// Two runs gave different bits.
    Repeat,
    /// A gradient is not the derivative of the forward twin.
    Slope,
    /// The driver or the operation returned an error.
    Refused,
}

impl Check {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tolerance => "tolerance",
            Self::Shape => "shape",
            Self::Guard => "guard",
            Self::Unwritten => "unwritten",
            Self::Repeat => "repeat",
            Self::Slope => "slope",
            Self::Refused => "refused",
        }
    }
}

/// The check that failed and what it found; `None` if all passed.
pub type Judgement = Option<(Check, String)>;
