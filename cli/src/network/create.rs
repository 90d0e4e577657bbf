//! `tapweave network create`

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::Result;
use clap::Args;
use ipnet::IpNet;
use tapweave_control::Name;
use tapweave_control::api::{CreateNetwork, SubnetRequest};

use crate::context::Context;
use crate::output::{Form, UsageError};

const OPTION_HELP: &str = "A driver option, such as tapweave.ageing=300s, tapweave.fdb_limit=8192 or tapweave.querier=true (repeatable)";

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Name of the network
    name: Name,
    /// What carries the network: bridge, on this host; overlay, over UDP to other hosts; or nic, the LAN of
    /// an interface
    #[arg(short, long, value_name = "DRIVER", default_value = "bridge")]
    driver: String,
    /// The interface of the host whose LAN the network is part of (with -d nic)
    #[arg(long, value_name = "IFNAME")]
    parent: Option<String>,
    /// A subnet (repeatable), such as 10.1.0.0/24; 0.0.0.0/LEN or `::/LEN` for any free one of that size; or
    /// `none` for pure L2 [default: a free one of the daemon's pools, of 10.192.0.0/12 a /24]
    #[arg(long, value_name = "CIDR", value_parser = subnet)]
    subnet: Vec<SubnetArg>,
    /// The part of a subnet that addresses are taken from (repeatable)
    #[arg(long, value_name = "CIDR", requires = "subnet")]
    ip_range: Vec<IpNet>,
    /// Gateway of a subnet (repeatable) [default: its first usable address]
    #[arg(long, value_name = "IP", requires = "subnet")]
    gateway: Vec<IpAddr>,
    /// An address that something else uses (repeatable)
    #[arg(long, value_name = "NAME=IP", requires = "subnet", value_parser = aux_address)]
    aux_address: Vec<(String, IpAddr)>,
    /// Give the network IPv6; without an IPv6 subnet, one of the daemon's pools, else a unique local /64
    #[arg(long)]
    ipv6: bool,
    /// No way to the outside, and none in: the gateway answers only for itself
    #[arg(long)]
    internal: bool,
    /// Largest IP packet, 68 to 65520 bytes, with IPv6 at least 1280 [default: 1500; for overlay what
    /// the underlay leaves, 1450 on 1500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(68..=65520))]
    mtu: Option<u32>,
    /// How an overlay travels: vxlan, one link on all hosts; or fou, gue (IP in UDP) or ipip, a subnet per
    /// host and routes between them [default: vxlan]
    #[arg(long, value_name = "KIND")]
    encap: Option<String>,
    /// UDP port of an overlay [default: for vxlan that of the daemon, 4789; for fou 5555, for gue 6080]
    #[arg(long, value_name = "PORT")]
    encap_port: Option<u16>,
    /// VXLAN network identifier of an overlay, 0 to 16777215; not for fou, gue and ipip
    #[arg(long, value_name = "N")]
    vni: Option<u32>,
    /// Whether sandboxes reach each other; if not, only the gateway [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    icc: Option<bool>,
    /// Whether the sources of what leaves are replaced by the uplink's address; if not, the outside has to
    /// have a route to the subnet [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    masquerade: Option<bool>,
    /// A label (repeatable)
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = key_value)]
    label: Vec<(String, String)>,
    #[arg(help = OPTION_HELP, short = 'o', long = "opt", value_name = "KEY=VALUE", value_parser = key_value)]
    option: Vec<(String, String)>,
}

/// A value of `--subnet`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SubnetArg {
    /// `none`
    L2Only,
    /// A prefix.
    Prefix(IpNet),
}

pub(crate) async fn run(args: CreateArgs, context: &mut Context<'_>) -> Result<()> {
    let request = request(args)?;
    let network = context.client.create_network(&request).await?;
    match context.output.form() {
        Form::Json => context.output.json(&network)?,
        Form::Text | Form::Quiet => context.output.line(&network.id)?,
    }
    Ok(())
}

