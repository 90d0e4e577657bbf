//! DHCP: what real clients in sandboxes, and behind them, are given and told.
//!
//! ```text
//!   a: static   b: --addr dhcp   c: --guard=false ─ m, a machine behind it (macvlan)
//!   |           |                |
//!   red ── 10.213.0.1, fd13::1   the gateway, which leases
//! ```

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;
use tapweave_integration::process::Background;
use tapweave_integration::{Cli, Lab, Sandbox};

/// What udhcpc runs when it has a lease: takes the address and says what it was told.
const UDHCPC_SCRIPT: &str = "#!/bin/sh
[ \"$1\" = bound ] || exit 0
ip addr add \"$ip/$mask\" dev \"$interface\" || exit 1
echo \"ip=$ip mask=$mask mtu=$mtu router=$router dns=$dns domain=$domain search=$search\"
echo \"lease=$lease server=$serverid hostname=$hostname routes=$staticroutes\"
";

/// What dhclient runs whenever anything happens: says what it was told.
const DHCLIENT_SCRIPT: &str = "#!/bin/sh
[ -z \"$new_ip_address\" ] || echo \"$reason has $new_ip_address of $new_dhcp_server_identifier.\"
[ -z \"$new_dhcp6_name_servers\" ] || echo \"dns $new_dhcp6_name_servers $new_dhcp6_domain_search\"
";

/// Writes a program that a client runs.
fn script(lab: &Lab, name: &str, text: &str) -> Result<PathBuf> {
    let path = lab.file(name);
    fs::write(&path, text)?;
    fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Asks by udhcpc on an interface and returns what it was told; an error when there is no lease.
fn udhcpc(lab: &Lab, from: &Sandbox, ifname: &str, options: &str) -> Result<String> {
    let script = script(lab, "udhcpc.sh", UDHCPC_SCRIPT)?;
    let script = script.display();
    let wanted = "-O mtu -O search -O staticroutes -O hostname";
    let arguments = format!("udhcpc -i {ifname} -f -q -n -s {script} {wanted} {options}");
    from.run("busybox", &arguments)
}

/// Starts dhclient on an interface, in the foreground.
fn dhclient(lab: &Lab, from: &Sandbox, ifname: &str, options: &str) -> Result<Background> {
    let script = script(lab, "dhclient.sh", DHCLIENT_SCRIPT)?;
    let mut command = from.command("dhclient");
    let files = ["-cf", "/dev/null", "-sf"];
    command.args(files).arg(script).args(["-d", "-1"]);
    command.arg("-lf").arg(lab.file("dhclient.leases"));
    command.arg("-pf").arg(lab.file("dhclient.pid"));
    command.args(options.split_whitespace()).arg(ifname);
    Background::start(&mut command, &lab.file("dhclient.log"))
}

/// Returns the leases of the network, as `ADDRESS ORIGIN STATE PORT`.
fn leases(cli: &Cli) -> Result<Vec<String>> {
    let leases = cli.json("lease ls red")?;
    let leases = leases.as_array().context("no list")?;
    let words = |lease: &Value| {
        let word = |key: &str| lease[key].as_str().unwrap_or_default().to_owned();
        ["address", "origin", "state", "port"].map(word).join(" ")
    };
    Ok(leases.iter().map(words).collect())
}

/// Returns how often the server dropped a message for a reason.
fn dropped(cli: &Cli, reason: &str) -> Result<u64> {
    let server = cli.json("lease show red")?;
    Ok(server["drops"][reason].as_u64().unwrap_or(0))
}

/// Bridges what stands for a virtual machine to the interface of a sandbox, and gives it the MAC address of that.
fn bridge_to(sandbox: &Sandbox, machine: &Sandbox) -> Result<()> {
    let links = sandbox.links()?;
    let link = links.iter().find(|link| link["ifname"] == "eth0");
    let mac = link.and_then(|link| link["address"].as_str());
    let mac = mac.context("eth0 has no address")?;
    // A bridge keeps frames for the address of one of its ports to itself.
    sandbox.ip("link set eth0 address 02:ff:ff:ff:ff:01")?;
    sandbox.ip("link add br0 type bridge")?;
    let netns = machine.path();
    sandbox.ip(&format!(
        "link add tap0 type veth peer name eth0 netns {}",
        netns.display()
    ))?;
    sandbox.ip("link set eth0 master br0")?;
    sandbox.ip("link set tap0 master br0 up")?;
    sandbox.ip("link set br0 up")?;
    machine.ip(&format!("link set eth0 address {mac} up"))?;
    Ok(())
}

/// Lets a machine be behind a sandbox.
fn put_behind(sandbox: &Sandbox, ifname: &str) -> Result<()> {
    sandbox.ip(&format!(
        "link add link eth0 name {ifname} type macvlan mode bridge"
    ))?;
    // The sandbox itself would answer for its neighbour.
    sandbox.ip("addr flush dev eth0 scope global")?;
    sandbox.ip(&format!("link set {ifname} up"))?;
    Ok(())
}

#[cfg(test)]
mod once {
    use anyhow::ensure;
    use tapweave_integration::Segment;
    use tapweave_integration::traffic::{ping_soon, scapy};
    use tapweave_integration::wait::{SOON, until, until_true};

    use super::*;

    const NETWORK: &str = "--subnet 10.213.0.0/24 --subnet fd13::/64 -o tapweave.dhcp_lease=10m -o tapweave.dad=false";
    const PORTS: [&str; 3] = ["", "--addr dhcp", "--guard=false"];

    #[test]
    fn who_asks_has_the_address_of_its_endpoint_and_who_does_not_gets_no_answer() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, NETWORK, &PORTS[..2])?;
            let (a, b) = (&segment.sandboxes[0], &segment.sandboxes[1]);
            let cli = segment.cli();
            let own = segment.ipv4(1)?;
            let before = b.ip("-o addr show dev eth0 scope global")?;
            ensure!(before.is_empty(), "{before}");

            let told = udhcpc(lab, b, "eth0", "")?;
            let expected = format!(
                "ip={own} mask=24 mtu=1500 router=10.213.0.1 dns=10.213.0.1 domain=red search=red\n\
                 lease=600 server=10.213.0.1 hostname=b routes=0.0.0.0/0 10.213.0.1\n"
            );
            ensure!(told == expected, "{told}");
            ping_soon(b, "10.213.0.1".parse()?)?;
            ping_soon(b, segment.ipv4(0)?)?;
            ensure!(leases(cli)? == [format!("{own} endpoint bound red/b")]);

            let services = &cli.json("stats")?["services"][0];
            ensure!(services["dhcp"]["acks"] == 1, "{services}");

            // Another client of the same machine, which has another identifier.
            let mut client = dhclient(lab, b, "eth0", "-4")?;
            client.line(&format!("has {own} of 10.213.0.1."))?;
            client.kill()?;

            let refused = udhcpc(lab, a, "eth0", "-t 1 -T 1");
            ensure!(refused.is_err(), "{refused:?}");
            ensure!(dropped(cli, "fixed")? > 0);
            let refused = cli.refused("lease ls blue")?;
            ensure!(refused.contains("blue"), "{refused}");
            Ok(())
        })
    }

    #[test]
    fn a_machine_that_is_bridged_to_the_interface_has_the_address_of_the_endpoint() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, NETWORK, &PORTS[..2])?;
            let machine = lab.sandbox("machine")?;
            bridge_to(&segment.sandboxes[1], &machine)?;
            let told = udhcpc(lab, &machine, "eth0", "")?;
            let own = segment.ipv4(1)?;
            ensure!(told.contains(&format!("ip={own} mask=24")), "{told}");
            ping_soon(&machine, "10.213.0.1".parse()?)?;
            ping_soon(&machine, segment.ipv4(0)?)?;
            ensure!(leases(segment.cli())? == [format!("{own} endpoint bound red/b")]);
            Ok(())
        })
    }

    #[test]
    fn a_machine_behind_a_port_has_a_lease_that_outlives_the_daemon() -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            let segment = Segment::on(lab.daemon_with(&options)?, lab, NETWORK, &PORTS)?;
            let c = &segment.sandboxes[2];
            put_behind(c, "behind0")?;
            let told = udhcpc(lab, c, "behind0", "-x hostname:machine")?;
            ensure!(told.contains("ip=10.213.0.5 mask=24"), "{told}");
            ensure!(told.contains("hostname= "), "{told}");
            ping_soon(c, "10.213.0.1".parse()?)?;
            let expected = ["10.213.0.5 pool bound red/c"];
            ensure!(leases(segment.cli())? == expected);
            let table = segment.cli().ok("lease ls red")?;
            ensure!(table.contains(" machine "), "{table}");

            let Segment {
                daemon, sandboxes, ..
            } = segment;
            daemon.stop()?;
            let daemon = lab.daemon_with(&options)?;
            until("the lease", SOON, || {
                let found = leases(daemon.cli())?;
                Ok((found == expected).then_some(()))
            })?;
            // It goes with the port.
            daemon.cli().ok("network disconnect red c")?;
            ensure!(leases(daemon.cli())?.is_empty());
            drop(sandboxes);
            daemon.stop()
        })
    }

    #[test]
    fn a_machine_behind_a_port_has_the_address_that_was_fixed_for_it() -> Result<()> {
        Lab::run(|lab| {
            let options = lab.state_option();
            let segment = Segment::on(lab.daemon_with(&options)?, lab, NETWORK, &PORTS)?;
            let (cli, c) = (segment.cli(), &segment.sandboxes[2]);
            put_behind(c, "behind0")?;
            let links = c.links()?;
            let link = links.iter().find(|link| link["ifname"] == "behind0");
            let mac = link.and_then(|link| link["address"].as_str());
            let mac = mac.context("behind0 has no address")?;
            for (address, client) in [
                ("10.213.0.77", format!("--mac {mac}")),
                ("10.213.0.78", "--client-id ca:fe:01".to_owned()),
                ("10.213.0.79", "--client-id vm".to_owned()),
            ] {
                cli.ok(&format!("lease add red {address} {client}"))?;
            }
            cli.misused("lease add red 10.213.0.80")?;
            cli.misused("lease add red 10.213.0.80 --client-id x")?;
            for (words, reason) in [
                (
                    "10.213.0.77 --client-id vx",
                    format!("the static lease of {mac}"),
                ),
                ("10.213.0.80 --client-id vm", "10.213.0.79".to_owned()),
                ("10.213.0.1 --client-id vx", "the gateway".to_owned()),
            ] {
                let refused = cli.refused(&format!("lease add red {words}"))?;
                ensure!(refused.contains(&reason), "{refused}");
            }

            let told = udhcpc(lab, c, "behind0", "")?;
            ensure!(told.contains("ip=10.213.0.77 mask=24"), "{told}");
            ping_soon(c, "10.213.0.1".parse()?)?;
            let told = udhcpc(lab, c, "behind0", "-x 0x3d:cafe01")?;
            ensure!(told.contains("ip=10.213.0.78 mask=24"), "{told}");
            let config = lab.file("dhclient.conf");
            fs::write(&config, "send dhcp-client-identifier \"vm\";\n")?;
            let options_of_client = format!("-4 -cf {}", config.display());
            let mut client = dhclient(lab, c, "behind0", &options_of_client)?;
            client.line("has 10.213.0.79 of 10.213.0.1.")?;
            client.kill()?;
            let addresses = ["10.213.0.77", "10.213.0.78", "10.213.0.79"];
            ensure!(leases(cli)? == addresses.map(|it| format!("{it} static bound red/c")));

            let Segment {
                daemon, sandboxes, ..
            } = segment;
            daemon.stop()?;
            let daemon = lab.daemon_with(&options)?;
            let reserved = addresses.map(|it| format!("{it} static reserved "));
            ensure!(leases(daemon.cli())? == reserved);
            let table = daemon.cli().ok("lease ls red")?;
            ensure!(table.contains(" id 76:6d "), "{table}");
            daemon.cli().ok("lease rm red 10.213.0.79")?;
            ensure!(leases(daemon.cli())? == reserved[..2]);
            daemon.cli().refused("lease rm red 10.213.0.79")?;
            // The interface is another one, and so is what is behind it.
            let c = &sandboxes[2];
            until_true("eth0", SOON, || {
                Ok(c.ifnames()?.contains(&"eth0".to_owned()))
            })?;
            put_behind(c, "behind1")?;
            let told = udhcpc(lab, c, "behind1", "-x 0x3d:cafe01 -t 20 -T 1")?;
            ensure!(told.contains("ip=10.213.0.78 mask=24"), "{told}");
            daemon.stop()
        })
    }

    const HOSTILE: &str = "
