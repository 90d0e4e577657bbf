//! Uplinks: what the daemon says at start, what it leaves alone, and how it keeps a place on a LAN.
//!
//! ```text
//!   a  --- network --- host  nic0 ═══ eth0  lan   192.0.2.1, 2001:db8:7::1, dnsmasq
//! ```
//!
//! What passes an uplink is proved in `nat_out` and the tests beside it.

/// A host, and a LAN behind its interface `nic0`.
#[cfg(test)]
mod site {
    use std::path::Path;

    use anyhow::Result;
    use serde_json::Value;
    use tapweave_integration::process::Background;
    use tapweave_integration::{Daemon, Lab, Sandbox, cli, wait};

    pub(crate) struct Host {
        pub(crate) host: Sandbox,
        pub(crate) lan: Sandbox,
    }

    impl Host {
        pub(crate) fn new(lab: &Lab) -> Result<Self> {
            let (host, lan) = (lab.sandbox("host")?, lab.sandbox("lan")?);
            let this = Self { host, lan };
            this.plug_in()?;
            Ok(this)
        }

        /// Makes `nic0` and its cable.
        pub(crate) fn plug_in(&self) -> Result<()> {
            let target = self.lan.path();
            let target = target.display();
            self.host.ip(&format!(
                "link add nic0 type veth peer name eth0 netns {target}"
            ))?;
            self.lan.ip("address add 192.0.2.1/24 dev eth0")?;
            self.lan.ip("address add 2001:db8:7::1/64 dev eth0 nodad")?;
            self.lan.ip("link set eth0 up")?;
            self.host.ip("address add 192.0.2.9/24 dev nic0")?;
            self.host.ip("link set nic0 up")?;
            // Until the kernel says so it may drop what is sent there (`net/core/link_watch.c`).
            wait::until_true("the link", wait::SOON, || {
                let host = self.host.ip("link show nic0")?;
                let lan = self.lan.ip("link show eth0")?;
                Ok([host, lan].iter().all(|link| link.contains("state UP")))
            })
        }

        pub(crate) fn daemon(&self, lab: &Lab, options: &str) -> Result<Daemon> {
            lab.daemon_in(&self.host, options, "daemon")
        }

        /// What the daemon says when it does not start.
        pub(crate) fn refusal(&self, lab: &Lab, options: &str) -> Result<String> {
            let mut command = self.host.command(&cli::binary()?.display().to_string());
            command
                .arg("--socket")
                .arg(lab.file("refused.sock"))
                .args(["daemon", "--store", "memory:"]);
            let output = command.args(options.split_whitespace()).output()?;
            anyhow::ensure!(!output.status.success(), "{options}: it started");
            Ok(String::from_utf8_lossy(&output.stderr).into_owned())
        }

        /// Has the LAN give addresses, for two minutes each.
        pub(crate) fn dnsmasq(&self, lab: &Lab) -> Result<Background> {
            let mut command = self.lan.command("dnsmasq");
            let leases = lab.file("leases");
            command.args([
                "--no-daemon",
                "--conf-file=/dev/null",
                "--port=0",
                "--no-ping",
            ]);
            command.args(["--interface=eth0", "--bind-dynamic", "--enable-ra"]);
            command.arg("--dhcp-range=192.0.2.100,192.0.2.150,255.255.255.0,2m");
            command.arg("--dhcp-range=2001:db8:7::,ra-only,64");
            command.arg("--dhcp-option=3,192.0.2.1");
            command.arg(format!("--dhcp-leasefile={}", leases.display()));
            let mut process = Background::start(&mut command, &lab.file("dnsmasq.log"))?;
            process.line("started")?;
            Ok(process)
        }
    }

    /// What the daemon has logged.
    pub(crate) fn log(lab: &Lab) -> Result<String> {
        Ok(std::fs::read_to_string(lab.file("daemon.log"))?)
    }

