//! The command line as a whole. The arguments of each command are in the command's own file.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::completions::CompletionsArgs;
use crate::config::command::ConfigCommand;
use crate::daemon::DaemonArgs;
use crate::demo::DemoArgs;
use crate::dns::DnsCommand;
use crate::events::EventsArgs;
use crate::fdb::FdbCommand;
use crate::filter::FilterArgs;
use crate::lease::LeaseCommand;
use crate::man::ManArgs;
use crate::mdb::MdbCommand;
use crate::nat::NatCommand;
use crate::neigh::NeighCommand;
use crate::network::NetworkCommand;
use crate::peer::PeerCommand;
use crate::port::PortCommand;
use crate::sandbox::SandboxCommand;
use crate::stats::StatsArgs;

const GLOBAL: &str = "Global options";
const SOCKET_HELP: &str = "\
The control socket is that of --socket, else of $TAPWEAVE_SOCKET, else
/run/tapweave/tapweave.sock for root, else $XDG_RUNTIME_DIR/tapweave/tapweave.sock,
else /tmp/tapweave-UID/tapweave.sock.";

/// A userspace virtual switch, gateway and overlay network for containers, VMs and sandboxes
#[derive(Debug, Parser)]
#[command(after_help = SOCKET_HELP)]
#[command(
    name = "tapweave",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Global {
    /// Control socket of the daemon, if not in its usual place
    #[arg(long, global = true, value_name = "PATH", help_heading = GLOBAL)]
    pub(crate) socket: Option<PathBuf>,
    /// Print JSON with stable keys
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,
    /// Log more on standard error
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet", help_heading = GLOBAL)]
    pub(crate) verbose: u8,
    /// Only ids or names in lists; only errors in the log
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub(crate) quiet: bool,
}

/// Of which network something is shown or forgotten.
#[derive(Debug, Args)]
pub(crate) struct OfNetwork {
    /// The network, by name or beginning of its id
    pub(crate) network: Option<String>,
}

/// Of which network a list is, and what of it.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) of: OfNetwork,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon in the foreground
    Daemon(Box<DaemonArgs>),
    /// Build networks and sandboxes, show real traffic between them, and leave nothing behind
    Demo(DemoArgs),
    #[command(flatten)]
    Request(Request),
    /// The daemon's configuration: check a file, show what applies
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages of all commands to a folder
    #[command(hide = true)]
    Man(ManArgs),
}

/// Commands that a daemon answers.
#[derive(Debug, Subcommand)]
pub(crate) enum Request {
    /// Networks, and which sandboxes are in them
    #[command(subcommand)]
    Network(NetworkCommand),
    /// Network namespaces that are known by a name
    #[command(subcommand)]
    Sandbox(SandboxCommand),
    /// Ports of the switch and their counters
    #[command(subcommand)]
    Port(PortCommand),
    /// Forwarding tables: which station is at which port
    #[command(subcommand)]
    Fdb(FdbCommand),
    /// Neighbours that are answered for in overlay networks (ARP and ND suppression)
    #[command(subcommand)]
    Neigh(NeighCommand),
    /// Names in networks, and the resolvers that answer for them
    #[command(subcommand)]
    Dns(DnsCommand),
    /// DHCP: who has which address, and the server of a network
    #[command(subcommand)]
    Lease(LeaseCommand),
    /// Peers of overlay networks: the other hosts that take part
    #[command(subcommand)]
    Peer(PeerCommand),
    /// Multicast databases: which port listens to which group, and where routers are
    #[command(subcommand)]
    Mdb(MdbCommand),
    /// Flows that the gateways translate between sandboxes and the world
    #[command(subcommand)]
    Nat(NatCommand),
    /// Print what happens, as it happens: networks, sandboxes, endpoints, peers, uplink, underlay
    Events(EventsArgs),
    /// Figures of the whole daemon: workers, uplink, tables, drops
    Stats(StatsArgs),
}

impl Request {
    /// Tells whether it is meant to go on until somebody interrupts it.
    pub(crate) const fn goes_on(&self) -> bool {
        matches!(
            self,
            Self::Events(_) | Self::Stats(StatsArgs { watch: true })
        )
    }
}
