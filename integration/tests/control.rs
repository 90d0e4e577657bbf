//! The control plane of a whole daemon, from outside: its API with `curl`, its configuration file, its figures, and many
//! clients at a time.

#[cfg(test)]
mod once {
    use std::collections::BTreeSet;
    use std::fs;
    use std::sync::Barrier;
    use std::thread;

    use anyhow::{Context, Result, ensure};
    use rustix::process::Signal;
    use serde_json::{Value, json};
    use tapweave_integration::http::{Answer, ask, over_socket};
    use tapweave_integration::process::Background;
    use tapweave_integration::wait::{SOON, until};
    use tapweave_integration::{Cli, Daemon, Lab, Sandbox};

    /// Clients at the same time, and those of them that connect a sandbox, too.
    const CLIENTS: usize = 50;
    const CONNECTING: usize = 10;

    /// Sends a request that has to be answered by `status`.
    fn expect(daemon: &Daemon, request: &str, body: Option<&Value>, status: u16) -> Result<Answer> {
        let (method, path) = request.split_once(' ').context("METHOD PATH")?;
        let answer = ask(&daemon.socket(), method, path, body)?;
        ensure!(answer.status == status, "{request} {body:?}: {answer:?}");
        if status >= 400 {
            ensure!(
                answer.content_type == "application/problem+json",
                "{request} is refused without a problem document: {answer:?}"
            );
        }
        Ok(answer)
    }

    /// Waits until the log of the daemon has a line with `text`, and returns the last one.
    fn logged(lab: &Lab, text: &str) -> Result<String> {
        until(&format!("{text:?} in the log"), SOON, || {
            let log = fs::read_to_string(lab.file("daemon.log"))?;
            let line = log.lines().rfind(|line| line.contains(text));
            Ok(line.map(str::to_owned))
        })
    }

    #[test]
    fn a_sandbox_gets_its_network_by_curl_alone() -> Result<()> {
        Lab::run(|lab| {
            let daemon = lab.daemon()?;
            let a = lab.sandbox("a")?;
            let made = expect(
                &daemon,
                "POST /v1/networks",
                Some(&json!({ "name": "blue" })),
                201,
            )?;
            assert_eq!(
                expect(&daemon, &format!("GET {}", made.location), None, 200)?.json()?,
                made.json()?
            );
            let connect = json!({ "sandbox": "a", "namespace": { "path": a.path() } });
            let endpoint = expect(
                &daemon,
                "POST /v1/networks/blue/connect",
                Some(&connect),
                201,
            )?;
            assert_eq!(a.ifnames()?, ["lo", "eth0"]);
            let shown =
                expect(&daemon, &format!("GET {}", endpoint.location), None, 200)?.json()?;
            assert_eq!(shown, endpoint.json()?);
            let port = expect(&daemon, "GET /v1/ports/blue%2Fa", None, 200)?.json()?;
            assert_eq!(port["ifname"], "eth0");

            let again = expect(
                &daemon,
                "POST /v1/networks",
                Some(&json!({ "name": "blue" })),
                409,
            )?;
            assert_eq!(again.json()?["kind"], "conflict", "{again:?}");
            let unknown = json!({ "name": "red", "subnett": "10.0.0.0/24" });
            let unknown = expect(&daemon, "POST /v1/networks", Some(&unknown), 422)?;
            assert!(unknown.body.contains("subnett"), "{unknown:?}");
            expect(&daemon, "DELETE /v1/networks/blue", None, 409)?;

            let sandbox = json!({ "sandbox": "a" });
            expect(
                &daemon,
                "POST /v1/networks/blue/disconnect",
                Some(&sandbox),
                204,
            )?;
            assert_eq!(a.ifnames()?, ["lo"]);
            expect(&daemon, "DELETE /v1/networks/blue", None, 204)?;
            expect(&daemon, "DELETE /v1/networks/blue", None, 404)?;
            daemon.stop()
        })
    }

    #[test]
    fn events_reach_curl_as_they_happen_and_after_one_that_was_seen() -> Result<()> {
        Lab::run(|lab| {
            let daemon = lab.daemon()?;
            let mut curl = over_socket(&daemon.socket(), "/v1/events?type=network");
            curl.args(["--no-buffer", "--dump-header", "-"]);
            let mut listening = Background::start(&mut curl, &lab.file("events.log"))?;
            listening.line("content-type: text/event-stream")?;
            daemon.cli().ok("network create blue --subnet none")?;
            let id = listening.line("id: ")?;
            let event = listening.line("data: ")?;
            assert!(
                event.contains("created") && event.contains("blue"),
                "{event}"
            );
            drop(listening);

            daemon.cli().ok("network rm blue")?;
            let mut curl = over_socket(&daemon.socket(), "/v1/events?type=network");
            let seen = id.trim_start_matches("id: ").trim_end();
            curl.args(["--no-buffer", "--header"]);
            curl.arg(format!("last-event-id: {seen}"));
            let mut resumed = Background::start(&mut curl, &lab.file("resumed.log"))?;
            let event = resumed.line("data: ")?;
            assert!(event.contains("removed"), "{event}");
            drop(resumed);
            daemon.stop()
        })
    }

