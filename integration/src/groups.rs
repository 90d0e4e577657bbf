//! IP groups: programs that listen to them, queries, and frames for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tapweave_net::MacAddr;

use crate::checker::Checker;
use crate::flood::{Station, settle};
use crate::frame;
use crate::lab::Lab;
use crate::listing;
use crate::process::Background;
use crate::sandbox::Sandbox;
use crate::segment::{NETWORK, Segment};
use crate::traffic;
use crate::wait;

const GROUP: &str = include_str!("../tools/group.py");

/// IPv4 group of which nothing is special.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
/// IPv6 group of which nothing is special.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0, 0x42);
/// A group that nobody joins.
pub const DESERTED: Ipv4Addr = Ipv4Addr::new(239, 9, 9, 9);

/// scapy, with what every program here needs.
const PRELUDE: &str = "
import sys
from scapy.all import *
load_contrib('igmp')
load_contrib('igmpv3')
ifname = sys.argv[1]
me = get_if_hwaddr(ifname)
alert = IPOption_Router_Alert()
def v4(dst, **fields):
    fields = {'src': '192.0.2.1', 'ttl': 1, 'options': [alert], **fields}
    return Ether(src=me, dst=getmacbyip(dst)) / IP(dst=dst, **fields)
def v6(dst, options=None, **fields):
    fields = {'src': 'fe80::1', 'hlim': 1, **fields}
    ip = Ether(src=me, dst=getmacbyip6(dst)) / IPv6(dst=dst, **fields)
    return ip / (options or IPv6ExtHdrHopByHop(options=[RouterAlert(), PadN(optdata=b'')]))
def send(*packets):
    sendp(list(packets), iface=ifname, verbose=False)
";

/// Lets the kernel of a sandbox listen to groups until what is returned is dropped or killed.
///
/// # Errors
///
/// When it cannot.
pub fn join(lab: &Lab, sandbox: &Sandbox, groups: &[IpAddr]) -> Result<Background> {
    let mut command = traffic::python(sandbox, GROUP);
    command
        .arg("eth0")
        .args(groups.iter().map(ToString::to_string));
    let log = lab.file(format!("group-{}.log", sandbox.name()));
    let mut member = Background::start(&mut command, &log)?;
    member.line("joined")?;
    Ok(member)
}

/// Lets scapy send packets. `program` finds `v4`, `v6` and `send`; see the source of this file.
///
/// # Errors
///
/// When scapy fails.
pub fn scapy(sandbox: &Sandbox, program: &str) -> Result<()> {
    traffic::scapy(sandbox, &format!("{PRELUDE}\n{program}"), &["eth0"])?;
    Ok(())
}

/// Lets a sandbox ask, as a router of IGMPv3 and MLDv2, who listens; hosts may wait half a second.
///
/// # Errors
///
/// When scapy fails.
pub fn ask(router: &Sandbox) -> Result<()> {
    scapy(
        router,
        "
send(
    v4('224.0.0.1') / IGMPv3(type=0x11, mrcode=5) / IGMPv3mq(),
    v6('ff02::1') / ICMPv6MLQuery2(mrd=500),
)
",
    )
}

/// As [`ask`] as a router of IGMPv2 and MLDv1.
///
/// # Errors
///
/// When scapy fails.
pub fn ask_by_old_versions(router: &Sandbox) -> Result<()> {
    scapy(
        router,
        "
send(v4('224.0.0.1') / IGMP(type=0x11, mrcode=5), v6('ff02::1') / ICMPv6MLQuery(mrd=500))
",
    )
}

/// Returns a UDP datagram for a group with `tag` as payload.
pub fn datagram(from: &Station<'_>, group: IpAddr, tag: &str) -> Vec<u8> {
    let payload = [&[0x12, 0x34, 0x12, 0x34, 0, 0, 0, 0][..], tag.as_bytes()].concat();
    let len = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let mut frame = frame::header(
        mac_of(group),
        from.mac(),
        if group.is_ipv4() { 0x0800 } else { 0x86dd },
    );
    match group {
        IpAddr::V4(group) => {
            let total = (len + 20).to_be_bytes();
            frame.extend([0x45, 0, total[0], total[1], 0, 0, 0, 0, 8, 17, 0, 0]);
            frame.extend(Ipv4Addr::new(192, 0, 2, 9).octets());
            frame.extend(group.octets());
        }
        IpAddr::V6(group) => {
            let [high, low] = len.to_be_bytes();
            frame.extend([0x60, 0, 0, 0, high, low, 17, 8]);
            frame.extend(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9).octets());
            frame.extend(group.octets());
        }
    }
    frame.extend(payload);
    frame.resize(frame.len().max(60), 0);
    frame
}

/// Returns the MAC address that frames for a group have (RFC 1112 §6.4, RFC 2464 §7).
pub fn mac_of(group: IpAddr) -> MacAddr {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            MacAddr::new([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(group) => {
            let [.., a, b, c, d] = group.octets();
            MacAddr::new([0x33, 0x33, a, b, c, d])
        }
    }
}

/// Waits until the switch limits groups: what nobody listens to no longer reaches `bystander`.
///
/// # Errors
///
/// When that does not happen soon.
pub fn wait_until_limited(
    stations: &[Station<'_>],
    sender: usize,
    bystander: usize,
    group: IpAddr,
) -> Result<()> {
    let (from, to) = stations
        .get(sender)
        .zip(stations.get(bystander))
        .context("no such station")?;
    let mut count = 0;
    wait::until_true("groups to be limited", wait::SOON * 2, || {
        count += 1;
        let probe = datagram(from, group, &format!("probe {count} of {group}"));
        from.send(1, std::slice::from_ref(&probe))?;
        settle(stations, sender)?;
        Ok(to.capture().checker()?.equal_to(&probe).none().is_ok())
    })
}

/// Returns the multicast database of the network.
///
/// # Errors
///
/// When it is refused.
pub fn mdb(segment: &Segment) -> Result<Vec<Value>> {
    let listing = segment.cli().json(&format!("mdb show {NETWORK}"))?;
    Ok(listing::rows(&listing)?.clone())
}

/// Returns the ports that are members of a group, by the names of their sandboxes.
///
/// # Errors
///
/// When the database cannot be read.
pub fn members(segment: &Segment, group: IpAddr) -> Result<Vec<String>> {
    let group = group.to_string();
    let rows = mdb(segment)?;
    let rows = rows.iter().filter(|row| row["group"] == *group);
    rows.map(|row| {
        let port = listing::text(row, "port")?;
        let name = port.split_once('/').context("a port without a network")?.1;
        Ok(name.to_owned())
    })
    .collect()
}

/// Waits until exactly these sandboxes are members of a group.
///
/// # Errors
///
/// When that does not happen soon.
pub fn wait_for_members(segment: &Segment, group: IpAddr, names: &[&str]) -> Result<()> {
    wait::until_true(
        &format!("{group} to have {names:?}"),
        wait::SOON * 2,
        || Ok(members(segment, group)? == names),
    )
}

/// Requires that there is a frame of which `holds` is true; `what` says so in words.
///
/// # Errors
///
/// When there is none.
pub fn expect_some(checker: Checker, what: &str, holds: impl Fn(&[u8]) -> bool) -> Result<()> {
    let none = checker.that(what, holds).none();
    ensure!(none.is_err(), "there are no frames {what}");
    Ok(())
}
