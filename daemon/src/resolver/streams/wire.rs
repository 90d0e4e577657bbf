//! The device of a client's stack: packets to and from it.

use std::collections::VecDeque;

use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

/// Packets on their way.
#[derive(Debug)]
pub(super) struct Wire {
    received: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    mtu: u16,
}

impl Wire {
    pub(super) const fn new(mtu: u16) -> Self {
        Self {
            received: VecDeque::new(),
            sent: Vec::new(),
            mtu,
        }
    }

    /// A packet came. It is read at the next turn of the stack.
    pub(super) fn receive(&mut self, packet: &[u8]) {
        self.received.push_back(packet.to_vec());
    }

    /// Returns what the stack has sent.
    pub(super) fn take_sent(&mut self) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.sent)
    }
}

pub(super) struct Arrived(Vec<u8>);

pub(super) struct Departing<'a>(&'a mut Vec<Vec<u8>>);

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
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = usize::from(self.mtu);
        // What comes was verified, as far as its sender did not leave that to do.
        capabilities.checksum.tcp = Checksum::Tx;
        capabilities
    }
}
