//! Finds the main loop of a kernel: the one in which it spends its time.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::line::{Instruction, Line, Wait};

/// Multiply-adds that hide the latency of a load. With 16 warps on the four schedulers of an SM, four subgroups take turns on each
/// scheduler, so 128 multiply-adds of each take 512 cycles to issue.
const FAR: u32 = 128;

/// Properties of the main loop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HotLoop {
    /// Instructions in it: see [`Instruction::issues`].
    pub issues: u32,
    /// Of these, multiply-adds.
    pub multiply_adds: u32,
    /// Whether a load of an iteration is waited for before at least half of that iteration's multiply-adds, or 128 of them, are issued; none if
    /// the loop (or the one around it, where its steps are a loop of their own) loads nothing.
    pub waits_for_prefetch: Option<bool>,
}

impl HotLoop {
    /// The share of multiply-adds among the issued instructions, from 0 to 1.
    pub fn multiply_add_share(&self) -> f64 {
        f64::from(self.multiply_adds) / f64::from(self.issues.max(1))
    }
}

/// The innermost loop with the most multiply-adds; none if no loop has any.
pub fn hot_loop(lines: &[Line]) -> Option<HotLoop> {
    let loops = loops(lines);
    let products = |body: &Body| count(lines, body, |i| i.multiply_adds);
    let most = loops.iter().max_by_key(|body| (products(body), std::cmp::Reverse(body.len())))?;
    if products(most) == 0 {
        return None;
    }
    // An inner loop with more than half of its products runs more often, so it is the main one.
    let mut hot = most;
    while let Some(inner) = loops
        .iter()
        .filter(|inner| inner.len() < hot.len() && inner.is_subset(hot))
        .filter(|inner| products(inner) * 2 > products(hot))
        .min_by_key(|inner| std::cmp::Reverse(inner.len()))
    {
        hot = inner;
    }
    let around = loops.iter().filter(|outer| hot.is_subset(outer));
    let loads = |body: &Body| count(lines, body, |i| i.load.is_some().into()) > 0;
    let loading = around.filter(|outer| loads(outer)).min_by_key(|outer| outer.len());
    Some(HotLoop {
        issues: count(lines, hot, |i| i.issues),
        multiply_adds: products(hot),
        waits_for_prefetch: loading.map(|outer| waits(lines, outer)),
    })
}

/// The lines of a loop. They need not be contiguous: a compiler may place code that follows a loop in the middle of it.
type Body = BTreeSet<usize>;

fn instructions<'a>(lines: &'a [Line], body: &'a Body) -> impl Iterator<Item = &'a Instruction> {
    body.iter().filter_map(|&at| instruction(&lines[at]))
}

fn instruction(line: &Line) -> Option<&Instruction> {
    match line {
        Line::Instruction(instruction) => Some(instruction),
        Line::Label(_) | Line::Other => None,
    }
}

fn count(lines: &[Line], body: &Body, of: impl Fn(&Instruction) -> u32) -> u32 {
    instructions(lines, body).map(of).sum()
}

/// Every loop: sets of lines that can all reach each other; and, with the entry block left out, the same within each set.
fn loops(lines: &[Line]) -> Vec<Body> {
    let blocks = blocks(lines);
    let starts: HashMap<usize, usize> = blocks.iter().enumerate().map(|(i, block)| (block.start, i)).collect();
    let labels: HashMap<&str, usize> = (0..lines.len())
        .filter_map(|at| match &lines[at] {
            Line::Label(name) => Some((name.as_str(), *starts.get(&at)?)),
            Line::Instruction(_) | Line::Other => None,
        })
        .collect();
    let mut edges: Vec<(usize, usize)> = Vec::new();
    for (i, block) in blocks.iter().enumerate() {
        let last = lines[block.clone()].iter().rev().find_map(instruction);
        edges.extend(last.and_then(|last| labels.get(last.target.as_deref()?)).map(|&to| (i, to)));
        if i + 1 < blocks.len() && !last.is_some_and(|last| last.leaves) {
            edges.push((i, i + 1));
        }
    }
    let mut found = Vec::new();
    cycles(&(0..blocks.len()).collect(), &edges, &mut found);
    found.into_iter().map(|cycle| cycle.into_iter().flat_map(|block| blocks[block].clone()).collect()).collect()
}