    #[test]
    fn repairs_after_a_kill_are_counted_by_kind_in_the_figures() -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            let a = lab.sandbox("a")?;
            let daemon = lab.daemon_with(&options)?;
            daemon.cli().ok("network create blue")?;
            daemon.cli().connect("blue", &a, "")?;
            daemon.kill()?;

            let daemon = lab.daemon_with(&options)?;
            let figures = until("the repairs in the figures", SOON, || {
                let answer = expect(&daemon, "GET /v1/metrics", None, 200)?;
                let repair = "tapweave_repairs_total{repair=\"endpoints_connected\"} 1";
                // It may have to be tried again.
                Ok(answer.body.contains(repair).then_some(answer))
            })?;
            let port = "tapweave_port_receive_frames_total{network=\"blue\",sandbox=\"a\"}";
            assert!(figures.body.contains(port), "{figures:?}");
            assert!(figures.content_type.starts_with("text/plain"));
            daemon.stop()
        })
    }

    #[test]
    fn a_configuration_file_is_checked_followed_and_read_again() -> Result<()> {
        Lab::run(|lab| {
            let file = lab.file("tapweave.toml");
            let write = |first: &str, mtu: u16| {
                let option = format!("\"com.docker.network.driver.mtu\" = {mtu}");
                let table = "[default-network-opts.bridge]";
                fs::write(&file, format!("{first}\n{table}\n{option}\n"))
            };
            let mtu = |cli: &Cli, network: &str| -> Result<Value> {
                let shown = cli.json(&format!("network inspect {network}"))?;
                Ok(shown[0]["Options"]["com.docker.network.driver.mtu"].clone())
            };
            write("", 1400)?;
            let daemon = lab.daemon_with(&format!("--config {}", file.display()))?;
            let cli = daemon.cli();
            cli.ok(&format!("config check {}", file.display()))?;
            cli.ok("network create before")?;
            assert_eq!(mtu(cli, "before")?, "1400");

            write("", 1300)?;
            daemon.signal(Signal::HUP)?;
            logged(lab, "configuration read again")?;
            cli.ok("network create after")?;
            assert_eq!(mtu(cli, "after")?, "1300");
            assert_eq!(mtu(cli, "before")?, "1400");

            write("worker = 2", 1200)?;
            let message = cli.refused(&format!("config check {}", file.display()))?;
            assert!(
                message.contains("workers") && message.contains(":1:"),
                "{message}"
            );
            daemon.signal(Signal::HUP)?;
            let line = logged(lab, "the configuration stays as it was")?;
            assert!(line.contains("worker"), "{line}");
            cli.ok("network create still")?;
            assert_eq!(mtu(cli, "still")?, "1300");
            daemon.stop()
        })
    }

    /// What one of many clients does; returns the subnet that its network had.
    fn come_and_go(
        cli: &Cli,
        number: usize,
        sandbox: Option<Sandbox>,
        all_there: &Barrier,
    ) -> Result<String> {
        let network = format!("n{number}");
        let made = cli.ok(&format!("network create {network}"));
        let connected = sandbox.map(|sandbox| (cli.connect(&network, &sandbox, ""), sandbox));
        // Before anything can fail: the others wait here.
        all_there.wait();
        let id = made?;
        let shown = cli.json(&format!("network inspect {}", id.trim_end()))?;
        if let Some((connected, sandbox)) = connected {
            let endpoint = connected?;
            ensure!(
                sandbox.ifnames()? == ["lo", "eth0"],
                "no interface: {endpoint:?}"
            );
            cli.ok(&format!("network disconnect {network} {}", sandbox.name()))?;
            ensure!(sandbox.ifnames()? == ["lo"], "an interface stayed");
        }
        cli.ok(&format!("network rm {network}"))?;
        let subnet = shown[0]["IPAM"]["Config"][0]["Subnet"].as_str();
        Ok(subnet.context("no subnet")?.to_owned())
    }

    #[test]
    fn fifty_clients_come_and_go_at_the_same_time_and_leave_nothing() -> Result<()> {
        Lab::run(|lab| {
            let daemon = lab.daemon_with(&lab.state_option())?;
            let mut sandboxes = (0..CONNECTING)
                .map(|number| lab.sandbox(&format!("s{number}")))
                .collect::<Result<Vec<_>>>()?
                .into_iter();
            let all_there = Barrier::new(CLIENTS);
            let subnets = thread::scope(|scope| {
                let clients: Vec<_> = (0..CLIENTS)
                    .map(|number| {
                        let (cli, all_there) = (daemon.cli(), &all_there);
                        let sandbox = sandboxes.next();
                        scope.spawn(move || come_and_go(cli, number, sandbox, all_there))
                    })
                    .collect();
                let subnets = clients.into_iter().map(|client| {
                    client
                        .join()
                        .map_err(|_panic| anyhow::anyhow!("a client panicked"))?
                });
                subnets.collect::<Result<BTreeSet<String>>>()
            })?;
            assert_eq!(subnets.len(), CLIENTS, "{subnets:?}");
            assert_eq!(daemon.cli().ok("-q network ls")?, "");
            assert_eq!(daemon.cli().ok("-q port ls")?, "");
            daemon.stop()
        })
    }
}
