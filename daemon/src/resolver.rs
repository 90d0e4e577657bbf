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
pub(crate) mod datagram;
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

pub use config::{DnsChoice, DnsChoiceError, ResolverOptions};

use self::command::Command;
use self::serve::Server;
use crate::clock::Clock;
use crate::datapath::SwitchDatapath;
use crate::service::{Inbox, Service, service};

/// The way to the resolvers. The thread ends when there is none any more.
#[derive(Debug)]
pub(crate) struct Resolvers(Service<Command>);

/// The other end of it, before there is a thread.
#[derive(Debug)]
pub(crate) struct ResolverInbox(Inbox<Command>);

/// Returns both ends.
pub(crate) fn resolvers() -> (Resolvers, ResolverInbox) {
    let (sender, inbox) = service();
    (Resolvers(sender), ResolverInbox(inbox))
}

impl Resolvers {
    /// Returns where the switch puts packets.
    pub(crate) fn queue(&self) -> Arc<dyn ServiceQueue> {
        self.0.queue()
    }

    /// Makes `names` what a network knows; its packets are not longer than `mtu`.
    pub(crate) fn set_names(&self, network: NetworkNo, names: NetworkNames, mtu: u16) {
        self.0.send(Command::SetNames {
            network,
            names: Box::new(names),
            mtu,
        });
    }

    /// Forgets a network.
    pub(crate) fn forget(&self, network: NetworkNo) {
        self.0.send(Command::Forget { network });
    }

    /// States by which addresses the host is reached from networks that have a way out.
    pub(crate) fn set_host(&self, addresses: Vec<IpAddr>) {
        self.0.send(Command::SetHost { addresses });
    }

    /// Asks the resolver of a network as a sandbox of it would by a stream; waits for the answer, which may take seconds.
    /// `None` when the network has no resolver, or the query is none.
    pub(crate) fn ask(&self, network: NetworkNo, query: Vec<u8>) -> Option<Vec<u8>> {
        self.0.ask(|answer| Command::Ask {
            network,
            query,
            answer,
        })
    }

    /// Returns what the resolvers did so far, by network.
    pub(crate) fn stats(&self) -> BTreeMap<NetworkNo, ResolverStats> {
        let stats = self.0.ask(|answer| Command::Stats { answer });
        stats.unwrap_or_default()
    }
}

/// Starts the thread, which answers by `datapath` and ends with it.
///
/// # Errors
///
/// When the kernel refuses a thread or an event loop.
pub(crate) fn start(
    ResolverInbox(inbox): ResolverInbox,
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
            let server = Server::new(options, datapath, clock);
            server.run(inbox).await;
        });
    })?;
    Ok(())
}