fn request(args: CreateArgs) -> Result<CreateNetwork, UsageError> {
    let (subnets, l2_only) = subnets(&args)?;
    Ok(CreateNetwork {
        driver: args.driver,
        parent: args.parent,
        subnets,
        l2_only,
        ipv6: args.ipv6,
        internal: args.internal,
        mtu: args.mtu,
        encap: args.encap,
        encap_port: args.encap_port,
        vni: args.vni,
        icc: args.icc,
        masquerade: args.masquerade,
        labels: args.label.into_iter().collect(),
        options: args.option.into_iter().collect(),
        ..CreateNetwork::new(args.name)
    })
}

/// Returns the subnets, each with the ranges, gateways and auxiliary addresses that lie in it, and
/// whether there are to be none.
fn subnets(args: &CreateArgs) -> Result<(Vec<SubnetRequest>, bool), UsageError> {
    let mut subnets = Vec::new();
    for subnet in &args.subnet {
        match subnet {
            SubnetArg::Prefix(subnet) => subnets.push(SubnetRequest {
                subnet: *subnet,
                ip_range: None,
                gateway: None,
                aux_addresses: BTreeMap::new(),
            }),
            SubnetArg::L2Only => {}
        }
    }
    let l2_only = args.subnet.contains(&SubnetArg::L2Only);
    if l2_only && !subnets.is_empty() {
        return Err(UsageError::new(
            "--subnet none stands alone: a pure L2 network has no subnets".to_owned(),
        ));
    }
    for range in &args.ip_range {
        let subnet = containing(&mut subnets, range.addr(), "--ip-range", range)?;
        set_once(&mut subnet.ip_range, *range, "--ip-range", subnet.subnet)?;
    }
    for gateway in &args.gateway {
        let subnet = containing(&mut subnets, *gateway, "--gateway", gateway)?;
        set_once(&mut subnet.gateway, *gateway, "--gateway", subnet.subnet)?;
    }
    for (name, address) in &args.aux_address {
        let subnet = containing(&mut subnets, *address, "--aux-address", address)?;
        if subnet
            .aux_addresses
            .insert(name.clone(), *address)
            .is_some()
        {
            return Err(UsageError::new(format!(
                "--aux-address {name} is given twice in {}",
                subnet.subnet
            )));
        }
    }
    Ok((subnets, l2_only))
}

fn containing<'s>(
    subnets: &'s mut [SubnetRequest],
    address: IpAddr,
    flag: &str,
    value: &impl ToString,
) -> Result<&'s mut SubnetRequest, UsageError> {
    let found = subnets
        .iter_mut()
        .find(|subnet| subnet.subnet.contains(&address));
    found.ok_or_else(|| {
        UsageError::new(format!(
            "{flag} {} is in none of the subnets",
            value.to_string()
        ))
    })
}

fn set_once<T>(
    place: &mut Option<T>,
    value: T,
    flag: &str,
    subnet: IpNet,
) -> Result<(), UsageError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(UsageError::new(format!(
            "{flag} is given twice for {subnet}"
        ))),
    }
}

fn subnet(text: &str) -> Result<SubnetArg, String> {
    if text == "none" {
        return Ok(SubnetArg::L2Only);
    }
    match text.parse() {
        Ok(prefix) => Ok(SubnetArg::Prefix(prefix)),
        Err(_) => Err("should be a prefix such as 10.1.0.0/24 or fd00:1::/64, or none".to_owned()),
    }
}

fn aux_address(text: &str) -> Result<(String, IpAddr), String> {
    let (name, address) = text.split_once('=').ok_or("should be NAME=IP")?;
    if name.is_empty() {
        return Err("the name is missing".to_owned());
    }
    match address.parse() {
        Ok(address) => Ok((name.to_owned(), address)),
        Err(_) => Err(format!("{address:?} is not an IP address")),
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        return Err("the key is missing".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}
