//! Reads the instruction listings that drivers give for compiled kernels: where the loop with the products is, how much of it is
//! multiply-adds, and whether it waits for what it fetches ahead.
//!
//! Listings are text for people, and differ by driver. A dialect turns each line into a [`Line`]; what is made of the lines is the same
//! for all. Only what Mesa's compilers print is known here; other listings give no answer instead of a wrong one.

mod adreno;
mod amd;
mod line;
mod loops;
mod nvidia;

pub use line::{Instruction, Line, Wait};
pub use loops::{HotLoop, hot_loop};

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
