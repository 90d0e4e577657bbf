//! The device of a stack of `smoltcp` that is no interface: what comes is handed to it, and what it sends is taken from it.
//! The streams of the resolver have one each, and the DHCP client of an uplink has one.

use std::collections::VecDeque;

use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};
use smoltcp::time::Instant;

/// Packets, or frames where the medium is Ethernet, on their way.
#[derive(Debug)]
pub(crate) struct Wire {
    received: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    capabilities: DeviceCapabilities,
}

impl Wire {
    pub(crate) const fn new(capabilities: DeviceCapabilities) -> Self {
        Self {
            received: VecDeque::new(),
            sent: Vec::new(),
            capabilities,
        }
    }

    /// A packet came. It is read at the next turn of the stack.
    pub(crate) fn receive(&mut self, packet: &[u8]) {
        self.received.push_back(packet.to_vec());
    }

    /// Returns how many came that the stack has not read.
    pub(crate) fn waiting_count(&self) -> usize {
        self.received.len()
    }

    /// Returns what the stack has sent.
    pub(crate) fn take_sent(&mut self) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.sent)
    }
}

pub(crate) struct Arrived(Vec<u8>);

pub(crate) struct Departing<'a>(&'a mut Vec<Vec<u8>>);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Departing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut packet = vec![0; len];
        let result = write(&mut packet);
        self.0.push(packet);
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Departing<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Arrived, Departing<'_>)> {
        let packet = self.received.pop_front()?;
        Some((Arrived(packet), Departing(&mut self.sent)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Departing<'_>> {
        Some(Departing(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}