/// Basic blocks: from a label, or the line after a branch, to the next one.
fn blocks(lines: &[Line]) -> Vec<Range<usize>> {
    let ends = |at: usize| instruction(&lines[at]).is_some_and(|i| i.leaves || i.target.is_some());
    let mut starts: Vec<usize> =
        (0..lines.len()).filter(|&at| at == 0 || matches!(lines[at], Line::Label(_)) || ends(at - 1)).collect();
    starts.push(lines.len());
    starts.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

/// The strongly connected sets of blocks, outer ones first.
fn cycles(among: &BTreeSet<usize>, edges: &[(usize, usize)], found: &mut Vec<BTreeSet<usize>>) {
    let within: Vec<(usize, usize)> =
        edges.iter().copied().filter(|(from, to)| among.contains(from) && among.contains(to)).collect();
    let backwards: Vec<(usize, usize)> = within.iter().map(|&(from, to)| (to, from)).collect();
    let mut left = among.clone();
    while let Some(&block) = left.first() {
        let (ahead, behind) = (reached(block, &within), reached(block, &backwards));
        let cycle: BTreeSet<usize> = ahead.intersection(&behind).copied().collect();
        left.remove(&block);
        if cycle.is_empty() {
            continue;
        }
        left.retain(|block| !cycle.contains(block));
        // The entry block. Without the edges to it, only inner loops remain cycles.
        let entered = edges.iter().filter(|(from, to)| !cycle.contains(from) && cycle.contains(to)).map(|edge| edge.1);
        let entry = entered.min().or_else(|| cycle.first().copied());
        let inner: Vec<(usize, usize)> = within.iter().copied().filter(|edge| Some(edge.1) != entry).collect();
        found.push(cycle.clone());
        cycles(&cycle, &inner, found);
    }
}

/// The blocks that can be reached from a block; the block itself only if it lies on a cycle.
fn reached(from: usize, edges: &[(usize, usize)]) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    let mut next = vec![from];
    while let Some(block) = next.pop() {
        next.extend(edges.iter().filter(|edge| edge.0 == block).map(|edge| edge.1).filter(|&to| all.insert(to)));
    }
    all
}

/// Whether some load of the loop is waited for when less than half of the loop's multiply-adds, and fewer than [`FAR`], stand between the two. The
/// loop is read twice, since the wait may come in the next iteration.
fn waits(lines: &[Line], body: &Body) -> bool {
    let enough = FAR.min(count(lines, body, |i| i.multiply_adds) / 2);
    let twice: Vec<&Instruction> = instructions(lines, body).chain(instructions(lines, body)).collect();
    let once = twice.len() / 2;
    // Loads in flight, oldest first: their scoreboard and the number of multiply-adds before them.
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
        if waited.iter().any(|&(_, before)| products - before < enough) {
            return true;
        }
        products += instruction.multiply_adds;
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
        assert_eq!(overlapped, HotLoop { issues: 4, multiply_adds: 2, waits_for_prefetch: Some(false) });
        assert_eq!(overlapped.multiply_add_share(), 0.5);
        let waited = of(&format!("BB1:\n{LOAD}\ts_waitcnt vmcnt(0)\n{PRODUCTS}\ts_branch BB1\n"));
        assert_eq!(waited.waits_for_prefetch, Some(true));
        // The wait is at the top of the next iteration.
        let carried =
            of(&format!("BB1:\n\ts_waitcnt vmcnt(0)\n\tds_store_b32 v1, v2\n{LOAD}{PRODUCTS}\ts_branch BB1\n"));
        assert_eq!(carried.waits_for_prefetch, Some(false));
    }

    #[test]
    fn in_a_long_loop_so_many_products_outlast_a_load() {
        let half = FAR as usize / 2;
        let waits = |pairs: usize| {
            let (before, after) = (PRODUCTS.repeat(pairs), PRODUCTS.repeat(400 - pairs));
            of(&format!("BB1:\n{LOAD}{before}\ts_waitcnt vmcnt(0)\n{after}\ts_branch BB1\n")).waits_for_prefetch
        };
        assert_eq!((waits(half - 1), waits(half)), (Some(true), Some(false)));
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

    /// A compiler may lay out a loop's end, and all that comes after it, between its test and its body.
    #[test]
    fn what_a_loop_leaves_to_is_no_part_of_it() {
        let text = "block 1 L1 [] -> {\n  bra !up0 L3 // wt=111111\n}\nblock 2 L2 [] -> {\n  r9 = fadd r9 r9\n  r9 = fadd r9 r9\n  exit\n}\n\
                    block 3 L3 [] -> {\n  r0 = ffma r0 r3 r4\n  r0 = ffma r0 r3 r4\n  bra pT L1\n}\n";
        let hot = hot_loop(&read("NAK assembly", text).unwrap()).unwrap();
        assert_eq!(hot, HotLoop { issues: 4, multiply_adds: 2, waits_for_prefetch: None });
        let amd = of(&format!(
            "BB1:\n\ts_cbranch_scc1 BB4\n\ts_branch BB3\nBB4:\n{LOAD}\ts_endpgm\nBB3:\n{PRODUCTS}\ts_branch BB1\n"
        ));
        assert_eq!(amd, HotLoop { issues: 5, multiply_adds: 2, waits_for_prefetch: None });
    }

    /// Code that enters a loop at its test, in the middle, belongs neither to the loop nor to an inner one.
    #[test]
    fn loops_may_be_entered_in_the_middle() {
        let inner = format!("BB3:\n{PRODUCTS}BB4:\n\ts_cbranch_scc1 BB3\n");
        let text = format!(
            "{LOAD}\ts_branch BB2\nBB1:\n{LOAD}\tv_mov_b32 v1, v2\n\ts_branch BB4\n{inner}BB2:\n\ts_cbranch_scc1 BB1\n"
        );
        assert_eq!(of(&text), HotLoop { issues: 3, multiply_adds: 2, waits_for_prefetch: Some(false) });
    }

    #[test]
    fn no_loop_with_products_and_unknown_listings_give_nothing() {
        assert_eq!(hot_loop(&read("Assembly", "\tv_fmac_f32_e32 v0, v1, v2\n\ts_endpgm\n").unwrap()), None);
        assert_eq!(read("NIR", "x"), None);
        assert_eq!(read("Assembly", "mov eax, 1"), None);
    }
}
