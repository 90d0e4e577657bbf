//! What the listings say is what is there, for programs and for people.
//!
//! ```text
//!   a    b      each a namespace with eth0
//!   |    |
//!  tapweave     network red
//! ```

#[cfg(test)]
mod everywhere {
    use anyhow::Result;
    use serde_json::json;
    use tapweave_integration::{Lab, Segment, traffic};

    const SUBNET: &str = "--subnet 10.211.0.0/24";

    #[test]
    fn inspect_shows_a_network_and_who_is_in_it_as_docker_does() -> Result<()> {
        Lab::run(|lab| {
            let options = format!("{SUBNET} --mtu 1400 --label purpose=test");
            let segment = Segment::new(lab, &options, 2)?;
            let inspected = segment.cli().json("network inspect red")?;
            let red = &inspected[0];
            assert_eq!(red["Name"], "red");
            assert_eq!(
                (&red["Driver"], &red["Scope"]),
                (&json!("bridge"), &json!("local"))
            );
            assert_eq!(red["IPAM"]["Config"][0]["Subnet"], "10.211.0.0/24");
            assert_eq!(red["IPAM"]["Config"][0]["Gateway"], "10.211.0.1");
            assert_eq!(red["Labels"], json!({"purpose": "test"}));
            let containers = red["Containers"]
                .as_object()
                .expect("sandboxes by their ids");
            let mut names: Vec<_> = containers
                .values()
                .map(|one| one["Name"].as_str())
                .collect();
            names.sort_unstable();
            assert_eq!(names, [Some("a"), Some("b")]);
            for endpoint in &segment.endpoints {
                let address = format!("{}/24", endpoint.ipv4()?);
                assert!(containers.values().any(|one| {
                    one["IPv4Address"] == address.as_str()
                        && one["MacAddress"] == endpoint.mac.to_string().as_str()
                }));
            }
            Ok(())
        })
    }

    #[test]
    fn a_removed_sandbox_loses_its_interfaces_and_keeps_its_namespace() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SUBNET, 3)?;
            let cli = segment.cli();
            cli.ok("sandbox rm a")?;
            assert_eq!(segment.sandboxes[0].ifnames()?, ["lo"]);
            assert_eq!(cli.ok("-q sandbox ls")?, "b\nc\n");
            assert_eq!(cli.ok("-q port ls red")?, "red/b\nred/c\n");
            traffic::ping(&segment.sandboxes[1], segment.ipv4(2)?, 3)?;
            let again = cli.connect("red", &segment.sandboxes[0], "")?;
            traffic::ping(&segment.sandboxes[1], again.ipv4()?, 3)
        })
    }

    #[test]
    fn stats_count_what_exists_and_what_was_carried() -> Result<()> {
        Lab::run(|lab| {
            let options = format!("{SUBNET} -o tapweave.fdb_limit=77");
            let segment = Segment::new(lab, &options, 2)?;
            traffic::ping(&segment.sandboxes[0], segment.ipv4(1)?, 50)?;
            let stats = segment.cli().json("stats")?;
            let count = |key: &str| stats[key].as_u64();
            assert_eq!(count("networks"), Some(1));
            assert_eq!(count("sandboxes"), Some(2));
            assert_eq!(count("ports"), Some(2));
            assert_eq!(stats["fdb"][0]["network"], "red");
            assert_eq!(stats["fdb"][0]["limit"], 77);
            assert_eq!(stats["fdb"][0]["entries"], 2);
            // 50 requests and 50 answers, and the ARP that came first.
            assert!(stats["total"]["rx_frames"].as_u64() > Some(100), "{stats}");
            let workers = stats["workers"].as_array().into_iter().flatten();
            let frames: u64 = workers.filter_map(|worker| worker["frames"].as_u64()).sum();
            assert!(frames > 100, "{stats}");
            Ok(())
        })
    }

    #[test]
    fn people_read_the_same_as_programs() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SUBNET, 2)?;
            let cli = segment.cli();
            traffic::ping(&segment.sandboxes[0], segment.ipv4(1)?, 1)?;
            let address = segment.ipv4(0)?.to_string();
            let mac = segment.endpoints[0].mac.to_string();
            for (request, words) in [
                (
                    "network ls",
                    &["NAME", "red", "bridge", "10.211.0.0/24"][..],
                ),
                ("sandbox ls", &["NAME", "a", "b", "red/a"]),
                ("port ls", &["PORT", "red/a", "eth0", &*mac, &*address]),
                ("port show red/a", &["red/a", "rx frames", "drops", &*mac]),
                ("fdb show", &["MAC", &*mac, "red/a", "learned"]),
                ("stats", &["BACKEND", "red"]),
            ] {
                let said = cli.ok(request)?;
                for word in words {
                    assert!(said.contains(word), "`{request}`: no {word:?} in\n{said}");
                }
            }
            Ok(())
        })
    }

    #[test]
    fn an_unambiguous_beginning_of_an_id_will_do() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SUBNET, 1)?;
            let cli = segment.cli();
            let id = cli.ok("network create blue --subnet 10.212.0.0/24")?;
            let beginning = &id[..12];
            let inspected = cli.json(&format!("network inspect {beginning}"))?;
            assert_eq!(inspected[0]["Name"], "blue");
            let endpoint = cli.connect(beginning, &segment.sandboxes[0], "")?;
            assert_eq!(endpoint.port, "blue/a");
            Ok(())
        })
    }
}

/// What needs no rights and no daemon.
#[cfg(test)]
mod once {
    use std::fs;
    use std::process::Command;

    use anyhow::{Result, ensure};
    use tapweave_integration::cli::binary;
    use tapweave_integration::process::run;
    use tapweave_integration::{Daemon, Lab};

    const ESCAPE: char = '\u{1b}';

    /// Returns what a misspelt command says at a terminal, which `script` makes, with these variables.
    fn at_a_terminal(variables: &[(&str, &str)]) -> Result<String> {
        let line = format!("{} network creat", binary()?.display());
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]);
        script.env_remove("NO_COLOR").env("TERM", "xterm");
        script.envs(variables.iter().copied());
        let output = run(&mut script, "")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    #[test]
    fn colours_are_for_terminals_and_for_who_wants_them() -> Result<()> {
        let coloured = at_a_terminal(&[])?;
        ensure!(coloured.contains(ESCAPE), "{coloured}");
        for variables in [&[("NO_COLOR", "1")], &[("TERM", "dumb")]] {
            let plain = at_a_terminal(variables)?;
            ensure!(
                plain.contains("create") && !plain.contains(ESCAPE),
                "{plain}"
            );
        }
        let mut command = Command::new(binary()?);
        let output = run(command.args(["network", "creat"]).env("TERM", "xterm"), "")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(said.contains("create") && !said.contains(ESCAPE), "{said}");
        Lab::run(|lab| {
            let log = lab.file("daemon.log");
            let options = format!("-v {}", lab.state_option());
            let daemon = Daemon::with_options(&options, &lab.file("daemon.sock"), &log)?;
            let shown = daemon.cli().ok("network ls")?;
            daemon.stop()?;
            let logged = fs::read_to_string(log)?;
            ensure!(logged.contains("serving"), "{logged}");
            ensure!(!shown.contains(ESCAPE) && !logged.contains(ESCAPE));
            Ok(())
        })
    }
}
