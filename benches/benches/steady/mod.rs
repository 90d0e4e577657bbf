//! How an action is measured that allocates nothing, shared by the benchmarks of the pure crates.

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;

/// Measures `action`, which must not allocate.
pub(crate) fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    mut action: impl FnMut(),
) {
    let counted = allocation_counter::measure(&mut action);
    assert_eq!(counted.count_total, 0, "{name} allocated");
    group.bench_function(name, |bencher| bencher.iter(&mut action));
}
