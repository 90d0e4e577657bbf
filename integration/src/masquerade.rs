//! The kernel's own gateway with address translation: what tapweave's is compared with.
//!
//! ```text
//!   a    b        10.211.0.2, .3    fd77:1::2, ::3
//!   |    |        veth pairs
//!   +br0-+        10.211.0.1        fd77:1::1     in the host of the world
//!     |           nftables: snat to 203.0.113.1 or 2001:db8:113::1, dnat for published ports
//!    eth0
//! ```
//!
//! The rules are those that container engines write, with two differences that make it comparable:
//! source ports are random, and a connection from inside to a published port comes from the outside
//! address (RFC 4787 REQ-9), for both of which nftables has words.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;

use crate::process::expect_success;
use crate::sandbox::Sandbox;
use crate::world::{self, World};

/// The address that sandboxes have outside, for IPv4.
pub const OUTSIDE_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

/// The address that sandboxes have outside, for IPv6.
pub const OUTSIDE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, 1));

/// Chains for both families; the ports are published by elements of the maps.
const RULES: &str = "
table ip tapweave_oracle {
    map published { type inet_proto . inet_service : ipv4_addr . inet_service; }
    chain before { type nat hook prerouting priority dstnat;
        ip daddr 203.0.113.1 dnat to meta l4proto . th dport map @published; }
    chain after { type nat hook postrouting priority srcnat;
        ip saddr 10.211.0.0/24 oifname eth0 snat to 203.0.113.1 fully-random;
        ip saddr 10.211.0.0/24 ct status dnat snat to 203.0.113.1 fully-random; }
}
table ip6 tapweave_oracle {
    map published { type inet_proto . inet_service : ipv6_addr . inet_service; }
    chain before { type nat hook prerouting priority dstnat;
        ip6 daddr 2001:db8:113::1 dnat to meta l4proto . th dport map @published; }
    chain after { type nat hook postrouting priority srcnat;
        ip6 saddr fd77:1::/64 oifname eth0 snat to 2001:db8:113::1 fully-random;
        ip6 saddr fd77:1::/64 ct status dnat snat to 2001:db8:113::1 fully-random; }
}";

/// Makes the gateway in the host: a bridge with the gateway's addresses, and the rules.
///
/// # Errors
///
/// When the kernel refuses.
pub fn start(world: &World) -> Result<()> {
    let host = &world.host;
    host.ip("link add br0 type bridge mcast_snooping 0 stp_state 0")?;
    host.ip("link set br0 up")?;
    world::address(host, "br0", "10.211.0.1/24 fd77:1::1/64")?;
    // What no rule translates is the host's own: it answers, and does not send it back.
    world::address(host, "lo", "203.0.113.1/32 2001:db8:113::1/128")?;
    // Frames between sandboxes are none of its business; there is nothing to switch off where the module
    // that would call it is not loaded.
    host.run(
        "sysctl",
        "-q -e -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0",
    )?;
    expect_success(host.command("nft").args(["-f", "-"]), RULES)?;
    Ok(())
}

/// Connects a sandbox as number `number`, from 2 on, and returns its addresses.
///
/// # Errors
///
/// When the kernel refuses.
pub fn connect(world: &World, sandbox: &Sandbox, number: u8) -> Result<[IpAddr; 2]> {
    let port = format!("p-{}", sandbox.name());
    world::join(&world.host, &port, "", sandbox)?;
    world.host.ip(&format!("link set {port} master br0"))?;
    // A sandbox may reach itself by a published port.
    let mut hairpin = world.host.command("bridge");
    expect_success(
        hairpin.args(["link", "set", "dev", &port, "hairpin", "on"]),
        "",
    )?;
    let addresses = format!("10.211.0.{number}/24 fd77:1::{number}/64");
    world::address(sandbox, world::UPLINK, &addresses)?;
    world::default_routes(sandbox, "10.211.0.1", "fd77:1::1")?;
    Ok([
        Ipv4Addr::new(10, 211, 0, number).into(),
        Ipv6Addr::new(0xfd77, 1, 0, 0, 0, 0, 0, number.into()).into(),
    ])
}

/// Publishes a port of the sandbox with the address `ip` on the outside address of the same family.
///
/// # Errors
///
/// When the kernel refuses.
pub fn publish(
    world: &World,
    protocol: &str,
    host_port: u16,
    ip: IpAddr,
    l4_port: u16,
) -> Result<()> {
    let family = if ip.is_ipv4() { "ip" } else { "ip6" };
    world.host.run(
        "nft",
        &format!(
            "add element {family} tapweave_oracle published \
             {{ {protocol} . {host_port} : {ip} . {l4_port} }}"
        ),
    )?;
    Ok(())
}
