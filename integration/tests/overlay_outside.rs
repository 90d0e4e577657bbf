//! The way out of an overlay: each host translates its own sandboxes, at the same gateway.
//!
//! ```text
//!   sandbox1          sandbox2     10.77.0.1, fd77::1 and 10.77.0.2, fd77::2; gateway 10.77.0.254, fd77::ff
//!      |                 |
//!   tapweave ··overlay·· tapweave
//!      |  TUN            |  TUN    translate to 203.0.113.0/30 and .4/30, 2001:db8:113::/126 and ::4/126
//!    host1             host2
//!       \      |       /
//!            server                192.0.2.3, 2001:db8:9::3
//! ```

#[cfg(test)]
mod once {
    use std::net::{IpAddr, SocketAddr};

    use anyhow::{Context, Result, ensure};
    use ipnet::IpNet;
    use tapweave_integration::capture::{Capture, Wanted};
    use tapweave_integration::underlay::{NETWORK, Segment, TapweaveHost, Underlay};
    use tapweave_integration::whoami::{self, Transport, Whoami};
    use tapweave_integration::{Lab, Sandbox, pcap, traffic, world};
    use tapweave_net::MacAddr;

    const GATEWAYS: [&str; 2] = ["10.77.0.254", "fd77::ff"];
    const SERVER: [&str; 2] = ["192.0.2.3", "2001:db8:9::3"];

    /// The site of the drawing.
    struct Site {
        hosts: [TapweaveHost; 2],
        server: Sandbox,
        _underlay: Underlay,
    }

    impl Site {
        fn new(lab: &Lab) -> Result<Self> {
            let underlay = Underlay::new(lab)?;
            let server = underlay.host(lab, 3)?;
            let host = |number: u8, peer: u8| -> Result<TapweaveHost> {
                let [v4, v6] = external(number)?;
                let options = format!("--underlay 192.0.2.{number} --uplink tun:{v4},{v6}");
                let usual = Segment::USUAL;
                let host =
                    TapweaveHost::with_options(lab, &underlay, usual, number, &[peer], &options)?;
                world::forward(&host.host)?;
                server.ip(&format!("route add {v4} via 192.0.2.{number}"))?;
                server.ip(&format!("route add {v6} via 2001:db8:9::{number}"))?;
                Ok(host)
            };
            let hosts = [host(1, 2)?, host(2, 1)?];
            for host in &hosts {
                for server in SERVER {
                    traffic::ping_soon(&host.sandbox, server.parse()?)?;
                }
            }
            Ok(Self {
                hosts,
                server,
                _underlay: underlay,
            })
        }

        /// Starts a server that tells whom it sees.
        fn whoami(&self, lab: &Lab) -> Result<Whoami> {
            let [v4, v6] = SERVER;
            Whoami::start(lab, &self.server, &[v4.parse()?, v6.parse()?], "7000")
        }
    }

    /// Returns the prefixes of the TUN of a host.
    fn external(host: u8) -> Result<[IpNet; 2]> {
        let first = 4 * (host - 1);
        Ok([
            format!("203.0.113.{first}/30").parse()?,
            format!("2001:db8:113::{first}/126").parse()?,
        ])
    }

    /// Requires that the server sees a sandbox under the addresses of a host.
    fn is_seen_behind(sandbox: &Sandbox, host: u8) -> Result<()> {
        for (server, external) in SERVER.iter().zip(external(host)?) {
            for transport in Transport::ALL {
                let to = SocketAddr::new(server.parse()?, 7000);
                let seen = whoami::ask(sandbox, transport, to, 0)?;
                ensure!(external.contains(&seen.ip()), "seen as {seen} by {to}");
            }
        }
        Ok(())
    }

    /// Returns the MAC address that a sandbox knows a gateway by.
    fn known_mac(sandbox: &Sandbox, gateway: &str) -> Result<String> {
        let shown = sandbox.ip(&format!("neigh show {gateway}"))?;
        let mut words = shown
            .split_whitespace()
            .skip_while(|word| *word != "lladdr");
        Ok(words.nth(1).context(shown.clone())?.to_owned())
    }

