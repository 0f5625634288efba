//! One line of a listing, independent of the driver.

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The label of a basic block, which branches refer to.
    Label(String),
    /// An instruction.
    Instruction(Instruction),
    /// A comment, a hint to the scheduler, a bracket.
    Other,
}

#[cfg(test)]
impl Line {
    /// The instruction of the line; panics if it is something else.
    pub(super) fn instruction(self) -> Instruction {
        match self {
            Self::Instruction(instruction) => instruction,
            other => panic!("{other:?} is no instruction"),
        }
    }
}

/// The properties of an instruction that the analysis needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instruction {
    /// The number of instructions that it counts as: more than one if it repeats or holds two (RDNA 3's `v_dual_…`), none if it only waits, since
    /// other GPUs encode waits in the instruction that needs them.
    pub issues: u32,
    /// How many of them multiply and add floats, as scalars or as matrices.
    pub multiply_adds: u32,
    /// Set for a load from memory other than workgroup memory: the scoreboard that signals its end, where there are several.
    pub load: Option<u8>,
    /// The loads that it waits for.
    pub wait: Wait,
    /// The label that it may branch to.
    pub target: Option<String>,
    /// Execution never continues with the next line.
    pub leaves: bool,
}

/// The loads that must be complete before an instruction runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wait {
    /// Nothing.
    #[default]
    None,
    /// All except this many of the latest.
    AllBut(u32),
    /// Those on the scoreboards whose bits are set.
    Scoreboards(u8),
}

/// The code of a line in Mesa's formats for AMD and Adreno, without its comment; or the label, if the line is one.
pub(super) fn code_or_label(text: &str) -> Result<&str, Line> {
    let code = text.split(';').next().unwrap_or_default().trim();
    match code.strip_suffix(':') {
        Some(label) => Err(Line::Label(label.to_owned())),
        None => Ok(code),
    }
}
