//! The queue between the workers and the resolvers' thread.
//!
//! Workers never wait for it: what does not fit is given back. Its length is what the thread does in some tens of
//! milliseconds, so nobody waits longer than a client waits before it asks again.

use tapweave_switch::{ServicePacket, ServiceQueue};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Packets that wait: four networks' places.
const LEN: usize = 4096;

/// The workers' end.
#[derive(Debug)]
pub(super) struct PacketSender(Sender<ServicePacket>);

/// The thread's end.
pub(super) type PacketReceiver = Receiver<ServicePacket>;

/// Returns both ends.
pub(super) fn packet_queue() -> (PacketSender, PacketReceiver) {
    let (sender, receiver) = channel(LEN);
    (PacketSender(sender), receiver)
}

impl ServiceQueue for PacketSender {
    fn offer(&self, packet: ServicePacket) -> Result<(), ServicePacket> {
        self.0.try_send(packet).map_err(|refused| match refused {
            TrySendError::Full(packet) | TrySendError::Closed(packet) => packet,
        })
    }
}
