//! The options of the daemon, written once for the command line and for the file.
//!
//! A field is an option of `tapweave daemon` by what clap derives, and a key of the file by what serde
//! derives; what it means beyond its help stands in [`super::keys`]. Everything is optional here:
//! what one source leaves open the next one may say ([`super::layers`]).

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tapweave_control::{Name, PortRange};
use tapweave_daemon::{DnsChoice, NatTimeout, Pool, StoreChoice, UnderlayChoice, UplinkChoice};

use super::forms::{lists, nat_timeouts, network_options};
use super::network_option::NetworkOption;
use super::value::{Number, Written};
use crate::log::LogFilter;

const LOG_HELP: &str = "What is logged: error, warn, info, debug or trace, also by module as in info,tapweave_control=debug; -v and -q come before it [env: TAPWEAVE_LOG] [default: info]";

const STATE_DIR_HELP: &str = "Directory for the state of this daemon alone [default: /var/lib/tapweave/NODE for root, else $XDG_STATE_HOME/tapweave/NODE, else ~/.local/state/tapweave/NODE]";

/// What one source (command line, environment, file, defaults) says of the daemon.
#[derive(Clone, PartialEq, Eq, Debug, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// The control socket; on the command line `--socket`, which every command has
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) socket: Option<PathBuf>,
    #[arg(help = STATE_DIR_HELP, long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Name of this daemon among others [default: the name of the host]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<Name>,
    /// What keeps networks, endpoints and rules over a restart: `file:` in the state directory, or
    /// `memory:`, which keeps nothing [default: file:]
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) store: Option<Written<StoreChoice>>,
    /// How long interfaces and sockets are kept for the next daemon when this one is killed, 0 to 86400 seconds;
    /// 0: they go with it [default: 120]
    #[arg(long, value_name = "SECS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<Number<0, 86400>>,
    #[arg(help = LOG_HELP, long, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<LogFilter>,
    /// Threads that carry frames, 1 to 256; each queue of a port is read by one of them [default: 1]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) workers: Option<Number<1, 256>>,
    /// How workers wait for frames [default: auto]
    #[arg(long, value_name = "KIND")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) backend: Option<BackendKind>,
    /// How long to look for frames before sleeping, 0 to 50 microseconds: costs processor time, saves
    /// latency [default: 0]
    #[arg(long, value_name = "USECS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) busy_poll: Option<Number<0, 50>>,
    /// Where overlays send from and listen: an address, or an interface whose addresses are followed;
    /// at most one address of each family counts (repeatable) [default: the addresses of the default
    /// routes]
    #[arg(long, value_name = "IP|IFNAME")]
    #[serde(default, with = "lists", skip_serializing_if = "Vec::is_empty")]
    pub(crate) underlay: Vec<Written<UnderlayChoice>>,
    /// UDP port of VXLAN, unless a network says otherwise [default: 4789]
    #[arg(long, value_name = "PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vxlan_port: Option<Number<1, 65535>>,
    /// Give figures for Prometheus on this address too, to whoever connects: `/metrics` [default: only on
    /// the control socket]
    #[arg(long, value_name = "ADDR:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics: Option<Written<SocketAddr>>,
    /// How networks reach the world: `tun` is an interface that the host routes to, `nic` a place of
    /// tapweave's own on the LAN of an interface; `auto` takes `tun` where the daemon may, else `none`
    /// [default: auto]
    #[arg(long, value_name = "auto|tun[:CIDR]|nic:IFNAME|none")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uplink: Option<Written<UplinkChoice>>,
    /// Longest packet to the world, 1280 to 65535 bytes [default: 1500]
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uplink_mtu: Option<Number<1280, 65535>>,
    /// Which servers are asked for names of the world: addresses, or a file in the form of resolv.conf(5), with a slash
    /// in its path, which is followed as it changes (repeatable) [default: /etc/resolv.conf]
    #[arg(long, value_name = "IP[:PORT]|FILE")]
    #[serde(default, with = "lists", skip_serializing_if = "Vec::is_empty")]
    pub(crate) dns: Vec<Written<DnsChoice>>,
    /// Most flows and mappings that are translated at the same time, 16 to 16777216; each takes up to 200
    /// bytes, and one sandbox may have a quarter as many flows [default: 131072]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nat_flows: Option<Number<16, { 1 << 24 }>>,
    /// The ports outside that translated flows get [default: 1024-65535]
    #[arg(long, value_name = "FIRST-LAST")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nat_ports: Option<PortRange>,
    /// How many seconds a translated flow is kept without traffic (repeatable); NAME is one of
    /// tcp-established (7440), tcp-transitory (240), tcp-syn (240), tcp-reset (240), udp (300),
    /// udp-brief (120), icmp (60)
    #[arg(long, value_name = "NAME=SECONDS")]
    #[serde(default, with = "nat_timeouts", skip_serializing_if = "Vec::is_empty")]
    pub(crate) nat_timeout: Vec<NatTimeout>,
    /// A block that networks without --subnet get theirs from, and the prefix length of these (repeatable)
    /// [default: base=10.192.0.0/12,size=24, and for IPv6 a generated unique local /64]
    #[arg(long = "default-address-pool", value_name = "base=CIDR,size=LEN")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) default_address_pools: Vec<Pool>,
    /// An option of new networks of a driver that do not say otherwise, such as
    /// bridge=tapweave.storm=1000 (repeatable)
    #[arg(long = "default-network-opt", value_name = "DRIVER=KEY=VALUE")]
    #[serde(
        default,
        with = "network_options",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(crate) default_network_opts: Vec<NetworkOption>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BackendKind {
    /// The ring where the kernel allows it, otherwise epoll
    #[value(help = "io_uring(7) where the kernel allows it, otherwise epoll")]
    Auto,
    /// The ring or nothing
    #[value(
        name = "io_uring",
        help = "io_uring(7) or nothing: the daemon does not start without it"
    )]
    #[serde(rename = "io_uring")]
    Uring,
    /// epoll(7), which works everywhere
    Epoll,
}
