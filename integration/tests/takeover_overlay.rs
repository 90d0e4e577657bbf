//! Overlays whose daemons are killed or taken over from: peers see the same sockets, and connections go on.
//!
//! The topology is drawn in [`tapweave_integration::underlay`]; both hosts have a daemon with a state directory.

/// What does not depend on the rights of the daemon.
#[cfg(test)]
mod once {
    use std::collections::BTreeSet;
    use std::mem;

    use anyhow::{Context, Result, ensure};
    use rustix::process::Signal;
    use tapweave_integration::capture::{Wanted, dissect};
    use tapweave_integration::cli::binary;
    use tapweave_integration::process::expect_success;
    use tapweave_integration::requests::Asked;
    use tapweave_integration::underlay::{NETWORK, Segment, TapweaveHost, Underlay};
    use tapweave_integration::usage::Usage;
    use tapweave_integration::{Daemon, Lab, traffic, wait};

    /// The ports that flows are sent from, of each address.
    const SOURCE_PORTS: std::ops::Range<u16> = 49_152..49_168;

    /// What a link takes that tells nobody. The widest of what a search may end at, since every size that is lost takes
    /// three seconds.
    const WIDTH: u16 = 1496;

    /// For how long a peer has said nothing.
    const SILENCE_MS: u64 = 300;

    /// Sends three headers of VXLAN for VNI 99 to an address.
    const STALE: &str = "import socket, sys
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(3):
    here.sendto(bytes.fromhex('0800000000006300') + bytes(60), (sys.argv[1], 4789))";

