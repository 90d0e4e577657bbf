//! `tapweave network connect`

use std::net::{AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{self, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use tapweave_control::api::{Connect, Endpoint};
use tapweave_control::datapath::{Addressing, NamespaceRef};
use tapweave_control::{GatewayPriority, IfName, Name, PublishSpec};
use tapweave_net::{MacAddr, Vid, VidSet};

use crate::context::Context;
use crate::output::Form;
use crate::resolv_conf;

const PUBLISH_HELP: &str = "Publish ports of the sandbox on the uplink, such as 8080:80, 192.0.2.1:8080:80/udp or [2001:db8::1]:8080:80; a free port is taken where HOSTPORT is left out (repeatable)";

#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// The network, by name or beginning of its id
    network: String,
    /// Name of the sandbox; with --netns or --pid it becomes known under this name
    sandbox: String,
    /// File of the sandbox's network namespace, such as /run/netns/NAME
    #[arg(long, value_name = "PATH", conflicts_with = "pid")]
    netns: Option<PathBuf>,
    /// A process in the sandbox
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    pid: Option<u32>,
    /// Name of the interface in the sandbox [default: the first free ethN]
    #[arg(long, value_name = "NAME")]
    ifname: Option<IfName>,
    /// IPv4 address [default: the next free one]
    #[arg(long, value_name = "IP")]
    ip: Option<Ipv4Addr>,
    /// IPv6 address [default: the next free one]
    #[arg(long, value_name = "IP")]
    ip6: Option<Ipv6Addr>,
    /// How the interface comes by its addresses and routes: `static`, they are set; `dhcp`, it comes up without, and
    /// whoever uses it, such as a virtual machine, asks for them
    #[arg(long, value_name = "HOW", value_enum, default_value_t = AddrFrom::Static)]
    addr: AddrFrom,
    /// MAC address [default: derived from the address, random without one]
    #[arg(long)]
    mac: Option<MacAddr>,
    /// A further name of the sandbox in this network, which others may have too (repeatable)
    #[arg(long, value_name = "NAME")]
    alias: Vec<Name>,
    /// Write the resolver and the search domain to this file, as the sandbox's resolv.conf
    #[arg(long, value_name = "FILE")]
    resolv_conf: Option<PathBuf>,
    /// Queues of the interface, 1 to 16
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    queues: u16,
    /// Whether checksum and segmentation offloads are used, and datagrams merged [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    offload: Option<bool>,
    /// Keep the port from the other isolated ports of the network
    #[arg(long)]
    isolated: bool,
    /// Put untagged frames into this VLAN; without --trunk, tagged ones are dropped (access port)
    /// [default: every frame passes as it is]
    #[arg(long, value_name = "VID")]
    vlan: Option<Vid>,
    /// Carry these VLANs tagged, such as 10,20-29; without --vlan, untagged frames are dropped
    #[arg(long, value_name = "LIST")]
    trunk: Option<VidSet>,
    /// Whether the sandbox is kept to its own MAC and addresses and from playing router or DHCP server
    /// [default: true where its addresses are known]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    guard: Option<bool>,
    /// A further address, or prefix of addresses, that the guarded sandbox may use (repeatable)
    #[arg(long, value_name = "CIDR", value_parser = prefix)]
    allow_address: Vec<IpNet>,
    /// Most MACs that may send from the port; frames of others are dropped
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    mac_limit: Option<u32>,
    /// Keep MACs that the port has learned: they neither age nor move to another port
    #[arg(long)]
    sticky: bool,
    /// Learn nothing on the port: only its own MAC and those of `fdb add` may send
    #[arg(long, conflicts_with_all = ["sticky", "mac_limit"])]
    locked: bool,
    #[arg(help = PUBLISH_HELP, short, long, value_name = "[IP:][HOSTPORT[-END]:]PORT[-END][/PROTO]")]
    publish: Vec<PublishSpec>,
    /// Publish on free ports; a sandbox has no list of its ports, so this needs --publish PORT, which does the
    /// same without
    #[arg(short = 'P', long, requires = "publish")]
    publish_all: bool,
    /// Which of the sandbox's networks gives the default routes, -31 to 31: that with the highest, of several the
    /// one that was connected first
    #[arg(long, value_name = "N", default_value_t, allow_negative_numbers = true)]
    gw_priority: GatewayPriority,
    /// Most connections through the gateway at the same time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    connection_limit: Option<u32>,
    /// Most new connections through the gateway in a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    connection_rate: Option<u32>,
}

/// How an interface comes by its addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum AddrFrom {
    Static,
    Dhcp,
}

