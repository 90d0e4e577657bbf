//! The whole decision on frames: `Pipeline::handle_batch` with batches of 32.
//!
//! Reports ns a frame (the criterion throughput is in frames) and asserts that a warm pipeline does
//! not allocate. Destinations are drawn at random from all stations of the table, which is the worst
//! case for the caches; a real batch has few.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
