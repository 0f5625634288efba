//! The loop that a kernel spends its time in.

use std::collections::HashMap;
use std::ops::Range;

use super::{Instruction, Line, Wait};

/// What the loop with the products looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HotLoop {
    /// Issues in it.
    pub issues: u32,
    /// Of these, multiply-adds.
    pub multiply_adds: u32,
    /// Whether a load of an iteration is waited for before at least half of that iteration's multiply-adds are issued; none if the loop
    /// (or the one around it, where its steps are a loop of their own) loads nothing.
    pub waits_for_prefetch: Option<bool>,
}

impl HotLoop {
    /// Multiply-adds among the issues, from 0 to 1.
    pub fn multiply_add_share(&self) -> f64 {
        f64::from(self.multiply_adds) / f64::from(self.issues.max(1))
    }
}

/// The innermost loop with the most multiply-adds; none if no loop has any.
pub fn hot_loop(lines: &[Line]) -> Option<HotLoop> {
    let loops = loops(lines);
    let products = |range: &Range<usize>| count(&lines[range.clone()], |i| i.multiply_add);
    let most = loops.iter().max_by_key(|range| (products(range), std::cmp::Reverse(range.len())))?;
    if products(most) == 0 {
        return None;
    }
    // A loop within it that holds the better part of its products is the one that runs more often.
    let mut hot = most;
    while let Some(inner) = loops
        .iter()
        .filter(|inner| inner.len() < hot.len() && hot.start <= inner.start && inner.end <= hot.end)
        .filter(|inner| products(inner) * 2 > products(hot))
        .min_by_key(|inner| std::cmp::Reverse(inner.len()))
    {
        hot = inner;
    }
    let body = &lines[hot.clone()];
    let around = loops.iter().filter(|outer| outer.start <= hot.start && hot.end <= outer.end);
    let loading = around.filter(|outer| loads(&lines[(*outer).clone()]) > 0).min_by_key(|outer| outer.len());
    Some(HotLoop {
        issues: count(body, |_| true),
        multiply_adds: count(body, |i| i.multiply_add),
        waits_for_prefetch: loading.map(|outer| waits(&lines[outer.clone()])),
    })
}

fn instructions(lines: &[Line]) -> impl Iterator<Item = &Instruction> {
    lines.iter().filter_map(|line| match line {
        Line::Instruction(instruction) => Some(instruction),
        Line::Label(_) | Line::Other => None,
    })
}

fn count(lines: &[Line], which: impl Fn(&Instruction) -> bool) -> u32 {
    instructions(lines).filter(|i| which(i)).map(|i| i.issues).sum()
}

fn loads(lines: &[Line]) -> usize {
    instructions(lines).filter(|i| i.load.is_some()).count()
}

/// The lines from each label to the last branch back to it.
fn loops(lines: &[Line]) -> Vec<Range<usize>> {
    let mut labels: HashMap<&str, usize> = HashMap::new();
    let mut ends: HashMap<usize, usize> = HashMap::new();
    for (at, line) in lines.iter().enumerate() {
        match line {
            Line::Label(name) => drop(labels.insert(name, at)),
            Line::Instruction(Instruction { target: Some(target), .. }) => {
                if let Some(&start) = labels.get(target.as_str()) {
                    ends.insert(start, at + 1);
                }
            }
            Line::Instruction(_) | Line::Other => {}
        }
    }
    let mut loops: Vec<Range<usize>> = ends.into_iter().map(|(start, end)| start..end).collect();
    loops.sort_by_key(|range| (range.start, range.end));
    loops
}

