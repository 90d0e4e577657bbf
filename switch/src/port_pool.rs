//! Which port numbers are free.
//!
//! An index is given back only when every worker has forgotten the port, and the one that was given
//! back longest ago is used first, with its next generation; so a number comes back after thousands
//! of uses of its index, long after the last frame for it.

use std::collections::VecDeque;

use tapweave_net::PortNo;

/// The numbers that are not in use.
#[derive(Default)]
pub(crate) struct PortPool {
    /// The lowest index that has never been used.
    next: u32,
    free: VecDeque<PortNo>,
}

impl PortPool {
    /// Returns a number and takes it out of the pool. `None` when all indexes are in use.
    pub(crate) fn take(&mut self) -> Option<PortNo> {
        // Old indexes first: the tables of a snapshot are as long as the largest index.
        if let Some(port) = self.free.pop_front() {
            return Some(port);
        }
        let index = self.next;
        if index > PortNo::MAX_INDEX {
            return None;
        }
        self.next += 1;
        Some(PortNo::new(index, 0))
    }

    /// Puts a number back that no worker knows any more.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an index is at most PortNo::MAX_INDEX, a u32"
    )]
    pub(crate) fn give_back(&mut self, port: PortNo) {
        let next = PortNo::new(port.index() as u32, port.generation() + 1);
        self.free.push_back(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_comes_back_is_another_one() {
        let mut pool = PortPool::default();
        let old = [(); 2].map(|()| pool.take().unwrap());
        pool.give_back(old[1]);
        pool.give_back(old[0]);
        let new = [(); 3].map(|()| pool.take().unwrap());
        assert_eq!(new.map(PortNo::index), [1, 0, 2]);
        assert!(new.iter().all(|port| !old.contains(port)));
    }

    #[test]
    fn the_generation_wraps_at_its_end() {
        let mut pool = PortPool::default();
        pool.give_back(PortNo::new(7, PortNo::GENERATIONS - 1));
        assert_eq!(pool.take(), Some(PortNo::new(7, 0)));
    }

    #[test]
    fn indexes_run_out() {
        let mut pool = PortPool {
            next: PortNo::MAX_INDEX,
            ..PortPool::default()
        };
        assert!(pool.take().is_some());
        assert_eq!(pool.take(), None);
    }
}
