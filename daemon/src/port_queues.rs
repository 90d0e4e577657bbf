//! The queues of a port: those that are read, and the one that is written to.
//!
//! An interface with several queues is written to by none of them, but by an outlet of its own: the kernel moves flows to
//! the queue that was written to last, and the order of their packets would be lost ([`tapweave_device::Interface::outlet`]).

use std::sync::Arc;

use tapweave_device::{FileQueue, PortQueue};

/// The queues of one port.
#[derive(Clone, Debug)]
pub(crate) struct PortQueues {
    read: Vec<Arc<dyn PortQueue>>,
    outlet: Option<Arc<dyn PortQueue>>,
}

impl PortQueues {
    /// A queue that is read and written to.
    pub(crate) fn one(queue: Arc<dyn PortQueue>) -> Self {
        Self {
            read: vec![queue],
            outlet: None,
        }
    }

    /// A queue that is only written to.
    pub(crate) const fn outlet(queue: Arc<dyn PortQueue>) -> Self {
        Self {
            read: Vec::new(),
            outlet: Some(queue),
        }
    }

    /// The queues of an interface, and its outlet if it has one.
    pub(crate) fn of_interface(queues: Vec<FileQueue>, outlet: Option<FileQueue>) -> Self {
        let shared = |queue| Arc::new(queue) as Arc<dyn PortQueue>;
        Self {
            read: queues.into_iter().map(shared).collect(),
            outlet: outlet.map(shared),
        }
    }

    /// Queues of which the first is written to.
    #[cfg(test)]
    pub(crate) const fn of(read: Vec<Arc<dyn PortQueue>>) -> Self {
        Self { read, outlet: None }
    }

    /// Returns those that are read.
    pub(crate) fn read(&self) -> &[Arc<dyn PortQueue>] {
        &self.read
    }

    /// Returns the one that is written to.
    pub(crate) fn written(&self) -> Option<&Arc<dyn PortQueue>> {
        self.outlet.as_ref().or_else(|| self.read.first())
    }
}
