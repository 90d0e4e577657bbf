//! What goes on when one end of a connection restarts and knows nothing any more.
//!
//! ```text
//!   a  --- gateway --- host --- router --- server
//! ```
//!
//! Addresses and names: [`tapweave_integration::world`], [`tapweave_integration::site`].

#[cfg(test)]
mod once {
    use std::net::SocketAddr;

    use anyhow::{Context, Result, ensure};
    use serde_json::Value;
    use tapweave_integration::crowd::{Crowd, EchoServer};
    use tapweave_integration::listing::rows;
    use tapweave_integration::site::{DUAL, TUN, Translator, View};
    use tapweave_integration::whoami::{self, Transport, Whoami};
    use tapweave_integration::world::{self, World};
    use tapweave_integration::{Lab, Listener, Sandbox, Site, traffic, wait};

    const ECHO_L4_PORT: u16 = 7500;
    /// The port that new connections come from, before and after.
    const SOURCE: u16 = 40_010;

    /// The TCP flows, as `nat ls` shows them.
    fn tcp_flows(site: &Site) -> Result<Vec<Value>> {
        let flows = site.cli()?.json("nat ls")?;
        let flows = rows(&flows)?.iter();
        let flows = flows.filter(|flow| flow["protocol"] == "tcp");
        Ok(flows.cloned().collect())
    }

    fn servers(lab: &Lab, at: &Sandbox, views: &[View]) -> Result<(Whoami, Vec<EchoServer>)> {
        let ips: Vec<_> = views.iter().map(|view| view.world.server).collect();
        let echo = |ip: &_| EchoServer::start(lab, at, SocketAddr::new(*ip, ECHO_L4_PORT));
        let echoes: Result<_> = ips.iter().map(echo).collect();
        Ok((Whoami::start(lab, at, &ips, "7000")?, echoes?))
    }

    /// Replaces the server by another machine at the same place: no FIN and no RST is sent for what was open.
    fn reboot(lab: &Lab, world: &mut World) -> Result<()> {
        world.router.ip("link delete servers")?;
        world.server = world::station(lab, "again")?;
        world.join_server()?;
        for plan in [world::V4, world::V6] {
            traffic::ping_soon(&world.router, plan.server)?;
        }
        Ok(())
    }

    #[test]
    fn a_server_that_restarts_is_reached_at_once_and_its_rst_ends_what_was_open() -> Result<()> {
        Lab::run(|lab| {
            let mut site = Site::new(lab, Translator::Tapweave, &[""])?;
            site.settle()?;
            let views = site.views()?;
            let before = servers(lab, &site.world.server, &views)?;
            let mut open = Vec::new();
            for view in views {
                let ip = view.world.server;
                let a = &site.sandboxes[0];
                open.push(Crowd::open(lab, a, SocketAddr::new(ip, ECHO_L4_PORT), 1)?);
                whoami::ask(a, Transport::Tcp, SocketAddr::new(ip, 7000), SOURCE)?;
            }
            ensure!(open.iter().all(|crowd| crowd.count == 1));
            drop(before);
            reboot(lab, &mut site.world)?;
            let _after = servers(lab, &site.world.server, &views)?;
            let a = &site.sandboxes[0];
            for (view, crowd) in views.iter().zip(&mut open) {
                let ip = view.world.server;
                // The same four ends as before: a SYN for a flow that is known, and has ended.
                whoami::ask(a, Transport::Tcp, SocketAddr::new(ip, 7000), SOURCE)?;
                whoami::ask(a, Transport::Udp, SocketAddr::new(ip, 7000), SOURCE)?;
                ensure!(crowd.exchange()? == 0, "the old connection goes on");
            }
            let flows = tcp_flows(&site)?;
            let reset = flows.iter().filter(|flow| flow["state"] == "reset");
            ensure!(reset.count() == 2, "no RST came through: {flows:?}");
            Ok(())
        })
    }

    #[test]
    fn a_sandbox_that_restarts_with_its_address_begins_anew() -> Result<()> {
        Lab::run(|lab| {
            let mut site = Site::new(lab, Translator::Tapweave, &["-p 7100"])?;
            site.settle()?;
            let views = site.views()?;
            let _servers = servers(lab, &site.world.server, &views)?;
            let at = SocketAddr::new(views[0].world.server, ECHO_L4_PORT);
            let crowd = Crowd::open(lab, &site.sandboxes[0], at, 5)?;
            ensure!(crowd.count == 5 && tcp_flows(&site)?.len() == 5);
            let address = site.addresses.first().context("no sandbox")?.v4;
            drop(crowd);
            site.sandboxes.clear();
            site.addresses.clear();
            // Its flows end with it, so that nothing of theirs gets to whoever has the address next.
            wait::until_true("the end of the sandbox and its flows", wait::SOON, || {
                let sandboxes = site.cli()?.json("sandbox ls")?;
                Ok(rows(&sandboxes)?.is_empty() && tcp_flows(&site)?.is_empty())
            })?;
            site.add(lab, &format!("--ip {address} -p 7100:7100"))?;
            site.settle()?;
            let a = &site.sandboxes[0];
            let _whoami = Whoami::start(lab, a, &[address], "7100")?;
            for transport in Transport::ALL {
                let to = SocketAddr::new(views[0].world.server, 7000);
                let seen = whoami::ask(a, transport, to, 0)?;
                ensure!(
                    views[0].world.translated.contains(&seen.ip()),
                    "seen as {seen}"
                );
            }
            let to = SocketAddr::new(views[0].outside, 7100);
            let seen = whoami::ask(&site.world.client, Transport::Tcp, to, 0)?;
            ensure!(seen.ip() == views[0].world.client, "seen as {seen}");
            Ok(())
        })
    }

    #[test]
    fn a_published_port_that_the_host_took_meanwhile_waits_until_it_is_free() -> Result<()> {
        Lab::run(|lab| {
            let world = World::new(lab)?;
            let options = format!("{TUN} {}", lab.state_option());
            let start = || lab.daemon_in(&world.host, &options, "daemon");
            let daemon = start()?;
            let cli = daemon.cli().clone();
            cli.ok(&format!("network create red {DUAL}"))?;
            let a = world::station(lab, "a")?;
            let address = cli
                .connect("red", &a, "-p 7100:7100 -p 7101:7100")?
                .ipv4()?;
            let _whoami = Whoami::start(lab, &a, &[address], "7100")?;
            let outside = SocketAddr::new(cli.outside()?, 7100);
            daemon.kill()?;
            let listener = Listener::start(lab, &world.host, outside)?;

            let _daemon = start()?;
            let other = SocketAddr::new(outside.ip(), 7101);
            whoami::ask(&world.client, Transport::Tcp, other, 0)?;
            whoami::no_answer(&world.client, Transport::Tcp, outside)?;
            let shown = cli.ok("port ls")?;
            ensure!(
                shown.contains("0.0.0.0:7100->7100/tcp (waiting)"),
                "{shown}"
            );
            let holder = format!("in use by {} on the host", listener.description());
            let details = cli.ok("port show red/a")?;
            ensure!(details.contains(&holder), "{details}");
            let told = cli.ok("events --since 1h --until 0s")?;
            ensure!(told.contains("held_up") && told.contains(&holder), "{told}");

            drop(listener);
            wait::until_true("the published port", wait::SOON, || {
                Ok(!cli.ok("port ls")?.contains("(waiting)"))
            })?;
            whoami::ask(&world.client, Transport::Tcp, outside, 0)?;
            Ok(())
        })
    }
}
