//! Which ports are chosen, and who is in the way.

use proptest::prelude::*;

use super::*;

fn specs(texts: &[&str]) -> Vec<PublishSpec> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn outside(addresses: &[&str]) -> Outside {
    Outside {
        uplink: UplinkState {
            kind: UplinkKind::Tun,
            ifname: Some("tapweave0".to_owned()),
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            reason: String::new(),
            missing: Vec::new(),
        },
        reserved: Vec::new(),
        draw: 0,
    }
}

fn dual() -> Outside {
    outside(&["192.0.2.1/24", "2001:db8::1/64"])
}

fn nginx(address: &str) -> ReservedPort {
    ReservedPort {
        transport: Transport::Tcp,
        address: address.parse().unwrap(),
        holder: Some("nginx (pid 17)".to_owned()),
    }
}

/// Chooses for an endpoint with an IPv4 and an IPv6 address.
fn choose_on(outside: Outside, texts: &[&str], held: &[Holding]) -> Result<Vec<String>, String> {
    choose_for(&["10.0.0.2/24", "fd00::2/64"], None, outside, texts, held)
}

fn choose_for(
    addresses: &[&str],
    host_binding: Option<Ipv4Addr>,
    outside: Outside,
    texts: &[&str],
    held: &[Holding],
) -> Result<Vec<String>, String> {
    let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    let target = Target {
        network: NetworkNo(1),
        host_binding,
        addresses: &addresses,
    };
    let request = Publish {
        specs: specs(texts),
        outside,
    };
    let chosen = choose(&request, target, held).map_err(|error| error.to_string())?;
    let shown = chosen.iter().map(|entry| {
        let host = entry
            .host
            .map_or_else(|| "any".to_owned(), |host| host.to_string());
        let (transport, ports, target) = (entry.transport, entry.host_ports, entry.target);
        format!(
            "{transport} {host} {ports} > {target} {}",
            entry.target_ports
        )
    });
    Ok(shown.collect())
}

/// Holds a port on all addresses of a family.
fn held(port: u16, target: &str, holder: &str) -> Holding {
    let entry = PublishedPorts {
        transport: Transport::Tcp,
        host: None,
        host_ports: PortRange::new(port, port).unwrap(),
        network: NetworkNo(7),
        target: target.parse().unwrap(),
        target_ports: PortRange::new(80, 80).unwrap(),
    };
    (entry, holder.to_owned())
}

#[test]
fn a_port_is_published_in_each_family_that_both_sides_have() {
    assert_eq!(
        choose_on(dual(), &["8080:80"], &[]).unwrap(),
        ["tcp any 8080 > 10.0.0.2 80", "tcp any 8080 > fd00::2 80"]
    );
    let v4 = outside(&["192.0.2.1/24"]);
    assert_eq!(
        choose_on(v4, &["8080:80/udp"], &[]).unwrap(),
        ["udp any 8080 > 10.0.0.2 80"]
    );
    assert_eq!(
        choose_on(dual(), &["[::]:8080:80"], &[]).unwrap(),
        ["tcp any 8080 > fd00::2 80"]
    );
    assert_eq!(
        choose_on(dual(), &["192.0.2.1:8000-8001:80-81"], &[]).unwrap(),
        ["tcp 192.0.2.1 8000-8001 > 10.0.0.2 80-81"]
    );
}

#[test]
fn the_binding_of_the_network_stands_in_for_an_address_that_was_not_given() {
    let choose = |texts: &[&str]| {
        let binding = Some(Ipv4Addr::new(192, 0, 2, 1));
        choose_for(&["10.0.0.2/24", "fd00::2/64"], binding, dual(), texts, &[]).unwrap()
    };
    assert_eq!(choose(&["80:80"]), ["tcp 192.0.2.1 80 > 10.0.0.2 80"]);
    assert_eq!(choose(&["[::]:80:80"]), ["tcp any 80 > fd00::2 80"]);
}

#[test]
fn what_cannot_be_reached_is_refused() {
    for (outside, text, said) in [
        (
            Outside {
                uplink: UplinkState::none("--uplink none"),
                ..dual()
            },
            "80:80",
            "ports cannot be published without an uplink (--uplink none)",
        ),
        (
            dual(),
            "198.51.100.9:80:80",
            "198.51.100.9 is not an address of the uplink tapweave0, which has 192.0.2.1, \
             2001:db8::1; a port of the host's own addresses cannot be published by way of a TUN",
        ),
        (
            outside(&["192.0.2.1/24"]),
            "[::]:80:80",
            "[::]:80:80/tcp cannot be published: the sandbox has 10.0.0.2, fd00::2, the uplink no \
             address",
        ),
    ] {
        assert_eq!(choose_on(outside, &[text], &[]).unwrap_err(), said);
    }
    let error = choose_for(
        &["fd00::2/64"],
        None,
        outside(&["192.0.2.1/24"]),
        &["80"],
        &[],
    );
    assert_eq!(
        error.unwrap_err(),
        "80/tcp cannot be published: the sandbox has fd00::2, the uplink 192.0.2.1"
    );
}

