//! What cannot be done is refused in one line that names it, and changes nothing.
//!
//! ```text
//!   a    b       other      a and b in network red; `other` is a namespace nobody knows
//!   |    |
//!  tapweave
//! ```
//!
//! After every refusal the tables of the daemon and the interfaces of the namespaces must be those of
//! before.

#[cfg(test)]
mod everywhere {
    use anyhow::{Context, Result, ensure};
    use serde_json::Value;
    use tapweave_integration::{Lab, Sandbox, Segment, traffic};

    const SUBNET: &str = "--subnet 10.211.0.0/24";

    struct Scene {
        segment: Segment,
        other: Sandbox,
        before: Value,
    }

    impl Scene {
        fn new(lab: &Lab) -> Result<Self> {
            let mut scene = Self {
                segment: Segment::new(lab, SUBNET, 2)?,
                other: lab.sandbox("other")?,
                before: Value::Null,
            };
            scene.before = scene.state()?;
            Ok(scene)
        }

        /// Everything that a request could have changed.
        fn state(&self) -> Result<Value> {
            let cli = self.segment.cli();
            let ports = cli.json("port ls")?;
            let ports = ports.as_array().into_iter().flatten();
            Ok(serde_json::json!({
                "networks": cli.json("network ls")?,
                "red": cli.json("network inspect red")?,
                "sandboxes": cli.json("sandbox ls")?,
                "ports": ports.map(|port| port["port"].clone()).collect::<Vec<_>>(),
                "a": self.segment.sandboxes[0].ifnames()?,
                "b": self.segment.sandboxes[1].ifnames()?,
                "other": self.other.ifnames()?,
            }))
        }

        /// Requires that a request is refused with all of `words` and changes nothing.
        fn refuses(&self, request: &str, words: &[&str]) -> Result<()> {
            let message = self.segment.cli().refused(request)?;
            self.judge(request, &message, words)
        }

        /// As [`Scene::refuses`] for wrong usage.
        fn misunderstands(&self, request: &str, words: &[&str]) -> Result<()> {
            let message = self.segment.cli().misused(request)?;
            self.judge(request, &message, words)
        }

        fn judge(&self, request: &str, message: &str, words: &[&str]) -> Result<()> {
            for word in words {
                ensure!(
                    message.contains(word),
                    "`{request}`: no {word:?} in {message:?}"
                );
            }
            let after = self.state().with_context(|| format!("after `{request}`"))?;
            let before = &self.before;
            ensure!(after == *before, "`{request}` changed {before} to {after}");
            Ok(())
        }
    }

    #[test]
    fn networks_that_cannot_be_made() -> Result<()> {
        Lab::run(|lab| {
            let scene = Scene::new(lab)?;
            for (options, words) in [
                ("red", &["red"][..]),
                (
                    "blue --subnet 10.211.0.128/25",
                    &["10.211.0.128/25", "10.211.0.0/24", "red"],
                ),
                ("blue --subnet 10.212.0.5/24", &["10.212.0.5/24"]),
                ("blue --ipv6 --mtu 1279", &["1279", "IPv6"]),
                ("blue -d overlay", &["overlay"]),
                ("blue -d routed", &["routed"]),
                ("blue -d banana", &["banana"]),
                ("blue -o tapweave.nonsense=1", &["tapweave.nonsense"]),
                (
                    "blue -o tapweave.ageing=never",
                    &["tapweave.ageing", "never"],
                ),
                ("blue -o tapweave.ageing=0s", &["tapweave.ageing", "0s"]),
                ("blue -o tapweave.fdb_limit=0", &["tapweave.fdb_limit", "0"]),
                (
                    "blue -o tapweave.fdb_limit=99999999999999999999",
                    &["tapweave.fdb_limit"],
                ),
            ] {
                scene.refuses(&format!("network create {options}"), words)?;
            }
            for (options, words) in [
                ("", &["NAME"][..]),
                (".blue", &[".blue"]),
                ("blue/green", &["blue/green"]),
                ("blue --subnet banana", &["banana"]),
                ("blue --subnet 10.212.0.0/33", &["10.212.0.0/33"]),
                ("blue --subnet 10.212.0.0", &["10.212.0.0"]),
                ("blue --subnet none --subnet 10.212.0.0/24", &["none"]),
                (
                    "blue --subnet 10.212.0.0/24 --gateway 10.9.9.9",
                    &["10.9.9.9"],
                ),
                (
                    "blue --subnet 10.212.0.0/24 --ip-range 10.9.9.0/28",
                    &["10.9.9.0/28"],
                ),
                ("blue --mtu 67", &["67", "68"]),
                ("blue --mtu 65521", &["65521", "65520"]),
                ("blue --mtu minus", &["minus"]),
                ("blue --mtu 99999999999", &["99999999999"]),
                ("blue --icc=perhaps", &["perhaps"]),
                ("blue --nonsense", &["--nonsense"]),
            ] {
                scene.misunderstands(&format!("network create {options}"), words)?;
            }
            Ok(())
        })
    }

    #[test]
    fn namespaces_that_are_none() -> Result<()> {
        Lab::run(|lab| {
            let scene = Scene::new(lab)?;
            for (place, words) in [
                ("--netns /etc/passwd", &["/etc/passwd"][..]),
                ("--netns /nonexistent/netns", &["/nonexistent/netns"]),
                ("--netns /proc/self/ns/uts", &["/proc/self/ns/uts"]),
                ("--netns /tmp", &["/tmp"]),
                ("--pid 4194999", &["4194999"]),
            ] {
                scene.refuses(&format!("network connect red new {place}"), words)?;
            }
            scene.refuses("network connect red new", &["new", "--netns", "--pid"])?;
            for (place, words) in [
                ("--pid 0", &["0"][..]),
                ("--pid -1", &["-1"]),
                ("--pid banana", &["banana"]),
                ("--pid 1 --netns /proc/1/ns/net", &["--pid", "--netns"]),
            ] {
                scene.misunderstands(&format!("network connect red new {place}"), words)?;
            }
            Ok(())
        })
    }

