//! Interfaces that are made, and those that are refused.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tapweave_device::{
    AttachError, Attacher, Capabilities, Interface, InterfaceSpec, NetNamespace, Offloading,
    OwnNamespaces, PortQueue, TunDevice,
};
use tapweave_net::{Frame, Offload, OffloadSet};

use crate::harness::{Place, Test};
use crate::sandbox::{Sandbox, attach, run, spec};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "an_interface_is_named_addressed_routed_and_up",
        place: Place::Outside,
        run: an_interface_is_named_addressed_routed_and_up,
    },
    Test {
        name: "the_same_in_a_namespace_of_the_own_user_namespace",
        place: Place::OwnNamespaces,
        run: the_same_in_a_namespace_of_the_own_user_namespace,
    },
    Test {
        name: "unnamed_interfaces_get_the_first_free_name",
        place: Place::Outside,
        run: unnamed_interfaces_get_the_first_free_name,
    },
    Test {
        name: "a_name_that_is_taken_is_refused_and_nothing_stays",
        place: Place::Outside,
        run: a_name_that_is_taken_is_refused_and_nothing_stays,
    },
    Test {
        name: "a_default_route_of_somebody_else_stays",
        place: Place::Outside,
        run: a_default_route_of_somebody_else_stays,
    },
    Test {
        name: "of_several_default_routes_that_with_the_lowest_metric_is_used",
        place: Place::Outside,
        run: of_several_default_routes_that_with_the_lowest_metric_is_used,
    },
    Test {
        name: "without_offloading_there_is_no_header_and_no_offload",
        place: Place::Outside,
        run: without_offloading_there_is_no_header_and_no_offload,
    },
    Test {
        name: "an_interface_has_as_many_queues_as_asked_for",
        place: Place::Outside,
        run: an_interface_has_as_many_queues_as_asked_for,
    },
    Test {
        name: "the_interface_goes_with_its_last_queue",
        place: Place::Outside,
        run: the_interface_goes_with_its_last_queue,
    },
    Test {
        name: "an_interface_is_seen_until_it_has_gone",
        place: Place::Outside,
        run: an_interface_is_seen_until_it_has_gone,
    },
    Test {
        name: "a_namespace_of_the_outside_is_refused_from_inside",
        place: Place::OwnNamespaces,
        run: a_namespace_of_the_outside_is_refused_from_inside,
    },
    Test {
        name: "capabilities_are_those_of_the_namespaces_that_a_process_is_in",
        place: Place::OwnNamespaces,
        run: capabilities_are_those_of_the_namespaces_that_a_process_is_in,
    },
    Test {
        name: "a_tun_device_that_is_missing_or_not_permitted_is_named",
        place: Place::OwnNamespaces,
        run: a_tun_device_that_is_missing_or_not_permitted_is_named,
    },
    Test {
        name: "a_helper_that_hangs_is_stopped",
        place: Place::Outside,
        run: a_helper_that_hangs_is_stopped,
    },
    Test {
        name: "a_helper_that_stays_after_its_answer_is_ended",
        place: Place::Outside,
        run: a_helper_that_stays_after_its_answer_is_ended,
    },
    Test {
        name: "a_program_that_is_no_helper_is_an_error",
        place: Place::Outside,
        run: a_program_that_is_no_helper_is_an_error,
    },
];

