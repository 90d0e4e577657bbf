//! The way in: published ports, from outside and by hairpin.
//!
//! ```text
//!   a   b  --- gateway --- host --- router --- server, client
//! ```
//!
//! Addresses and names: [`tapweave_integration::world`], [`tapweave_integration::site`]. What is proved of
//! tapweave's gateway must hold of the kernel's, or the test is wrong: `once` runs it there.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tapweave_integration::whoami::{self, Transport, Whoami};
use tapweave_integration::{Lab, Sandbox, Site, traffic};

/// The port of `a` that is published under the same number, for TCP and UDP.
const PUBLISHED: u16 = 7100;

/// A client outside reaches the published port and is seen with its own address and port; other ports are
/// not reached.
fn clients_outside_are_seen_as_themselves(lab: &Lab, site: &Site) -> Result<()> {
    let _whoami = whoami_in_a(lab, site)?;
    let client = &site.world.client;
    for (view, source_port) in site.views()?.into_iter().zip([40_004, 40_006]) {
        for transport in Transport::ALL {
            let seen = whoami::ask(
                client,
                transport,
                SocketAddr::new(view.outside, PUBLISHED),
                source_port,
            )?;
            let own = SocketAddr::new(view.world.client, source_port);
            ensure!(seen == own, "seen as {seen} and not as {own}");
            let other = SocketAddr::new(view.outside, PUBLISHED + 1);
            whoami::no_answer(client, transport, other)?;
        }
    }
    Ok(())
}

/// A sandbox reaches the published port by the outside address, the publisher itself too, and is seen
/// with the outside address (RFC 4787 REQ-9).
fn sandboxes_reach_it_by_the_outside_address(lab: &Lab, site: &Site) -> Result<()> {
    let _whoami = whoami_in_a(lab, site)?;
    for view in site.views()? {
        for sandbox in &site.sandboxes {
            for transport in Transport::ALL {
                let seen = whoami::ask(
                    sandbox,
                    transport,
                    SocketAddr::new(view.outside, PUBLISHED),
                    0,
                )?;
                ensure!(seen.ip() == view.outside, "seen as {seen}");
            }
        }
    }
    Ok(())
}

/// A stream of bytes into a sandbox arrives unchanged, from outside and by hairpin.
fn payload_comes_in_unchanged(lab: &Lab, site: &Site) -> Result<()> {
    let a = &site.sandboxes[0];
    for view in site.views()? {
        for from in [&site.world.client, &site.sandboxes[1]] {
            traffic::tcp_by(lab, from, a, [view.a, view.outside], 16 << 20)?;
        }
    }
    Ok(())
}

fn whoami_in_a(lab: &Lab, site: &Site) -> Result<Whoami> {
    let [v4, v6] = site.views()?;
    let a: &Sandbox = &site.sandboxes[0];
    let ports = format!("{PUBLISHED}-{}", PUBLISHED + 1);
    Whoami::start(lab, a, &[v4.a, v6.a], &ports)
}

#[cfg(test)]
mod once {
    use tapweave_integration::site::Translator;

    use super::*;

    #[test]
    fn the_kernel_lets_clients_in() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Kernel, &["", ""])?;
            for transport in Transport::ALL {
                site.publish_in_kernel(0, transport.name(), PUBLISHED)?;
            }
            site.publish_in_kernel(0, "tcp", 5201)?;
            site.settle()?;
            clients_outside_are_seen_as_themselves(lab, &site)?;
            sandboxes_reach_it_by_the_outside_address(lab, &site)?;
            payload_comes_in_unchanged(lab, &site)
        })
    }
}
