//! What is still to be done on the host before packets of a TUN reach the world and find back.
//!
//! tapweave does none of it: switching forwarding on makes a router of a machine, and rules of a
//! firewall are the administrator's. Each step is said by name, with a command that does it.
//!
//! What a firewall does is not looked at, so the way back is always told as something to see to, never
//! as done.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use tapweave_device::{DefaultRoutes, forwards};

/// What the host is like, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HostRouting {
    forwards_v4: bool,
    forwards_v6: bool,
    /// None when the kernel does not say.
    default_routes: Option<DefaultRoutes>,
}

impl HostRouting {
    /// Asks the kernel.
    pub(crate) fn read() -> Self {
        Self {
            forwards_v4: forwards(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            forwards_v6: forwards(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
            default_routes: DefaultRoutes::read().ok(),
        }
    }

    /// Returns a sentence for each step, for a TUN with these prefixes.
    pub(crate) fn missing_steps(self, prefixes: &[IpNet]) -> Vec<String> {
        let mut steps = Vec::new();
        for prefix in prefixes {
            let is_v4 = prefix.addr().is_ipv4();
            let (family, forwards, setting, has_default_route) = if is_v4 {
                let has = self.default_routes.is_none_or(|routes| routes.v4);
                ("IPv4", self.forwards_v4, "net.ipv4.ip_forward", has)
            } else {
                let has = self.default_routes.is_none_or(|routes| routes.v6);
                (
                    "IPv6",
                    self.forwards_v6,
                    "net.ipv6.conf.all.forwarding",
                    has,
                )
            };
            if !forwards {
                let caution = if is_v4 {
                    ""
                } else {
                    " (an interface that gets its own address by router advertisements then needs \
                     accept_ra = 2)"
                };
                steps.push(format!(
                    "the host does not forward {family}: sysctl -w {setting}=1{caution}"
                ));
            }
            if !has_default_route {
                steps.push(format!("the host has no default route for {family}"));
            }
            steps.push(way_back(*prefix));
        }
        steps
    }
}

fn way_back(prefix: IpNet) -> String {
    let family = if prefix.addr().is_ipv4() { "ip" } else { "ip6" };
    format!(
        "beyond the host nobody knows {prefix}, unless it is routed to the host or masqueraded by it: \
         nft 'add table {family} uplink; add chain {family} uplink post {{ type nat hook postrouting \
         priority srcnat; }}; add rule {family} uplink post {family} saddr {prefix} oifname != \
         \"tapweave*\" masquerade'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes() -> [IpNet; 2] {
        ["10.207.255.0/30", "fd00::/64"].map(|prefix| prefix.parse().unwrap())
    }

    #[test]
    fn each_step_names_its_setting_or_command() {
        let host = HostRouting {
            forwards_v4: false,
            forwards_v6: false,
            default_routes: Some(DefaultRoutes::default()),
        };
        let steps = host.missing_steps(&prefixes());
        assert_eq!(steps.len(), 6);
        assert!(steps[0].ends_with("sysctl -w net.ipv4.ip_forward=1"));
        assert_eq!(steps[1], "the host has no default route for IPv4");
        assert!(steps[2].contains("nft 'add table ip uplink"));
        assert!(steps[3].contains("sysctl -w net.ipv6.conf.all.forwarding=1 ("));
        assert!(steps[5].contains("ip6 saddr fd00::/64"));
    }

    #[test]
    fn a_host_that_routes_has_only_the_way_back_to_see_to() {
        let host = HostRouting {
            forwards_v4: true,
            forwards_v6: true,
            default_routes: None,
        };
        let steps = host.missing_steps(&prefixes());
        assert_eq!(steps, prefixes().map(way_back));
    }
}