    /// All that the kernel says of forwarding and firewalls.
    pub(crate) fn settings(host: &Sandbox) -> Result<[String; 3]> {
        let sysctl = |name: &str| host.run("cat", &format!("/proc/sys/net/{name}"));
        Ok([
            sysctl("ipv4/ip_forward")?,
            sysctl("ipv6/conf/all/forwarding")?,
            host.run("nft", "list ruleset")?,
        ])
    }

    /// Returns the names of the host's links that are not there from the beginning.
    pub(crate) fn tuns(host: &Sandbox) -> Result<Vec<String>> {
        let names = host.ifnames()?;
        Ok(names
            .into_iter()
            .filter(|name| name.starts_with("tapweave"))
            .collect())
    }

    /// Returns what `ip -json address show dev` tells of an interface.
    pub(crate) fn addresses(host: &Sandbox, ifname: &str) -> Result<Vec<String>> {
        let shown = host.ip(&format!("-json address show dev {ifname}"))?;
        let shown: Value = serde_json::from_str(&shown)?;
        let infos = shown[0]["addr_info"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let global = infos.iter().filter(|info| info["scope"] == "global");
        Ok(global
            .map(|info| format!("{}/{}", text(&info["local"]), info["prefixlen"]))
            .collect())
    }

    fn text(value: &Value) -> &str {
        value.as_str().unwrap_or_default()
    }

    pub(crate) fn leases(path: &Path) -> usize {
        std::fs::read_to_string(path).map_or(0, |text| text.matches("192.0.2.").count())
    }
}

#[cfg(test)]
mod once {
    use std::net::IpAddr;
    use std::time::Duration;

    use anyhow::{Context, Result, ensure};
    use tapweave_integration::capture::{Wanted, dissect};
    use tapweave_integration::steady::Steady;
    use tapweave_integration::{Lab, Sandbox, traffic, wait};

    use super::site::{Host, addresses, leases, log, settings, tuns};

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn a_tun_is_chosen_by_itself_and_names_what_is_missing() -> Result<()> {
        Lab::run(|lab| {
            let site = Host::new(lab)?;
            let before = settings(&site.host)?;
            let daemon = site.daemon(lab, "")?;
            ensure!(tuns(&site.host)? == ["tapweave0"]);
            let own = addresses(&site.host, "tapweave0")?;
            ensure!(own[0] == "10.207.255.1/30", "{own:?}");
            ensure!(
                own[1].starts_with("fd") && own[1].ends_with("::1/126"),
                "{own:?}"
            );
            let log = log(lab)?;
            for words in [
                "kind=tun interface=\"tapweave0\" addresses=\"10.207.255.2/30 fd",
                "the host does not forward IPv4: sysctl -w net.ipv4.ip_forward=1",
                "the host does not forward IPv6: sysctl -w net.ipv6.conf.all.forwarding=1",
                "the host has no default route for IPv4",
                "beyond the host nobody knows 10.207.255.0/30",
            ] {
                ensure!(log.contains(words), "no {words:?} in {log}");
            }
            ensure!(
                settings(&site.host)? == before,
                "the daemon changes no setting"
            );
            daemon.stop()?;
            ensure!(tuns(&site.host)?.is_empty(), "nothing is left");
            ensure!(settings(&site.host)? == before);
            Ok(())
        })
    }

    #[test]
    fn a_tun_that_is_deleted_comes_back_and_done_steps_are_noticed() -> Result<()> {
        Lab::run(|lab| {
            let site = Host::new(lab)?;
            let daemon = site.daemon(lab, "--uplink tun:203.0.113.0/29")?;
            ensure!(addresses(&site.host, "tapweave0")? == ["203.0.113.1/29"]);
            site.host.ip("link delete tapweave0")?;
            wait::until_true("a new TUN", PATIENCE, || {
                Ok(addresses(&site.host, "tapweave0").is_ok_and(|own| own == ["203.0.113.1/29"]))
            })?;
            let mut forward = site.host.command("sh");
            forward.args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
            ensure!(forward.status()?.success());
            wait::until_true("the step that was done", PATIENCE, || {
                Ok(log(lab)?.contains("no longer so: the host does not forward IPv4"))
            })?;
            daemon.stop()
        })
    }

