//! Routers between the hosts of an underlay.
//!
//! ```text
//!     underlay              as far as the other hosts see it
//!        |
//!    near router            the namespace of the underlay's bridge
//!        |  narrow          takes less than the links around it
//!    far router             a namespace of its own
//!        |
//!      eth0                 of the host behind them
//! ```
//!
//! Both routers answer ARP for what is behind them (RFC 1027), so neither the host nor the others see a difference but
//! one in TTL. They route IPv4 only.

use anyhow::Result;

use super::Underlay;
use crate::lab::Lab;
use crate::process::expect_success;
use crate::sandbox::Sandbox;
use crate::world::station;

/// Drops what a router would say of packets that it drops.
const SILENCE: &str = "
table ip tapweave_silence {
    chain said { type filter hook output priority 0; icmp type destination-unreachable drop; }
}";

/// What becomes of a packet that is too long for the narrow link and must not be fragmented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TooLong {
    /// It is dropped, and its sender is told what fits (RFC 1191).
    Told,
    /// It is dropped.
    Dropped,
}

impl Underlay {
    /// Has host `number`, which is made later, be behind two routers, with a link that takes packets of `mtu` bytes between
    /// them.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn put_behind_routers(
        &mut self,
        lab: &Lab,
        number: u8,
        mtu: u16,
        too_long: TooLong,
    ) -> Result<()> {
        let near = &self.place;
        let far = station(lab, &format!("{}router{number}", self.prefix))?;
        let narrow = format!("narrow{number}");
        let there = far.path();
        near.ip(&format!(
            "link add {narrow} mtu {mtu} type veth peer name {narrow} mtu {mtu} netns {}",
            there.display()
        ))?;
        near.ip("address replace 192.0.2.254/24 dev br0")?;
        far.ip(&format!("address add 192.0.2.253/24 dev {narrow}"))?;
        for (router, links) in [(near, &["br0", &narrow][..]), (&far, &[&narrow])] {
            for link in links {
                route_at(router, link)?;
            }
            if too_long == TooLong::Dropped {
                expect_success(router.command("nft").args(["-f", "-"]), SILENCE)?;
            }
        }
        near.ip(&format!("route add 192.0.2.{number} dev {narrow}"))?;
        self.routers.insert(number, far);
        Ok(())
    }

    /// Moves the link to host `number` to the last router before it.
    pub(super) fn hand_to(&self, last: &Sandbox, link: &str, number: u8) -> Result<()> {
        let there = last.path();
        self.place
            .ip(&format!("link set {link} netns {}", there.display()))?;
        route_at(last, link)?;
        last.ip(&format!("route add 192.0.2.{number} dev {link}"))?;
        Ok(())
    }
}

/// Has a router route what comes in at a link, and answer for what is behind its other ones.
fn route_at(router: &Sandbox, link: &str) -> Result<()> {
    router.ip(&format!("link set {link} up"))?;
    router.set_option("ipv4/ip_forward", "1")?;
    router.set_option(&format!("ipv4/conf/{link}/proxy_arp"), "1")?;
    router.set_option(&format!("ipv4/neigh/{link}/proxy_delay"), "0")
}