import sys
from scapy.all import *
out = conf.L2socket(iface=sys.argv[1])
def ask(mac, kind, giaddr='0.0.0.0'):
    chaddr = bytes.fromhex(mac.replace(':', ''))
    return BOOTP(chaddr=chaddr, giaddr=giaddr) / DHCP(options=[('message-type', kind), 'end'])
def send(mac, message):
    link = Ether(src=mac, dst='ff:ff:ff:ff:ff:ff')
    out.send(link / IP(src='0.0.0.0', dst='255.255.255.255') / UDP(sport=68, dport=67) / message)
for n in range(200):
    mac = '02:00:00:01:00:%02x' % n
    send(mac, ask(mac, 'discover'))
mac = '02:00:00:02:00:01'
send(mac, ask(mac, 'discover', giaddr='10.9.9.9'))
send('02:00:00:02:00:02', ask(mac, 'discover'))
whole = bytes(ask(mac, 'discover'))
for n in (0, 1, 43, 239, 241, 242):
    send(mac, Raw(whole[:n]))
send(mac, Raw(whole[:240] + b'\\x35\\x01\\x01\\x3d\\xff' + bytes(20)))
send(mac, Raw(whole[:240] + b'\\x35\\x01\\x01' + b'\\x3d\\x80' + bytes(128) + b'\\x3d\\x80' + bytes(128) + b'\\xff'))
send(mac, Raw(whole[:2] + b'\\xff' + whole[3:]))
";

    #[test]
    fn a_flood_from_one_port_leaves_the_addresses_to_the_others() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, NETWORK, &PORTS)?;
            let cli = segment.cli();
            scapy(&segment.sandboxes[2], HOSTILE, &["eth0"])?;
            until_true("the drops", SOON, || {
                Ok(dropped(cli, "port_limit")? == 136
                    && dropped(cli, "relayed")? == 1
                    && dropped(cli, "foreign_mac")? == 1
                    && dropped(cli, "malformed")? == 9)
            })?;
            ensure!(leases(cli)?.len() == 64);
            let told = udhcpc(lab, &segment.sandboxes[1], "eth0", "")?;
            ensure!(
                told.contains(&format!("ip={} ", segment.ipv4(1)?)),
                "{told}"
            );
            Ok(())
        })
    }

    const ADVERTISEMENT: &str = "
