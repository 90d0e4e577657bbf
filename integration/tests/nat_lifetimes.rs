//! How long translated flows are kept, and what happens when there is no room for more.
//!
//! ```text
//!   a   b  --- gateway --- host --- router --- server, client
//! ```
//!
//! Addresses and names: [`tapweave_integration::world`], [`tapweave_integration::site`]. Times are kept to a
//! second, so the tests that wait for an end have daemons with times of a second or two.

#[cfg(test)]
mod once {
    use std::net::{IpAddr, SocketAddr};

    use anyhow::{Context, Result, ensure};
    use serde_json::Value;
    use tapweave_integration::crowd::{self, Crowd, EchoServer};
    use tapweave_integration::listing::{number, rows};
    use tapweave_integration::site::{DUAL, TUN, Translator};
    use tapweave_integration::whoami::{self, Transport, Whoami};
    use tapweave_integration::{Lab, Site, wait};

    const ECHO_L4_PORT: u16 = 7500;

    /// The flows of a protocol, as `nat ls` shows them.
    fn flows(site: &Site, protocol: &str) -> Result<Vec<Value>> {
        let flows = site.cli()?.json("nat ls")?;
        let flows = rows(&flows)?.iter();
        Ok(flows
            .filter(|flow| flow["protocol"] == protocol)
            .cloned()
            .collect())
    }

    fn drops(site: &Site, reason: &str) -> Result<u64> {
        Ok(site.cli()?.json("stats")?["nat"]["drops"][reason]
            .as_u64()
            .unwrap_or(0))
    }

    fn servers(lab: &Lab, site: &Site) -> Result<(Whoami, EchoServer)> {
        let [view, _] = site.views()?;
        let (server, ip) = (&site.world.server, view.world.server);
        Ok((
            Whoami::start(lab, server, &[ip], "7000-7002")?,
            EchoServer::start(lab, server, SocketAddr::new(ip, ECHO_L4_PORT))?,
        ))
    }

