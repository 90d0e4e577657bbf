//! What an answer says, and to whom it goes.

use core::net::Ipv4Addr;
use core::time::Duration;

use ipnet::Ipv4Net;

use crate::lease::Station;
use crate::settings::{Names, Settings, WayOut};
use crate::v4::{Answer, ReplyOptions, Request, code};
use crate::{Reply, ReplyTo};

/// What a client gets that does not say what it wants.
const USUAL_PARAMETERS: [u8; 6] = [
    code::ROUTER,
    code::DOMAIN_NAME_SERVER,
    code::DOMAIN_NAME,
    code::INTERFACE_MTU,
    code::BROADCAST_ADDRESS,
    code::HOST_NAME,
];

/// Returns the answer that gives a client an address for a time, or offers it; `None` when the gateway has none in
/// its subnet.
pub(crate) fn leased(
    request: &Request,
    settings: &Settings,
    station: &Station,
    kind: Answer,
    (address, time): (Ipv4Addr, Duration),
) -> Option<Reply> {
    let gateway = *settings.gateway_of(address)?;
    let mut options = ReplyOptions::new(request, kind, address, settings.mtu);
    options.add(code::SERVER_IDENTIFIER, &gateway.addr().octets());
    // T1 and T2 are a half and seven eighths of the time (RFC 2131 §4.4.5).
    for (code, time) in [
        (code::LEASE_TIME, time),
        (code::RENEWAL_TIME, time / 2),
        (code::REBINDING_TIME, time * 7 / 8),
    ] {
        let secs = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        options.add(code, &secs.to_be_bytes());
    }
    add_parameters(&mut options, request, settings, station, gateway);
    Some(Reply {
        message: options.finish(),
        server: gateway.addr(),
        to: to(request, address),
    })
}

/// Returns the answer to a client that has its address; `None` when that is in no subnet of the network.
pub(crate) fn informed(request: &Request, settings: &Settings, station: &Station) -> Option<Reply> {
    let address = request.client_address;
    let gateway = *settings.gateway_of(address)?;
    let none = Ipv4Addr::UNSPECIFIED;
    let mut options = ReplyOptions::new(request, Answer::Ack, none, settings.mtu);
    options.add(code::SERVER_IDENTIFIER, &gateway.addr().octets());
    add_parameters(&mut options, request, settings, station, gateway);
    Some(Reply {
        message: options.finish(),
        server: gateway.addr(),
        // Without regard to the flag (RFC 2131 §4.1).
        to: ReplyTo::Station(request.mac, address),
    })
}

/// Returns the answer that a client cannot have what it asked for. It goes to everybody: the client's address may be
/// one that it must not use (RFC 2131 §4.3.2).
pub(crate) fn nak(request: &Request, settings: &Settings) -> Reply {
    let asked = request.server.filter(|server| settings.is_server(*server));
    let first = settings.gateways.first().map(Ipv4Net::addr);
    let server = asked.or(first).unwrap_or(Ipv4Addr::UNSPECIFIED);
    let none = Ipv4Addr::UNSPECIFIED;
    let mut options = ReplyOptions::new(request, Answer::Nak, none, settings.mtu);
    options.add(code::SERVER_IDENTIFIER, &server.octets());
    add_client_id(&mut options, request);
    Reply {
        message: options.finish(),
        server,
        to: ReplyTo::Everybody,
    }
}

/// RFC 2131 §4.1.
fn to(request: &Request, address: Ipv4Addr) -> ReplyTo {
    if !request.client_address.is_unspecified() {
        ReplyTo::Station(request.mac, request.client_address)
    } else if request.wants_broadcast() {
        ReplyTo::Everybody
    } else {
        ReplyTo::Station(request.mac, address)
    }
}

/// Adds what the client wants to know, in its order (RFC 2132 §9.8).
fn add_parameters(
    options: &mut ReplyOptions,
    request: &Request,
    settings: &Settings,
    station: &Station,
    gateway: Ipv4Net,
) {
    // It has to stand before the routers (RFC 2132 §3.3).
    options.add(code::SUBNET_MASK, &gateway.netmask().octets());
    add_client_id(options, request);
    let wanted = request.parameters.as_deref().unwrap_or(&USUAL_PARAMETERS);
    let mut given = [false; 256];
    for &code in wanted {
        let is_new = !core::mem::replace(&mut given[usize::from(code)], true);
        let value = parameter(code, request, settings, station, gateway);
        if let Some(value) = value.filter(|_| is_new) {
            options.add(code, &value);
        }
    }
}

/// Returns the value of an option that a client wants; `None` when there is nothing to say.
fn parameter(
    wanted: u8,
    request: &Request,
    settings: &Settings,
    station: &Station,
    gateway: Ipv4Net,
) -> Option<Vec<u8>> {
    match wanted {
        code::ROUTER if settings.way_out == WayOut::Open => Some(gateway.addr().octets().to_vec()),
        code::DOMAIN_NAME_SERVER if settings.names == Names::Answered => {
            Some(gateway.addr().octets().to_vec())
        }
        code::DOMAIN_NAME => Some(settings.domain.as_ref()?.to_string().into_bytes()),
        code::DOMAIN_SEARCH => Some(settings.domain.as_ref()?.wire().to_vec()),
        code::INTERFACE_MTU => Some(settings.mtu.to_be_bytes().to_vec()),
        code::BROADCAST_ADDRESS => Some(gateway.broadcast().octets().to_vec()),
        code::HOST_NAME if request.mac == station.mac => Some(station.name.clone().into_bytes()),
        code::CLASSLESS_ROUTES => {
            Some(routes(settings, gateway)).filter(|routes| !routes.is_empty())
        }
        _ => None,
    }
}

/// Returns the routes of a client in the subnet of `gateway` (RFC 3442): to the other subnets of the network, and to
/// everything. A client that takes them does not look at the routers.
fn routes(settings: &Settings, gateway: Ipv4Net) -> Vec<u8> {
    let mut routes = Vec::new();
    if settings.way_out == WayOut::Closed {
        return routes;
    }
    let others = settings.gateways.iter().filter(|other| **other != gateway);
    for subnet in others.map(Ipv4Net::trunc).chain([Ipv4Net::default()]) {
        let significant = usize::from(subnet.prefix_len().div_ceil(8));
        routes.push(subnet.prefix_len());
        routes.extend(subnet.addr().octets().iter().take(significant));
        routes.extend(gateway.addr().octets());
    }
    routes
}

/// Gives the identifier back (RFC 6842 §3).
fn add_client_id(options: &mut ReplyOptions, request: &Request) {
    if let Some(id) = &request.client_id {
        options.add(code::CLIENT_IDENTIFIER, id);
    }
}
