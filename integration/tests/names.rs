//! Names: what real resolvers in sandboxes find, and what they do not.
//!
//! ```text
//!   a    b                c                  each a namespace with eth0
//!   |    |                |
//!   red ── 10.211.0.1   blue ── 10.212.0.1   the gateways, which resolve
//! ```

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use tapweave_integration::process::{Background, expect_success};
use tapweave_integration::{Lab, Sandbox};

const PYTHON: &str = "/usr/bin/python3";
const DNS_SERVER: &str = include_str!("../tools/dns_server.py");
const DNS_ATTACKS: &str = include_str!("../tools/dns_attacks.py");

/// Asks by `dig` with `arguments` and returns the answers, in order.
fn dig(from: &Sandbox, arguments: &str) -> Result<Vec<String>> {
    let options = "+short +tries=3 +time=5";
    let said = from.run("dig", &format!("{arguments} {options}"))?;
    let mut answers: Vec<String> = said.lines().map(str::to_owned).collect();
    answers.sort();
    Ok(answers)
}

/// Returns the status of an answer, such as `NXDOMAIN`.
fn status(from: &Sandbox, arguments: &str) -> Result<String> {
    let said = from.run("dig", &format!("{arguments} +tries=3 +time=5"))?;
    let status = said.split_once("status: ");
    let status = status.and_then(|(_, rest)| rest.split_once(','));
    Ok(status.map_or_else(|| said.clone(), |(status, _)| status.to_owned()))
}

/// Starts the server of `tools/dns_server.py` on a loopback address.
fn start_server(lab: &Lab, host: &Sandbox, ip: &str, who: &str) -> Result<Background> {
    let mut command = host.command(PYTHON);
    command.args(["-I", "-u", "-c", DNS_SERVER, ip, who]);
    let mut server = Background::start(&mut command, &lab.file(format!("dns-{ip}.log")))?;
    server.ready()?;
    Ok(server)
}

/// Runs a program in a sandbox that has `resolv_conf` as its `/etc/resolv.conf`.
fn resolving(from: &Sandbox, resolv_conf: &str, program: &str) -> Result<String> {
    let script = format!("mount --bind {resolv_conf} /etc/resolv.conf && exec {program}");
    let mut command = from.command("unshare");
    command.args(["-m", "sh", "-c", &script]);
    expect_success(&mut command, "")
}

#[cfg(test)]
mod once {
    use tapweave_integration::capture::Wanted;
    use tapweave_integration::peers::Dns;
    use tapweave_integration::site::{DUAL, Site, TUN};
    use tapweave_integration::{Segment, traffic, wait};

    use super::*;

    const SUBNETS: &str = "--subnet 10.211.0.0/24 --subnet fd11::/64 --internal";

