//! Parsing, and commands against a server with a packet path in memory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use serde_json::Value;
use tapweave_control::memory::{MemoryDatapath, MemoryHost};
use tapweave_control::server::{ControlSocket, serve};
use tapweave_control::{Controller, SocketPath};
use tapweave_ipam::DefaultPools;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::args::Cli;
use crate::execute;
use crate::output::{UsageError, Watched};

mod docker;
mod lists;
mod man;
mod outside;
mod units;

fn parse(line: &str) -> Result<Cli, ErrorKind> {
    let words = std::iter::once("tapweave").chain(line.split_whitespace());
    Cli::try_parse_from(words).map_err(|error| error.kind())
}

#[test]
fn the_definition_of_the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn absurd_values_are_wrong_usage() {
    for line in [
        "network create a/b",
        "network create -- -x",
        "network create n --mtu 67",
        "network create n --mtu 65521",
        "network create n --mtu=-1",
        "network create n --mtu 99999999999999999999",
        "network create n --subnet 10.0.0.0",
        "network create n --subnet 10.0.0.0/33",
        "network create n --subnet nowhere",
        "network create n --subnet 10.0.0.0/24 --gateway 10.0.0",
        "network create n --subnet 10.0.0.0/24 --aux-address 10.0.0.9",
        "network create n --subnet 10.0.0.0/24 --aux-address =10.0.0.9",
        "network create n --label =x",
        "network create n --icc=maybe",
        "network ls --filter name",
        "network connect n s --pid 0",
        "network connect n s --pid 4294967296",
        "network connect n s --ip fd00::1",
        "network connect n s --ip6 10.0.0.1",
        "network connect n s --mac 02:00",
        "network connect n s --ifname sixteen.bytes.xx",
        "network connect n s --queues 0",
        "network connect n s --vlan 0",
        "network connect n s --vlan 4095",
        "network connect n s --vlan 5000",
        "network connect n s --vlan 10,20",
        "network connect n s --trunk 0-10",
        "network connect n s --trunk 29-20",
        "network connect n s --trunk 10,10",
        "network connect n s --trunk 10-20,15",
        "network connect n s --trunk 10,",
        "fdb add n 02:00:00:00:00:01 --port n/s --vlan 4095",
        "network connect n s --queues 17",
        "network create n --masquerade=maybe",
        "network connect n s -p 0",
        "network connect n s -p 80-70",
        "network connect n s -p 8000-8001:80-89",
        "network connect n s -p 80/sctp",
        "network connect n s -p 2001:db8::1:80:80",
        "network connect n s --connection-limit 0",
        "network connect n s --connection-rate 0",
        "network connect n s --alias a/b",
        "fdb add n 02:00:00:00:00:zz --port n/s",
        "daemon --workers 0",
        "daemon --workers 257",
        "daemon --backend kqueue",
        "daemon --busy-poll 51",
    ] {
        let kind = parse(line).err();
        assert!(
            matches!(
                kind,
                Some(ErrorKind::ValueValidation | ErrorKind::InvalidValue)
            ),
            "{line}: {kind:?}"
        );
    }
}

#[test]
fn what_is_missing_unknown_or_contradictory_is_wrong_usage() {
    let kind = |line| parse(line).err();
    assert_eq!(kind("network rm"), Some(ErrorKind::MissingRequiredArgument));
    assert_eq!(
        kind("network create n --gateway 10.0.0.1"),
        Some(ErrorKind::MissingRequiredArgument)
    );
    assert_eq!(
        kind("network connect n s --pid 1 --netns /x"),
        Some(ErrorKind::ArgumentConflict)
    );
    // Nothing says which ports a sandbox has.
    assert_eq!(
        kind("network connect n s -P"),
        Some(ErrorKind::MissingRequiredArgument)
    );
    assert_eq!(kind("stats -v -q"), Some(ErrorKind::ArgumentConflict));
    assert_eq!(kind("netwrok ls"), Some(ErrorKind::InvalidSubcommand));
    assert_eq!(
        kind("network connect n s --gw-priority 32"),
        Some(ErrorKind::ValueValidation)
    );
    parse("network connect n s --gw-priority -31").unwrap();
    assert_eq!(kind("--version"), Some(ErrorKind::DisplayVersion));
}

