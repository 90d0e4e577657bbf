//! Several workers on one table, shared by the benchmarks of tables.

use std::thread;
use std::time::Duration;

/// Runs `work` on `worker_count` threads at once, each of which measures itself, and returns the mean
/// of their times. Workers that do not hinder each other take as long as one alone.
#[expect(
    clippy::needless_collect,
    reason = "all workers must run before the first is waited for"
)]
pub(crate) fn run_workers(
    worker_count: usize,
    work: impl Fn(usize) -> Duration + Sync,
) -> Duration {
    let total: Duration = thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (0..worker_count)
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        workers
            .into_iter()
            .filter_map(|worker| worker.join().ok())
            .sum()
    });
    total / u32::try_from(worker_count).unwrap_or(1)
}