fn check_everything_is_set(sandbox: &Sandbox) {
    let mut spec = spec("10.9.0.2/24");
    spec.ifname = Some("net7".to_owned());
    spec.addresses.push("fd09::2/64".parse().unwrap());
    spec.default_gateways = vec!["10.9.0.1".parse().unwrap(), "fd09::1".parse().unwrap()];
    spec.mtu = 1450;
    spec.segments_max = Some(44);
    let interface = attach(sandbox, &spec);

    assert_eq!(interface.ifname, "net7");
    assert!(interface.offloads.contains(OffloadSet::TSO4));
    let link = &sandbox.ip_json("link show net7")[0];
    assert_eq!(link["ifindex"], interface.ifindex);
    assert_eq!(link["address"], spec.mac.to_string());
    assert_eq!(link["mtu"], 1450);
    assert_eq!(link["gso_max_segs"], 44);
    let flags = link["flags"].as_array().unwrap();
    assert!(flags.contains(&"UP".into()) && flags.contains(&"LOWER_UP".into()));
    assert_eq!(link["linkinfo"]["info_data"]["type"], "tap");
    assert_eq!(link["linkinfo"]["info_data"]["vnet_hdr"], true);
    assert_eq!(link["linkinfo"]["info_data"]["persist"], false);

    let addresses = sandbox.ip_json("address show net7 scope global");
    // `ip` leaves an empty object for an address that its filter took out.
    let infos: Vec<_> = addresses
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|link| link["addr_info"].as_array())
        .flatten()
        .filter(|info| info["local"].is_string())
        .collect();
    let text = |info: &&Value| format!("{}/{}", info["local"].as_str().unwrap(), info["prefixlen"]);
    let found: Vec<_> = infos.iter().map(text).collect();
    assert_eq!(found, ["10.9.0.2/24", "fd09::2/64"]);
    assert_eq!(infos[0]["broadcast"], "10.9.0.255");
    assert!(infos[1]["tentative"].is_null(), "usable at once");

    for (family, gateway) in [("-4", "10.9.0.1"), ("-6", "fd09::1")] {
        let routes = sandbox.ip_json(&format!("{family} route show default"));
        assert_eq!(routes[0]["gateway"], gateway);
        assert_eq!(routes[0]["dev"], "net7");
    }
    let loopback = &sandbox.ip_json("link show lo")[0];
    assert!(loopback["flags"].as_array().unwrap().contains(&"UP".into()));
}

fn an_interface_is_named_addressed_routed_and_up() {
    check_everything_is_set(&Sandbox::with_user_namespace());
}

fn the_same_in_a_namespace_of_the_own_user_namespace() {
    check_everything_is_set(&Sandbox::with_net_namespace());
}

fn unnamed_interfaces_get_the_first_free_name() {
    let sandbox = Sandbox::with_user_namespace();
    let first = attach(&sandbox, &spec("10.9.0.2/24"));
    let second = attach(&sandbox, &spec("10.9.1.3/24"));
    assert_eq!((&*first.ifname, &*second.ifname), ("eth0", "eth1"));
    drop(first);
    let third = attach(&sandbox, &spec("10.9.2.4/24"));
    assert_eq!(third.ifname, "eth0");
}

fn a_name_that_is_taken_is_refused_and_nothing_stays() {
    let sandbox = Sandbox::with_user_namespace();
    let _first = attach(&sandbox, &spec("10.9.0.2/24"));
    let mut spec = spec("10.9.1.3/24");
    for taken in ["eth0", "lo"] {
        spec.ifname = Some(taken.to_owned());
        let error = Attacher::default().attach(&sandbox.namespace(), &spec);
        let text =
            format!("the namespace already has an interface called {taken}; choose another name");
        assert_eq!(error.unwrap_err().to_string(), text);
    }
    assert_eq!(sandbox.ifnames(), ["lo", "eth0"]);
}

/// An address and its gateway, and the metric of the route to it.
fn with_gateway(address: &str, gateway: &str, route_metric: u32) -> InterfaceSpec {
    InterfaceSpec {
        default_gateways: vec![gateway.parse().unwrap()],
        route_metric,
        ..spec(address)
    }
}

fn a_default_route_of_somebody_else_stays() {
    for (family, addresses, foreign) in [
        ("-4", ["10.9.0.2/24", "10.9.0.1"], "10.8.0.1"),
        ("-6", ["fd09::2/64", "fd09::1"], "fd08::1"),
    ] {
        let sandbox = Sandbox::with_user_namespace();
        sandbox.ip("link add other type veth peer name end");
        sandbox.ip("link set end up");
        sandbox.ip("link set other up");
        sandbox.ip(&format!("{family} route add {foreign} dev other"));
        sandbox.ip(&format!(
            "{family} route add default via {foreign} dev other metric 2000"
        ));
        let [address, gateway] = addresses;
        let _ours = attach(&sandbox, &with_gateway(address, gateway, 512));
        let routes = sandbox.ip_json(&format!("{family} route show default"));
        assert_eq!(routes.as_array().map(Vec::len), Some(1));
        assert_eq!(routes[0]["gateway"], foreign);
    }
}

