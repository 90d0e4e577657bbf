//! `tapweave daemon`

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use crate::args::Global;
use crate::output::Output;
use clap::{Args, ValueEnum};
use tapweave_control::PortRange;
use tapweave_daemon::{
    BackendChoice, DefaultPools, NatOptions, NatTimeout, Options, Pool, UnderlayChoice,
    UplinkChoice, UplinkOptions,
};

/// Most worker threads.
const MAX_WORKERS: usize = 256;

#[derive(Debug, Args)]
pub(crate) struct DaemonArgs {
    /// Threads that carry frames, 1 to 256; each queue of a port is read by one of them
    #[arg(long, value_name = "N", value_parser = workers, default_value = "1")]
    pub(crate) workers: NonZeroUsize,
    /// Where overlays send from and listen: an address, or an interface whose addresses are followed;
    /// at most one address of each family counts (repeatable) [default: the addresses of the default
    /// routes]
    #[arg(long, value_name = "IP|IFNAME")]
    pub(crate) underlay: Vec<UnderlayChoice>,
    /// UDP port of VXLAN, unless a network says otherwise
    #[arg(long, value_name = "PORT", default_value = "4789",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) vxlan_port: u16,
    /// How workers wait for frames
    #[arg(long, value_name = "KIND", default_value = "auto")]
    pub(crate) backend: BackendKind,
    /// How long to look for frames before sleeping, 0 to 50 microseconds: costs processor time, saves
    /// latency
    #[arg(long, value_name = "USECS", default_value = "0",
          value_parser = clap::value_parser!(u64).range(0..=50))]
    pub(crate) busy_poll: u64,
    /// How networks reach the world: `tun` is an interface that the host routes to, `nic` a place of
    /// tapweave's own on the LAN of an interface; `auto` takes `tun` where the daemon may, else `none`
    #[arg(
        long,
        value_name = "auto|tun[:CIDR]|nic:IFNAME|none",
        default_value = "auto"
    )]
    pub(crate) uplink: UplinkChoice,
    /// Longest packet to the world, 1280 to 65535 bytes
    #[arg(long, value_name = "BYTES", default_value_t = UplinkOptions::DEFAULT_MTU,
          value_parser = clap::value_parser!(u16).range(1280..))]
    pub(crate) uplink_mtu: u16,
    /// Most flows and mappings that are translated at the same time, 16 to 16777216; each takes up to 200
    /// bytes, and one sandbox may have a quarter as many flows
    #[arg(long, value_name = "N", default_value_t = NatOptions::default().flow_limit.get(),
          value_parser = clap::value_parser!(u32).range(16..=1 << 24))]
    pub(crate) nat_flows: u32,
    /// The ports outside that translated flows get
    #[arg(long, value_name = "FIRST-LAST", default_value_t = NatOptions::default().ports)]
    pub(crate) nat_ports: PortRange,
    /// How many seconds a translated flow is kept without traffic (repeatable); NAME is one of
    /// tcp-established (7440), tcp-transitory (240), tcp-syn (240), tcp-reset (240), udp (300),
    /// udp-brief (120), icmp (60)
    #[arg(long, value_name = "NAME=SECONDS")]
    pub(crate) nat_timeout: Vec<NatTimeout>,
    /// A block that networks without --subnet get theirs from, and the prefix length of these (repeatable)
    /// [default: base=10.192.0.0/12,size=24, and for IPv6 a generated unique local /64]
    #[arg(long, value_name = "base=CIDR,size=LEN")]
    pub(crate) default_address_pool: Vec<Pool>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum BackendKind {
    /// The ring where the kernel allows it, otherwise epoll
    #[value(help = "io_uring(7) where the kernel allows it, otherwise epoll")]
    Auto,
    /// The ring or nothing
    #[value(
        name = "io_uring",
        help = "io_uring(7) or nothing: the daemon does not start without it"
    )]
    Uring,
    /// epoll(7), which works everywhere
    Epoll,
}

fn workers(text: &str) -> Result<NonZeroUsize, String> {
    let workers = text.parse::<NonZeroUsize>().ok();
    workers
        .filter(|workers| workers.get() <= MAX_WORKERS)
        .ok_or_else(|| format!("should be a number from 1 to {MAX_WORKERS}"))
}

pub(crate) fn run(
    args: &DaemonArgs,
    global: &Global,
    output: &mut Output<'_>,
) -> anyhow::Result<()> {
    let options = Options {
        socket: crate::context::control_socket(global),
        worker_count: args.workers.get(),
        backend: match args.backend {
            BackendKind::Auto => BackendChoice::Auto,
            BackendKind::Uring => BackendChoice::Uring,
            BackendKind::Epoll => BackendChoice::Epoll,
        },
        busy_poll: Duration::from_micros(args.busy_poll),
        uplink: UplinkOptions {
            choice: args.uplink.clone(),
            mtu: args.uplink_mtu,
        },
        nat: NatOptions {
            flow_limit: NonZeroU32::MIN.saturating_add(args.nat_flows - 1),
            ports: args.nat_ports,
            timeouts: args.nat_timeout.clone(),
        },
        pools: DefaultPools::new(args.default_address_pool.clone()),
        underlay: args.underlay.clone(),
        vxlan_port: args.vxlan_port,
    };
    tapweave_daemon::run(&options, || {
        output.line("ready")?;
        output.writer().flush()
    })
}
