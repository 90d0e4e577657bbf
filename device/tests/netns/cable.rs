//! A cable between two hosts.

use std::fs::File;
use std::io::ErrorKind;

use tapweave_device::{lay_cable, plug_in};

use crate::harness::{Place, Test};
use crate::sandbox::Sandbox;
use crate::traffic::ping;
use crate::uplink::within;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "a_cable_joins_two_hosts",
    place: Place::OwnNamespaces,
    run: a_cable_joins_two_hosts,
}];

fn a_cable_joins_two_hosts() {
    let (near, far) = (Sandbox::with_net_namespace(), Sandbox::with_net_namespace());
    let far_namespace = File::open(format!("/proc/{}/ns/net", far.pid())).unwrap();
    within(&near, || {
        let missing = plug_in("cable0", "10.9.0.1/24".parse().unwrap());
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
        lay_cable("cable0", &far_namespace).unwrap();
        plug_in("cable0", "10.9.0.1/24".parse().unwrap()).unwrap();
        let taken = lay_cable("cable0", &far_namespace);
        assert_eq!(taken.unwrap_err().kind(), ErrorKind::AlreadyExists);
    });
    within(&far, || {
        plug_in("cable0", "10.9.0.2/24".parse().unwrap()).unwrap();
    });
    ping(&near, "10.9.0.2");
    ping(&far, "10.9.0.1");
}
