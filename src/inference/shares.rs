//! Which adapter takes the next batch.

/// What is known about each adapter's speed, and the progress of the work.
pub(super) struct Shares {
    adapters: Vec<Adapter>,
    /// Number of the next batch.
    next: usize,
    delivered: usize,
    most_ahead: usize,
    stopped: bool,
}

#[derive(Clone, Default)]
struct Adapter {
    /// Batches that it was given and has not finished.
    pending: usize,
    /// Measured time of one batch; `None` before the first.
    seconds: Option<f64>,
    /// It will take no more.
    left: bool,
}

impl Shares {
    /// For a number of adapters; `most_ahead` batches may be given out before the first of them is delivered.
    pub fn new(adapters: usize, most_ahead: usize) -> Self {
        Self { adapters: vec![Adapter::default(); adapters], next: 0, delivered: 0, most_ahead, stopped: false }
    }

    /// The number of the next batch for adapter `who`, with `remaining` batches not given out yet. `None` if there are none, or if
    /// the others would finish all of them before this adapter finished one. If the adapter also has nothing pending, it takes no
    /// more batches at all. The last remaining adapter is never refused.
    pub fn take(&mut self, who: usize, remaining: usize) -> Option<usize> {
        if self.stopped || remaining == 0 || !self.gets_one(who, remaining) {
            self.adapters[who].left |= self.adapters[who].pending == 0;
            return None;
        }
        self.adapters[who].pending += 1;
        self.next += 1;
        Some(self.next - 1)
    }

    /// Adapter `who` finished a batch in `seconds`.
    pub fn finished(&mut self, who: usize, seconds: f64) {
        let adapter = &mut self.adapters[who];
        adapter.pending -= 1;
        // The first batch includes compilation, so the newest counts most.
        adapter.seconds = Some(adapter.seconds.map_or(seconds, |before| 0.25 * before + 0.75 * seconds));
    }

    /// All batches before number `next` were handed on.
    pub fn delivered(&mut self, next: usize) {
        self.delivered = next;
    }

    /// Whether the number of results that wait for their turn has reached its limit.
    pub fn is_far_ahead(&self) -> bool {
        !self.stopped && self.next - self.delivered >= self.most_ahead
    }

    /// Whether [`Self::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// From now on no adapter takes a batch.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Assigns each of `remaining` batches to the adapter that would finish it first. Returns whether `who` gets one.
    fn gets_one(&self, who: usize, remaining: usize) -> bool {
        // An adapter without a finished batch counts as fast as the fastest: it has to be tried.
        let fastest = self.adapters.iter().filter_map(|a| a.seconds).fold(f64::INFINITY, f64::min);
        if self.adapters[who].seconds.is_none() || fastest.is_infinite() {
            return true;
        }
        let seconds = |adapter: &Adapter| adapter.seconds.unwrap_or(fastest);
        let mut ends: Vec<f64> = self.adapters.iter().map(|a| (a.pending + 1) as f64 * seconds(a)).collect();
        for _ in 0..remaining {
            let here = (0..ends.len()).filter(|&i| !self.adapters[i].left);
            // Ties go to the adapter that asks.
            let Some(best) = here.min_by(|&a, &b| ends[a].total_cmp(&ends[b]).then((a != who).cmp(&(b != who)))) else {
                return false;
            };
            if best == who {
                return true;
            }
            ends[best] += seconds(&self.adapters[best]);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::Shares;

    /// Simulates adapters that take `seconds` a batch: how many each takes of `batches`, and when the last is done.
    fn simulate(seconds: &[f64], batches: usize) -> (Vec<usize>, f64) {
        let mut shares = Shares::new(seconds.len(), usize::MAX);
        let mut ends: Vec<Option<f64>> = vec![None; seconds.len()];
        let (mut taken, mut left, mut now, mut count) = (vec![0; seconds.len()], batches, 0.0, 0);
        loop {
            for who in 0..seconds.len() {
                if ends[who].is_none()
                    && let Some(number) = shares.take(who, left)
                {
                    assert_eq!(number, count);
                    (count, left, taken[who]) = (count + 1, left - 1, taken[who] + 1);
                    ends[who] = Some(now + seconds[who]);
                }
            }
            let first = (0..ends.len()).filter(|&i| ends[i].is_some()).min_by(|&a, &b| ends[a].total_cmp_to(ends[b]));
            let Some(first) = first else { break };
            now = ends[first].take().unwrap();
            shares.finished(first, seconds[first]);
        }
        assert_eq!(left, 0, "batches that nobody took");
        (taken, now)
    }

    trait TotalCmp {
        fn total_cmp_to(self, other: Self) -> std::cmp::Ordering;
    }

    impl TotalCmp for Option<f64> {
        fn total_cmp_to(self, other: Self) -> std::cmp::Ordering {
            self.unwrap_or(f64::INFINITY).total_cmp(&other.unwrap_or(f64::INFINITY))
        }
    }

    #[test]
    fn batches_are_shared_by_speed() {
        assert_eq!(simulate(&[1.0], 5), (vec![5], 5.0));
        let (taken, end) = simulate(&[1.0, 1.0], 8);
        assert_eq!((taken, end), (vec![4, 4], 4.0));
        let (taken, end) = simulate(&[1.0, 3.0], 16);
        assert_eq!(taken, [12, 4]);
        assert_eq!(end, 12.0);
        // The slow one is tried once and then left out, however many batches there are at the end.
        let (taken, end) = simulate(&[1.0, 20.0], 30);
        assert_eq!((taken, end), (vec![29, 1], 29.0));
        // The last remaining adapter takes everything.
        for batches in 0..12 {
            for seconds in [vec![1.0, 1.0, 1.0], vec![1.0, 2.0, 5.0], vec![9.0, 1.0, 9.0]] {
                let (taken, _) = simulate(&seconds, batches);
                assert_eq!(taken.iter().sum::<usize>(), batches);
            }
        }
    }

    #[test]
    fn results_that_wait_are_bounded() {
        let mut shares = Shares::new(2, 2);
        assert_eq!((shares.take(0, 9), shares.take(1, 8)), (Some(0), Some(1)));
        assert!(shares.is_far_ahead());
        shares.delivered(1);
        assert!(!shares.is_far_ahead());
        assert_eq!(shares.take(1, 7), Some(2));
        assert!(shares.is_far_ahead());
        shares.stop();
        assert!(!shares.is_far_ahead() && shares.take(0, 6).is_none());
    }
}