    /// Returns the frames of the overlay that a capture holds.
    fn inner_frames(capture: Capture) -> Result<Vec<Vec<u8>>> {
        /// What VXLAN over IPv4 puts before them, and where its UDP port is.
        const OUTER_LEN: usize = 50;
        const PORT: std::ops::Range<usize> = 36..38;
        let frames = pcap::frames(&std::fs::read(capture.stop()?)?)?;
        let port = Segment::USUAL.port.to_be_bytes();
        let mut inner: Vec<Vec<u8>> = frames;
        inner.retain(|frame| frame.get(PORT) == Some(&port));
        for frame in &mut inner {
            frame.drain(..frame.len().min(OUTER_LEN));
        }
        Ok(inner)
    }

    #[test]
    fn sandboxes_of_an_overlay_leave_by_their_own_host_and_nothing_of_that_crosses_it() -> Result<()>
    {
        Lab::run(|lab| {
            let site = Site::new(lab)?;
            let [first, second] = &site.hosts;
            let _whoami = site.whoami(lab)?;
            let records =
                [first, second].map(|host| lab.capture(&host.host, "eth0", Wanted::Everything));
            for host in &site.hosts {
                // Everybody is asked for anew: the gateways, and the sandbox over there.
                host.sandbox.ip("neigh flush all")?;
            }
            is_seen_behind(&first.sandbox, 1)?;
            is_seen_behind(&second.sandbox, 2)?;
            for (from, to) in [(first, second), (second, first)] {
                for address in to.addresses() {
                    traffic::ping_soon(&from.sandbox, address)?;
                }
            }
            let macs = [&first.sandbox, &second.sandbox]
                .map(|sandbox| GATEWAYS.map(|gateway| known_mac(sandbox, gateway)));
            let macs: Vec<String> = macs.into_iter().flatten().collect::<Result<_>>()?;
            ensure!(macs.iter().all(|mac| *mac == macs[0]), "{macs:?}");
            let gateway: MacAddr = macs[0].parse()?;
            for record in records {
                let frames = inner_frames(record?)?;
                // What is between the sandboxes does cross it, questions included.
                ensure!(
                    frames
                        .iter()
                        .any(|frame| frame.get(12..14) == Some(&[8, 6]))
                );
                let is_of_gateway =
                    |frame: &Vec<u8>| frame.chunks(6).take(2).any(|mac| mac == gateway.octets());
                ensure!(!frames.iter().any(is_of_gateway), "it crosses the overlay");
            }
            Ok(())
        })
    }

    #[test]
    fn a_second_network_gives_the_way_out_as_its_priority_says_and_as_long_as_it_is_there()
    -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab)?;
            let [host, other] = &site.hosts;
            let _whoami = site.whoami(lab)?;
            let (sandbox, cli) = (&host.sandbox, host.daemon.cli());
            let name = sandbox.name();
            let way_out = || -> Result<Vec<String>> {
                let ways = SERVER.map(|server| {
                    let route = sandbox.ip(&format!("route get {server}"))?;
                    let mut words = route.split_whitespace().skip_while(|word| *word != "dev");
                    let device = words.nth(1);
                    Ok(device.context(route.clone())?.to_owned())
                });
                ways.into_iter().collect()
            };
            for (network, number) in [("early", 1), ("late", 2)] {
                cli.ok(&format!(
                    "network create {network} --subnet 10.21{number}.0.0/24 --subnet fd1{number}::/64 --ipv6"
                ))?;
            }
            ensure!(way_out()? == ["eth0", "eth0"]);
            cli.ok(&format!("network connect late {name} --gw-priority -1"))?;
            ensure!(way_out()? == ["eth0", "eth0"], "the overlay comes first");
            cli.ok(&format!("network connect early {name} --gw-priority 1"))?;
            ensure!(way_out()? == ["eth2", "eth2"], "the highest priority wins");
            is_seen_behind(sandbox, 1)?;
            // The way out of another network leaves the overlay as it is.
            let across: IpAddr = other.addresses()[0];
            traffic::ping_soon(sandbox, across)?;
            cli.ok(&format!("network disconnect {NETWORK} {name}"))?;
            ensure!(way_out()? == ["eth2", "eth2"]);
            cli.ok(&format!("network disconnect early {name}"))?;
            ensure!(way_out()? == ["eth1", "eth1"], "the next one takes over");
            is_seen_behind(sandbox, 1)?;
            Ok(())
        })
    }
}
