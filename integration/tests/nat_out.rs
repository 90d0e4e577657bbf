//! The way out: what sandboxes reach outside of the host, and as whom.
//!
//! ```text
//!   a   b  --- gateway --- host --- router --- server, client
//! ```
//!
//! Addresses and names: [`tapweave_integration::world`], [`tapweave_integration::site`].

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tapweave_integration::site::Translator;
use tapweave_integration::whoami::{self, Transport, Whoami};
use tapweave_integration::{Lab, Site, traffic};

/// Every sandbox is seen under the outside address, and its packets arrive unchanged.
fn sandboxes_are_seen_under_the_outside_address(lab: &Lab, site: &Site) -> Result<()> {
    site.settle()?;
    let [v4, v6] = site.views()?;
    let server = &site.world.server;
    let _whoami = Whoami::start(lab, server, &[v4.world.server, v6.world.server], "7000")?;
    for sandbox in &site.sandboxes {
        for view in [v4, v6] {
            traffic::ping(sandbox, view.world.server, 5)?;
            for transport in Transport::ALL {
                let to = SocketAddr::new(view.world.server, 7000);
                let seen = whoami::ask(sandbox, transport, to, 0)?;
                ensure!(seen.ip() == view.outside, "seen as {seen} by {to}");
            }
        }
    }
    Ok(())
}

/// What is proved of tapweave must hold of the kernel, or the test is wrong.
#[cfg(test)]
mod once {
    use super::*;

    #[test]
    fn the_kernel_shows_sandboxes_under_the_outside_address() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Kernel, &["", ""])?;
            sandboxes_are_seen_under_the_outside_address(lab, &site)
        })
    }
}