    /// RFC 4787 REQ-5, RFC 5382 REQ-5, RFC 5508 REQ-2.
    #[test]
    fn flows_are_kept_as_long_as_is_required() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Tapweave, &[""])?;
            site.settle()?;
            let servers = servers(lab, &site)?;
            let a = &site.sandboxes[0];
            let ip = site.views()?[0].world.server;
            whoami::ask(a, Transport::Udp, SocketAddr::new(ip, 7000), 0)?;
            let crowd = Crowd::open(lab, a, SocketAddr::new(ip, ECHO_L4_PORT), 1)?;
            for (protocol, secs) in [("udp", 120), ("tcp", 7440), ("icmp", 60)] {
                let flows = flows(&site, protocol)?;
                let flow = flows
                    .first()
                    .with_context(|| format!("no {protocol} flow"))?;
                let left = number(flow, "expires_ms")?;
                // Some time has passed since its last packet.
                ensure!(left > (secs - 10) * 1000, "{protocol} has {left} ms left");
            }
            drop((crowd, servers));
            Ok(())
        })
    }

    #[test]
    fn what_is_idle_is_forgotten_and_what_is_used_is_not() -> Result<()> {
        Lab::run(|lab| {
            let times = "--nat-timeout tcp-established=2 --nat-timeout tcp-transitory=1 \
                         --nat-timeout udp=1 --nat-timeout udp-brief=1 --nat-timeout icmp=1";
            let site = Site::tapweave(lab, &format!("{TUN} {times}"), DUAL, &["", ""])?;
            site.settle()?;
            let _servers = servers(lab, &site)?;
            let ip = site.views()?[0].world.server;
            let at = SocketAddr::new(ip, ECHO_L4_PORT);
            let [a, b] = &site.sandboxes[..] else {
                unreachable!()
            };
            let mut used = Crowd::open(lab, a, at, 1)?;
            let mut idle = Crowd::open(lab, b, at, 1)?;
            let seen = whoami::ask(a, Transport::Udp, SocketAddr::new(ip, 7000), 40_000)?;
            let first = flows(&site, "tcp")?;
            ensure!(first.len() == 2, "{first:?}");
            // The one goes on and on, until the other is forgotten.
            wait::until_true("the idle flows to be forgotten", wait::SOON, || {
                ensure!(used.exchange()? == 1, "the connection that is used ended");
                let udp = whoami::ask(a, Transport::Udp, SocketAddr::new(ip, 7000), 40_000)?;
                ensure!(
                    udp == seen,
                    "the port that is used is seen as {udp}, not as {seen}"
                );
                Ok(flows(&site, "tcp")?.len() == 1 && flows(&site, "icmp")?.is_empty())
            })?;
            // A segment of a connection that nobody knows any more opens nothing.
            drop(used);
            drop(idle.exchange());
            wait::until_true("all flows to be forgotten", wait::SOON, || {
                Ok(flows(&site, "udp")?.is_empty() && flows(&site, "tcp")?.is_empty())
            })
        })
    }

    #[test]
    fn a_connection_that_nobody_answers_is_kept_for_a_short_time() -> Result<()> {
        Lab::run(|lab| {
            let options = format!("{TUN} --nat-timeout tcp-syn=1");
            let site = Site::tapweave(lab, &options, DUAL, &[""])?;
            site.settle()?;
            let silent: IpAddr = "198.51.100.99".parse()?;
            let [view, _] = site.views()?;
            site.world
                .router
                .ip(&format!("route add blackhole {silent}"))?;
            crowd::syn_flood(&site.sandboxes[0], view.a, silent, 100)?;
            wait::until_true("a flow for each SYN", wait::SOON, || {
                Ok(flows(&site, "tcp")?.len() == 100)
            })?;
            wait::until_true("half-open connections to be forgotten", wait::SOON, || {
                Ok(flows(&site, "tcp")?.is_empty())
            })
        })
    }

    #[test]
    fn when_ports_run_out_what_is_open_goes_on() -> Result<()> {
        Lab::run(|lab| {
            let options = format!("{TUN} --nat-ports 50000-50009 --nat-timeout tcp-transitory=1");
            let site = Site::tapweave(lab, &options, DUAL, &["", ""])?;
            site.settle()?;
            let _servers = servers(lab, &site)?;
            let ip = site.views()?[0].world.server;
            let at = SocketAddr::new(ip, ECHO_L4_PORT);
            let [a, b] = &site.sandboxes[..] else {
                unreachable!()
            };
            let mut crowd = Crowd::open(lab, a, at, 10)?;
            ensure!(
                crowd.count == 10,
                "{} connections over ten ports",
                crowd.count
            );
            whoami::no_answer(b, Transport::Tcp, SocketAddr::new(ip, 7000))?;
            ensure!(
                drops(&site, "nat_ports_exhausted")? > 0,
                "nothing was counted"
            );
            // The ports of UDP are others than those of TCP.
            whoami::ask(b, Transport::Udp, SocketAddr::new(ip, 7000), 0)?;
            ensure!(crowd.exchange()? == 10, "open connections suffered");
            drop(crowd);
            wait::until_true("a port to be free again", wait::SOON, || {
                Ok(whoami::ask(b, Transport::Tcp, SocketAddr::new(ip, 7000), 0).is_ok())
            })
        })
    }

    #[test]
    fn when_the_table_is_full_established_connections_stay() -> Result<()> {
        Lab::run(|lab| {
            let options = format!("{TUN} --nat-flows 1000");
            let flooder = "--connection-limit 100000";
            let site = Site::tapweave(lab, &options, DUAL, &["", flooder])?;
            site.settle()?;
            let _servers = servers(lab, &site)?;
            let [view, _] = site.views()?;
            let ip = view.world.server;
            let [a, b] = &site.sandboxes[..] else {
                unreachable!()
            };
            let mut crowd = Crowd::open(lab, a, SocketAddr::new(ip, ECHO_L4_PORT), 100)?;
            let silent: IpAddr = "198.51.100.99".parse()?;
            site.world
                .router
                .ip(&format!("route add blackhole {silent}"))?;
            // A sender that is quicker than the daemon loses most of what it sends before the switch.
            wait::until_true(
                "the table to have overflowed five times",
                wait::SOON,
                || {
                    crowd::syn_flood(b, view.b, silent, 5_000)?;
                    let nat = site.cli()?.json("stats")?["nat"].clone();
                    let (entries, limit) = (number(&nat, "entries")?, number(&nat, "limit")?);
                    ensure!(entries <= limit && limit == 1000, "{entries} of {limit}");
                    let gave_way = number(&nat["counters"], "flows_evicted").unwrap_or(0);
                    Ok(gave_way + drops(&site, "nat_table_full")? >= 5 * limit)
                },
            )?;
            ensure!(crowd.exchange()? == 100, "established connections suffered");
            // There is room for those who really want something.
            whoami::ask(a, Transport::Tcp, SocketAddr::new(ip, 7000), 0)?;
            whoami::ask(a, Transport::Udp, SocketAddr::new(ip, 7000), 0)?;
            Ok(())
        })
    }

    #[test]
    fn a_sandbox_gets_no_more_than_its_share() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Tapweave, &["--connection-limit 20", ""])?;
            site.settle()?;
            let _servers = servers(lab, &site)?;
            let ip = site.views()?[0].world.server;
            let at = SocketAddr::new(ip, ECHO_L4_PORT);
            let [a, b] = &site.sandboxes[..] else {
                unreachable!()
            };
            // Of the twenty some are the pings' of before.
            let mut crowd = Crowd::open(lab, a, at, 15)?;
            ensure!(crowd.count == 15, "{} connections", crowd.count);
            let silent: IpAddr = "198.51.100.99".parse()?;
            site.world
                .router
                .ip(&format!("route add blackhole {silent}"))?;
            crowd::syn_flood(a, site.views()?[0].a, silent, 1000)?;
            ensure!(
                drops(&site, "nat_flow_limit")? >= 980,
                "too few were refused"
            );
            ensure!(crowd.exchange()? == 15, "open connections suffered");
            let other = Crowd::open(lab, b, at, 100)?;
            ensure!(other.count == 100, "the other sandbox suffered");
            Ok(())
        })
    }
}
