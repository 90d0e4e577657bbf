//! Ports, forwarding tables and figures.

use super::*;
use crate::api::{FdbKind, PortState};

#[test]
fn a_port_is_found_by_its_name_with_and_without_interface() {
    let rig = rig();
    rig.create(network("net"));
    rig.controller.connect("net", with_pid("web", 7)).unwrap();
    rig.controller.connect("net", with_pid("db", 8)).unwrap();
    let ports = rig.controller.ports(Some("net")).unwrap();
    let names: Vec<_> = ports
        .iter()
        .map(|port| port.endpoint.port.as_str())
        .collect();
    assert_eq!(names, ["net/db", "net/web"]);
    assert_eq!(rig.controller.port("net/db").unwrap(), ports[0]);
    assert_eq!(rig.controller.port("net/db:eth0").unwrap(), ports[0]);
    assert_eq!(ports[0].state, PortState::Up);
    let refusal = |text| rig.controller.port(text).unwrap_err().to_string();
    assert_eq!(
        refusal("net/db:eth1"),
        "there is no port \"net/db:eth1\"; did you mean \"net/db:eth0\"?"
    );
    assert_eq!(refusal("net/x"), "there is no sandbox \"x\"");
    assert_eq!(refusal("x/db"), "there is no network \"x\"");
    assert!(refusal("net").contains("it should be NETWORK/SANDBOX"));
    rig.controller.ports(Some("x")).unwrap_err();
}

#[test]
fn static_entries_are_made_shown_and_removed() {
    let rig = rig();
    rig.create(network("net"));
    rig.create(network("other"));
    rig.controller.connect("net", with_pid("web", 7)).unwrap();
    let mac = "02:aa:00:00:00:01".parse().unwrap();
    let add = |network: &str, mac| {
        rig.controller.fdb_add(&FdbAdd {
            network: network.to_owned(),
            mac,
            port: Some("net/web".to_owned()),
            vtep: None,
            vlan: None,
        })
    };
    add("net", mac).unwrap();
    let entries = rig.controller.fdb(Some("net")).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].mac, mac);
    assert_eq!(entries[0].port.as_deref(), Some("net/web"));
    assert_eq!(entries[0].kind, FdbKind::Static);
    assert_eq!(rig.controller.fdb(None).unwrap(), entries);
    assert!(rig.controller.fdb(Some("other")).unwrap().is_empty());
    assert_eq!(
        add("other", mac).unwrap_err().to_string(),
        "port net/web is not in network other"
    );
    let group = "01:00:5e:00:00:01".parse().unwrap();
    assert_eq!(
        add("net", group).unwrap_err().to_string(),
        "01:00:5e:00:00:01 is not the address of a station"
    );
    assert_eq!(rig.controller.fdb_flush(None).unwrap(), 0);
    rig.controller.fdb_del("net", mac, None).unwrap();
    assert_eq!(
        rig.controller
            .fdb_del("net", mac, None)
            .unwrap_err()
            .to_string(),
        "network net has no FDB entry for 02:aa:00:00:00:01"
    );
}

#[test]
fn stats_count_what_there_is() {
    let rig = rig();
    rig.create(network("b"));
    rig.create(network("a"));
    rig.controller.connect("a", with_pid("web", 7)).unwrap();
    let stats = rig.controller.stats();
    assert_eq!((stats.networks, stats.sandboxes, stats.ports), (2, 1, 1));
    let networks: Vec<_> = stats.fdb.iter().map(|fdb| fdb.network.as_str()).collect();
    assert_eq!(networks, ["a", "b"]);
    assert_eq!(stats.fdb[0].limit, 8192);
}