    /// A host whose daemon is replaced by others.
    struct Side<'l> {
        lab: &'l Lab,
        host: TapweaveHost,
        options: String,
        number: u8,
        start_count: u32,
    }

    impl<'l> Side<'l> {
        fn new(
            lab: &'l Lab,
            underlay: &Underlay,
            segment: Segment,
            number: u8,
            peers: &[u8],
        ) -> Result<Self> {
            let state = lab.file(format!("state{number}"));
            let options = format!(
                "--underlay {} --state-dir {}",
                segment.vtep(number),
                state.display()
            );
            let host = TapweaveHost::with_options(lab, underlay, segment, number, peers, &options)?;
            Ok(Self {
                lab,
                host,
                options: format!("{options} --vxlan-port {}", segment.port),
                number,
                start_count: 0,
            })
        }

        fn kill(&mut self) -> Result<()> {
            self.host.daemon.signal(Signal::KILL)?;
            wait::until_true("the daemon to die", wait::SOON, || {
                Ok(!self.host.daemon.is_running()?)
            })
        }

        /// Starts another daemon on the same state.
        fn start(&mut self, more: &str) -> Result<Daemon> {
            self.start_count += 1;
            let log = format!("daemon{}-{}.log", self.number, self.start_count);
            let next = Daemon::under(
                self.host.host.command(&binary()?.display().to_string()),
                &format!("{} {more}", self.options),
                &self.host.daemon.socket(),
                &self.lab.file(log),
            )?;
            Ok(mem::replace(&mut self.host.daemon, next))
        }

        fn take_over(&mut self, more: &str) -> Result<()> {
            self.start(&format!("--takeover {more}"))?.ended()
        }

        /// Returns the sockets of overlays in the host's namespace: the table that they are in, address and port as the
        /// kernel writes them, and inode.
        fn sockets(&self) -> Result<BTreeSet<[String; 3]>> {
            let mut sockets = BTreeSet::new();
            for table in ["udp", "udp6", "raw", "raw6"] {
                let text = self.host.host.run("cat", &format!("/proc/net/{table}"))?;
                for line in text.lines().skip(1) {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    let (Some(local), Some(inode)) = (words.get(1), words.get(9)) else {
                        continue;
                    };
                    let (_, port) = local.rsplit_once(':').context("no port")?;
                    let port = u16::from_str_radix(port, 16)?;
                    let is_listener = [4789, 6080, 8472].contains(&port);
                    // What asks for a path is there for a moment, and has a port of those that programs get.
                    if table.starts_with("raw") || is_listener || SOURCE_PORTS.contains(&port) {
                        sockets.insert([table, local, inode].map(ToOwned::to_owned));
                    }
                }
            }
            Ok(sockets)
        }

        fn stop(self) -> Result<()> {
            let host = self.host;
            host.daemon.stop()?;
            for leftover in ["takeover", "holder"] {
                let path = self.lab.file(format!("state{}/{leftover}", self.number));
                ensure!(!path.exists(), "{} is left", path.display());
            }
            Ok(())
        }
    }

    /// Has two hosts, of which each is handled, then the other, then both, do all that must go on. Returns what became of
    /// requests.
    fn survive(
        segment: Segment,
        mut handle: impl FnMut(&mut [&mut Side<'_>]) -> Result<()>,
    ) -> Result<Asked> {
        let mut asked = None;
        Lab::run(|lab| {
            let underlay = Underlay::new(lab)?;
            let mut one = Side::new(lab, &underlay, segment, 1, &[2])?;
            let mut two = Side::new(lab, &underlay, segment, 2, &[1])?;
            let (a, b, to) = (
                &one.host.sandbox,
                &two.host.sandbox,
                two.host.addresses()[0],
            );
            let mut usage = Usage::start(lab, a, b, to, 50)?;
            let sockets = (one.sockets()?, two.sockets()?);
            ensure!(sockets.0.len() > SOURCE_PORTS.len(), "{sockets:?}");
            usage.progress()?;
            handle(&mut [&mut one])?;
            usage.progress()?;
            handle(&mut [&mut two])?;
            usage.progress()?;
            handle(&mut [&mut one, &mut two])?;
            usage.progress()?;
            asked = Some(usage.finish()?);
            let left = (one.sockets()?, two.sockets()?);
            ensure!(
                left == sockets,
                "there were {sockets:?}, there are {left:?}"
            );
            one.stop()?;
            two.stop()
        })?;
        asked.context("nothing was asked")
    }

    #[test]
    fn what_goes_on_with_another_host_outlives_kills() -> Result<()> {
        let asked = survive(Segment::USUAL, |sides| {
            for side in &mut *sides {
                side.kill()?;
            }
            for side in sides {
                drop(side.start("")?);
            }
            Ok(())
        })?;
        // What a daemon has read and not yet written ends with it: of one request at a time, one at most; of four kills.
        ensure!(asked.lost <= 4, "{asked:?}");
        Ok(())
    }

    #[test]
    fn what_goes_on_with_another_host_outlives_takeovers_with_hardly_a_loss() -> Result<()> {
        let asked = survive(Segment::OVER_V6, |sides| {
            for side in sides {
                side.take_over("")?;
            }
            Ok(())
        })?;
        // Packets wait in sockets and queues, which only a machine that is very busy may fill.
        ensure!(asked.lost <= 1, "{asked:?}");
        Ok(())
    }

    #[test]
    fn a_flow_keeps_its_source_port_and_what_nobody_takes_part_in_is_counted() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let mut one = Side::new(lab, &underlay, segment, 1, &[2])?;
            let two = Side::new(lab, &underlay, segment, 2, &[1])?;
            let to = two.host.addresses()[0];
            let wire = lab.capture(&two.host.host, "eth0", Wanted::Everything)?;
            traffic::ping_soon(&one.host.sandbox, to)?;
            one.take_over("")?;
            traffic::ping_soon(&one.host.sandbox, to)?;
            one.kill()?;
            // To a network that is not there, three times: they wait in the sockets.
            let mut send = two.host.host.command("/usr/bin/python3");
            send.args(["-I", "-S", "-c", STALE, &segment.vtep(1).to_string()]);
            expect_success(&mut send, "")?;
            drop(one.start("")?);
            one.host.wait_refused("unknown_vni", 3)?;
            traffic::ping_soon(&one.host.sandbox, to)?;
            let rows = dissect(&wire.stop()?, "vxlan && icmp.type == 8", &["udp.srcport"])?;
            let ports: BTreeSet<_> = rows.into_iter().flatten().flatten().collect();
            ensure!(ports.len() == 1, "{ports:?}");
            one.stop()?;
            two.stop()
        })
    }

    #[test]
    fn what_is_known_of_a_peer_is_known_to_who_takes_over_though_it_says_nothing() -> Result<()> {
        Lab::run(|lab| {
            let (segment, underlay) = (Segment::USUAL, Underlay::new(lab)?);
            let mut one = Side::new(lab, &underlay, segment, 1, &[2])?;
            let mut two = Side::new(lab, &underlay, segment, 2, &[1])?;
            underlay.narrow(2, WIDTH)?;
            let peer = |side: &Side<'_>| side.host.peer(segment.vtep(2));
            traffic::ping_soon(&one.host.sandbox, two.host.addresses()[0])?;
            wait::until_true("the width of the path", wait::SOON, || {
                let found = peer(&one)?["path_mtu"].as_u64().unwrap_or_default();
                Ok((u64::from(WIDTH) - 8..=WIDTH.into()).contains(&found))
            })?;
            two.kill()?;
            // By then nothing of it is on the way any more.
            wait::until_true("silence", wait::SOON, || {
                Ok(peer(&one)?["heard_ms"].as_u64() >= Some(SILENCE_MS))
            })?;
            let before = peer(&one)?;
            one.take_over("")?;
            let after = peer(&one)?;
            ensure!(after["counters"]["rx_frames"] == 0, "{after}");
            ensure!(after["heard_ms"].as_u64() >= Some(SILENCE_MS), "{after}");
            for key in ["path_mtu", "mtu"] {
                ensure!(after[key] == before[key], "{after}, not {before}");
            }
            drop(two.start("")?);
            traffic::ping_soon(&one.host.sandbox, two.host.addresses()[0])?;
            one.stop()?;
            two.stop()
        })
    }

    #[test]
    fn sockets_of_every_kind_are_used_again_by_more_and_by_fewer_workers() -> Result<()> {
        Lab::run(|lab| {
            let underlay = Underlay::new(lab)?;
            let mut side = Side::new(lab, &underlay, Segment::USUAL, 1, &[])?;
            side.options.push_str(" --underlay 2001:db8:9::1");
            side.take_over("--workers 3")?;
            let cli = side.host.daemon.cli().clone();
            for (name, options) in [
                (
                    "grouped",
                    "--vni 7 --subnet 10.71.0.0/24 -o tapweave.group=239.1.1.1",
                ),
                ("gue", "--subnet 10.72.0.0/24 --encap gue"),
                ("ipip", "--subnet 10.73.0.0/24 --encap ipip"),
            ] {
                cli.ok(&format!("network create {name} -d overlay {options}"))?;
            }
            let sockets = side.sockets()?;
            // Three workers at two addresses and two UDP ports, a group, the senders of both families, and those of IP in IP.
            ensure!(sockets.len() == 3 * 2 * 2 + 1 + 32 + 4 + 4, "{sockets:?}");
            side.kill()?;
            drop(side.start("--workers 1")?);
            let left = side.sockets()?;
            ensure!(
                left == sockets,
                "there were {sockets:?}, there are {left:?}"
            );
            side.take_over("--workers 5")?;
            let left = side.sockets()?;
            ensure!(
                left.is_superset(&sockets),
                "there were {sockets:?}, there are {left:?}"
            );
            ensure!(left.len() == sockets.len() + 2 * 2 * 2, "{left:?}");
            let groups = side.host.host.ip("maddr show dev eth0")?;
            ensure!(groups.contains("239.1.1.1"), "{groups}");
            // What nobody wants any more goes, also out of the holder.
            for network in ["grouped", "gue", "ipip"] {
                cli.ok(&format!("network rm {network}"))?;
            }
            let left = side.sockets()?;
            ensure!(left.len() == 5 * 2 + 32, "{left:?}");
            cli.ok(&format!("network disconnect {NETWORK} sandbox1"))?;
            cli.ok(&format!("network rm {NETWORK}"))?;
            ensure!(side.sockets()?.is_empty());
            side.stop()
        })
    }

    #[test]
    fn sockets_at_another_address_take_the_place_of_those_before() -> Result<()> {
        Lab::run(|lab| {
            let underlay = Underlay::new(lab)?;
            let mut side = Side::new(lab, &underlay, Segment::USUAL, 1, &[])?;
            let sockets = side.sockets()?;
            side.options = side.options.replace("192.0.2.1 ", "eth0 ");
            side.take_over("")?;
            ensure!(side.sockets()?.is_superset(&sockets));
            // While the daemon runs, which tells the holder.
            side.host.host.ip("address del 192.0.2.1/24 dev eth0")?;
            wait::until_true("the earlier sockets to go", wait::SOON, || {
                Ok(side.sockets()?.is_disjoint(&sockets))
            })?;
            let others = side.sockets()?;
            ensure!(
                others.iter().all(|[table, ..]| table == "udp6"),
                "{others:?}"
            );
            side.kill()?;
            drop(side.start("")?);
            ensure!(side.sockets()? == others);
            // While there is none.
            side.kill()?;
            side.host.host.ip("address add 192.0.2.5/24 dev eth0")?;
            side.options = side.options.replace("eth0 ", "192.0.2.5 ");
            drop(side.start("")?);
            wait::until_true("the earlier sockets to go", wait::SOON, || {
                let left = side.sockets()?;
                Ok(left.iter().all(|[table, ..]| table == "udp") && !left.is_empty())
            })?;
            side.stop()
        })
    }
}
