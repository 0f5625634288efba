//! GCN's and RDNA's instructions, as Mesa's ACO and LLVM print them.

use super::line::{Instruction, Line, Wait, code_or_label};

/// Reads one line, for example `s_waitcnt vmcnt(2) lgkmcnt(0)  ; bf89...`.
pub(super) fn line(text: &str) -> Line {
    let code = match code_or_label(text) {
        Ok(code) => code,
        Err(label) => return label,
    };
    let Some(name) = code.split_whitespace().next() else { return Line::Other };
    // Hints take no issue slot.
    if !name.contains('_') || name == "s_delay_alu" || name == "s_clause" {
        return Line::Other;
    }
    // `v_dual_fmac_f32 v0, v1, v2 :: v_dual_mov_b32 v3, v4` holds two.
    let operations = || code.split("::").filter_map(|half| half.split_whitespace().next());
    let wait = wait(name, code);
    let loads = ["buffer_load", "global_load", "flat_load"].iter().any(|start| name.starts_with(start));
    let branch = name.starts_with("s_branch") || name.starts_with("s_cbranch");
    Line::Instruction(Instruction {
        issues: if name.starts_with("s_wait") { 0 } else { operations().count() as u32 },
        multiply_adds: operations().filter(|operation| is_multiply_add(operation)).count() as u32,
        load: loads.then_some(0),
        wait,
        target: branch.then(|| code.split_whitespace().last().unwrap_or_default().to_owned()),
        leaves: ["s_branch", "s_endpgm", "s_setpc_b64"].contains(&name),
    })
}

fn is_multiply_add(name: &str) -> bool {
    let fused = ["fma", "fmac", "mac_f", "mad_f", "wmma", "mfma", "dot2"];
    name.starts_with("v_") && fused.iter().any(|part| name.contains(part))
}

fn wait(name: &str, code: &str) -> Wait {
    let number = |text: &str| text.trim().trim_start_matches("0x").parse().ok();
    let count = match name {
        "s_waitcnt" => code.split("vmcnt(").nth(1).and_then(|rest| number(rest.split(')').next()?)),
        // RDNA 4 has an instruction for each counter.
        "s_wait_loadcnt" | "s_wait_loadcnt_dscnt" => code.split_whitespace().nth(1).and_then(|text| {
            let value = u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()?;
            Some(if name.ends_with("dscnt") { value >> 8 } else { value })
        }),
        _ => None,
    };
    count.map_or(Wait::None, Wait::AllBut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instruction(text: &str) -> Instruction {
        line(text).instruction()
    }

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(line("BB2:"), Line::Label("BB2".into()));
        assert_eq!(line("\ts_delay_alu instid0(VALU_DEP_1) ; bf870001"), Line::Other);
        assert_eq!(line(""), Line::Other);
        let counts = |text| (instruction(text).issues, instruction(text).multiply_adds);
        assert_eq!(counts("\tv_fmac_f32_e32 v1, v2, v3   ; 56020702"), (1, 1));
        assert_eq!(counts("\tv_wmma_f32_16x16x16_f16 v[0:7], v[8:15], v[16:23], v[0:7]"), (1, 1));
        assert_eq!(counts("\tv_add_f32_e32 v1, v2, v3"), (1, 0));
        assert_eq!(counts("\tv_dual_fmac_f32 v0, v1, v2 :: v_dual_fmac_f32 v3, v4, v5    ; c8001234 00000304"), (2, 2));
        assert_eq!(counts("\tv_dual_fmac_f32 v0, v1, v2 :: v_dual_mov_b32 v3, v4"), (2, 1));
        assert_eq!(counts("\tv_dual_mov_b32 v3, v4 :: v_dual_fmac_f32 v0, v1, v2"), (2, 1));
        // Two products of halves are one instruction.
        assert_eq!(counts("\tv_pk_fma_f16 v0, v1, v2, v0"), (1, 1));
        assert_eq!((counts("\ts_waitcnt lgkmcnt(0)"), counts("\ts_wait_dscnt 0x0")), ((0, 0), (0, 0)));
        assert!(instruction("\ts_branch BB3").leaves && instruction("\ts_endpgm").leaves);
        assert!(!instruction("\ts_cbranch_scc1 BB35").leaves);
        assert_eq!(instruction("\tbuffer_load_b128 v[0:3], v4, s[0:3], 0 offen").load, Some(0));
        assert_eq!(instruction("\tds_load_b128 v[0:3], v4").load, None);
        assert_eq!(instruction("\ts_cbranch_scc1 BB35    ; bfa20482").target.as_deref(), Some("BB35"));
    }

    #[test]
    fn waits_say_how_many_loads_may_be_under_way() {
        assert_eq!(instruction("\ts_waitcnt vmcnt(3) lgkmcnt(0)").wait, Wait::AllBut(3));
        assert_eq!(instruction("\ts_waitcnt lgkmcnt(0)").wait, Wait::None);
        assert_eq!(instruction("\ts_wait_loadcnt 0x2").wait, Wait::AllBut(2));
        assert_eq!(instruction("\ts_wait_loadcnt_dscnt 0x104").wait, Wait::AllBut(1));
        assert_eq!(instruction("\ts_wait_dscnt 0x0").wait, Wait::None);
    }
}
