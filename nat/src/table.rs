//! The table of flows and mappings, shared by all workers without a lock.

mod entry;
mod tuple;

pub use entry::{Direction, Entry};
pub use tuple::{Endpoint, Realm, Tuple};