    #[test]
    fn what_cannot_be_an_uplink_is_refused_with_the_reason() -> Result<()> {
        Lab::run(|lab| {
            let site = Host::new(lab)?;
            for (options, words) in [
                (
                    "--uplink tun:192.0.2.0/24",
                    "overlaps 192.0.2.0/24, which the host uses",
                ),
                ("--uplink nic:nic1", "there is no Ethernet interface nic1"),
                ("--uplink nic:lo", "there is no Ethernet interface lo"),
                (
                    "--uplink nic:nic0:192.0.2.9/24",
                    "192.0.2.9 is an address of the host itself",
                ),
                ("--uplink sockets", "should be auto, none, tun"),
                (
                    "--uplink tun:192.0.2.0/31",
                    "cannot be shared with the host",
                ),
            ] {
                let message = site.refusal(lab, options)?;
                ensure!(
                    message.contains(words),
                    "{options}: no {words:?} in {message}"
                );
            }
            ensure!(tuns(&site.host)?.is_empty());
            Ok(())
        })
    }

    #[test]
    fn a_place_on_a_lan_is_had_by_dhcp_and_advertisements_and_again_after_the_cable_was_out()
    -> Result<()> {
        Lab::run(|lab| {
            let site = Host::new(lab)?;
            let _dnsmasq = site.dnsmasq(lab)?;
            let daemon = site.daemon(lab, "--uplink nic:nic0")?;
            wait::until_true("both addresses", PATIENCE, || {
                let log = log(lab)?;
                let last = log.lines().rfind(|line| line.contains("addresses="));
                let last = last.unwrap_or_default();
                Ok(last.contains("192.0.2.1") && last.contains("2001:db8:7:0:"))
            })?;
            ensure!(leases(&lab.file("leases")) == 1);
            let ours = own_v4(lab)?;
            // The gateway answers for the address, and the host goes on.
            traffic::ping(&site.lan, ours, 3)?;
            traffic::ping(&site.host, "192.0.2.1".parse()?, 3)?;
            site.host.ip("link set nic0 down")?;
            wait::until_true("the news", PATIENCE, || {
                Ok(log(lab)?.contains("the uplink's interface is down or gone"))
            })?;
            site.host.ip("link set nic0 up")?;
            traffic::ping_soon(&site.lan, ours)?;
            site.host.ip("link delete nic0")?;
            site.plug_in()?;
            traffic::ping_soon(&site.lan, ours)?;
            daemon.stop()
        })
    }

    #[test]
    fn a_place_on_a_lan_outlives_the_daemon() -> Result<()> {
        Lab::run(|lab| {
            let site = Host::new(lab)?;
            let _dnsmasq = site.dnsmasq(lab)?;
            let options = format!("--uplink nic:nic0 {}", lab.state_option());
            let mut daemon = lab.daemon_in(&site.host, &options, "daemon-0")?;
            let cli = daemon.cli().clone();
            // That of IPv6 takes some seconds more.
            let address = || {
                let stats = cli.json("stats")?;
                let addresses = stats["uplink"]["addresses"].as_array();
                let mut addresses = addresses.into_iter().flatten().map(ToString::to_string);
                Ok::<_, anyhow::Error>(addresses.find(|it| it.contains("192.0.2.")))
            };
            wait::until_true("an address", PATIENCE, || Ok(address()?.is_some()))?;
            let had = address()?;
            cli.ok("network create red --subnet 10.211.0.0/24")?;
            let a = lab.sandbox("a")?;
            cli.connect("red", &a, "")?;
            let mut transfer = Steady::start(lab, &a, &site.lan, "192.0.2.1".parse()?)?;
            let heard = lab.capture(&site.lan, "eth0", Wanted::Everything)?;
            for round in 1..=2 {
                transfer.progress()?;
                let name = format!("daemon-{round}");
                daemon = if round % 2 == 0 {
                    daemon.kill()?;
                    lab.daemon_in(&site.host, &options, &name)?
                } else {
                    let options = format!("--takeover {options}");
                    let next = lab.daemon_in(&site.host, &options, &name)?;
                    daemon.ended()?;
                    next
                };
                let now = address()?;
                ensure!(now == had, "there was {had:?}, there is {now:?}");
            }
            transfer.progress()?;
            transfer.finish()?;
            // Nobody was asked whether the address is free, as one that had gone would.
            let probes = "arp.opcode == 1 && arp.src.proto_ipv4 == 0.0.0.0";
            let probes = dissect(&heard.stop()?, probes, &["arp.dst.proto_ipv4"])?;
            ensure!(probes.is_empty(), "{probes:?}");
            daemon.stop()
        })
    }

