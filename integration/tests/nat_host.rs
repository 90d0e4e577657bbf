//! What becomes of the host that tapweave translates on: nothing.
//!
//! ```text
//!   a   b  --- gateway --- host --- router --- server, client
//! ```
//!
//! Addresses and names: [`tapweave_integration::world`], [`tapweave_integration::site`].

#[cfg(test)]
mod named {
    use std::net::SocketAddr;

    use anyhow::{Result, ensure};
    use tapweave_integration::process::expect_success;
    use tapweave_integration::site::{DUAL, TUN};
    use tapweave_integration::whoami::{self, Transport, Whoami};
    use tapweave_integration::{Lab, Sandbox, Site, World, traffic, wait};

    /// Settings that a gateway would be tempted to change.
    const SETTINGS: &str = "cd /proc/sys/net && grep -r . ipv4/ip_forward ipv4/conf ipv6/conf \
                            ipv4/ip_nonlocal_bind ipv4/ip_local_port_range ipv4/icmp_* 2>/dev/null || true";

    const OF_THE_ADMINISTRATOR: &str = "table inet mine { chain out {
        type filter hook output priority 0; policy accept; tcp dport 25 drop;
    }
    }
";

    /// The packet filter, and the settings but for those of the interface that comes and goes.
    fn state(host: &Sandbox) -> Result<[String; 2]> {
        let settings = expect_success(host.command("sh").args(["-c", SETTINGS]), "")?;
        let lasting = settings
            .lines()
            .filter(|line| !line.contains("conf/tapweave"));
        Ok([
            host.run("nft", "list ruleset")?,
            lasting.collect::<Vec<_>>().join("\n"),
        ])
    }

    #[test]
    fn packet_filter_and_settings_stay_as_they_are() -> Result<()> {
        Lab::run(|lab| {
            let world = World::new(lab)?;
            let mut nft = world.host.command("nft");
            expect_success(nft.args(["-f", "-"]), OF_THE_ADMINISTRATOR)?;
            let before = state(&world.host)?;
            let options = ["-p 7100:7100 -p 7100:7100/udp"];
            let site = Site::in_world(world, lab, TUN, DUAL, &options)?;
            site.settle()?;
            let [v4, v6] = site.views()?;
            let _whoami = Whoami::start(lab, &site.sandboxes[0], &[v4.a, v6.a], "7100")?;
            for view in [v4, v6] {
                for transport in Transport::ALL {
                    let to = SocketAddr::new(view.outside, 7100);
                    whoami::ask(&site.world.client, transport, to, 0)?;
                }
            }
            ensure!(state(&site.world.host)? == before, "changed while it runs");
            let world = site.stop()?;
            ensure!(state(&world.host)? == before, "changed afterwards");
            Ok(())
        })
    }

    #[test]
    fn missing_steps_are_told_and_not_taken() -> Result<()> {
        Lab::run(|lab| {
            let host = lab.sandbox("host")?;
            let daemon = lab.daemon_in(&host, TUN, "daemon")?;
            let missing = || -> Result<String> {
                Ok(daemon.cli().json("stats")?["uplink"]["missing"].to_string())
            };
            ensure!(missing()?.contains("net.ipv4.ip_forward"), "{}", missing()?);
            ensure!(
                missing()?.contains("net.ipv6.conf.all.forwarding"),
                "{}",
                missing()?
            );
            let forwards = host.run("cat", "/proc/sys/net/ipv4/ip_forward")?;
            ensure!(forwards.trim() == "0", "forwarding was switched on");
            host.set_option("ipv4/ip_forward", "1")?;
            wait::until_true("the step to be seen as taken", wait::SOON, || {
                Ok(!missing()?.contains("net.ipv4.ip_forward"))
            })
        })
    }

    #[test]
    fn a_tun_that_is_deleted_comes_back() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, tapweave_integration::site::Translator::Tapweave, &[""])?;
            site.settle()?;
            let stats = site.cli()?.json("stats")?;
            let ifname = stats["uplink"]["ifname"].as_str().unwrap_or_default();
            site.world.host.ip(&format!("link delete {ifname}"))?;
            site.settle()?;
            traffic::ping(&site.sandboxes[0], site.views()?[0].world.server, 3)
        })
    }
}