#[test]
fn quiet_and_json_are_understood_before_and_behind_the_command() {
    for line in ["-q network ls", "network ls -q", "network -q ls"] {
        assert!(parse(line).unwrap().global.quiet, "{line}");
    }
    assert!(parse("port ls net --json").unwrap().global.json);
    let cli = parse("network ls --socket /x/y").unwrap();
    assert_eq!(cli.global.socket.as_deref(), Some(Path::new("/x/y")));
}

/// A server in a thread of its own.
struct Rig {
    folder: TempDir,
    server: Option<(oneshot::Sender<()>, thread::JoinHandle<()>)>,
}

impl Rig {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let uid = fs::metadata(folder.path()).unwrap().uid();
        let path = SocketPath::Given(folder.path().join("t.sock"));
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let controller = Controller::new(
                Arc::new(MemoryDatapath::default()),
                Arc::new(MemoryHost::default()),
                DefaultPools::default(),
            );
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let socket = ControlSocket::bind(&path, uid).unwrap();
                ready.send(()).unwrap();
                let stop = async {
                    let _sender_dropped = stopped.await;
                };
                serve(Arc::new(controller), socket, None, stop)
                    .await
                    .unwrap();
            });
        });
        is_ready.recv().unwrap();
        Self {
            folder,
            server: Some((stop, thread)),
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("t.sock")
    }

    fn run(&self, line: &str) -> anyhow::Result<String> {
        let line = format!("{line} --socket {}", self.socket().display());
        let mut printed = Vec::new();
        execute(parse(&line).unwrap(), &mut printed)?;
        Ok(String::from_utf8(printed)?)
    }

    fn ok(&self, line: &str) -> String {
        self.run(line)
            .unwrap_or_else(|error| panic!("{line}: {error:#}"))
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("{line} --json"))).unwrap()
    }

    fn refusal(&self, line: &str) -> String {
        format!("{:#}", self.run(line).unwrap_err())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.server.take() {
            drop(stop);
            thread.join().unwrap();
        }
    }
}

#[test]
fn networks_are_made_listed_filtered_shown_and_removed() {
    let rig = Rig::start();
    let id = rig.ok("network create one --label tier=front --icc=false --mtu 1400");
    assert_eq!(id.trim().len(), 64);
    rig.ok(
        "network create two --subnet 10.1.0.0/24 --subnet fd00:1::/64 \
            --ip-range 10.1.0.128/25 --gateway 10.1.0.254 --aux-address dns=fd00:1::53 \
            --internal -o tapweave.ageing=10s",
    );
    assert_eq!(
        rig.ok("network ls"),
        format!(
            "NETWORK ID    NAME  DRIVER  SCOPE  SUBNETS                  ENDPOINTS\n\
             {}  one   bridge  local  10.192.0.0/24            0\n\
             {}  two   bridge  local  10.1.0.0/24,fd00:1::/64  0\n",
            &id[..12],
            &rig.ok("network ls -q --filter name=two")[..12],
        )
    );
    assert_eq!(rig.ok("network ls -q --filter label=tier"), id);
    assert_eq!(rig.ok("network ls -q --filter label=tier=back"), "");
    assert_eq!(
        rig.json("network ls --filter internal=true")[0]["Name"],
        "two"
    );
    let shown: Value = serde_json::from_str(&rig.ok("network inspect one two")).unwrap();
    assert_eq!(shown[0]["Options"]["com.docker.network.driver.mtu"], "1400");
    let config = &shown[1]["IPAM"]["Config"];
    assert_eq!(config[0]["IPRange"], "10.1.0.128/25");
    assert_eq!(config[0]["Gateway"], "10.1.0.254");
    assert_eq!(config[1]["AuxiliaryAddresses"]["dns"], "fd00:1::53");
    assert_eq!(
        rig.refusal("network create one"),
        "there is a network called one already"
    );
    assert_eq!(
        rig.ok(&format!("network rm two {}", &id[..12])),
        format!("two\n{}\n", &id[..12])
    );
    assert_eq!(rig.json("network ls"), serde_json::json!([]));
}

#[test]
fn removing_several_removes_what_can_be_removed() {
    let rig = Rig::start();
    rig.ok("network create one");
    rig.ok("network create two");
    rig.ok("network connect one web --pid 7");
    assert_eq!(
        rig.refusal("network rm one two nine"),
        "network one is in use by one/web; there is no network \"nine\""
    );
    assert_eq!(rig.json("network ls").as_array().unwrap().len(), 1);
}

