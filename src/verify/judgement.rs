//! What may be wrong with a case.

/// Which check failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// A value is further from the twin's than its tolerance.
    Tolerance,
    /// An output has another shape, or there is another number of them.
    Shape,
    /// The kernel wrote past the end of a tensor.
    Guard,
    /// The kernel left a value unwritten.
    Unwritten,
    /// Two runs gave different bits.
    Repeat,
    /// A gradient is no derivative of the forward twin.
    Slope,
    /// The driver or the operation refused.
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

/// The check that failed and what it found; none if all is well.
pub type Judgement = Option<(Check, String)>;
