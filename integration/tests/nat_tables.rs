//! What can be seen of translations and changed in them: `nat ls`, `nat flush`, `inspect`, limits, and
//! ports that the host has itself.
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
    use serde_json::{Value, json};
    use tapweave_integration::listing::{number, rows, text};
    use tapweave_integration::process::expect_success;
    use tapweave_integration::site::Translator;
    use tapweave_integration::whoami::{self, Transport, Whoami};
    use tapweave_integration::{Lab, Listener, Site};

    /// The port of the server outside, and of `a`, under which it is also published.
    const PORT: u16 = 7100;

    /// Opens connections until one fails, and prints how many there are.
    const OPEN: &str = "
import socket, sys
held = []
for _ in range(20):
    s = socket.socket()
    s.settimeout(0.5)
    try:
        s.connect((sys.argv[1], int(sys.argv[2])))
    except OSError:
        break
    held.append(s)
print(len(held))
";

    /// The row of `nat ls` for flows of a kind and protocol.
    fn row<'r>(flows: &'r Value, kind: &str, protocol: &str) -> Result<&'r Value> {
        let is_meant = |row: &&Value| row["kind"] == kind && row["protocol"] == protocol;
        let row = rows(flows)?.iter().find(is_meant);
        row.ok_or_else(|| anyhow::anyhow!("no {kind} {protocol} in {flows}"))
    }

    #[test]
    fn flows_are_listed_with_both_sides_and_flushed() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Tapweave, &["-p 7100:7100", ""])?;
            site.settle()?;
            let cli = site.cli()?;
            let server = &site.world.server;
            for view in site.views()? {
                cli.ok("nat flush")?;
                let _outside = Whoami::start(lab, server, &[view.world.server], "7100")?;
                let _inside = Whoami::start(lab, &site.sandboxes[0], &[view.a], "7100")?;
                let to_server = SocketAddr::new(view.world.server, PORT);
                let seen = whoami::ask(&site.sandboxes[1], Transport::Udp, to_server, 40_001)?;
                let published = SocketAddr::new(view.outside, PORT);
                whoami::ask(&site.world.client, Transport::Tcp, published, 40_002)?;

                let flows = cli.json("nat ls red")?;
                let out = row(&flows, "masqueraded", "udp")?;
                ensure!(out["port"] == "red/b" && out["network"] == "red", "{out}");
                let original = json!({
                    "source": view.b, "destination": view.world.server,
                    "source_port": 40_001, "destination_port": PORT,
                });
                ensure!(out["original"] == original, "{out}");
                let reply = json!({
                    "source": view.world.server, "destination": seen.ip(),
                    "source_port": PORT, "destination_port": seen.port(),
                });
                ensure!(out["reply"] == reply, "{out}");
                ensure!(text(out, "state")? == "replied", "{out}");
                ensure!(number(out, "expires_ms")? > 0, "{out}");
                ensure!(number(&out["sent"], "packets")? == 1, "{out}");
                ensure!(number(&out["received"], "packets")? == 1, "{out}");
                let inward = row(&flows, "published", "tcp")?;
                ensure!(inward["port"] == "red/a", "{inward}");
                ensure!(
                    inward["original"]["source"] == json!(view.world.client),
                    "{inward}"
                );
                ensure!(inward["reply"]["source"] == json!(view.a), "{inward}");

                let flushed = cli.json("nat flush red")?;
                ensure!(number(&flushed, "flushed")? >= 2, "{flushed}");
                let flows = cli.json("nat ls red")?;
                ensure!(rows(&flows)?.iter().all(|flow| *flow != *out), "{flows}");
            }
            Ok(())
        })
    }

    #[test]
    fn inspect_shows_published_ports_as_docker_does() -> Result<()> {
        Lab::run(|lab| {
            let options = ["-p 7100:80 -p 203.0.113.2:7200-7201:81-82/udp", "-p 80"];
            let site = Site::new(lab, Translator::Tapweave, &options)?;
            let cli = site.cli()?;
            let expected = json!({
                "80/tcp": [
                    {"HostIp": "0.0.0.0", "HostPort": "7100"},
                    {"HostIp": "::", "HostPort": "7100"},
                ],
                "81/udp": [{"HostIp": "203.0.113.2", "HostPort": "7200"}],
                "82/udp": [{"HostIp": "203.0.113.2", "HostPort": "7201"}],
            });
            let sandbox = &cli.json("sandbox inspect a")?[0];
            let shown = &sandbox["NetworkSettings"]["Ports"];
            ensure!(*shown == expected, "{shown}");
            // A port that was left open is one of those that nobody else has.
            let chosen = cli.json("port show red/b")?;
            let port: u16 = text(&chosen["published"][0], "host_ports")?.parse()?;
            ensure!((32_768..61_000).contains(&port), "{port}");
            let refusal = cli.misused("network connect red a -p 80:80/sctp")?;
            ensure!(refusal.contains("sctp"), "{refusal}");
            Ok(())
        })
    }

    #[test]
    fn a_program_of_the_host_that_has_the_port_is_named() -> Result<()> {
        Lab::run(|lab| {
            let site = Site::new(lab, Translator::Tapweave, &[])?;
            let host = &site.world.host;
            let listener = Listener::start(lab, host, "203.0.113.2:7500".parse()?)?;
            let b = lab.sandbox("b")?;
            let connect = format!("network connect red b {}", b.options());
            let cli = site.cli()?;
            let refusal = cli.refused(&format!("{connect} -p 7500:80"))?;
            let holder = listener.description();
            ensure!(
                refusal.contains("7500") && refusal.contains(&holder),
                "{refusal}"
            );
            // Another protocol, and another port, are free.
            cli.ok(&format!("{connect} -p 7500:80/udp -p 7501:80"))?;
            Ok(())
        })
    }

    #[test]
    fn a_sandbox_has_no_more_connections_than_its_limit() -> Result<()> {
        Lab::run(|lab| {
            let options = ["--connection-limit 6", ""];
            let site = Site::new(lab, Translator::Tapweave, &options)?;
            site.settle()?;
            site.cli()?.ok("nat flush")?;
            let [v4, _] = site.views()?;
            let server = v4.world.server.to_string();
            let _server = Whoami::start(lab, &site.world.server, &[v4.world.server], "7100")?;
            let opened = |place: usize| {
                let mut python = site.sandboxes[place].command("python3");
                python.args(["-c", OPEN, &server, "7100"]);
                expect_success(&mut python, "")
            };
            ensure!(opened(0)?.trim() == "6");
            ensure!(opened(1)?.trim() == "20", "the other one has no limit");
            let counters = site.cli()?.counters("red/a")?;
            ensure!(counters.drops("nat_flow_limit") > 0, "not counted");
            Ok(())
        })
    }
}