#[test]
fn sandboxes_are_connected_listed_and_removed() {
    let rig = Rig::start();
    rig.ok("network create net");
    let printed = rig.ok("network connect net web --netns /run/netns/7 --alias www");
    assert!(
        printed.starts_with(
            "net/web: eth0 mac 02:00:0a:c0:00:02 addr 10.192.0.2/24 mtu 1500 \
             dns 10.192.0.1 search net id "
        ),
        "{printed}"
    );
    let endpoint = rig.json("network connect net db --pid 8 --ip 10.192.0.9 --offload=false");
    assert_eq!(endpoint["addresses"][0], "10.192.0.9/24");
    assert_eq!(endpoint["offloads"], serde_json::json!([]));
    assert_eq!(rig.ok("sandbox ls -q"), "db\nweb\n");
    let table = rig.ok("sandbox ls");
    assert!(table.contains("/run/netns/7"), "{table}");
    assert!(table.contains("net/web:eth0"), "{table}");
    assert_eq!(
        rig.json("sandbox inspect web")[0]["endpoints"][0]["aliases"][0],
        "www"
    );
    assert_eq!(rig.ok("network disconnect net web"), "net/web\n");
    assert_eq!(
        rig.refusal("network disconnect net web"),
        "sandbox web is not connected to network net"
    );
    rig.ok("network disconnect -f net web");
    assert_eq!(
        rig.json("sandbox rm web db"),
        serde_json::json!({"removed": ["web", "db"]})
    );
}

#[test]
fn ports_tables_and_figures_are_shown() {
    let rig = Rig::start();
    rig.ok("network create net");
    rig.ok("network connect net web --pid 7");
    let table = rig.ok("port ls net");
    let heading = table.lines().next().unwrap();
    for column in ["PORT", "MAC", "ADDRESSES", "OFFLOADS", "RX FRAMES", "DROPS"] {
        assert!(heading.contains(column), "{heading}");
    }
    assert_eq!(rig.ok("port ls -q"), "net/web\n");
    let port = rig.json("port show net/web:eth0");
    for (key, value) in [("port", "net/web"), ("kind", "tap"), ("state", "up")] {
        assert_eq!(port[key], value);
    }
    assert_eq!(port["counters"]["rx_frames"], 0);
    assert!(rig.ok("port show net/web").contains("drops            0"));
    rig.ok("fdb add net 02:aa:00:00:00:01 --port net/web");
    assert_eq!(
        rig.ok("fdb show net"),
        "MAC                VID  NETWORK  PORT     AGE  TYPE\n\
         02:aa:00:00:00:01  -    net      net/web  -    static\n"
    );
    assert_eq!(rig.json("fdb show")[0]["kind"], "static");
    assert_eq!(rig.json("fdb flush")["flushed"], 0);
    assert_eq!(
        rig.ok("fdb del net 02:aa:00:00:00:01"),
        "02:aa:00:00:00:01\n"
    );
    assert_eq!(rig.json("stats")["ports"], 1);
    let text = rig.ok("stats");
    assert!(
        text.contains("WORKER") && text.contains("net  0        8192"),
        "{text}"
    );
}

