//! Addresses of interfaces that somebody changes in their sandbox, seen and put back from outside.

use ipnet::IpNet;
use serde_json::Value;
use tapweave_device::{DefaultRoute, InterfaceSight, InterfaceSpec, SightError};

use crate::harness::{Place, Test};
use crate::sandbox::{Sandbox, attach, spec};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "addresses_are_seen_and_put_back_from_outside",
        place: Place::Outside,
        run: addresses_are_seen_and_put_back_from_outside,
    },
    Test {
        name: "addresses_in_a_namespace_of_the_own_user_namespace_too",
        place: Place::OwnNamespaces,
        run: addresses_in_a_namespace_of_the_own_user_namespace_too,
    },
    Test {
        name: "what_the_kernel_refuses_to_put_back_is_told",
        place: Place::Outside,
        run: what_the_kernel_refuses_to_put_back_is_told,
    },
    Test {
        name: "a_default_route_is_put_back_where_there_is_none",
        place: Place::Outside,
        run: a_default_route_is_put_back_where_there_is_none,
    },
];

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// Those that stay until they are taken away, link-local ones apart, in order.
fn permanent(sight: &InterfaceSight) -> Vec<String> {
    let addresses = sight.addresses().unwrap().into_iter();
    let permanent = addresses.filter(|it| it.is_permanent && !it.net.to_string().starts_with("fe"));
    let mut texts: Vec<_> = permanent.map(|it| it.net.to_string()).collect();
    texts.sort();
    texts
}

fn both_families() -> InterfaceSpec {
    let mut both = spec("10.9.0.2/24");
    both.addresses.push(net("fd09::2/64"));
    both
}

fn check_seen_and_put_back(sandbox: &Sandbox) {
    let interface = attach(sandbox, &both_families());
    // What other interfaces have is not listed.
    let _other = attach(sandbox, &spec("10.8.0.3/24"));
    let sight = &interface.sight;
    assert_eq!(permanent(sight), ["10.9.0.2/24", "fd09::2/64"]);
    sandbox.ip("address del 10.9.0.2/24 dev eth0");
    sandbox.ip("address del fd09::2/64 dev eth0");
    sandbox.ip("address add 10.9.0.77/24 dev eth0");
    sandbox.ip("address add 10.9.0.78/24 dev eth0 valid_lft 1000 preferred_lft 1000");
    assert_eq!(permanent(sight), ["10.9.0.77/24"]);
    let seen = sight.addresses().unwrap();
    let lent = seen.iter().find(|it| it.net == net("10.9.0.78/24"));
    assert!(lent.is_some_and(|it| !it.is_permanent), "{seen:?}");

    sight.add_address(net("10.9.0.2/24")).unwrap();
    sight.add_address(net("fd09::2/64")).unwrap();
    let all = ["10.9.0.2/24", "10.9.0.77/24", "fd09::2/64"];
    assert_eq!(permanent(sight), all);
    let shown = sandbox.ip_json("address show eth0");
    let shown = shown[0]["addr_info"].as_array().unwrap();
    let local = |at: &str| shown.iter().find(|it| it["local"] == at).unwrap();
    assert_eq!(local("10.9.0.2")["broadcast"], "10.9.0.255");
    // Usable at once.
    assert_eq!(local("fd09::2")["tentative"], Value::Null);
}

fn addresses_are_seen_and_put_back_from_outside() {
    check_seen_and_put_back(&Sandbox::with_user_namespace());
}

fn addresses_in_a_namespace_of_the_own_user_namespace_too() {
    check_seen_and_put_back(&Sandbox::with_net_namespace());
}

fn what_the_kernel_refuses_to_put_back_is_told() {
    let sandbox = Sandbox::with_user_namespace();
    let interface = attach(&sandbox, &both_families());
    let sight = &interface.sight;
    let refusal = |address: &str| match sight.add_address(net(address)) {
        Err(SightError::Refused(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(refusal("10.9.0.2/24").contains("File exists"));
    // IPv4 has an address once for each length of prefix, IPv6 once.
    sight.add_address(net("10.9.0.2/16")).unwrap();
    assert!(refusal("fd09::2/48").contains("File exists"));
    drop(interface.queues);
    assert_eq!(interface.sight.addresses().unwrap(), []);
    let gone = interface.sight.add_address(net("10.9.0.2/24"));
    assert!(matches!(gone, Err(SightError::Refused(_))), "{gone:?}");
}

fn a_default_route_is_put_back_where_there_is_none() {
    let sandbox = Sandbox::with_user_namespace();
    let gateway = "10.9.0.1".parse().unwrap();
    let mut spec = spec("10.9.0.2/24");
    spec.default_gateways = vec![gateway];
    let interface = attach(&sandbox, &spec);
    let sight = &interface.sight;
    let add = || sight.add_default_route(gateway, spec.route_metric).unwrap();
    assert_eq!(add(), DefaultRoute::There);
    // The kernel takes the routes of an interface with its last address.
    sandbox.ip("address del 10.9.0.2/24 dev eth0");
    let routes = || sandbox.ip_json("-4 route show default");
    assert_eq!(routes().as_array().map(Vec::len), Some(0));
    sight.add_address(spec.addresses[0]).unwrap();
    assert_eq!(add(), DefaultRoute::Made);
    assert_eq!(routes()[0]["gateway"], "10.9.0.1");
    sandbox.ip("-4 route replace default via 10.9.0.7 dev eth0 metric 7");
    sandbox.ip("-4 route del default metric 512");
    sandbox.ip("-4 route add default via 10.9.0.8 dev eth0 metric 2000");
    assert_eq!(add(), DefaultRoute::There);
}
