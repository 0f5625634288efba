//! The loop that a kernel spends its time in.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Instruction, Line, Wait};

/// What the loop with the products looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HotLoop {
    /// Instructions in it: see [`Instruction::issues`].
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
    let products = |body: &Body| count(lines, body, |i| i.multiply_adds);
    let most = loops.iter().max_by_key(|body| (products(body), std::cmp::Reverse(body.len())))?;
    if products(most) == 0 {
        return None;
    }
    // A loop within it that holds the better part of its products is the one that runs more often.
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

/// The lines of a loop, which need not follow one another: a compiler may put what comes after a loop into the middle of it.
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

/// Every loop: the lines from which a branch back to a label can be reached without passing the label.
fn loops(lines: &[Line]) -> Vec<Body> {
    let labels: HashMap<&str, usize> = lines
        .iter()
        .enumerate()
        .filter_map(|(at, line)| match line {
            Line::Label(name) => Some((name.as_str(), at)),
            Line::Instruction(_) | Line::Other => None,
        })
        .collect();
    let targets = |at: usize| instruction(&lines[at]).and_then(|i| labels.get(i.target.as_deref()?).copied());
    // For each line, those that may run just before it.
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); lines.len()];
    for at in 0..lines.len() {
        if at + 1 < lines.len() && !instruction(&lines[at]).is_some_and(|i| i.leaves) {
            before[at + 1].push(at);
        }
        before_target(&mut before, at, targets(at));
    }
    let mut loops: BTreeMap<usize, Body> = BTreeMap::new();
    for at in 0..lines.len() {
        if let Some(start) = targets(at).filter(|&start| start <= at) {
            let body = loops.entry(start).or_insert_with(|| Body::from([start]));
            let mut next = vec![at];
            while let Some(line) = next.pop() {
                if body.insert(line) {
                    next.extend(&before[line]);
                }
            }
        }
    }
    loops.into_values().collect()
}

fn before_target(before: &mut [Vec<usize>], at: usize, target: Option<usize>) {
    if let Some(target) = target {
        before[target].push(at);
    }
}

/// Whether some load of the loop is waited for when less than half of the loop's multiply-adds stand between the two. The loop is read
/// twice over, since a load may be waited for in the next iteration.
fn waits(lines: &[Line], body: &Body) -> bool {
    let half = count(lines, body, |i| i.multiply_adds) / 2;
    let twice: Vec<&Instruction> = instructions(lines, body).chain(instructions(lines, body)).collect();
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

    #[test]
    fn no_loop_with_products_and_unknown_listings_give_nothing() {
        assert_eq!(hot_loop(&read("Assembly", "\tv_fmac_f32_e32 v0, v1, v2\n\ts_endpgm\n").unwrap()), None);
        assert_eq!(read("NIR", "x"), None);
        assert_eq!(read("Assembly", "mov eax, 1"), None);
    }
}