fn of_several_default_routes_that_with_the_lowest_metric_is_used() {
    for (family, nets, outside) in [
        (
            "-4",
            ["10.9.0", "10.9.1", "10.9.2"].map(|net| format!("{net}.")),
            "192.0.2.9",
        ),
        (
            "-6",
            ["fd09:0", "fd09:1", "fd09:2"].map(|net| format!("{net}::")),
            "2001:db8::9",
        ),
    ] {
        let sandbox = Sandbox::with_user_namespace();
        let len = if family == "-4" { 24 } else { 64 };
        let mut made = [513, 512, 514].into_iter().zip(&nets).map(|(metric, net)| {
            let address = format!("{net}2/{len}");
            attach(
                &sandbox,
                &with_gateway(&address, &format!("{net}1"), metric),
            )
        });
        let [first, second, third] = [(); 3].map(|()| made.next().unwrap());
        let used = || {
            let route = &sandbox.ip_json(&format!("{family} route get {outside}"))[0];
            route["dev"].as_str().unwrap_or_default().to_owned()
        };
        assert_eq!(used(), "eth1");
        drop(second);
        assert_eq!(used(), "eth0");
        drop(first);
        assert_eq!(used(), "eth2");
        drop(third);
    }
}

fn without_offloading_there_is_no_header_and_no_offload() {
    let sandbox = Sandbox::with_user_namespace();
    let mut spec = spec("10.9.0.2/24");
    spec.offloading = Offloading::Off;
    let interface = attach(&sandbox, &spec);
    assert_eq!(interface.offloads, OffloadSet::EMPTY);
    assert_eq!(interface.queues[0].offloads(), OffloadSet::EMPTY);
    let link = &sandbox.ip_json("link show eth0")[0];
    assert_eq!(link["linkinfo"]["info_data"]["vnet_hdr"], false);
    let features = sandbox.command("ethtool").args(["-k", "eth0"]).output();
    let features = String::from_utf8(features.unwrap().stdout).unwrap();
    assert!(
        features.contains("tcp-segmentation-offload: off"),
        "{features}"
    );
}

fn an_interface_has_as_many_queues_as_asked_for() {
    let sandbox = Sandbox::with_user_namespace();
    let mut spec = spec("10.9.0.2/24");
    for count in [4, 64] {
        spec.queue_count = count;
        let interface = attach(&sandbox, &spec);
        assert_eq!(interface.queues.len(), usize::from(count));
        let link = &sandbox.ip_json("link show eth0")[0];
        assert_eq!(link["linkinfo"]["info_data"]["multi_queue"], true);
        assert_eq!(link["linkinfo"]["info_data"]["numqueues"], count);
        for queue in &interface.queues {
            let mut frame = [0; 60];
            queue
                .send(&mut Frame::new(&mut frame, 0, Offload::NONE))
                .unwrap();
        }
        assert_eq!(
            sandbox.ip_json("-stats link show eth0")[0]["stats64"]["rx"]["packets"],
            count
        );
    }
}

fn the_interface_goes_with_its_last_queue() {
    let sandbox = Sandbox::with_user_namespace();
    let mut spec = spec("10.9.0.2/24");
    spec.queue_count = 2;
    let mut interface = attach(&sandbox, &spec);
    interface.queues.truncate(1);
    assert_eq!(sandbox.ifnames(), ["lo", "eth0"]);
    drop(interface);
    assert_eq!(sandbox.ifnames(), ["lo"]);
}

fn an_interface_is_seen_until_it_has_gone() {
    let sandbox = Sandbox::with_user_namespace();
    let interface = attach(&sandbox, &spec("10.9.0.2/24"));
    let Interface { queues, sight, .. } = interface;
    assert!(sight.is_there());
    let closing = thread::spawn(move || drop(queues));
    while sight.is_there() {
        thread::yield_now();
    }
    // The kernel may not be done with it, but nobody sees it, and its name is free.
    assert_eq!(sandbox.ifnames(), ["lo"]);
    let mut again = spec("10.9.0.2/24");
    again.ifname = Some("eth0".to_owned());
    let again = attach(&sandbox, &again);
    assert!(again.sight.is_there() && !sight.is_there());
    closing.join().unwrap();
}

