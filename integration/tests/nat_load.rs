//! The way out under load: many connections, floods, and tables and ports that run out.
//!
//! ```text
//!   a   b  --- gateway --- host --- router --- server, client
//! ```
//!
//! Addresses and names: [`tapweave_integration::world`], [`tapweave_integration::site`]. What is proved of
//! tapweave's gateway must hold of the kernel's, or the test is wrong.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, ensure};
use tapweave_integration::crowd::{self, Crowd, EchoServer};
use tapweave_integration::whoami::{self, Transport, Whoami};
use tapweave_integration::{Lab, Site};

const ECHO_L4_PORT: u16 = 7500;

/// An address behind the router that answers nothing.
const SILENT: &str = "198.51.100.99";

/// Ten thousand connections are open at once, and all of them carry data.
fn ten_thousand_connections_are_open_at_once(lab: &Lab, site: &Site) -> Result<()> {
    let [v4, v6] = site.views()?;
    // A client has some 28,000 ports for one server; each family takes a half.
    let mut crowds = Vec::new();
    for (sandbox, view) in site.sandboxes.iter().zip([v4, v6]) {
        let at = SocketAddr::new(view.world.server, ECHO_L4_PORT);
        let server = EchoServer::start(lab, &site.world.server, at)?;
        crowds.push((Crowd::open(lab, sandbox, at, 5_000)?, server));
    }
    for (crowd, _) in &mut crowds {
        ensure!(crowd.count == 5_000, "{} connections", crowd.count);
        let alive = crowd.exchange()?;
        ensure!(alive == 5_000, "{alive} connections brought something back");
    }
    Ok(())
}

/// While one sandbox floods the outside with SYNs, another opens connections and its old ones work.
fn a_flood_of_one_does_not_stop_another(lab: &Lab, site: &Site) -> Result<()> {
    let [view, _] = site.views()?;
    let (a, b) = (&site.sandboxes[0], &site.sandboxes[1]);
    let server = &site.world.server;
    site.world
        .router
        .ip(&format!("route add blackhole {SILENT}"))?;
    let at = SocketAddr::new(view.world.server, ECHO_L4_PORT);
    let _echo = EchoServer::start(lab, server, at)?;
    let _whoami = Whoami::start(lab, server, &[view.world.server], "7000")?;
    let mut old = Crowd::open(lab, a, at, 100)?;
    let silent: IpAddr = SILENT.parse()?;
    for _ in 0..4 {
        crowd::syn_flood(b, view.b, silent, 50_000)?;
        for transport in Transport::ALL {
            let to = SocketAddr::new(view.world.server, 7000);
            whoami::ask(a, transport, to, 0)?;
        }
        let alive = old.exchange()?;
        ensure!(alive == 100, "{alive} of the old connections work");
    }
    Ok(())
}

#[cfg(test)]
mod once {
    use tapweave_integration::site::Translator;

    use super::*;

    #[test]
    fn the_kernel_bears_ten_thousand_connections() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Kernel, &["", ""])?;
            site.settle()?;
            ten_thousand_connections_are_open_at_once(lab, &site)?;
            a_flood_of_one_does_not_stop_another(lab, &site)
        })
    }

    #[test]
    fn ten_thousand_connections_and_a_flood_are_borne() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Tapweave, &["", ""])?;
            site.settle()?;
            let before = site.daemon()?.stats()?.resident_len;
            ten_thousand_connections_are_open_at_once(lab, &site)?;
            a_flood_of_one_does_not_stop_another(lab, &site)?;
            let after = site.daemon()?.stats()?.resident_len;
            // The table has room for 131,072 flows and mappings of 200 bytes.
            ensure!(after - before < 40_000_000, "{before} bytes became {after}");
            Ok(())
        })
    }
}