impl From<AddrFrom> for Addressing {
    fn from(from: AddrFrom) -> Self {
        match from {
            AddrFrom::Static => Self::Static,
            AddrFrom::Dhcp => Self::Dhcp,
        }
    }
}

pub(crate) async fn run(args: ConnectArgs, context: &mut Context<'_>) -> anyhow::Result<()> {
    let namespace = match (args.netns, args.pid) {
        // The daemon has a working folder of its own.
        (Some(netns), _) => Some(NamespaceRef::Path(
            path::absolute(&netns).with_context(|| format!("cannot find {}", netns.display()))?,
        )),
        (None, pid) => pid.map(NamespaceRef::Pid),
    };
    let request = Connect {
        sandbox: args.sandbox,
        namespace,
        ifname: args.ifname,
        ip: args.ip,
        ip6: args.ip6,
        addressing: args.addr.into(),
        mac: args.mac,
        aliases: args.alias,
        queues: Some(args.queues),
        offload: args.offload,
        isolated: args.isolated,
        vlan: args.vlan,
        trunk: args.trunk,
        guard: args.guard,
        allow_addresses: args.allow_address,
        mac_limit: args.mac_limit,
        sticky: args.sticky,
        locked: args.locked,
        publish: args.publish,
        gw_priority: args.gw_priority,
        connection_limit: args.connection_limit,
        connection_rate: args.connection_rate,
    };
    let endpoint = context.client.connect(&args.network, &request).await?;
    if let Some(path) = &args.resolv_conf {
        let text = resolv_conf::text(&endpoint).with_context(|| {
            format!(
                "{} is connected, but network {} has no resolver to be written to {}",
                endpoint.sandbox,
                endpoint.network,
                path.display()
            )
        })?;
        resolv_conf::write(path, &text).with_context(|| {
            format!(
                "{} is connected, but its resolver cannot be written to {}",
                endpoint.sandbox,
                path.display()
            )
        })?;
    }
    match context.output.form() {
        Form::Json => context.output.json(&endpoint)?,
        Form::Quiet => context.output.line(&endpoint.id)?,
        Form::Text => context.output.line(sentence(&endpoint))?,
    }
    Ok(())
}

/// Reads a prefix, or an address as the prefix of it alone.
fn prefix(text: &str) -> Result<IpNet, AddrParseError> {
    let host = |_not_a_prefix| text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(host)
}

/// Returns the endpoint in one line, in the style of `ip address`.
fn sentence(endpoint: &Endpoint) -> String {
    let mut words = vec![
        format!("{}:", endpoint.port),
        endpoint.ifname.clone(),
        format!("mac {}", endpoint.mac),
    ];
    words.extend(
        endpoint
            .addresses
            .iter()
            .map(|address| format!("addr {address}")),
    );
    if endpoint.addressing == Addressing::Dhcp {
        words.push("by dhcp".to_owned());
    }
    words.push(format!("mtu {}", endpoint.mtu));
    words.extend(endpoint.vlan.map(|vid| format!("vlan {vid}")));
    words.extend(endpoint.trunk.iter().map(|vids| format!("trunk {vids}")));
    let published = endpoint.published.iter();
    words.extend(published.map(|ports| format!("publishes {ports}")));
    if !endpoint.dns.is_empty() {
        words.extend(endpoint.dns.iter().map(|server| format!("dns {server}")));
        words.push(format!("search {}", endpoint.network));
    }
    words.push(format!("id {}", endpoint.id.short()));
    words.join(" ")
}
