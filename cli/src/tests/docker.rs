//! `network inspect` beside Docker's.
//!
//! `docker-20.10.24.json` is what `docker network inspect` printed of Debian's docker.io 20.10.24 (API 1.41)
//! for a network that was made with the options below and had one container.

use serde_json::{Map, Value};

use super::Rig;

const DOCKERS: &str = include_str!("docker-20.10.24.json");

const CREATE: &str = "network create golden --subnet 10.61.0.0/24 --ip-range 10.61.0.128/25 \
    --gateway 10.61.0.1 --aux-address dns=10.61.0.9 --ipv6 --subnet fd00:61::/64 --label tier=front \
    -o com.docker.network.driver.mtu=1400 -o com.docker.network.bridge.enable_icc=false";

/// Requires that `ours` has every key of `theirs`, with a value of the same type.
fn has_keys(ours: &Map<String, Value>, theirs: &Map<String, Value>, path: &str) {
    for (key, their_value) in theirs {
        let path = format!("{path}.{key}");
        let our_value = ours.get(key).unwrap_or_else(|| panic!("{path} is missing"));
        match (our_value, their_value) {
            (Value::Object(ours), Value::Object(theirs)) => has_keys(ours, theirs, &path),
            (Value::Array(ours), Value::Array(theirs)) => {
                for (ours, theirs) in ours.iter().zip(theirs) {
                    has_keys(
                        ours.as_object().unwrap(),
                        theirs.as_object().unwrap(),
                        &path,
                    );
                }
            }
            (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => {}
            (ours, theirs) => panic!("{path} is {ours}, Docker has {theirs}"),
        }
    }
}

#[test]
fn a_network_is_shown_with_all_of_dockers_keys() {
    let rig = Rig::start();
    rig.ok(CREATE);
    rig.ok("network connect golden web --pid 7");
    let mut ours = rig.json("network inspect golden");
    let mut theirs: Value = serde_json::from_str(DOCKERS).unwrap();
    assert_eq!(ours.as_array().unwrap().len(), 1);
    let (ours, theirs) = (&mut ours[0], &mut theirs[0]);

    // Docker's containers and our sandboxes have ids of their own.
    let one = |network: &mut Value| {
        let containers = network["Containers"].take();
        let containers = containers.as_object().unwrap();
        let (id, container) = containers.iter().next().unwrap();
        assert_eq!(id.len(), 64);
        container.as_object().unwrap().clone()
    };
    let (our_container, their_container) = (one(ours), one(theirs));
    has_keys(&our_container, &their_container, "Containers");
    assert_eq!(our_container["Name"], their_container["Name"]);
    assert_eq!(our_container["IPv4Address"], their_container["IPv4Address"]);
    ours.as_object_mut().unwrap().remove("Containers");
    theirs.as_object_mut().unwrap().remove("Containers");
    has_keys(ours.as_object().unwrap(), theirs.as_object().unwrap(), "");

    for key in [
        "Name",
        "Scope",
        "Driver",
        "EnableIPv6",
        "Internal",
        "Ingress",
        "ConfigFrom",
        "ConfigOnly",
        "Options",
        "Labels",
    ] {
        assert_eq!(ours[key], theirs[key], "{key}");
    }
    assert_eq!(ours["IPAM"]["Config"][0], theirs["IPAM"]["Config"][0]);
    assert_eq!(
        ours["IPAM"]["Config"][1]["Subnet"],
        theirs["IPAM"]["Config"][1]["Subnet"]
    );
    assert_eq!(ours["Id"].as_str().unwrap().len(), 64);
}
