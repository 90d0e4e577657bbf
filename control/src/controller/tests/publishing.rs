//! Published ports: from a request to the packet path, and back when their endpoint goes.

use std::net::IpAddr;
use std::num::NonZeroU32;

use serde_json::json;

use super::{Rig, network, rig, with_pid, with_subnets};
use crate::api::{Connect, CreateNetwork, Disconnect};
use crate::datapath::{ConnectionLimits, ReservedPort, Transport};
use crate::error::ErrorKind;

/// Asks for `sandbox` with published ports.
fn publishing(sandbox: &str, namespace: u32, specs: &[&str]) -> Connect {
    Connect {
        publish: specs.iter().map(|spec| spec.parse().unwrap()).collect(),
        ..with_pid(sandbox, namespace)
    }
}

/// Returns the published ports of the packet path as `HOSTPORTS>ADDRESS`.
fn published(rig: &Rig) -> Vec<String> {
    let ports = rig.datapath.published();
    ports
        .iter()
        .map(|ports| format!("{}>{}", ports.host_ports, ports.target))
        .collect()
}

#[test]
fn published_ports_reach_the_packet_path_and_are_shown() {
    let rig = rig();
    rig.create(with_subnets("net", &["10.0.0.0/24"]));
    let request = publishing("web", 1, &["8080:80", "192.0.2.1:5353:53/udp"]);
    let endpoint = rig.controller.connect("net", request).unwrap();
    assert_eq!(published(&rig), ["8080>10.0.0.2", "5353>10.0.0.2"]);
    let host: Option<IpAddr> = rig.datapath.published()[1].host;
    assert_eq!(host, Some("192.0.2.1".parse().unwrap()));
    let lines: Vec<_> = endpoint.published.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["0.0.0.0:8080->80/tcp", "192.0.2.1:5353->53/udp"]);

    let ports = json!({
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "192.0.2.1", "HostPort": "5353"}],
    });
    let sandbox = serde_json::to_value(rig.controller.sandbox("web").unwrap()).unwrap();
    assert_eq!(sandbox["NetworkSettings"]["Ports"], ports);
    let inspect = serde_json::to_value(rig.controller.network("net").unwrap()).unwrap();
    let containers = inspect["Containers"].as_object().unwrap();
    assert_eq!(containers.values().next().unwrap()["Ports"], ports);
}

#[test]
fn a_port_that_is_taken_is_refused_and_its_holder_named() {
    let rig = rig();
    rig.create(with_subnets("net", &["10.0.0.0/24"]));
    rig.create(with_subnets("other", &["10.0.1.0/24"]));
    let first = publishing("web", 1, &["8080:80"]);
    rig.controller.connect("net", first).unwrap();
    let before = rig.datapath.population();

    let second = publishing("db", 2, &["8080:5432"]);
    let error = rig.controller.connect("other", second).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        "tcp port 0.0.0.0:8080 is in use by net/web"
    );
    rig.datapath.reserve(vec![ReservedPort {
        transport: Transport::Tcp,
        address: "192.0.2.1:9090".parse().unwrap(),
        holder: Some("prometheus (pid 9)".to_owned()),
    }]);
    assert_eq!(
        rig.refusal("other", publishing("db", 2, &["9090:80"])),
        "tcp port 0.0.0.0:9090 is in use by prometheus (pid 9) on the host"
    );
    assert_eq!(rig.datapath.population(), before);

    let off = Disconnect {
        sandbox: "web".to_owned(),
        force: false,
    };
    rig.controller.disconnect("net", &off).unwrap();
    assert_eq!(published(&rig), [""; 0]);
    rig.controller
        .connect("net", publishing("again", 3, &["8080:80"]))
        .unwrap();
    assert_eq!(published(&rig), ["8080>10.0.0.3"]);
}

#[test]
fn the_end_of_a_sandbox_frees_its_ports_and_leaves_those_of_others() {
    let rig = rig();
    rig.create(with_subnets("net", &["10.0.0.0/24"]));
    for (sandbox, namespace, spec) in [("a", 1, "81:80"), ("b", 2, "82:80")] {
        let request = publishing(sandbox, namespace, &[spec]);
        rig.controller.connect("net", request).unwrap();
    }
    let ended = rig.datapath.sandboxes()[0];
    rig.controller.sandbox_ended(ended);
    assert_eq!(published(&rig), ["82>10.0.0.3"]);
    rig.controller.remove_sandbox("b").unwrap();
    assert_eq!(published(&rig), [""; 0]);
}

#[test]
fn what_nobody_could_reach_is_not_published() {
    let rig = rig();
    rig.create(CreateNetwork {
        internal: true,
        ..network("inside")
    });
    rig.create(CreateNetwork {
        l2_only: true,
        ..network("l2")
    });
    let request = publishing("a", 1, &["80:80"]);
    assert_eq!(
        rig.refusal("inside", request.clone()),
        "network inside is internal: its ports cannot be published"
    );
    assert_eq!(
        rig.refusal("l2", request.clone()),
        "80:80/tcp cannot be published: the sandbox has no address, the uplink 192.0.2.1, \
         2001:db8::1"
    );
    rig.create(network("net"));
    rig.datapath.cut_uplink();
    assert_eq!(
        rig.refusal("net", request),
        "ports cannot be published without an uplink (it was taken away)"
    );
    rig.controller.connect("net", with_pid("a", 1)).unwrap();
}

#[test]
fn connection_limits_reach_the_packet_path() {
    let rig = rig();
    rig.create(network("net"));
    let limited = Connect {
        connection_limit: Some(100),
        connection_rate: Some(10),
        ..with_pid("a", 1)
    };
    let endpoint = rig.controller.connect("net", limited).unwrap();
    assert_eq!(endpoint.connection_limit, Some(100));
    let connections = rig.datapath.interfaces()[0].connections;
    let expected = ConnectionLimits {
        count: NonZeroU32::new(100),
        per_second: NonZeroU32::new(10),
    };
    assert_eq!(connections, expected);
}
