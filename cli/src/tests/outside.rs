//! What reaches the world and is reached from it.

use std::io::{self, ErrorKind, Write};

use serde_json::json;

use super::{Rig, parse};
use crate::execute;
use crate::output::Watched;

#[test]
fn ports_are_published_shown_and_freed() {
    let rig = Rig::start();
    rig.ok("network create net --subnet 10.0.0.0/24 --subnet fd00::/64");
    let line = rig.ok("network connect net web --pid 7 -p 8080:80 -p 192.0.2.1:53:53/udp");
    assert!(
        line.contains(
            " publishes 0.0.0.0:8080->80/tcp publishes [::]:8080->80/tcp \
             publishes 192.0.2.1:53->53/udp dns 10.0.0.1 dns fd00::1 search net id "
        ),
        "{line}"
    );
    let ports = "0.0.0.0:8080->80/tcp,[::]:8080->80/tcp,192.0.2.1:53->53/udp";
    assert!(rig.ok("port ls").contains(ports));
    let shown = rig.ok("port show net/web");
    assert!(
        shown.contains(&format!("published        {ports}\n")),
        "{shown}"
    );
    assert_eq!(
        rig.json("port show net/web")["published"][2],
        json!({"protocol": "udp", "host_ip": "192.0.2.1", "host_ports": "53", "ports": "53"})
    );
    assert_eq!(
        rig.json("sandbox inspect web")[0]["NetworkSettings"]["Ports"]["80/tcp"],
        json!([
            {"HostIp": "0.0.0.0", "HostPort": "8080"},
            {"HostIp": "::", "HostPort": "8080"},
        ])
    );

    assert_eq!(
        rig.refusal("network connect net db --pid 8 -p 8080:5432"),
        "tcp port 0.0.0.0:8080 is in use by net/web"
    );
    let line = rig.ok("network connect net db --pid 8 -P -p 5432");
    assert!(line.contains("->5432/tcp"), "{line}");
    rig.ok("network disconnect net web");
    rig.ok("network connect net again --pid 9 -p 8080:80");
}

#[test]
fn options_of_the_gateway_are_shown_in_dockers_words() {
    let rig = Rig::start();
    rig.ok("network create net --icc=false --masquerade=false --subnet 10.0.0.0/24");
    rig.ok("network create inside --internal");
    let net = rig.json("network inspect net inside");
    assert_eq!(
        net[0]["Options"],
        json!({
            "com.docker.network.bridge.enable_icc": "false",
            "com.docker.network.bridge.enable_ip_masquerade": "false",
        })
    );
    assert_eq!(net[0]["IPAM"]["Config"][0]["Gateway"], "10.0.0.1");
    assert_eq!(
        (&net[0]["Internal"], &net[1]["Internal"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(
        rig.refusal("network connect inside web --pid 7 -p 80:80"),
        "network inside is internal: its ports cannot be published"
    );
}

#[test]
fn connection_limits_are_shown() {
    let rig = Rig::start();
    rig.ok("network create net");
    rig.ok("network connect net web --pid 7 --connection-limit 100 --connection-rate 10");
    let shown = rig.ok("port show net/web");
    assert!(shown.contains("connection limit  100\n"), "{shown}");
    assert!(shown.contains("connection rate   10/s\n"), "{shown}");
}

#[test]
fn translated_flows_are_listed_and_flushed() {
    let rig = Rig::start();
    rig.ok("network create net");
    assert_eq!(
        rig.ok("nat ls net"),
        "PROTO  KIND  NETWORK  PORT  ORIGINAL  REPLY  STATE  EXPIRES  PACKETS  BYTES\n"
    );
    assert_eq!(rig.json("nat ls --limit 5"), json!([]));
    assert_eq!(rig.json("nat ls net --limit 5"), json!([]));
    assert_eq!(rig.refusal("nat ls nine"), "there is no network \"nine\"");
    assert_eq!(rig.ok("nat flush net"), "0\n");
    assert_eq!(rig.json("nat flush"), json!({"flushed": 0}));
    assert_eq!(
        rig.refusal("nat flush nine"),
        "there is no network \"nine\""
    );
}

#[test]
fn stats_show_uplink_and_translation() {
    let rig = Rig::start();
    let text = rig.ok("stats");
    assert!(text.contains("UPLINK     tun\n"), "{text}");
    assert!(text.contains("address    192.0.2.1/32\n"), "{text}");
    let stats = rig.json("stats");
    assert_eq!(stats["uplink"]["kind"], "tun");
    assert_eq!(stats["nat"]["entries"], 0);
}

/// A reader who has seen enough after two pages.
#[derive(Default)]
struct TwoPages {
    text: Vec<u8>,
    pages: u8,
}

impl Write for TwoPages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pages += 1;
        if self.pages < 2 {
            return Ok(());
        }
        Err(ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn stats_are_watched_with_their_rates() {
    let rig = Rig::start();
    for (line, mark) in [("stats --watch", "TOTAL"), ("stats --watch --json", "\n")] {
        let line = format!("{line} --socket {}", rig.socket().display());
        let mut reader = TwoPages::default();
        let mut writer = Watched::new(&mut reader);
        let error = execute(parse(&line).unwrap(), &mut writer).unwrap_err();
        assert!(writer.is_unread(), "{line}: {error:#}");
        let text = String::from_utf8(reader.text).unwrap();
        assert_eq!(text.matches(mark).count(), 2, "{text}");
        assert_eq!(
            text.matches("PER SECOND").count(),
            usize::from(!line.contains("--json"))
        );
    }
}
