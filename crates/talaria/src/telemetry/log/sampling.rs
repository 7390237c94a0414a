//! Which of many equal lines are logged (`zap.sampling`), as zap's sampler chooses them: in each tick the first `initial` lines of a
//! place in the code, and of the others every `thereafter`-th.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::Metadata;

/// Places in the code are counted in as many cells. Two of them may share one.
const CELLS: usize = 1024;

/// The section `zap.sampling`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// How many lines of a tick are all logged.
    pub initial: u64,
    /// Of the further ones, one of so many is logged; 0: none.
    pub thereafter: u64,
    /// How long a tick is.
    pub tick: Duration,
}

/// Counts lines, and chooses.
#[derive(Debug)]
pub(super) struct Sampler {
    sampling: Sampling,
    cells: Box<[Cell]>,
}

#[derive(Debug, Default)]
struct Cell {
    tick: AtomicU64,
    count: AtomicU64,
}

impl Sampler {
    pub(super) fn new(sampling: Sampling) -> Self {
        Self { sampling, cells: std::iter::repeat_with(Cell::default).take(CELLS).collect() }
    }

    /// Whether a line of this place is logged now.
    pub(super) fn takes(&self, place: &'static Metadata<'static>) -> bool {
        let now = jiff::Timestamp::now().as_millisecond().unsigned_abs();
        self.takes_at(std::ptr::from_ref(place).addr() / align_of::<Metadata<'static>>(), now)
    }

    fn takes_at(&self, place: usize, milliseconds: u64) -> bool {
        let Sampling { initial, thereafter, tick } = self.sampling;
        let tick = milliseconds / u64::try_from(tick.as_millis()).unwrap_or(u64::MAX).max(1);
        let cell = &self.cells[place % self.cells.len()];
        // Threads that meet at the beginning of a tick may count a line too few.
        let number = if cell.tick.swap(tick, Ordering::Relaxed) == tick {
            cell.count.fetch_add(1, Ordering::Relaxed) + 1
        } else {
            cell.count.store(1, Ordering::Relaxed);
            1
        };
        number <= initial || thereafter > 0 && (number - initial).is_multiple_of(thereafter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_of_a_tick_are_logged_and_then_one_of_some() {
        let sampler = Sampler::new(Sampling { initial: 2, thereafter: 3, tick: Duration::from_secs(1) });
        let taken = |at| (0..8).filter(|_| sampler.takes_at(7, at)).count();
        // 1, 2, 5 and 8.
        assert_eq!(taken(1000), 4);
        assert_eq!((0..8).filter(|_| sampler.takes_at(8, 1000)).count(), 4, "another place counts by itself");
        assert_eq!(taken(2000), 4, "the next tick");
        let sampler = Sampler::new(Sampling { initial: 1, thereafter: 0, tick: Duration::from_secs(1) });
        assert_eq!((0..8).filter(|_| sampler.takes_at(7, 0)).count(), 1);
    }
}
