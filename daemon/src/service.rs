//! The way to the thread of a service: commands of the control side, and packets of the workers.
//!
//! Commands wait as long as they must; all are carried out in their order. Workers never wait: the queue of packets has a
//! bound, and what does not fit is given back. Its length is what a thread does in some tens of milliseconds, so nobody
//! waits longer than a client waits before it asks again.

use std::sync::Arc;

use tapweave_switch::{ServicePacket, ServiceQueue};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{
    Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel,
};
use tokio::sync::oneshot;

/// Packets that wait: four networks' places.
const LEN: usize = 4096;

/// The way to a service. Its thread ends when there is none any more.
#[derive(Debug)]
pub(crate) struct Service<C> {
    commands: UnboundedSender<C>,
    packets: Arc<PacketSender>,
}

/// The other end of it.
#[derive(Debug)]
pub(crate) struct Inbox<C> {
    pub(crate) commands: UnboundedReceiver<C>,
    pub(crate) packets: Receiver<ServicePacket>,
}

/// Returns both ends.
pub(crate) fn service<C>() -> (Service<C>, Inbox<C>) {
    let (command_sender, commands) = unbounded_channel();
    let (packet_sender, packets) = channel(LEN);
    let service = Service {
        commands: command_sender,
        packets: Arc::new(PacketSender(packet_sender)),
    };
    (service, Inbox { commands, packets })
}

impl<C> Service<C> {
    /// Returns where the switch puts packets.
    pub(crate) fn queue(&self) -> Arc<dyn ServiceQueue> {
        Arc::<PacketSender>::clone(&self.packets)
    }

    /// Gives a command.
    pub(crate) fn send(&self, command: C) {
        // At shutdown nobody listens any more.
        let _ignored = self.commands.send(command);
    }

    /// Gives the command that `question` makes, and waits for the answer; `None` when the thread gives none.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> C) -> Option<T> {
        let (answer, pending) = oneshot::channel();
        self.send(question(answer));
        pending.blocking_recv().ok()
    }
}

/// The workers' end.
#[derive(Debug)]
struct PacketSender(Sender<ServicePacket>);

impl ServiceQueue for PacketSender {
    fn offer(&self, packet: ServicePacket) -> Result<(), ServicePacket> {
        self.0.try_send(packet).map_err(|refused| match refused {
            TrySendError::Full(packet) | TrySendError::Closed(packet) => packet,
        })
    }
}
