//! Which temporary tensors share memory: a static assignment by their lifetimes in a recording.

use super::recording::{Recording, Storage};

/// When a tensor is alive: the first and last dispatch that touches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub bytes: u64,
    pub first: usize,
    pub last: usize,
}

impl Life {
    fn is_alive(&self, at: usize) -> bool {
        self.first <= at && at <= self.last
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// One buffer, and the tensors (by their index) that take it in turn.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub bytes: u64,
    pub tensors: Vec<usize>,
    lives: Vec<Life>,
}

/// The lives of a recording's own tensors, kept ones too; none for one that lives outside of it or is never touched.
pub(super) fn lives(recording: &Recording) -> Vec<Option<Life>> {
    let mut lives: Vec<Option<Life>> = vec![None; recording.tensors.len()];
    for (index, dispatch) in recording.dispatches.iter().enumerate() {
        for tensor in &dispatch.tensors {
            let (Storage::Temporary | Storage::Kept) = recording.tensors[tensor.0].storage else { continue };
            let bytes = recording.tensors[tensor.0].bytes;
            lives[tensor.0].get_or_insert(Life { bytes, first: index, last: index }).last = index;
        }
    }
    lives
}

/// The largest number of bytes alive at one dispatch: a lower bound for every assignment.
pub(super) fn largest_cut(lives: &[Option<Life>]) -> u64 {
    let lives = || lives.iter().flatten();
    // Where a sum is largest, some tensor's life begins.
    let alive_at = |at: usize| lives().filter(|life| life.is_alive(at)).map(|life| life.bytes).sum();
    lives().map(|life| alive_at(life.first)).max().unwrap_or(0)
}

/// Gives each of `tensors` (an index and its life) a slot that no other uses while it lives, so that few bytes are taken.
///
/// No single order of assignment is best for every network, so several are tried and the smallest result is kept.
pub(super) fn share(tensors: &[(usize, Life)]) -> Vec<Slot> {
    let dispatches = tensors.iter().map(|(_, life)| life.last + 1).max().unwrap_or(0);
    let mut alive = vec![0u64; dispatches];
    for (_, life) in tensors {
        alive[life.first..=life.last].iter_mut().for_each(|bytes| *bytes += life.bytes);
    }
    // The most that is alive together with each tensor.
    let widest = |life: &Life| alive[life.first..=life.last].iter().copied().max().unwrap_or(0);
    let widest: Vec<u64> = tensors.iter().map(|(_, life)| widest(life)).collect();
    let mut by_use: Vec<usize> = (0..tensors.len()).collect();
    by_use.sort_by_key(|&i| tensors[i].1.first);
    let (mut by_end, mut by_size, mut by_breadth) = (by_use.clone(), by_use.clone(), by_use.clone());
    by_end.sort_by_key(|&i| std::cmp::Reverse(tensors[i].1.last));
    by_size.sort_by_key(|&i| std::cmp::Reverse(tensors[i].1.bytes));
    by_breadth.sort_by_key(|&i| std::cmp::Reverse((widest[i], tensors[i].1.bytes)));
    let tries = [by_use, by_end, by_size, by_breadth].map(|order| place(order.into_iter().map(|i| tensors[i])));
    let taken = |slots: &Vec<Slot>| slots.iter().map(|slot| slot.bytes).sum::<u64>();
    tries.into_iter().min_by_key(taken).unwrap_or_default()
}

/// In this order, each tensor takes the free slot that fits best, or enlarges the one that is closest in size.
fn place(tensors: impl Iterator<Item = (usize, Life)>) -> Vec<Slot> {
    let mut slots: Vec<Slot> = Vec::new();
    for (tensor, life) in tensors {
        let bytes = life.bytes;
        let free = slots.iter_mut().filter(|slot| !slot.lives.iter().any(|other| other.overlaps(&life)));
        let best = free.min_by_key(|slot| if slot.bytes >= bytes { (0, slot.bytes) } else { (1, bytes - slot.bytes) });
        match best {
            Some(slot) => {
                slot.bytes = slot.bytes.max(bytes);
                slot.tensors.push(tensor);
                slot.lives.push(life);
            }
            None => slots.push(Slot { bytes, tensors: vec![tensor], lives: vec![life] }),
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors(all: &[(u64, usize, usize)]) -> Vec<(usize, Life)> {
        all.iter().enumerate().map(|(i, &(bytes, first, last))| (i, Life { bytes, first, last })).collect()
    }

    fn cut(tensors: &[(usize, Life)]) -> u64 {
        largest_cut(&tensors.iter().map(|&(_, life)| Some(life)).collect::<Vec<_>>())
    }

    #[test]
    fn a_chain_takes_two_buffers_and_no_two_living_tensors_share_one() {
        let chain = tensors(&[(10, 0, 1), (30, 1, 2), (20, 2, 3), (10, 3, 4)]);
        let slots = share(&chain);
        assert_eq!(slots.iter().map(|slot| slot.bytes).collect::<Vec<_>>(), [20, 30]);
        assert_eq!(slots.iter().map(|slot| slot.tensors.len()).sum::<usize>(), chain.len());
        assert_eq!(cut(&chain), 50);
        for slot in &slots {
            for (i, a) in slot.tensors.iter().enumerate() {
                assert!(slot.tensors[..i].iter().all(|b| chain[*b].1.last < chain[*a].1.first), "{slot:?}");
            }
        }
        // A residual stays alive over the block.
        assert_eq!(cut(&tensors(&[(10, 0, 3), (30, 1, 2), (20, 2, 3), (10, 3, 4)])), 60);
    }

    #[test]
    fn the_best_order_is_kept() {
        // In order of use the last large one finds only a small slot, which it makes grow.
        let all = tensors(&[(7, 0, 1), (2, 1, 3), (2, 2, 3), (7, 3, 4), (1, 4, 6)]);
        let taken = |slots: Vec<Slot>| slots.iter().map(|slot| slot.bytes).sum::<u64>();
        assert_eq!([taken(place(all.iter().copied())), taken(share(&all)), cut(&all)], [16, 11, 11]);
    }

    #[test]
    fn the_cut_is_found_in_the_middle_and_nothing_has_none() {
        assert_eq!(cut(&tensors(&[(8, 0, 9), (1, 0, 1), (4, 4, 5), (2, 9, 9)])), 12);
        assert_eq!(cut(&[]), 0);
    }
}
