//! One line of a listing, whatever driver it is from.

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The start of a basic block that branches name.
    Label(String),
    /// An instruction.
    Instruction(Instruction),
    /// A comment, a hint to the scheduler, a bracket.
    Other,
}

#[cfg(test)]
impl Line {
    /// The instruction that the line must be.
    pub(super) fn instruction(self) -> Instruction {
        match self {
            Self::Instruction(instruction) => instruction,
            other => panic!("{other:?} is no instruction"),
        }
    }
}

/// What matters of an instruction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instruction {
    /// Instructions that it counts for: more than one where it is repeated or holds two (RDNA 3's `v_dual_…`), none where it only waits, since
    /// other GPUs wait by bits of the instruction that has to.
    pub issues: u32,
    /// Of these, those that multiply and add floats, one after another or as matrices.
    pub multiply_adds: u32,
    /// Reads memory outside of the workgroup's own; the scoreboard that says when it is done, where there are several.
    pub load: Option<u8>,
    /// What it waits for.
    pub wait: Wait,
    /// The label that it may go on at.
    pub target: Option<String>,
    /// It never goes on at the next line.
    pub leaves: bool,
}

/// The loads that an instruction is held back for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wait {
    /// Nothing.
    #[default]
    None,
    /// All but the latest so many.
    AllBut(u32),
    /// Those on the scoreboards whose bits are set.
    Scoreboards(u8),
}

/// The code of a line of Mesa's for AMD and Adreno without its comment, or the label that it is.
pub(super) fn code_or_label(text: &str) -> Result<&str, Line> {
    let code = text.split(';').next().unwrap_or_default().trim();
    match code.strip_suffix(':') {
        Some(label) => Err(Line::Label(label.to_owned())),
        None => Ok(code),
    }
}