import sys, threading
from scapy.all import *
ready = threading.Event()
heard = AsyncSniffer(iface=sys.argv[1], lfilter=lambda p: ICMPv6ND_RA in p, count=1, timeout=20,
                     started_callback=ready.set)
heard.start()
ready.wait()
sendp(Ether(dst='33:33:00:00:00:02') / IPv6(dst='ff02::2') / ICMPv6ND_RS(), iface=sys.argv[1], verbose=0)
heard.join()
said = heard.results[0]
print(said[ICMPv6ND_RA].M, said[ICMPv6ND_RA].O, said[ICMPv6NDOptMTU].mtu,
      said[ICMPv6NDOptRDNSS].dns, said[ICMPv6NDOptDNSSL].searchlist)
";

    #[test]
    fn hosts_find_the_resolver_over_ipv6() -> Result<()> {
        Lab::run(|lab| {
            let segment = Segment::with(lab, NETWORK, &PORTS[..1])?;
            let a = &segment.sandboxes[0];
            let said = scapy(a, ADVERTISEMENT, &["eth0"])?;
            ensure!(said == "0 1 1500 ['fd13::1'] ['red.']\n", "{said}");
            until_true("the link-local address", SOON, || {
                let tentative = a.ip("-o -6 addr show dev eth0 tentative")?;
                Ok(tentative.is_empty())
            })?;
            let mut client = dhclient(lab, a, "eth0", "-6 -S")?;
            client.line("dns fd13::1 red.")?;
            client.kill()?;
            let server = segment.cli().json("lease show red")?;
            ensure!(server["informs_v6"] == 1, "{server}");
            Ok(())
        })
    }
}