    #[test]
    fn names_of_sandboxes_are_found_by_everybody_in_their_network() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, SUBNETS, &["--alias web", "--alias web"])?;
            let (a, b) = (&segment.sandboxes[0], &segment.sandboxes[1]);
            let cli = segment.cli();
            let [at_a, at_b] = [&segment.endpoints[0], &segment.endpoints[1]];
            let both = [at_a.ipv4()?.to_string(), at_b.ipv4()?.to_string()];
            for server in ["10.211.0.1", "fd11::1"] {
                for transport in ["+notcp", "+tcp", "+notcp +noedns", "+notcp +cookie +dnssec"] {
                    let ask = |what: &str| dig(a, &format!("@{server} {transport} {what}"));
                    ensure!(ask("b")? == both[1..], "{server} {transport}");
                    ensure!(ask("b.red A")? == both[1..]);
                    ensure!(ask("web.red A")? == both);
                    ensure!(ask("b AAAA")? == [at_b.ipv6()?.to_string()]);
                    ensure!(ask(&format!("-x {}", both[1]))? == ["b.red."]);
                    ensure!(ask(&format!("-x {}", at_b.ipv6()?))? == ["b.red."]);
                }
            }
            for (what, expected) in [
                ("b.red MX", "NOERROR"),
                ("nobody.red", "NXDOMAIN"),
                ("nobody", "NXDOMAIN"),
                ("example.com", "NXDOMAIN"),
                ("version.bind TXT CH", "REFUSED"),
                ("b +opcode=2", "NOTIMP"),
                ("b +edns=1 +noednsneg", "BADVERS"),
            ] {
                let found = status(a, &format!("@10.211.0.1 {what}"))?;
                ensure!(found == expected, "{what}: {found}");
            }
            // What is no query is survived.
            let junk = "import os,socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n\
                        for n in range(500): s.sendto(os.urandom(n),('10.211.0.1',53))";
            let script = lab.file("junk.py");
            fs::write(&script, junk)?;
            a.run("/usr/bin/python3", &format!("-I {}", script.display()))?;
            ensure!(dig(b, "@10.211.0.1 -q a A")? == both[..1]);

            // As libraries do it, with what `connect` prints.
            let resolv_conf = lab.file("resolv.conf");
            cli.ok("network disconnect red b")?;
            ensure!(status(a, "@10.211.0.1 b.red")? == "NXDOMAIN");
            ensure!(dig(a, "@10.211.0.1 web.red A")? == both[..1]);
            let options = format!("{} --resolv-conf {}", b.options(), resolv_conf.display());
            let said = cli.ok(&format!("network connect red b {options}"))?;
            ensure!(
                said.contains("dns 10.211.0.1 dns fd11::1 search red"),
                "{said}"
            );
            let resolv_conf = resolv_conf.display().to_string();
            for program in ["getent ahostsv4 b", "busybox nslookup b.red"] {
                let found = resolving(a, &resolv_conf, program)?;
                let expected = cli.ok("dns query red b A -q")?;
                ensure!(found.contains(expected.trim()), "{program}: {found}");
            }
            Ok(())
        })
    }

    #[test]
    fn names_of_one_network_are_none_in_another() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::new(lab, SUBNETS, 1)?;
            let cli = segment.cli();
            let blue = "network create blue --subnet 10.212.0.0/24 --internal";
            cli.ok(blue)?;
            let c = lab.sandbox("c")?;
            cli.connect("blue", &c, "")?;
            for what in ["-q a A", "a.red", "-x 10.211.0.2"] {
                let found = status(&c, &format!("@10.212.0.1 {what}"))?;
                ensure!(found == "NXDOMAIN", "{what}: {found}");
            }
            cli.ok("dns add blue far 10.212.0.77")?;
            ensure!(dig(&c, "@10.212.0.1 far.blue")? == ["10.212.0.77"]);
            let a = &segment.sandboxes[0];
            ensure!(status(a, "@10.211.0.1 far.blue")? == "NXDOMAIN");
            cli.ok("dns rm blue far")?;
            ensure!(status(&c, "@10.212.0.1 far.blue")? == "NXDOMAIN");
            cli.refused("dns rm blue far")?;
            let said = cli.refused("dns query blue far.blue")?;
            ensure!(said.contains("NXDOMAIN"), "{said}");
            let counts = cli.json("dns show red")?;
            ensure!(counts["local"].as_u64() > Some(0), "{counts}");
            // Where names are switched off nobody listens.
            cli.ok("network create mute --subnet 10.213.0.0/24 -o tapweave.dns=false")?;
            let refusal = cli.refused("dns query mute a")?;
            ensure!(refusal.contains("tapweave.dns=false"), "{refusal}");
            Ok(())
        })
    }

    #[test]
    fn other_names_are_asked_of_the_servers_of_the_host() -> Result<()> {
        Lab::run(|lab| {
            let servers = lab.file("servers.conf");
            // The first one is dead.
            fs::write(
                &servers,
                "nameserver 198.51.100.99\nnameserver 198.51.100.10\n",
            )?;
            let options = format!("{TUN} --dns {}", servers.display());
            let site = Site::tapweave(lab, &options, DUAL, &["", ""])?;
            let cli = site.cli()?;
            let server = &site.world.server;
            let dns = Dns::start(lab, server, "198.51.100.10".parse()?)?;
            let a = &site.sandboxes[0];
            for gateway in ["10.211.0.1", "fd77:1::1"] {
                for transport in ["+notcp", "+tcp"] {
                    let found = dig(a, &format!("@{gateway} answer.test {transport}"))?;
                    ensure!(found == ["192.0.2.77"], "{found:?}");
                }
            }
            let counts = cli.json("dns show red")?;
            ensure!(counts["cached"].as_u64() > Some(0), "{counts}");
            let host = dig(a, "@10.211.0.1 host.internal")?;
            ensure!(host == ["203.0.113.1"], "{host:?}");
            drop(dns);
            // Nobody answers any more, which is known at once where no server is silent; names of the network do not care.
            fs::write(&servers, "nameserver 198.51.100.10\n")?;
            let failed = status(a, "@10.211.0.1 other.test")?;
            ensure!(failed == "SERVFAIL", "{failed}");
            ensure!(dig(a, "@10.211.0.1 b")? == [site.addresses[1].v4.to_string()]);
            // An internal network asks nobody, whatever there is.
            cli.ok("network create inner --subnet 10.214.0.0/24 --internal")?;
            let inner = cli.json("dns query inner answer.test");
            ensure!(inner.is_err(), "an internal network knows the world");
            ensure!(cli.json("dns show inner")?["forwarded"] == 0);
            Ok(())
        })
    }

    #[test]
    fn what_no_decent_client_sends_is_survived_and_answered_to_nobody_else() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, SUBNETS, &["--guard=false", ""])?;
            let (a, b) = (&segment.sandboxes[0], &segment.sandboxes[1]);
            let recorded = lab.capture(b, "eth0", Wanted::Everything)?;
            let own = [segment.ipv4(0)?.to_string(), segment.ipv4(1)?.to_string()];
            let said = traffic::scapy(a, DNS_ATTACKS, &[&own[0], "10.211.0.1", &own[1]])?;
            let found: Vec<(&str, &str)> =
                said.lines().filter_map(|it| it.split_once(": ")).collect();
            let expected = [
                ("empty", "-"),
                ("half a header", "-"),
                ("a response", "-"),
                ("a wrong checksum", "-"),
                ("no question", "1"),
                ("cut", "1"),
                ("65535 questions", "1"),
                ("65535 records", "1"),
                ("a name that points to itself", "1"),
                ("names that point to each other", "1"),
                ("a name that points past the end", "1"),
                ("a label of 64", "1"),
                ("a name of 300", "1"),
                ("two OPT", "1"),
                ("an OPT with a lie", "1"),
                ("a transfer", "5"),
                ("another class", "5"),
                ("an update", "4"),
                ("a notify", "4"),
                ("a zero byte in a name", "3"),
                ("a name in capitals", "0"),
                ("bytes behind the end", "0"),
                ("from port 53", "0"),
                ("with a TTL of 1", "0"),
                ("as another sandbox", "-"),
                ("as the gateway", "-"),
                ("as everybody", "-"),
                ("as the loopback", "-"),
                ("in fragments", "-"),
                ("last", "0"),
            ];
            ensure!(found == expected, "{said}");
            let is_answer = |bytes: &[u8]| bytes.get(34..36) == Some(&[0, 53]);
            let seen = recorded.checker()?;
            seen.that("from a resolver", is_answer).none()?;
            ensure!(dig(b, "@10.211.0.1 a.red A")? == own[..1]);
            Ok(())
        })
    }

    #[test]
    fn servers_that_lie_truncate_or_say_nothing_mislead_and_delay_nobody() -> Result<()> {
        Lab::run(|lab| {
            let servers = lab.file("servers.conf");
            fs::write(&servers, "nameserver 127.0.0.1\n")?;
            let host = lab.sandbox("host")?;
            host.ip("link set lo up")?;
            let mut first = start_server(lab, &host, "127.0.0.1", "192.0.2.11")?;
            let _second = start_server(lab, &host, "127.0.0.2", "192.0.2.12")?;
            let options = format!("--dns {}", servers.display());
            let daemon = lab.daemon_in(&host, &options, "daemon")?;
            let segment = Segment::on(daemon, lab, "--subnet 10.211.0.0/24", &["", ""])?;
            let a = &segment.sandboxes[0];
            let ask = |what: &str| dig(a, &format!("@10.211.0.1 {what}"));

            ensure!(ask("slow.test")? == ["192.0.2.1"]);
            // What it says for itself is not believed, nor what it says of others; private addresses are passed on.
            ensure!(ask("liar.test")? == ["192.0.2.1"]);
            ensure!(ask("victim.test")? == ["192.0.2.1"]);
            ensure!(ask("rebind.test")?.contains(&"10.211.0.2".to_owned()));
            ensure!(status(a, "@10.211.0.1 web.red")? == "NXDOMAIN");
            ensure!(status(a, "@10.211.0.1 broken.test")? == "SERVFAIL");
            ensure!(ask("big.test")?.len() == 100);

            // Who asked before and whom nobody answers is behind who asks for a name of the network.
            let both = "
import socket
def query(id, *labels):
    name = b''.join(bytes([len(label)]) + label for label in labels) + b'\\0'
    return id.to_bytes(2, 'big') + b'\\1\\0\\0\\1' + bytes(6) + name + b'\\0\\1\\0\\1'
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect(('10.211.0.1', 53))
    s.settimeout(20)
    for id in range(100):
        s.send(query(id, b'n%d' % id, b'dead', b'test'))
    s.send(query(1000, b'b', b'red'))
    print(int.from_bytes(s.recv(1500)[:2], 'big'))
";
            let answered = a.command(PYTHON).args(["-I", "-c", both]).output()?;
            ensure!(
                String::from_utf8_lossy(&answered.stdout).trim() == "1000",
                "{answered:?}"
            );
            first.line("dead n0.dead.test")?;

            // The file is followed, and what the old server said is forgotten.
            ensure!(ask("who.test")? == ["192.0.2.11"]);
            let draft = lab.file("draft.conf");
            fs::write(&draft, "search lab\nnameserver 127.0.0.2\n")?;
            fs::rename(&draft, &servers)?;
            wait::until_true("the other server's answer", wait::SOON, || {
                Ok(ask("who.test")? == ["192.0.2.12"])
            })
        })
    }

    /// Prints the IPv4 addresses of a name in their order, or why there are none.
    const LOOK_UP: &str = r#"
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
int main(int argc, char **argv) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    char text[INET_ADDRSTRLEN];
    int code = getaddrinfo(argv[1], 0, &hints, &found);
    if (code) { puts(code == EAI_NONAME ? "no such name" : gai_strerror(code)); return 0; }
    for (; found; found = found->ai_next)
        puts(inet_ntop(AF_INET, &((struct sockaddr_in *)found->ai_addr)->sin_addr, text, sizeof text));
    return 0;
}
"#;

    #[test]
    fn the_resolver_of_musl_finds_the_same() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, SUBNETS, &["", "--alias web"])?;
            let [source, program] = ["look_up.c", "look_up"].map(|name| lab.file(name));
            fs::write(&source, LOOK_UP)?;
            let mut compiler = Command::new("musl-gcc");
            compiler.arg("-static").arg("-o").args([&program, &source]);
            expect_success(&mut compiler, "")?;
            let resolv_conf = lab.file("resolv.conf");
            fs::write(
                &resolv_conf,
                "nameserver 10.211.0.1\nnameserver fd11::1\nsearch red\n",
            )?;
            let resolv_conf = resolv_conf.display().to_string();
            for (name, expected) in [
                ("b", "10.211.0.3"),
                ("b.red", "10.211.0.3"),
                ("web", "10.211.0.3"),
                ("gateway.internal", "10.211.0.1"),
                ("nobody", "no such name"),
                ("example.com", "no such name"),
            ] {
                let program = format!("{} {name}", program.display());
                let found = resolving(&segment.sandboxes[0], &resolv_conf, &program)?;
                ensure!(found.trim() == expected, "{name}: {found}");
            }
            Ok(())
        })
    }
}
