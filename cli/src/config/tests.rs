//! The sources together, and the table of keys against the types that it speaks of.

use std::fs;

use clap::{Args as _, Command, Parser as _};
use tapweave_daemon::{NatTimeout, Pool};

use super::keys::KEYS;
use super::*;
use crate::args::{Cli, Command as Words};
use crate::daemon::DaemonArgs;

fn daemon_args(line: &str) -> (Box<DaemonArgs>, Global) {
    let words = ["tapweave", "daemon"].into_iter();
    let cli = Cli::try_parse_from(words.chain(line.split_whitespace())).unwrap();
    let Words::Daemon(args) = cli.command else {
        panic!("{:?}", cli.command);
    };
    (args, cli.global)
}

fn load(file: &str, line: &str) -> Result<Config> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    fs::write(&path, file).unwrap();
    let (args, global) = daemon_args(&format!("--config {} {line}", path.display()));
    Config::load(&args.sources(&global))
}

fn refusal(file: &str, line: &str) -> String {
    format!("{:#}", load(file, line).unwrap_err())
}

#[test]
fn every_option_is_a_key_and_every_key_an_option() {
    let options = Settings::augment_args(Command::new("daemon"));
    let mut options: Vec<_> = options
        .get_arguments()
        .map(|option| option.get_id().as_str().replace('_', "-"))
        .collect();
    options.push("socket".to_owned());
    options.sort();
    let mut keys = KEYS.map(|key| key.name.to_owned());
    keys.sort();
    assert_eq!(keys, options[..]);
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_daemon() {
    let from_table: Settings = toml::from_str(&defaults()).unwrap();
    let mut from_table = options(from_table, None).unwrap();
    let mut default = Options::new(socket(None));
    assert_eq!(from_table.nat.timeouts.len(), 7);
    // Who is told nothing keeps nothing; the program says where.
    assert!(matches!(from_table.state, State::Directory(_)));
    default.state = from_table.state.clone();
    default.nat.timeouts = NatTimeout::defaults();
    from_table
        .nat
        .timeouts
        .sort_by_key(|timeout| timeout.name());
    default.nat.timeouts.sort_by_key(|timeout| timeout.name());
    assert_eq!(format!("{from_table:?}"), format!("{default:?}"));
}

#[test]
fn defaults_in_the_help_are_those_of_the_table() {
    let options = Settings::augment_args(Command::new("daemon"));
    for key in KEYS {
        let id = key.name.replace('-', "_");
        let option = options
            .get_arguments()
            .find(|option| option.get_id() == id.as_str());
        let Some(help) = option.and_then(|option| option.get_help()) else {
            continue;
        };
        let help = help.to_string();
        if let Some((_, rest)) = help.split_once("[default: ")
            && !key.default.is_empty()
            && key.name != "default-address-pools"
        {
            let stated = rest.split(']').next().unwrap();
            assert_eq!(stated, key.default.trim_matches('"'), "{}", key.name);
        }
    }
}

#[test]
fn the_command_line_beats_the_file() {
    let file =
        "workers = 2\nvxlan-port = 4790\nnat-timeout.udp = 30\nunderlay = ['eth1', 'eth2']\n";
    let config = load(file, "--workers 3 --nat-timeout icmp=5").unwrap();
    assert_eq!(config.options.worker_count, 3);
    assert_eq!(config.options.vxlan_port, 4790);
    assert_eq!(config.options.underlay.len(), 2);
    let timeout = |name| {
        let timeouts = config.options.nat.timeouts.iter();
        timeouts
            .rev()
            .find(|timeout| timeout.name() == name)
            .unwrap()
            .time()
            .as_secs()
    };
    assert_eq!(
        (timeout("udp"), timeout("icmp"), timeout("tcp-syn")),
        (30, 5, 240)
    );
}

#[test]
fn verbose_and_quiet_beat_the_log_of_the_file() {
    let log = |line| load("log = 'warn'", line).unwrap().log.to_string();
    assert_eq!(log(""), "warn");
    assert_eq!(log("--log debug"), "debug");
    assert_eq!(log("--log debug -q"), "error");
    assert_eq!(log("-v"), "debug");
}

#[test]
fn a_socket_of_the_file_is_used_and_yields_to_the_option() {
    let socket = |line| load("socket = '/a/b.sock'", line).unwrap().options.socket;
    assert_eq!(
        socket("--socket /c.sock"),
        SocketPath::Given("/c.sock".into())
    );
    if env::var_os("TAPWEAVE_SOCKET").is_none() {
        assert_eq!(socket(""), SocketPath::Given("/a/b.sock".into()));
    }
}

#[test]
fn defaults_of_networks_are_checked_and_told_where_they_stand() {
    let said = refusal(
        "workers = 2\n[default-network-opts.bridge]\n'tapweave.strom' = 5\n",
        "",
    );
    assert!(
        said.contains("t.toml:3:1: option tapweave.strom is not known"),
        "{said}"
    );
    let said = refusal("", "--default-network-opt bridge=tapweave.storm=lots");
    assert!(
        said.starts_with("--default-network-opt bridge=tapweave.storm=lots: option"),
        "{said}"
    );
    let said = refusal("[default-network-opts.brigde]\n'tapweave.storm' = 5\n", "");
    assert!(said.contains("driver \"brigde\" is not known"), "{said}");
    let config = load(
        "default-address-pools = [{ base = '10.0.0.0/16', size = 28 }]\n\
         [default-network-opts.bridge]\n'tapweave.storm' = 5\n'tapweave.snooping' = false",
        "",
    );
    let mut expected = NetworkDefaults::new(DefaultPools::new(vec![
        "base=10.0.0.0/16,size=28".parse::<Pool>().unwrap(),
    ]));
    expected
        .set_option("bridge", "tapweave.storm", "5")
        .unwrap();
    expected
        .set_option("bridge", "tapweave.snooping", "false")
        .unwrap();
    assert_eq!(config.unwrap().options.networks, expected);
}

#[test]
fn the_file_is_where_its_user_expects_it() {
    let path = |text: &str| Some(PathBuf::from(text));
    assert_eq!(
        path_in(true, path("/x"), path("/root")),
        path("/etc/tapweave/tapweave.toml")
    );
    assert_eq!(
        path_in(false, path("/x"), path("/home/u")),
        path("/x/tapweave/tapweave.toml")
    );
    assert_eq!(
        path_in(false, None, path("/home/u")),
        path("/home/u/.config/tapweave/tapweave.toml")
    );
    assert_eq!(path_in(false, None, None), None);
}

#[test]
fn the_reference_is_up_to_date() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/config.md");
    assert!(
        fs::read_to_string(page).unwrap_or_default() == reference::reference(),
        "docs/config.md is old; run: cargo run -- config reference > docs/config.md"
    );
}

#[test]
fn the_example_of_the_reference_is_valid() {
    let page = reference::reference();
    let example = page
        .split("```toml")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    load(example, "").unwrap();
}
