//! Adreno's instructions, as Mesa's ir3 prints them.

use super::line::{Instruction, Line, Wait, code_or_label};

/// Reads one line, for example `(sy)(rpt1)mad.f32 r0.x, (r)r1.x, r2.x, (r)r0.x`.
pub(super) fn line(text: &str) -> Line {
    let code = match code_or_label(text) {
        Ok(code) => code,
        Err(label) => return label,
    };
    let (mut rest, mut repeats, mut idle, mut synced) = (code, 0, 0, false);
    while let Some((flag, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
        let number = |text: &str| text.parse::<u32>().unwrap_or(0);
        repeats += flag.strip_prefix("rpt").map_or(0, number);
        idle += flag.strip_prefix("nop").map_or(0, number);
        synced |= flag == "sy";
        rest = after.trim_start();
    }
    let Some(name) = rest.split_whitespace().next() else { return Line::Other };
    if name.starts_with('@') || !name.starts_with(|c: char| c.is_ascii_lowercase()) || rest.contains(" code for ") {
        return Line::Other;
    }
    let loads =
        ["isam", "ldib", "ldg", "ldc"].iter().any(|start| name.starts_with(start)) && !name.starts_with("ldc.u");
    let fused = name.starts_with("mad.f") || name.starts_with("dp2acc");
    Line::Instruction(Instruction {
        issues: 1 + repeats + idle,
        multiply_adds: if fused { 1 + repeats } else { 0 },
        load: loads.then_some(0),
        // The flag waits for all loads.
        wait: if synced { Wait::AllBut(0) } else { Wait::None },
        target: rest.split('#').nth(1).filter(|_| !name.starts_with("isam")).map(|label| label.trim().to_owned()),
        leaves: ["jump", "end"].contains(&name),
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
        assert_eq!(line("l749:"), Line::Label("l749".into()));
        assert_eq!(line("@const(c20.x)	0x4f7ffffe, 0x0000ffff"), Line::Other);
        assert_eq!(line("; num_ubos:           0"), Line::Other);
        let product = instruction("(sy)(rpt1)mad.f32 r0.x, (r)r1.x, r2.x, (r)r0.x");
        assert_eq!((product.issues, product.multiply_adds, product.wait), (2, 2, Wait::AllBut(0)));
        let idle = instruction("(nop2)mad.f32 r0.x, r1.x, r2.x, r0.x");
        assert_eq!((idle.issues, idle.multiply_adds), (3, 1));
        assert_eq!(instruction("(nop3) shl.b r16.z, (last)r16.z, 2").issues, 4);
        assert_eq!(instruction("isam.v.base0 (u32)(xyzw)r8.x, r16.z, s#0, t#3").load, Some(0));
        assert_eq!(instruction("(ss)br p0.x, #l1412").target.as_deref(), Some("l1412"));
        assert_eq!(instruction("jump #l749").target.as_deref(), Some("l749"));
        assert!(
            instruction("jump #l749").leaves && instruction("end").leaves && !instruction("br p0.x, #l1412").leaves
        );
    }
}
