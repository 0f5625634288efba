//! NVIDIA's instructions, as Mesa's NAK prints them.

use super::line::{Instruction, Line, Wait};

/// Reads one line, for example `r4 = ld.global.a64.b32 [r4..6+rZ], p0  // delay=2 wr:0`.
pub(super) fn line(text: &str) -> Line {
    let (code, notes) = text.split_once("//").unwrap_or((text, ""));
    let mut words = code.split_whitespace().peekable();
    match words.peek() {
        None | Some(&"}") => return Line::Other,
        // `block.u 2 L3 [1, 193] -> {`
        Some(word) if word.starts_with("block") => {
            return words.nth(2).map_or(Line::Other, |label| Line::Label(label.to_owned()));
        }
        Some(_) => {}
    }
    // A predicate in front of the instruction, or the condition of a branch: `@!p0 bra pT L3`, `bra !up0 L3`, and `bra pT L3` for always.
    let conditional = words.peek().is_some_and(|word| word.starts_with('@'));
    let always = !conditional && !words.clone().any(|word| word.trim_start_matches('!').starts_with("up"));
    // The results stand before the equals sign.
    let call = match code.split_once('=') {
        Some((_, call)) => call,
        None => code.trim_start().trim_start_matches(['@', '!']),
    };
    let mut words = call.split_whitespace();
    let first = words.next().unwrap_or_default();
    let predicate = first.strip_prefix('p').is_some_and(|rest| rest.parse::<u8>().is_ok());
    let name = if predicate { words.next().unwrap_or_default() } else { first };
    let note = |key: &str| notes.split_whitespace().find_map(|note| note.strip_prefix(key));
    let fused = ["ffma", "hfma2", "dfma", "hmma", "imma"].iter().any(|start| name.starts_with(start));
    let wait = note("wt=").and_then(|bits| u8::from_str_radix(bits, 2).ok()).filter(|&bits| bits != 0);
    Line::Instruction(Instruction {
        issues: 1,
        multiply_adds: fused.into(),
        load: name.starts_with("ld.global").then(|| note("wr:").and_then(|slot| slot.parse().ok()).unwrap_or(0)),
        wait: wait.map_or(Wait::None, Wait::Scoreboards),
        target: (name == "bra").then(|| call.split_whitespace().last().unwrap_or_default().to_owned()),
        leaves: always && ["bra", "exit"].contains(&name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instruction(text: &str) -> Instruction {
        line(text).instruction()
    }

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(line("block.u 2 L3 [1, 193] -> {"), Line::Label("L3".into()));
        assert_eq!(line("block 8 L14 [7] -> {"), Line::Label("L14".into()));
        assert_eq!(line("} -> [3, 4]"), Line::Other);
        let load = instruction("      r4       = ld.global.a64.constant.b32 [r4..6+rZ], p0    // delay=2 wr:3");
        assert_eq!((load.load, load.wait), (Some(3), Wait::None));
        let product = instruction("      r1       = ffma.ftz r1 r2 r3      // delay=1 wt=000101");
        assert_eq!((product.issues, product.multiply_adds), (1, 1));
        assert_eq!(product.wait, Wait::Scoreboards(0b101));
        assert_eq!(instruction("      r1       = fadd.ftz r1 r2      // delay=1").multiply_adds, 0);
        assert_eq!(instruction("      r1..3    = hmma.m16n8k16.f32 r1..3 r4..6 r7..8     // delay=1").multiply_adds, 1);
        let branch = instruction("@!p0             bra pT L13                   // delay=1");
        assert_eq!(branch.target.as_deref(), Some("L13"));
        let uniform = instruction("                 bra !up0 L297         // delay=1");
        assert_eq!(uniform.target.as_deref(), Some("L297"));
        assert!(!branch.leaves && !uniform.leaves && instruction("                 bra pT L49      // delay=1").leaves);
        assert!(
            instruction("                 exit      // delay=1").leaves
                && !instruction("@p0    exit // delay=1").leaves
        );
    }
}
