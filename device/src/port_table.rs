//! The ports that one worker may send to.
//!
//! A dense table by [`PortNo::index`]; the whole number is compared, so a number that is left over
//! from an earlier port of the same index finds nothing. Every event loop has one.

use tapweave_net::PortNo;

/// A port and its queues, of whatever kind the event loop has.
#[derive(Debug)]
pub(crate) struct Port<Q> {
    /// Its whole number.
    pub(crate) number: PortNo,
    /// Never empty. The first is the one that is written to.
    pub(crate) queues: Vec<Q>,
}

/// Ports by index.
#[derive(Debug)]
pub(crate) struct PortTable<Q> {
    ports: Vec<Option<Port<Q>>>,
}

impl<Q> Default for PortTable<Q> {
    fn default() -> Self {
        Self { ports: Vec::new() }
    }
}

impl<Q> PortTable<Q> {
    /// Adds a queue to a port, which it creates if need be, and returns the place of the queue in it.
    /// The index must not be in use by another generation: see [`PortTable::occupant`].
    pub(crate) fn add(&mut self, number: PortNo, queue: Q) -> usize {
        let index = number.index();
        if self.ports.len() <= index {
            self.ports.resize_with(index + 1, || None);
        }
        let Some(slot) = self.ports.get_mut(index) else {
            return 0;
        };
        let port = slot.get_or_insert_with(|| Port {
            number,
            queues: Vec::with_capacity(1),
        });
        port.queues.push(queue);
        port.queues.len() - 1
    }

    /// Takes a port out.
    pub(crate) fn remove(&mut self, number: PortNo) -> Option<Port<Q>> {
        self.ports
            .get_mut(number.index())?
            .take_if(|port| port.number == number)
    }

    /// Returns the number of the port that has the index of `number`, whatever its generation.
    pub(crate) fn occupant(&self, number: PortNo) -> Option<PortNo> {
        let port = self.ports.get(number.index())?.as_ref()?;
        Some(port.number)
    }

    /// Returns a port.
    #[inline]
    pub(crate) fn port(&self, number: PortNo) -> Option<&Port<Q>> {
        let port = self.ports.get(number.index())?.as_ref()?;
        (port.number == number).then_some(port)
    }
}