/// Whether some load of the loop is waited for when less than half of the loop's multiply-adds stand between the two. The loop is read
/// twice over, since a load may be waited for in the next iteration.
fn waits(body: &[Line]) -> bool {
    let half = count(body, |i| i.multiply_add) / 2;
    let twice: Vec<&Instruction> = instructions(body).chain(instructions(body)).collect();
    let once = twice.len() / 2;
    // Loads under way, oldest first: their scoreboard and the multiply-adds before them.
    let mut under_way: Vec<(u8, u32)> = Vec::new();
    let mut products = 0;
    for (at, instruction) in twice.into_iter().enumerate() {
        let waited: Vec<(u8, u32)> = match instruction.wait {
            Wait::None => Vec::new(),
            Wait::AllBut(count) => under_way.drain(..under_way.len().saturating_sub(count as usize)).collect(),
            Wait::Scoreboards(bits) => {
                let (waited, rest) = under_way.into_iter().partition(|&(slot, _)| slot < 8 && bits >> slot & 1 == 1);
                under_way = rest;
                waited
            }
        };
        if waited.iter().any(|&(_, before)| products - before < half) {
            return true;
        }
        if instruction.multiply_add {
            products += instruction.issues;
        }
        if let (Some(slot), true) = (instruction.load, at < once) {
            under_way.push((slot, products));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::read;

    fn of(text: &str) -> HotLoop {
        hot_loop(&read("Assembly", &format!("{text}\ts_endpgm\n")).unwrap()).unwrap()
    }

    const PRODUCTS: &str = "\tv_fmac_f32_e32 v0, v1, v2\n\tv_fmac_f32_e32 v0, v1, v2\n";
    const LOAD: &str = "\tbuffer_load_b128 v[4:7], v8, s[0:3], 0 offen\n";

    #[test]
    fn a_load_that_is_waited_for_after_the_products_overlaps_with_them() {
        let overlapped = of(&format!("BB1:\n{LOAD}{PRODUCTS}\ts_waitcnt vmcnt(0)\n\ts_branch BB1\n"));
        assert_eq!(overlapped, HotLoop { issues: 5, multiply_adds: 2, waits_for_prefetch: Some(false) });
        assert_eq!(overlapped.multiply_add_share(), 0.4);
        let waited = of(&format!("BB1:\n{LOAD}\ts_waitcnt vmcnt(0)\n{PRODUCTS}\ts_branch BB1\n"));
        assert_eq!(waited.waits_for_prefetch, Some(true));
        // Waited for at the top of the next iteration.
        let carried =
            of(&format!("BB1:\n\ts_waitcnt vmcnt(0)\n\tds_store_b32 v1, v2\n{LOAD}{PRODUCTS}\ts_branch BB1\n"));
        assert_eq!(carried.waits_for_prefetch, Some(false));
    }

    #[test]
    fn of_several_loads_those_that_are_done_count() {
        let first =
            of(&format!("BB1:\n{LOAD}{LOAD}\ts_waitcnt vmcnt(1)\n{PRODUCTS}\ts_waitcnt vmcnt(0)\n\ts_branch BB1\n"));
        assert_eq!(first.waits_for_prefetch, Some(true));
        let none =
            of(&format!("BB1:\n{LOAD}{LOAD}\ts_waitcnt vmcnt(2)\n{PRODUCTS}\ts_waitcnt vmcnt(0)\n\ts_branch BB1\n"));
        assert_eq!(none.waits_for_prefetch, Some(false));
    }

    #[test]
    fn steps_in_a_loop_of_their_own_are_the_hot_loop_and_the_loads_around_it_count() {
        let inner = format!("BB2:\n{PRODUCTS}\ts_cbranch_scc1 BB2\n");
        let text = format!("BB1:\n{LOAD}{inner}\ts_waitcnt vmcnt(0)\n\ts_branch BB1\n");
        assert_eq!(of(&text), HotLoop { issues: 3, multiply_adds: 2, waits_for_prefetch: Some(false) });
        let text = format!("BB1:\n{LOAD}\ts_waitcnt vmcnt(0)\n{inner}\ts_branch BB1\n");
        assert_eq!(of(&text).waits_for_prefetch, Some(true));
        assert_eq!(of(&inner).waits_for_prefetch, None);
    }

    #[test]
    fn scoreboards_are_told_apart() {
        let text = |mask: &str| {
            format!(
                "block 1 L1 [] -> {{\n  r1 = ld.global.b32 [r2] // delay=1 wr:2\n  r0 = ffma r0 r3 r4 // delay=1 wt={mask}\n  \
                 r0 = ffma r0 r3 r4 // delay=1\n  r0 = mov r1 // wt=000100\n  bra pT L1 // delay=1\n}}\n"
            )
        };
        let waits = |mask| hot_loop(&read("NAK assembly", &text(mask)).unwrap()).unwrap().waits_for_prefetch;
        assert_eq!(waits("000100"), Some(true));
        assert_eq!(waits("001011"), Some(false));
    }

    #[test]
    fn no_loop_with_products_and_unknown_listings_give_nothing() {
        assert_eq!(hot_loop(&read("Assembly", "\tv_fmac_f32_e32 v0, v1, v2\n\ts_endpgm\n").unwrap()), None);
        assert_eq!(read("NIR", "x"), None);
        assert_eq!(read("Assembly", "mov eax, 1"), None);
    }
}
