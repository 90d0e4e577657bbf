//! TAP ports, namespaces, event loops and the other devices of tapweave.
//!
//! This crate moves bytes between the kernel and a handler; it does not know what a switch is.

mod backend;
mod queue;

pub use backend::{Backend, BatchHandler, Egress, MAX_BATCH, Reading, Waker};
pub use queue::{PortQueue, Received, SendError};
