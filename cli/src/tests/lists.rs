//! What of a list is shown, and several things at once.

use serde_json::{Value, json};

use super::{Rig, parse};
use crate::execute;
use crate::output::UsageError;

#[test]
fn every_list_has_filters_and_names_those_that_there_are() {
    let rig = Rig::start();
    for (list, keys) in [
        (
            "network ls",
            "name, id, driver, scope, label, dangling, internal, ipv6",
        ),
        (
            "network prune",
            "name, id, driver, scope, label, dangling, internal, ipv6",
        ),
        ("sandbox ls", "name, id, network, address"),
        (
            "port ls",
            "name, id, network, sandbox, ifname, mac, address, vlan, kind, state",
        ),
        ("fdb show", "mac, network, port, vtep, vlan, type"),
        ("neigh show", "address, mac, network, port, vtep, type"),
        ("dns ls", "name, address, network, type"),
        ("lease ls", "address, mac, network, origin, port, state"),
        ("mdb show", "group, network, port, vlan, type"),
        ("peer ls", "address, network, type, state"),
        ("nat ls", "proto, kind, network, port, state, address"),
    ] {
        let error = rig.run(&format!("{list} --filter zzz=red")).unwrap_err();
        assert!(
            error.downcast_ref::<UsageError>().is_some(),
            "{list}: {error:#}"
        );
        assert!(
            error.to_string().contains(&format!("there are {keys};")),
            "{list}: {error:#}"
        );
        if list != "network prune" {
            rig.ok(&format!("{list} --filter network=red")
                .replace("network ls --filter network", "network ls --filter name"));
        }
    }
    let near = rig
        .run("port ls --filter adress=10.0.0.1")
        .unwrap_err()
        .to_string();
    assert!(near.contains("did you mean address?"), "{near}");
    // Nobody is asked before that.
    let error = execute(
        parse("network ls --filter x=y --socket /nowhere").unwrap(),
        &mut Vec::new(),
    );
    assert!(error.unwrap_err().to_string().contains("no such key"));
}

#[test]
fn lists_show_what_their_filters_say() {
    let rig = Rig::start();
    rig.ok("network create one --subnet 10.1.0.0/24 --label tier=front");
    rig.ok("network create two --subnet 10.2.0.0/24 --internal --label tier=back");
    rig.ok("network connect one web --pid 7");
    rig.ok("network connect two web");
    rig.ok("network connect two db --pid 8 --vlan 10");
    for (line, shown) in [
        ("port ls -q --filter sandbox=web", "one/web\ntwo/web\n"),
        (
            "port ls -q --filter address=10.2.0.0/24 --filter sandbox=web",
            "two/web\n",
        ),
        ("port ls -q --filter vlan=10", "two/db\n"),
        (
            "port ls -q --filter network=one --filter network=two --filter ifname=eth1",
            "two/web\n",
        ),
        ("port ls two -q --filter state=gone", ""),
        ("sandbox ls -q --filter network=one", "web\n"),
        ("sandbox ls -q --filter address=10.2.0.3", "db\n"),
        ("sandbox ls -q --filter name=e", "web\n"),
    ] {
        assert_eq!(rig.ok(line), shown, "{line}");
    }
    let names = |line: &str| -> Vec<Value> {
        let networks = rig.json(line);
        networks
            .as_array()
            .unwrap()
            .iter()
            .map(|network| network["Name"].clone())
            .collect()
    };
    assert_eq!(names("network ls --filter label=tier"), ["one", "two"]);
    assert_eq!(
        names("network ls --filter label=tier --filter label=tier=back"),
        ["two"]
    );
    assert_eq!(names("network ls --filter dangling=true"), [] as [&str; 0]);
    assert_eq!(
        names("network ls --filter internal=true --filter driver=bridge"),
        ["two"]
    );
    rig.ok("fdb add one 02:aa:00:00:00:01 --port one/web");
    assert_eq!(
        rig.ok("fdb show -q --filter type=static --filter mac=02:AA:00:00:00:01"),
        "02:aa:00:00:00:01\n"
    );
    assert_eq!(rig.ok("fdb show -q --filter type=learned"), "");
}

#[test]
fn networks_without_endpoints_are_pruned() {
    let rig = Rig::start();
    for name in ["busy", "idle", "kept", "spare"] {
        rig.ok(&format!("network create {name} --label of={name}"));
    }
    rig.ok("network connect busy web --pid 7");
    assert_eq!(
        rig.ok("network prune -f --filter label=of=spare"),
        "spare\n"
    );
    // Tests have no terminal.
    assert_eq!(
        rig.refusal("network prune"),
        "there is no terminal to ask on: -f removes idle, kept without"
    );
    assert_eq!(
        rig.json("network prune --force"),
        json!({"removed": ["idle", "kept"]})
    );
    assert_eq!(rig.ok("network prune"), "");
    assert_eq!(rig.json("network ls")[0]["Name"], "busy");
}

#[test]
fn of_several_things_those_that_there_are_are_shown_and_the_others_told() {
    let rig = Rig::start();
    rig.ok("network create one");
    rig.ok("network connect one web --pid 7");
    for (line, failure) in [
        ("network inspect one nine", "there is no network \"nine\""),
        ("sandbox inspect web nine", "there is no sandbox \"nine\""),
    ] {
        let line = format!("{line} --socket {}", rig.socket().display());
        let mut printed = Vec::new();
        let error = execute(parse(&line).unwrap(), &mut printed).unwrap_err();
        assert!(error.to_string().starts_with(failure), "{error:#}");
        let printed: Value = serde_json::from_slice(&printed).unwrap();
        assert_eq!(printed.as_array().unwrap().len(), 1, "{line}");
    }
}

#[test]
fn a_slip_in_a_name_is_answered_with_the_name() {
    let rig = Rig::start();
    rig.ok("network create blue");
    rig.ok("network connect blue web --pid 7");
    for (line, said) in [
        (
            "network rm blu",
            "there is no network \"blu\"; did you mean \"blue\"?",
        ),
        (
            "sandbox inspect wbe",
            "there is no sandbox \"wbe\"; did you mean \"web\"?",
        ),
        (
            "network connect blue wep",
            "sandbox \"wep\" is not known; did you mean \"web\"?; give its namespace",
        ),
        (
            "port show blue/web:eht0",
            "there is no port \"blue/web:eht0\"; did you mean \"blue/web:eth0\"?",
        ),
        (
            "network create n -d birdge",
            "driver \"birdge\" is not known; did you mean bridge?",
        ),
        (
            "network create n -o tapweave.agein=5s",
            "option tapweave.agein is not known; did you mean tapweave.ageing?",
        ),
        ("network rm red", "there is no network \"red\""),
    ] {
        let refusal = rig.refusal(line);
        assert!(refusal.starts_with(said), "{line}: {refusal}");
    }
}