#[test]
fn vlans_are_asked_for_shown_and_refused() {
    let rig = Rig::start();
    rig.ok("network create net");
    let line = rig.ok("network connect net access --pid 7 --vlan 10");
    assert!(
        line.contains(" vlan 10 dns 10.192.0.1 search net id "),
        "{line}"
    );
    let line = rig.ok("network connect net trunk --pid 8 --trunk 20-29,30 --vlan 10");
    assert!(
        line.contains(" vlan 10 trunk 20-30 dns 10.192.0.1 search net id "),
        "{line}"
    );
    rig.ok("network connect net plain --pid 9");

    let ports = rig.json("port ls net");
    let vlans = |index: usize| (ports[index]["vlan"].clone(), ports[index]["trunk"].clone());
    assert_eq!(vlans(0), (10.into(), Value::Null));
    assert_eq!(vlans(1), (Value::Null, Value::Null));
    assert_eq!(vlans(2), (10.into(), "20-30".into()));
    let shown = rig.ok("port show net/trunk");
    assert!(
        shown.contains("vlan             10\ntrunk            20-30\n"),
        "{shown}"
    );
    let containers = rig.json("network inspect net")[0]["Containers"].clone();
    let containers = containers.as_object().unwrap();
    let of = |name| containers.values().find(|c| c["Name"] == name).unwrap();
    assert_eq!(of("trunk")["Vlan"], 10);
    assert_eq!(of("trunk")["Trunk"], "20-30");
    assert_eq!(of("plain").get("Vlan"), None);

    rig.ok("fdb add net 02:aa:00:00:00:01 --port net/trunk --vlan 25");
    rig.ok("fdb add net 02:aa:00:00:00:01 --port net/plain");
    assert_eq!(
        rig.ok("fdb show net"),
        "MAC                VID  NETWORK  PORT       AGE  TYPE\n\
         02:aa:00:00:00:01  -    net      net/plain  -    static\n\
         02:aa:00:00:00:01  25   net      net/trunk  -    static\n"
    );
    assert_eq!(rig.json("fdb show")[1]["vlan"], 25);
    for (line, problem) in [
        (
            "fdb add net 02:aa:00:00:00:01 --port net/access",
            "port net/access does not carry frames that are in no VLAN (access port of VLAN 10)",
        ),
        (
            "fdb add net 02:aa:00:00:00:01 --port net/access --vlan 20",
            "port net/access does not carry VLAN 20 (access port of VLAN 10)",
        ),
        (
            "fdb del net 02:aa:00:00:00:01 --vlan 10",
            "no FDB entry for 02:aa:00:00:00:01 in VLAN 10, only outside of VLANs and in VLAN 25",
        ),
        (
            "network connect net x --pid 11 --vlan 10 --trunk 9-11",
            "VLAN 10 cannot be both the untagged one (--vlan) and in the trunk (--trunk)",
        ),
    ] {
        let said = rig.refusal(line);
        assert!(said.contains(problem), "{line}: {said}");
    }
    rig.ok("fdb del net 02:aa:00:00:00:01 --vlan 25");
    rig.ok("fdb del net 02:aa:00:00:00:01");
}

#[test]
fn subnets_that_do_not_fit_their_options_are_wrong_usage() {
    let rig = Rig::start();
    for line in [
        "network create n --subnet 10.0.0.0/24 --gateway 10.0.1.1",
        "network create n --subnet 10.0.0.0/24 --gateway 10.0.0.1 --gateway 10.0.0.2",
        "network create n --subnet 10.0.0.0/24 --ip-range fd00::/80",
        "network create n --subnet none --subnet 10.0.0.0/24",
        "network create n --subnet none --gateway 10.0.0.1",
    ] {
        let error = rig.run(line).unwrap_err();
        assert!(
            error.downcast_ref::<UsageError>().is_some(),
            "{line}: {error:#}"
        );
    }
    assert!(
        rig.refusal("network create n -d routed")
            .contains("not built yet")
    );
}

#[test]
fn without_a_daemon_a_command_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("stats --socket {}/none.sock", folder.path().display());
    let error = execute(parse(&line).unwrap(), &mut Vec::new()).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("no daemon answers on"), "{text}");
    assert!(text.contains("start one with `tapweave daemon`"), "{text}");
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let mut printed = Vec::new();
        execute(
            parse(&format!("completions {shell}")).unwrap(),
            &mut printed,
        )
        .unwrap();
        assert!(
            String::from_utf8(printed).unwrap().contains("tapweave"),
            "{shell}"
        );
    }
}

#[test]
fn a_reader_that_has_gone_is_recognised() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let rig = Rig::start();
    rig.ok("network create net");
    for line in [
        "network ls",
        "network ls --json",
        "completions bash",
        "stats",
        "stats --watch",
    ] {
        let line = format!("{line} --socket {}", rig.socket().display());
        let mut writer = Watched::new(Closed);
        let error = execute(parse(&line).unwrap(), &mut writer).unwrap_err();
        assert!(writer.is_unread(), "{line}: {error:#}");
    }
}

/// It may break the connection before it is asked, which is a broken pipe too.
#[test]
fn a_daemon_that_hangs_up_is_not_taken_for_a_reader_that_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let hanging_up = thread::spawn(move || {
        for stream in listener.incoming().take(100) {
            drop(stream.unwrap());
        }
    });
    let line = format!("network create net --socket {}", socket.display());
    for _ in 0..100 {
        let mut writer = Watched::new(Vec::new());
        execute(parse(&line).unwrap(), &mut writer).unwrap_err();
        assert!(!writer.is_unread());
    }
    hanging_up.join().unwrap();
}
