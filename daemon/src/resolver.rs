//! The thread that answers what is for port 53 of a gateway.
//!
//! The decisions are `tapweave-dns`'s, a resolver a network. Here are the ways to it and from it: packets from the
//! switch's service queue, streams ([`streams`]), other servers ([`upstream`]), and answers as frames to the port that
//! asked.
//!
//! # Theory of operation
//!
//! One thread serves all networks, so nothing of it is locked. It runs an event loop of its own beside that of the control
//! plane: a request that keeps the latter busy delays no answer. What it waits for are packets, commands, the outcome of
//! questions to other servers, and timers of streams. Commands go first: a name is known before the first packet that its
//! endpoint could have sent is looked at.
//!
//! Local names cost a few microseconds and never wait for others, which have a task each. The switch bounds how many
//! packets of a port, a network and altogether wait here, and each of them holds its place until it is answered.

mod command;
mod config;
mod datagram;
mod queue;
mod serve;
mod streams;
mod upstream;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::thread::Builder;

use tapweave_dns::{NetworkNames, ResolverStats};
use tapweave_net::NetworkNo;
use tapweave_switch::ServiceQueue;
use tokio::runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

pub use config::{DnsChoice, DnsChoiceError, ResolverOptions};

use self::command::Command;
use self::queue::{PacketReceiver, PacketSender, packet_queue};
use self::serve::Server;
use crate::clock::Clock;
use crate::datapath::SwitchDatapath;

/// The way to the resolvers. The thread ends when there is none any more.
#[derive(Debug)]
pub(crate) struct Resolvers {
    commands: UnboundedSender<Command>,
    packets: Arc<PacketSender>,
}

/// The other end of it, before there is a thread.
#[derive(Debug)]
pub(crate) struct ResolverInbox {
    commands: UnboundedReceiver<Command>,
    packets: PacketReceiver,
}

/// Returns both ends.
pub(crate) fn resolvers() -> (Resolvers, ResolverInbox) {
    let (sender, receiver) = unbounded_channel();
    let (packet_sender, packet_receiver) = packet_queue();
    let resolvers = Resolvers {
        commands: sender,
        packets: Arc::new(packet_sender),
    };
    let inbox = ResolverInbox {
        commands: receiver,
        packets: packet_receiver,
    };
    (resolvers, inbox)
}

impl Resolvers {
    /// Returns where the switch puts packets.
    pub(crate) fn queue(&self) -> Arc<dyn ServiceQueue> {
        Arc::<PacketSender>::clone(&self.packets)
    }

    /// Makes `names` what a network knows; its packets are not longer than `mtu`.
    pub(crate) fn set_names(&self, network: NetworkNo, names: NetworkNames, mtu: u16) {
        self.send(Command::SetNames {
            network,
            names: Box::new(names),
            mtu,
        });
    }

    /// Forgets a network.
    pub(crate) fn forget(&self, network: NetworkNo) {
        self.send(Command::Forget { network });
    }

    /// States by which addresses the host is reached from networks that have a way out.
    pub(crate) fn set_host(&self, addresses: Vec<IpAddr>) {
        self.send(Command::SetHost { addresses });
    }

    /// Asks the resolver of a network as a sandbox of it would by a stream; waits for the answer, which may take seconds.
    /// `None` when the network has no resolver, or the query is none.
    pub(crate) fn ask(&self, network: NetworkNo, query: Vec<u8>) -> Option<Vec<u8>> {
        let (answer, pending) = oneshot::channel();
        self.send(Command::Ask {
            network,
            query,
            answer,
        });
        pending.blocking_recv().ok()
    }

    /// Returns what the resolvers did so far, by network.
    pub(crate) fn stats(&self) -> BTreeMap<NetworkNo, ResolverStats> {
        let (answer, pending) = oneshot::channel();
        self.send(Command::Stats { answer });
        pending.blocking_recv().unwrap_or_default()
    }

    fn send(&self, command: Command) {
        // At shutdown nobody listens any more.
        let _ignored = self.commands.send(command);
    }
}

/// Starts the thread, which answers by `datapath` and ends with it.
///
/// # Errors
///
/// When the kernel refuses a thread or an event loop.
pub(crate) fn start(
    inbox: ResolverInbox,
    options: ResolverOptions,
    datapath: Weak<SwitchDatapath>,
    clock: Clock,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("resolver")
        .build()?;
    Builder::new().name("resolver".to_owned()).spawn(move || {
        runtime.block_on(async {
            let ResolverInbox { commands, packets } = inbox;
            let server = Server::new(options, datapath, clock);
            server.run(commands, packets).await;
        });
    })?;
    Ok(())
}
