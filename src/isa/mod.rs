//! Reads the instruction listings that drivers give for compiled kernels: where the loop with the products is, how much of it is
//! multiply-adds, and whether it waits for what it fetches ahead.
//!
//! Listings are text for people, and differ by driver. A dialect turns each line into a [`Line`]; what is made of the lines is the same
//! for all. Only what Mesa's compilers print is known here; other listings give no answer instead of a wrong one.

mod adreno;
mod amd;
mod loops;
mod nvidia;

pub use loops::{HotLoop, hot_loop};

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
    fn instruction(self) -> Instruction {
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

/// Reads a listing, if it is one of those that are known: `name` is the driver's name of it.
pub fn read(name: &str, text: &str) -> Option<Vec<Line>> {
    let dialect: fn(&str) -> Line = match name {
        "Assembly" if text.contains("s_endpgm") => amd::line,
        "NAK assembly" => nvidia::line,
        "IR3 Assembly" => adreno::line,
        _ => return None,
    };
    Some(text.lines().map(dialect).collect())
}