    #[test]
    fn an_address_that_another_station_has_is_not_taken() -> Result<()> {
        Lab::run(|lab| {
            let site = Host::new(lab)?;
            let daemon = site.daemon(lab, "--uplink nic:nic0:192.0.2.1/24,2001:db8:7::1/64")?;
            let log = log(lab)?;
            let taken = "192.0.2.1 is in use on the LAN by ";
            ensure!(log.contains(taken), "{log}");
            ensure!(log.contains("2001:db8:7::1 is in use on the LAN"), "{log}");
            daemon.stop()?;
            let daemon = site.daemon(lab, "--uplink nic:nic0:192.0.2.7/24@192.0.2.1")?;
            traffic::ping(&site.lan, "192.0.2.7".parse()?, 3)?;
            daemon.stop()
        })
    }

    #[test]
    fn an_address_that_a_host_of_the_lan_has_is_not_given_to_a_sandbox() -> Result<()> {
        Lab::run(|lab| {
            let site = Host::new(lab)?;
            let daemon = site.daemon(lab, "--uplink none")?;
            let cli = daemon.cli();
            let v4 = "--subnet 192.0.2.0/24 --gateway 192.0.2.1 --ip-range 192.0.2.8/29";
            let v6 = "--subnet 2001:db8:7::/64 --gateway 2001:db8:7::1";
            cli.ok(&format!(
                "network create lan -d nic --parent nic0 {v4} {v6}"
            ))?;
            // Of the range the host has .9, and these are hosts of the LAN.
            for held in ["192.0.2.8/24", "192.0.2.10/24", "2001:db8:7::2/64"] {
                // IPv6 would take a second to find that nobody has it.
                let nodad = if held.contains(':') { "nodad" } else { "" };
                site.lan
                    .ip(&format!("address add {held} dev eth0 {nodad}"))?;
            }
            let (a, b) = (lab.sandbox("a")?, lab.sandbox("b")?);
            let of_a = cli.connect("lan", &a, "")?;
            ensure!(of_a.ipv4()? == "192.0.2.11".parse::<IpAddr>()?, "{of_a:?}");
            ensure!(
                of_a.ipv6()? == "2001:db8:7::3".parse::<IpAddr>()?,
                "{of_a:?}"
            );
            let mac = |sandbox: &Sandbox, ifname: &str| {
                let mut links = sandbox.links()?.into_iter();
                let link = links.find(|link| link["ifname"] == ifname);
                let mac = link.and_then(|link| Some(link["address"].as_str()?.to_owned()));
                mac.context("an interface without an address")
            };
            let lan_mac = mac(&site.lan, "eth0")?;
            let host_mac = mac(&site.host, "nic0")?;
            for (wanted, holder) in [
                ("--ip 192.0.2.10", &lan_mac),
                ("--ip6 2001:db8:7::2", &lan_mac),
                ("--ip 192.0.2.9", &host_mac),
            ] {
                let request = format!("network connect lan b {} {wanted}", b.options());
                let message = cli.refused(&request)?;
                let words = format!("in use in network lan by {holder}");
                ensure!(message.contains(&words), "no {words:?} in {message}");
            }
            ensure!(b.ifnames()? == ["lo"]);
            // What is free again can be had.
            site.lan.ip("address del 192.0.2.10/24 dev eth0")?;
            let of_b = cli.connect("lan", &b, "--ip 192.0.2.10")?;
            traffic::ping(&a, of_b.ipv4()?, 3)?;
            traffic::ping(&site.lan, of_b.ipv4()?, 3)?;
            daemon.stop()
        })
    }

