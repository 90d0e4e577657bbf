//! The world outside of a host: what translated traffic is sent to, and where it comes from.
//!
//! ```text
//!      host      forwards between its sandboxes and eth0
//!       | eth0        192.0.2.2      2001:db8:2::2
//!       | downlink    192.0.2.1      2001:db8:2::1
//!     router     sends 203.0.113.0/28 and 2001:db8:113::/64 to the host
//!      |   |     198.51.100.1 and 198.18.1.1, 2001:db8:51::1 and 2001:db8:18::1
//!      |   +---- client  198.18.1.10          2001:db8:18::10
//!      +-------- server  198.51.100.10, .11   2001:db8:51::10, ::11
//! ```
//!
//! Whoever translates in the host does it with the addresses in [`Plan::translated`], which belong to
//! nobody else. No router outside knows a way to the sandboxes' own addresses, so that what arrives
//! with one of these gets no answer. ICMP errors are not rate-limited.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::lab::Lab;
use crate::sandbox::Sandbox;

/// Addresses of one family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The server's address.
    pub server: IpAddr,
    /// Another address of the server.
    pub server_alias: IpAddr,
    /// The client's address.
    pub client: IpAddr,
    /// The host's address on its uplink.
    pub host: IpAddr,
    /// The router's address on the host's uplink.
    pub router: IpAddr,
    /// The prefix that the router sends to the host, for whoever translates there.
    pub translated: IpNet,
}

/// IPv4.
pub const V4: Plan = Plan {
    server: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 10)),
    server_alias: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 11)),
    client: IpAddr::V4(Ipv4Addr::new(198, 18, 1, 10)),
    host: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
    router: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    translated: IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(203, 0, 113, 0), 28)),
};

/// IPv6.
pub const V6: Plan = Plan {
    server: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x51, 0, 0, 0, 0, 0x10)),
    server_alias: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x51, 0, 0, 0, 0, 0x11)),
    client: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x18, 0, 0, 0, 0, 0x10)),
    host: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 2)),
    router: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1)),
    translated: IpNet::V6(Ipv6Net::new_assert(
        Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, 0),
        64,
    )),
};

/// The interface by which every namespace but the router reaches the others.
pub const UPLINK: &str = "eth0";

/// What is outside, and the host that it is outside of.
#[derive(Debug)]
pub struct World {
    /// Where the translation happens.
    pub host: Sandbox,
    /// What stands between the host and the others.
    pub router: Sandbox,
    /// Whom sandboxes talk to.
    pub server: Sandbox,
    /// Who talks to sandboxes.
    pub client: Sandbox,
}

impl World {
    /// Makes the namespaces and joins them.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn new(lab: &Lab) -> Result<Self> {
        let [host, router, server, client] =
            ["host", "router", "server", "client"].map(|name| station(lab, name));
        let world = Self {
            host: host?,
            router: router?,
            server: server?,
            client: client?,
        };
        let router = &world.router;
        forward(&world.host)?;
        forward(router)?;
        join(
            router,
            "downlink",
            "192.0.2.1/24 2001:db8:2::1/64",
            &world.host,
        )?;
        world.join_server()?;
        join(
            router,
            "clients",
            "198.18.1.1/24 2001:db8:18::1/64",
            &world.client,
        )?;
        address(&world.host, UPLINK, "192.0.2.2/24 2001:db8:2::2/64")?;
        address(&world.client, UPLINK, "198.18.1.10/24 2001:db8:18::10/64")?;
        default_routes(&world.host, "192.0.2.1", "2001:db8:2::1")?;
        default_routes(&world.client, "198.18.1.1", "2001:db8:18::1")?;
        for plan in [V4, V6] {
            router.ip(&format!("route add {} via {}", plan.translated, plan.host))?;
        }
        Ok(world)
    }

    /// Joins the server to the router, and gives it its addresses and default routes.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn join_server(&self) -> Result<()> {
        let (router, server) = (&self.router, &self.server);
        join(
            router,
            "servers",
            "198.51.100.1/24 2001:db8:51::1/64",
            server,
        )?;
        address(
            server,
            UPLINK,
            "198.51.100.10/24 198.51.100.11/24 2001:db8:51::10/64 2001:db8:51::11/64",
        )?;
        default_routes(server, "198.51.100.1", "2001:db8:51::1")
    }

    /// Sets the largest packet that the router sends on to the server, in bytes. Nobody is told before
    /// a longer one gets an ICMP error.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn limit_mtu_to_server(&self, mtu: u16) -> Result<()> {
        for plan in [V4, V6] {
            self.router.ip(&format!(
                "route replace {} dev servers mtu lock {mtu}",
                plan.server
            ))?;
        }
        Ok(())
    }

    /// As [`World::limit_mtu_to_server`] for what the router sends to whoever translates.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn limit_mtu_to_host(&self, mtu: u16) -> Result<()> {
        for plan in [V4, V6] {
            self.router.ip(&format!(
                "route replace {} via {} mtu lock {mtu}",
                plan.translated, plan.host
            ))?;
        }
        Ok(())
    }

    /// Returns the packet filter of the host, all tables of all families.
    ///
    /// # Errors
    ///
    /// When `nft` fails.
    pub fn packet_filter(&self) -> Result<String> {
        self.host.run("nft", "list ruleset")
    }
}

/// Makes a namespace that answers at once: without duplicate address detection, and with an ICMP error
/// for every packet that deserves one.
///
/// # Errors
///
/// When the kernel refuses.
pub fn station(lab: &Lab, name: &str) -> Result<Sandbox> {
    let sandbox = lab.sandbox(name)?;
    for (option, value) in [
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv6/conf/default/router_solicitations", "0"),
        ("ipv4/icmp_ratelimit", "0"),
        ("ipv6/icmp/ratelimit", "0"),
    ] {
        sandbox.set_option(option, value)?;
    }
    Ok(sandbox)
}

/// Lets a namespace forward packets of both families.
///
/// # Errors
///
/// When the kernel refuses.
pub fn forward(sandbox: &Sandbox) -> Result<()> {
    sandbox.set_option("ipv4/ip_forward", "1")?;
    sandbox.set_option("ipv6/conf/all/forwarding", "1")
}

/// Joins two namespaces by a veth pair: `ifname` with `addresses` here, [`UPLINK`] there.
///
/// # Errors
///
/// When the kernel refuses.
pub fn join(here: &Sandbox, ifname: &str, addresses: &str, there: &Sandbox) -> Result<()> {
    let path = there.path();
    here.ip(&format!(
        "link add {ifname} type veth peer name {UPLINK} netns {}",
        path.display()
    ))?;
    there.ip(&format!("link set {UPLINK} up"))?;
    here.ip(&format!("link set {ifname} up"))?;
    address(here, ifname, addresses)
}

/// Gives an interface addresses, separated by spaces.
///
/// # Errors
///
/// When the kernel refuses.
pub fn address(sandbox: &Sandbox, ifname: &str, addresses: &str) -> Result<()> {
    for address in addresses.split_whitespace() {
        sandbox.ip(&format!("address add {address} dev {ifname}"))?;
    }
    Ok(())
}

/// Sends what has no other way to these routers.
///
/// # Errors
///
/// When the kernel refuses.
pub fn default_routes(sandbox: &Sandbox, ipv4: &str, ipv6: &str) -> Result<()> {
    sandbox.ip(&format!("route add default via {ipv4}"))?;
    sandbox.ip(&format!("route add default via {ipv6}"))?;
    Ok(())
}