fn a_namespace_of_the_outside_is_refused_from_inside() {
    // The parent of the program that made our namespaces is still outside.
    let harness = rustix::process::getppid().unwrap();
    let harness = u32::try_from(harness.as_raw_nonzero().get()).unwrap();
    let error = NetNamespace::open_pid(harness)
        .map(|namespace| Attacher::default().attach(&namespace, &spec("10.9.0.2/24")));
    let text = match error {
        Err(error) => error.to_string(),
        Ok(attached) => attached.unwrap_err().to_string(),
    };
    assert!(
        text.contains("may not be administered by this user") || text.contains("not accessible"),
        "{text}"
    );
}

fn capabilities_are_those_of_the_namespaces_that_a_process_is_in() {
    let found = Capabilities::detect();
    assert!(matches!(found.tun, TunDevice::Usable));
    assert_eq!(found.own_namespaces, OwnNamespaces::Administered);
}

fn a_tun_device_that_is_missing_or_not_permitted_is_named() {
    let sandbox = Sandbox::with_net_namespace();
    let refusal = || {
        let error = Attacher::default().attach(&sandbox.namespace(), &spec("10.9.0.2/24"));
        error.unwrap_err().to_string()
    };
    run("mount -t tmpfs -o mode=700 tmpfs /dev/net");
    assert!(matches!(Capabilities::detect().tun, TunDevice::Missing));
    assert!(refusal().starts_with("/dev/net/tun is missing"));
    // A file that nobody may write to stands for a device of someone else.
    std::fs::write("/dev/net/tun", "").unwrap();
    run("mount --bind /proc/sys/kernel/osrelease /dev/net/tun");
    assert!(matches!(
        Capabilities::detect().tun,
        TunDevice::NotPermitted
    ));
    assert!(refusal().starts_with("/dev/net/tun may not be opened by this user"));
}

fn a_helper_that_hangs_is_stopped() {
    let sandbox = Sandbox::with_user_namespace();
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "#!/bin/sh\nexec sleep 60\n");
    let error = Attacher::new(program)
        .with_patience(Duration::from_millis(100))
        .attach(&sandbox.namespace(), &spec("10.9.0.2/24"));
    assert!(
        matches!(error, Err(AttachError::Timeout { .. })),
        "{error:?}"
    );
}

fn a_helper_that_stays_after_its_answer_is_ended() {
    let sandbox = Sandbox::with_user_namespace();
    let dir = tempfile::tempdir().unwrap();
    let helper = std::env::current_exe().unwrap();
    let text = format!("#!/bin/sh\n{} $1\nexec sleep 600\n", helper.display());
    let attached =
        Attacher::new(script(dir.path(), &text)).attach(&sandbox.namespace(), &spec("10.9.0.2/24"));
    assert_eq!(attached.unwrap().ifname, "eth0");
}

fn a_program_that_is_no_helper_is_an_error() {
    let sandbox = Sandbox::with_user_namespace();
    let spec = spec("10.9.0.2/24");
    let error = Attacher::new("/nonexistent".into()).attach(&sandbox.namespace(), &spec);
    let text = error.unwrap_err().to_string();
    assert_eq!(text, "the attach helper /nonexistent cannot be started");
    let error = Attacher::new("/bin/true".into()).attach(&sandbox.namespace(), &spec);
    assert!(matches!(error, Err(AttachError::Answer(_))), "{error:?}");
    let dir = tempfile::tempdir().unwrap();
    let babbler = script(dir.path(), "#!/bin/sh\necho nonsense >&0\n");
    let error = Attacher::new(babbler).attach(&sandbox.namespace(), &spec);
    assert!(matches!(error, Err(AttachError::Answer(_))), "{error:?}");
    assert_eq!(sandbox.ifnames(), ["lo"]);
}

fn script(dir: &Path, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join("program");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}
