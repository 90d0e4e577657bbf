//! The thread that answers who asks for addresses.
//!
//! The decisions are `tapweave-dhcp`'s, a server a network. Here are the ways to it and from it: packets from the switch's
//! service queue, addresses from the controller ([`pool`]), and answers as frames to the port that asked.
//!
//! # Theory of operation
//!
//! One thread serves all networks, so nothing of it is locked. It is not the resolver's: a lease is stored before it is
//! given, which takes milliseconds on a disk, and names shall not wait for that. What the control side says of networks
//! and ports goes first: a port is known before the first packet from it is looked at.
//!
//! The controller is called from this thread and waits for its model at most; it asks this thread only while it holds
//! nothing ([`Datapath::leases`](tapweave_control::datapath::Datapath::leases)), so neither waits for the other for ever.

mod datagram;
mod pool;
mod serve;

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Weak};
use std::thread::Builder;

use tapweave_control::Controller;
use tapweave_control::datapath::{ClientKey, HeldLease, KeptLease, ServerStats};
use tapweave_dhcp::{Settings, Station};
use tapweave_net::{NetworkNo, PortNo};
use tapweave_switch::ServiceQueue;
use tokio::runtime;
use tokio::sync::oneshot;

use self::serve::Servers;
use crate::clock::Clock;
use crate::datapath::SwitchDatapath;
use crate::service::{Inbox, Service, service};

/// The way to the servers. The thread ends when there is none any more.
#[derive(Debug)]
pub(crate) struct DhcpServers(Service<Command>);

/// The other end of it, before there is a thread.
#[derive(Debug)]
pub(crate) struct DhcpInbox(Inbox<Command>);

/// A message to the thread.
#[derive(Debug)]
enum Command {
    SetNetwork {
        network: NetworkNo,
        settings: Box<Settings>,
    },
    Forget {
        network: NetworkNo,
    },
    SetStaticLeases {
        network: NetworkNo,
        leases: Vec<(ClientKey, Ipv4Addr)>,
    },
    SetStation {
        network: NetworkNo,
        port: PortNo,
        station: Station,
        leases: Vec<KeptLease>,
    },
    RemoveStation {
        port: PortNo,
    },
    Leases {
        network: NetworkNo,
        answer: oneshot::Sender<Vec<HeldLease>>,
    },
    Stats {
        answer: oneshot::Sender<BTreeMap<NetworkNo, ServerStats>>,
    },
}

/// Returns both ends.
pub(crate) fn dhcp_servers() -> (DhcpServers, DhcpInbox) {
    let (sender, inbox) = service();
    (DhcpServers(sender), DhcpInbox(inbox))
}

impl DhcpServers {
    /// Returns where the switch puts packets.
    pub(crate) fn queue(&self) -> Arc<dyn ServiceQueue> {
        self.0.queue()
    }

    /// Makes a server for a network.
    pub(crate) fn set_network(&self, network: NetworkNo, settings: Settings) {
        let settings = Box::new(settings);
        self.0.send(Command::SetNetwork { network, settings });
    }

    /// Forgets a network.
    pub(crate) fn forget(&self, network: NetworkNo) {
        self.0.send(Command::Forget { network });
    }

    /// States which addresses are fixed for whom.
    pub(crate) fn set_static_leases(&self, network: NetworkNo, leases: Vec<(ClientKey, Ipv4Addr)>) {
        self.0.send(Command::SetStaticLeases { network, leases });
    }

    /// States who is at a port, and which leases those behind it have.
    pub(crate) fn set_station(
        &self,
        network: NetworkNo,
        port: PortNo,
        station: Station,
        leases: Vec<KeptLease>,
    ) {
        self.0.send(Command::SetStation {
            network,
            port,
            station,
            leases,
        });
    }

    /// Forgets a port.
    pub(crate) fn remove_station(&self, port: PortNo) {
        self.0.send(Command::RemoveStation { port });
    }

    /// Returns the leases of a network.
    pub(crate) fn leases(&self, network: NetworkNo) -> Vec<HeldLease> {
        let leases = self.0.ask(|answer| Command::Leases { network, answer });
        leases.unwrap_or_default()
    }

    /// Returns what the servers did so far, by network.
    pub(crate) fn stats(&self) -> BTreeMap<NetworkNo, ServerStats> {
        let stats = self.0.ask(|answer| Command::Stats { answer });
        stats.unwrap_or_default()
    }
}

/// Starts the thread, which answers by `datapath`, has its addresses from `controller`, and ends with either.
///
/// # Errors
///
/// When the kernel refuses a thread or an event loop.
pub(crate) fn start(
    DhcpInbox(inbox): DhcpInbox,
    datapath: Weak<SwitchDatapath>,
    controller: Weak<Controller>,
    clock: Clock,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .thread_name("dhcp")
        .build()?;
    Builder::new().name("dhcp".to_owned()).spawn(move || {
        let servers = Servers::new(datapath, controller, clock);
        runtime.block_on(servers.run(inbox));
    })?;
    Ok(())
}