    #[test]
    fn a_network_joined_to_a_lan_is_part_of_it() -> Result<()> {
        Lab::run(|lab| {
            let site = Host::new(lab)?;
            let daemon = site.daemon(lab, "--uplink none")?;
            let cli = daemon.cli();
            let lan = "--subnet 192.0.2.0/24 --gateway 192.0.2.1 --ip-range 192.0.2.64/26";
            cli.ok(&format!("network create lan -d nic --parent nic0 {lan}"))?;
            for (request, words) in [
                ("network create x -d nic", "needs --parent"),
                (
                    "network create x -d nic --parent nic0",
                    "is the parent of another network",
                ),
                (
                    "network create x -d nic --parent nic1",
                    "there is no Ethernet interface nic1",
                ),
                ("network create x --parent nic0", "for driver nic only"),
                (
                    "network create x -d nic --parent nic0 --internal",
                    "--internal is not for",
                ),
            ] {
                let message = cli.refused(request)?;
                ensure!(
                    message.contains(words),
                    "{request}: no {words:?} in {message}"
                );
            }
            let (a, b) = (lab.sandbox("a")?, lab.sandbox("b")?);
            let of_a = cli.connect("lan", &a, "")?.ipv4()?;
            let of_b = cli.connect("lan", &b, "")?.ipv4()?;
            let router: IpAddr = "192.0.2.1".parse()?;
            ensure!(a.ip("route show default")?.contains("via 192.0.2.1"));
            traffic::ping(&a, router, 3)?;
            traffic::ping(&a, of_b, 3)?;
            traffic::ping(&site.lan, of_a, 3)?;
            traffic::ping(&site.host, router, 3)?;
            traffic::tcp(lab, &a, &site.lan, router, 16 << 20)?;
            traffic::tcp(lab, &site.lan, &a, of_a, 16 << 20)?;
            let c = lab.sandbox("c")?;
            let message = cli.refused(&format!("network connect lan c {} -p 80", c.options()))?;
            ensure!(
                message.contains("network lan is part of a LAN"),
                "{message}"
            );
            site.host.ip("link delete nic0")?;
            site.plug_in()?;
            wait::until_true("the LAN again", PATIENCE, || {
                a.ip("neighbor flush all")?;
                traffic::answers(&a, router)
            })?;
            daemon.stop()?;
            let shown = site.host.ip("-details link show nic0")?;
            ensure!(shown.contains("promiscuity 0"), "{shown}");
            Ok(())
        })
    }

    /// Returns the IPv4 address that the daemon last said it has.
    fn own_v4(lab: &Lab) -> Result<IpAddr> {
        let log = log(lab)?;
        let words = log.split(['"', ' ']).rev();
        let mut v4 = words.filter(|word| word.starts_with("192.0.2.") && word.ends_with("/24"));
        let word = v4.next().context("no address was logged")?;
        Ok(word.trim_end_matches("/24").parse()?)
    }
}

#[cfg(test)]
mod outside {
    use anyhow::{Result, ensure};
    use tapweave_integration::{Lab, cli};

    #[test]
    fn without_rights_there_is_no_uplink_and_the_reason_is_said() -> Result<()> {
        Lab::run(|lab| {
            let daemon = lab.daemon()?;
            let log = std::fs::read_to_string(lab.file("daemon.log"))?;
            let words = "networks have no way out: an uplink needs CAP_NET_ADMIN";
            ensure!(log.contains(words), "{log}");
            daemon
                .cli()
                .ok("network create red --subnet 10.211.0.0/24")?;
            daemon.stop()?;
            let mut command = std::process::Command::new(cli::binary()?);
            command.arg("--socket").arg(lab.file("refused.sock"));
            let output = command
                .args(["daemon", "--store", "memory:", "--uplink", "tun"])
                .output()?;
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(!output.status.success() && message.contains("cannot open the uplink"));
            Ok(())
        })
    }
}
