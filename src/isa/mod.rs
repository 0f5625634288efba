//! Reads the instruction listings that drivers print for compiled kernels: where the main loop is, what share of it is
//! multiply-adds, and whether it waits for its prefetches.
//!
//! Listings are meant for people, and each driver has its own format. A module per format turns each line into a [`Line`]; the analysis of the lines is the same
//! for all. Only the formats of Mesa's compilers are known. Any other listing gives no answer, rather than a wrong one.

mod adreno;
mod amd;
mod line;
mod loops;
mod nvidia;

pub use line::{Instruction, Line, Wait};
pub use loops::{HotLoop, hot_loop};

/// Reads a listing if its format is known. `name` is the driver's name for the listing.
pub fn read(name: &str, text: &str) -> Option<Vec<Line>> {
    let dialect: fn(&str) -> Line = match name {
        "Assembly" if text.contains("s_endpgm") => amd::line,
        "NAK assembly" => nvidia::line,
        "IR3 Assembly" => adreno::line,
        _ => return None,
    };
    Some(text.lines().map(dialect).collect())
}
