//! The bytes of each version, and what is refused.

use super::*;

/// Checks that the golden bytes are read, and written again as they are.
fn golden<R: Record + PartialEq + std::fmt::Debug>(key: &str, bytes: &str) -> R {
    let bytes = bytes.trim_end();
    let record: R = decode(key, bytes.as_bytes()).unwrap();
    let written = String::from_utf8(encode(&record).unwrap()).unwrap();
    assert_eq!(written, bytes, "{key}");
    record
}

const ID: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

#[test]
fn the_bytes_of_version_1_are_read_and_written() {
    let schema: Schema = golden("schema", include_str!("golden/v1/schema.json"));
    assert_eq!(schema.version, 1);

    let key = format!("networks/{ID}");
    let bridge: NetworkIntent = golden(&key, include_str!("golden/v1/bridge.json"));
    assert_eq!(bridge.request().subnets.len(), 2);
    let overlay: NetworkIntent = golden(&key, include_str!("golden/v1/overlay.json"));
    assert_eq!(overlay.mtu, 1450);
    golden::<NetworkIntent>(&key, include_str!("golden/v1/nic.json"));

    let key = format!("sandboxes/{ID}");
    golden::<SandboxIntent>(&key, include_str!("golden/v1/sandbox_path.json"));
    golden::<SandboxIntent>(&key, include_str!("golden/v1/sandbox_pid.json"));

    let key = format!("endpoints/{ID}");
    golden::<EndpointIntent>(&key, include_str!("golden/v1/endpoint_least.json"));
    golden::<EndpointIntent>(&key, include_str!("golden/v1/endpoint_most.json"));
    golden::<EndpointIntent>(&key, include_str!("golden/v1/endpoint_dhcp.json"));

    let key = format!("peers/{OTHER}/192.0.2.7");
    golden::<PeerIntent>(&key, include_str!("golden/v1/peer.json"));
    let key = format!("leases/{OTHER}/10.192.0.9");
    let lease: LeaseIntent = golden(&key, include_str!("golden/v1/lease.json"));
    assert!(lease.lease().is_some());
    let key = format!("static-leases/{OTHER}/10.192.0.10");
    let lease: StaticLeaseIntent = golden(&key, include_str!("golden/v1/static_lease.json"));
    assert!(lease.client().is_some());
    let key = format!("neighbors/{OTHER}/2001:db8::9");
    golden::<NeighborIntent>(&key, include_str!("golden/v1/neighbor.json"));
    let key = format!("names/{OTHER}/db.far/2001:db8::9");
    golden::<DnsNameIntent>(&key, include_str!("golden/v1/dns_name.json"));
    let key = format!("resting/{OTHER}/2001:db8::9");
    golden::<RestingIntent>(&key, include_str!("golden/v1/resting.json"));
    let key = format!("fdb/{OTHER}/02:00:00:00:00:07/10");
    golden::<FdbIntent>(&key, include_str!("golden/v1/fdb_endpoint.json"));
    let key = format!("fdb/{OTHER}/02:00:00:00:00:07/-");
    golden::<FdbIntent>(&key, include_str!("golden/v1/fdb_peer.json"));
}

#[test]
fn what_is_not_understood_is_refused_by_its_key() {
    let peer = include_str!("golden/v1/peer.json");
    let key = format!("peers/{OTHER}/192.0.2.7");
    let refusal = |key: &str, bytes: &str| {
        decode::<PeerIntent>(key, bytes.as_bytes())
            .unwrap_err()
            .to_string()
    };
    let unknown = peer.replace("udp_port", "tcp_port");
    assert_eq!(
        refusal(&key, &unknown),
        format!("the record {key} of the state cannot be read")
    );
    assert!(refusal(&key, "").contains(&key));
    assert_eq!(
        refusal("peers/x", peer),
        format!("the record peers/x of the state is that of {key}")
    );
}

#[test]
fn a_newer_version_is_refused_with_what_to_do() {
    let present = Upgrades::PRESENT;
    let newer = present.steps_from(SCHEMA_VERSION + 1).unwrap_err();
    let newer = newer.to_string();
    assert!(newer.contains("version 2") && newer.contains("another state directory"));
    present.steps_from(0).unwrap_err();
}

#[test]
fn every_version_that_was_ever_written_has_its_steps() {
    for version in 1..=SCHEMA_VERSION {
        let steps = Upgrades::PRESENT.steps_from(version).unwrap();
        assert_eq!(
            u32::try_from(steps.len()).unwrap(),
            SCHEMA_VERSION - version
        );
    }
}

#[test]
fn keys_of_records_are_keys_of_every_store() {
    for key in [
        NetworkIntent::key_of(&ID.to_owned().try_into().unwrap()),
        PeerIntent::key_of(
            &ID.to_owned().try_into().unwrap(),
            "2001:db8::1".parse().unwrap(),
        ),
        FdbIntent::key_of(
            &ID.to_owned().try_into().unwrap(),
            ("02:00:00:00:00:07".parse().unwrap(), None),
        ),
    ] {
        tapweave_store::Key::new(&key).unwrap();
    }
}