    #[test]
    fn connections_that_clash() -> Result<()> {
        Lab::run(|lab| {
            let mut scene = Scene::new(lab)?;
            let (a, other) = (scene.segment.sandboxes[0].options(), scene.other.options());
            let b_ip = scene.segment.ipv4(1)?.to_string();
            let b_mac = scene.segment.endpoints[1].mac.to_string();
            let red = |sandbox: &str, rest: &str| format!("network connect red {sandbox} {rest}");
            // The same sandbox, and the same namespace under another name, twice.
            scene.refuses(&red("a", &a), &["a", "red"])?;
            scene.refuses(&red("a", ""), &["a", "red"])?;
            scene.refuses(&red("alias", &a), &["sandbox a"])?;
            // A known name with another namespace.
            scene.refuses(&red("a", &other), &["a"])?;
            // Addresses that are taken, reserved or elsewhere.
            for (address, words) in [
                (&*b_ip, &[&*b_ip, "red"][..]),
                ("10.211.0.1", &["10.211.0.1"]),
                ("10.211.0.0", &["10.211.0.0"]),
                ("10.211.0.255", &["10.211.0.255"]),
                ("10.9.9.9", &["10.9.9.9"]),
            ] {
                scene.refuses(&red("other", &format!("{other} --ip {address}")), words)?;
            }
            scene.refuses(
                &red("other", &format!("{other} --ip6 fd00::5")),
                &["red", "IPv6"],
            )?;
            for mac in [
                &*b_mac,
                "01:00:5e:00:00:01",
                "ff:ff:ff:ff:ff:ff",
                "00:00:00:00:00:00",
            ] {
                scene.refuses(&red("other", &format!("{other} --mac {mac}")), &[mac])?;
            }
            // An interface of that name is there already, ours or somebody else's.
            scene
                .segment
                .cli()
                .ok("network create blue --subnet 10.212.0.0/24")?;
            scene.before = scene.state()?;
            scene.refuses("network connect blue a --ifname eth0", &["eth0"])?;
            scene.refuses("network connect blue a --ifname lo", &["lo"])?;
            scene.refuses("network connect green a", &["green"])?;
            // And nothing of it hurt.
            traffic::ping(&scene.segment.sandboxes[0], scene.segment.ipv4(1)?, 3)?;
            scene.segment.cli().connect("red", &scene.other, "")?;
            traffic::ping(&scene.other, scene.segment.ipv4(1)?, 3)
        })
    }

    #[test]
    fn words_that_are_no_addresses_names_or_numbers() -> Result<()> {
        Lab::run(|lab| {
            let scene = Scene::new(lab)?;
            let other = scene.other.options();
            for (option, word) in [
                ("--ip 10.211.0.999", "10.211.0.999"),
                ("--ip fd77::1", "fd77::1"),
                ("--ip6 10.211.0.9", "10.211.0.9"),
                ("--mac 02:00:00:00:00", "02:00:00:00:00"),
                ("--mac 02:00:00:00:00:0g", "02:00:00:00:00:0g"),
                ("--ifname sixteen-bytes-xx", "sixteen-bytes-xx"),
                ("--ifname et/h0", "et/h0"),
                ("--ifname ..", ".."),
                ("--queues four", "four"),
                ("--queues 0", "1..=16"),
                ("--queues 17", "1..=16"),
                ("--queues 65536", "65536"),
                ("--queues -1", "-1"),
                ("--offload=perhaps", "perhaps"),
            ] {
                let request = format!("network connect red other {other} {option}");
                scene.misunderstands(&request, &[word])?;
            }
            Ok(())
        })
    }

    #[test]
    fn things_that_are_in_use_or_not_there() -> Result<()> {
        Lab::run(|lab| {
            let scene = Scene::new(lab)?;
            for (request, words) in [
                ("network rm red", &["red", "red/a", "red/b"][..]),
                ("network rm green", &["green"]),
                ("network inspect green", &["green"]),
                ("network disconnect red nobody", &["nobody"]),
                ("network disconnect green a", &["green"]),
                ("sandbox inspect nobody", &["nobody"]),
                ("sandbox rm nobody", &["nobody"]),
                ("port show red/nobody", &["nobody"]),
                ("fdb show green", &["green"]),
                ("fdb flush green", &["green"]),
                ("fdb add green 02:00:00:00:00:09 --port red/a", &["green"]),
                (
                    "fdb add red 02:00:00:00:00:09 --port red/nobody",
                    &["nobody"],
                ),
                (
                    "fdb add red 01:00:5e:00:00:01 --port red/a",
                    &["01:00:5e:00:00:01"],
                ),
                ("fdb del red 02:00:00:00:00:09", &["02:00:00:00:00:09"]),
            ] {
                scene.refuses(request, words)?;
            }
            Ok(())
        })
    }

    #[test]
    fn a_network_can_be_removed_when_its_last_sandbox_is_gone() -> Result<()> {
        Lab::run(|lab| {
            let scene = Scene::new(lab)?;
            let cli = scene.segment.cli();
            cli.refused("network rm red")?;
            cli.ok("network disconnect red a")?;
            cli.refused("network rm red")?;
            cli.ok("network disconnect red b")?;
            cli.ok("network rm red")?;
            assert_eq!(cli.json("network ls")?, serde_json::json!([]));
            for sandbox in &scene.segment.sandboxes {
                assert_eq!(sandbox.ifnames()?, ["lo"]);
            }
            Ok(())
        })
    }
}
