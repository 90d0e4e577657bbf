//! Overlays whose underlay, peers or daemons go and come back.
//!
//! The topology is drawn in [`tapweave_integration::underlay`].

use anyhow::Result;
use tapweave_integration::underlay::{KernelHost, Segment, TapweaveHost, Underlay};
use tapweave_integration::{Lab, traffic, wait};

/// What does not depend on the rights of the daemon.
#[cfg(test)]
mod once {
    use super::*;

    #[test]
    fn what_was_cut_off_comes_back_by_itself() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let kernel = KernelHost::new(lab, &underlay, segment, 2, &[1])?;
            let ours =
                TapweaveHost::with_options(lab, &underlay, segment, 1, &[2], "--underlay eth0")?;
            let to = kernel.addresses()[0];
            traffic::ping_soon(&ours.sandbox, to)?;
            underlay.set_link(2, "down")?;
            traffic::no_ping(&ours.sandbox, to)?;
            underlay.set_link(2, "up")?;
            traffic::ping_soon(&ours.sandbox, to)?;
            // The interface gets another address, which the kernel's host is told of.
            ours.host.ip("address del 192.0.2.1/24 dev eth0")?;
            ours.host.ip("address add 192.0.2.5/24 dev eth0")?;
            kernel.host.run(
                "bridge",
                "fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.5",
            )?;
            traffic::ping_soon(&ours.sandbox, to)?;
            traffic::tcp(
                lab,
                &kernel.station,
                &ours.sandbox,
                ours.addresses()[0],
                1 << 20,
            )
        })
    }

    #[test]
    fn an_interface_or_a_peer_that_was_lost_is_used_again() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::OVER_V6, Underlay::new(lab)?);
            let kernel = KernelHost::new(lab, &underlay, segment, 2, &[1])?;
            let ours =
                TapweaveHost::with_options(lab, &underlay, segment, 1, &[2], "--underlay eth0")?;
            let reach = || traffic::ping_soon(&ours.sandbox, kernel.addresses()[0]);
            reach()?;
            // Its own link: the kernel takes the address and all routes away.
            ours.host.ip("link set eth0 down")?;
            ours.host.ip("link set eth0 up")?;
            let address = "2001:db8:9::1/64 dev eth0 nodad";
            ours.host.ip(&format!("address replace {address}"))?;
            reach()?;
            // Its own interface, which comes back as another one with another MAC address.
            ours.host.ip("link del eth0")?;
            wait::until_true("no underlay", wait::SOON, || {
                let stats = ours.daemon.cli().json("stats")?;
                let left = stats["underlay"]["addresses"].as_array();
                Ok(left.is_some_and(Vec::is_empty))
            })?;
            underlay.plug_in(&ours.host, 1)?;
            reach()?;
            // The peer.
            kernel.host.ip("link set vx0 down")?;
            traffic::no_ping(&ours.sandbox, kernel.addresses()[0])?;
            kernel.host.ip("link set vx0 up")?;
            reach()
        })
    }
}
