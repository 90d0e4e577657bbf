//! Every call of the packet path that can fail does so once, and nothing is left half made.

use super::*;

/// Runs `scenario` again and again; the first time with the first call failing, then the second, until
/// no call is left to fail. After each failure, everything must be as before.
fn with_every_failure(
    prepare: impl Fn(&Rig),
    scenario: impl Fn(&Rig) -> Result<(), ControlError>,
) -> usize {
    for failing in 0.. {
        let rig = rig();
        prepare(&rig);
        let before = snapshot(&rig);
        rig.datapath.fail_after(failing);
        let outcome = scenario(&rig);
        if rig.datapath.cancel_failure() {
            outcome.unwrap();
            return failing;
        }
        let error = outcome.unwrap_err();
        assert_eq!(error.to_string(), "failure on request");
        assert_eq!(snapshot(&rig), before, "after failure of call {failing}");
        // What was refused because of the failure is possible without it.
        scenario(&rig).unwrap();
    }
    0
}

fn snapshot(rig: &Rig) -> impl PartialEq + std::fmt::Debug {
    (
        rig.controller.networks(),
        rig.controller.sandboxes(),
        rig.controller.endpoints(),
        rig.datapath.population(),
    )
}

#[test]
fn connecting_a_new_sandbox() {
    let calls = with_every_failure(
        |rig| rig.create(network("net")),
        |rig| {
            let endpoint = rig.controller.connect("net", with_pid("web", 7))?;
            // The address of the failed attempt is not lost, but rests.
            assert!(endpoint.addresses[0].to_string().starts_with("10.192.0."));
            Ok(())
        },
    );
    assert_eq!(calls, 2, "opening the namespace, making the port");
}

#[test]
fn connecting_a_sandbox_that_publishes() {
    let calls = with_every_failure(
        |rig| rig.create(network("net")),
        |rig| {
            let request = Connect {
                publish: vec!["8080:80".parse().unwrap()],
                ..with_pid("web", 7)
            };
            rig.controller.connect("net", request).map(|_| ())
        },
    );
    assert_eq!(
        calls, 3,
        "opening the namespace, making the port, publishing"
    );
}

#[test]
fn connecting_a_known_sandbox() {
    let calls = with_every_failure(
        |rig| {
            rig.create(network("one"));
            rig.create(network("two"));
            rig.controller.connect("one", with_pid("web", 7)).unwrap();
        },
        |rig| {
            rig.controller
                .connect("two", with_pid("web", 7))
                .map(|_| ())
        },
    );
    assert_eq!(calls, 2, "opening the namespace, making the port");
}

#[test]
fn removing_a_network() {
    let calls = with_every_failure(
        |rig| rig.create(network("net")),
        |rig| rig.controller.remove_network("net"),
    );
    assert_eq!(calls, 1);
}

#[test]
fn a_fixed_address_is_free_again_after_a_failure() {
    let rig = rig();
    rig.create(with_subnets("net", &["10.0.0.0/30"]));
    let request = || Connect {
        ip: Some("10.0.0.2".parse().unwrap()),
        mac: Some("02:00:00:00:00:01".parse().unwrap()),
        ifname: Some("eth7".parse().unwrap()),
        ..with_pid("web", 7)
    };
    rig.datapath.fail_after(1);
    rig.controller.connect("net", request()).unwrap_err();
    rig.controller.connect("net", request()).unwrap();
    // The only address is taken now; a failure must not have leaked or doubled it.
    assert_eq!(
        rig.refusal("net", with_pid("db", 8)),
        "network net has no such address to give: no address is free in 10.0.0.0/30"
    );
    assert_eq!(rig.controller.sandboxes().len(), 1);
}

#[test]
fn an_ipv4_address_is_given_back_when_there_is_no_ipv6_address() {
    let rig = rig();
    rig.create(with_subnets("net", &["10.0.0.0/30", "fd00::/64"]));
    let request = Connect {
        ip6: Some("fd00::1".parse().unwrap()),
        ..with_pid("web", 7)
    };
    assert!(
        rig.refusal("net", request)
            .contains("fd00::1 is in use by the gateway")
    );
    let endpoint = rig.controller.connect("net", with_pid("web", 7)).unwrap();
    assert_eq!(endpoint.addresses[0].to_string(), "10.0.0.2/30");
}