#[test]
fn who_has_a_port_is_named() {
    let web = [held(8080, "10.0.0.9", "net/web")];
    assert_eq!(
        choose_on(dual(), &["8079-8081:79-81"], &web).unwrap_err(),
        "tcp port 0.0.0.0:8080 is in use by net/web"
    );
    assert_eq!(
        choose_on(dual(), &["192.0.2.1:8080:80"], &web).unwrap_err(),
        "tcp port 192.0.2.1:8080 is in use by net/web"
    );
    choose_on(dual(), &["8080:80/udp"], &web).unwrap();
    choose_on(dual(), &["[2001:db8::1]:8080:80"], &web).unwrap();
    assert_eq!(
        choose_on(dual(), &["8080:80", "8080:81"], &[]).unwrap_err(),
        "tcp port 0.0.0.0:8080 is in use by another port of this request"
    );
}

#[test]
fn what_the_host_listens_on_is_in_the_way_where_it_listens() {
    let with = |address: &str| Outside {
        reserved: vec![nginx(address)],
        ..dual()
    };
    let said = "tcp port 0.0.0.0:80 is in use by nginx (pid 17) on the host";
    for address in ["192.0.2.1:80", "0.0.0.0:80", "[::]:80"] {
        assert_eq!(choose_on(with(address), &["80:80"], &[]).unwrap_err(), said);
    }
    choose_on(with("0.0.0.0:80"), &["[::]:80:80"], &[]).unwrap();
    choose_on(with("0.0.0.0:81"), &["80:80"], &[]).unwrap();
    choose_on(with("0.0.0.0:80"), &["80:80/udp"], &[]).unwrap();
    let nameless = Outside {
        reserved: vec![ReservedPort {
            holder: None,
            ..nginx("192.0.2.1:80")
        }],
        ..dual()
    };
    assert_eq!(
        choose_on(nameless, &["80:80"], &[]).unwrap_err(),
        "tcp port 0.0.0.0:80 is in use by a process on the host"
    );
}

#[test]
fn a_single_port_gets_a_free_one_of_a_range() {
    let web = [held(8000, "10.0.0.9", "net/web")];
    let v4 = || outside(&["192.0.2.1/24"]);
    assert_eq!(
        choose_on(v4(), &["8000-8002:80", "8000-8002:81"], &web).unwrap(),
        ["tcp any 8001 > 10.0.0.2 80", "tcp any 8002 > 10.0.0.2 81"]
    );
    assert_eq!(
        choose_on(v4(), &["8000-8000:80"], &web).unwrap_err(),
        "tcp port 0.0.0.0:8000 is in use by net/web"
    );
    assert_eq!(
        choose_on(v4(), &["8000-8001:80", "8000-8001:81"], &web).unwrap_err(),
        "of the ports 8000-8001 none is free for 8000-8001:81/tcp, or not as many in a row"
    );
}

proptest! {
    #[test]
    fn freely_chosen_ports_are_in_their_range_and_free(draw: u16, further in 0_u16..200) {
        let outside = Outside { draw, ..outside(&["192.0.2.1/24"]) };
        let spec = format!("80-{}", 80 + further);
        let chosen = choose_on(outside, &[&spec, &spec, &spec], &[]).unwrap();
        let mut ports: Vec<u16> = Vec::new();
        for entry in &chosen {
            let range: PortRange = entry.split(' ').nth(2).unwrap().parse().unwrap();
            prop_assert_eq!(range.further(), further);
            ports.extend(range.ports());
        }
        prop_assert!(ports.iter().all(|port| FREELY_CHOSEN.ports().contains(port)));
        let count = ports.len();
        ports.sort_unstable();
        ports.dedup();
        prop_assert_eq!(ports.len(), count);
    }
}

#[test]
fn more_ports_than_there_are_to_choose_from_are_refused() {
    for spec in ["1-65535", "1-28233"] {
        let error = choose_on(dual(), &[spec], &[]).unwrap_err();
        assert!(
            error.starts_with("of the ports 32768-60999 none is free"),
            "{error}"
        );
    }
    choose_on(dual(), &["1-28232"], &[]).unwrap();
}
