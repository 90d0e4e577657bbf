//! What is answered from a network's own knowledge.

use core::net::IpAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{HINFO, PTR, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::LOCAL_TTL;
use crate::reply::Reply;
use crate::request::Request;
use crate::special::{LOCALHOST, Special, special};
use crate::zone::{Known, Zone};

/// Returns the reply to a request as far as the zone has one. `turn` counts up with each request: of several
/// addresses another one is the first each time.
pub(crate) fn answer(zone: &Zone, request: &Request, turn: usize) -> Option<Reply> {
    let name = request.query.name();
    let asked = request.query.query_type();
    match zone.addresses(name) {
        Known::There(addresses) => return Some(by_addresses(zone, name, asked, addresses, turn)),
        Known::Missing => return Some(missing(soa(&zone.domain))),
        Known::Foreign => {}
    }
    match zone.names(name) {
        Known::There(names) if asked == RecordType::PTR => {
            let names = names.iter().map(|known| RData::PTR(PTR(known.clone())));
            return Some(found(name, names, soa(name)));
        }
        Known::There(_) if asked == RecordType::ANY => return Some(any(name)),
        Known::There(_) => return Some(found(name, [].into_iter(), soa(name))),
        Known::Missing => return Some(missing(soa(name))),
        Known::Foreign => {}
    }
    match special(name) {
        Special::Localhost => {
            return Some(by_addresses(zone, name, asked, &LOCALHOST, 0));
        }
        Special::Never => return Some(missing(soa(&name.trim_to(1)))),
        Special::Ordinary => {}
    }
    // RFC 8482 §4.2, which is also what is said of foreign names: nobody has a use for more.
    if asked == RecordType::ANY {
        return Some(any(name));
    }
    let is_host = matches!(
        asked,
        RecordType::A | RecordType::AAAA | RecordType::HTTPS | RecordType::SVCB
    );
    (is_host && name.num_labels() == 1).then(|| missing(soa(&Name::root())))
}

/// Returns the reply that a name does not exist where nobody else is asked.
pub(crate) fn closed() -> Reply {
    missing(soa(&Name::root()))
}

fn by_addresses(
    zone: &Zone,
    name: &Name,
    asked: RecordType,
    addresses: &[IpAddr],
    turn: usize,
) -> Reply {
    let of_family = |is_v4: bool| {
        let mut addresses: Vec<IpAddr> = addresses.to_vec();
        addresses.retain(|address| address.is_ipv4() == is_v4);
        if !addresses.is_empty() {
            let first = turn % addresses.len();
            addresses.rotate_left(first);
        }
        addresses
    };
    let apex = if zone.is_domain(name) || zone.domain.zone_of(name) && !zone.domain.is_root() {
        &zone.domain
    } else {
        name
    };
    if asked == RecordType::ANY {
        return any(name);
    }
    if asked == RecordType::SOA && zone.is_domain(name) {
        let mut reply = found(name, [].into_iter(), soa(apex));
        reply.answers = core::mem::take(&mut reply.authorities);
        return reply;
    }
    let chosen = if asked == RecordType::A {
        of_family(true)
    } else if asked == RecordType::AAAA {
        of_family(false)
    } else {
        Vec::new()
    };
    found(name, chosen.into_iter().map(RData::from), soa(apex))
}

/// Returns the records of a name, or that it has none of those that were asked for.
fn found(name: &Name, data: impl Iterator<Item = RData>, soa: Record) -> Reply {
    let mut reply = Reply::only(ResponseCode::NoError);
    reply.authoritative = true;
    reply.answers = data
        .map(|data| Record::from_rdata(name.clone(), LOCAL_TTL, data))
        .collect();
    if reply.answers.is_empty() {
        reply.authorities.push(soa);
    }
    reply
}

fn missing(soa: Record) -> Reply {
    let mut reply = Reply::only(ResponseCode::NXDomain);
    reply.authoritative = true;
    reply.authorities.push(soa);
    reply
}

fn any(name: &Name) -> Reply {
    let mut reply = Reply::only(ResponseCode::NoError);
    let hinfo = HINFO::new("RFC8482".to_owned(), String::new());
    let record = Record::from_rdata(name.clone(), LOCAL_TTL, RData::HINFO(hinfo));
    reply.authoritative = true;
    reply.answers.push(record);
    reply
}

/// Returns the record that says how long it may be remembered that something is not there (RFC 2308 §3).
fn soa(apex: &Name) -> Record {
    const HOUR: i32 = 3600;
    let keeper = crate::special::gateway();
    let soa = SOA::new(keeper.clone(), keeper, 1, HOUR, HOUR, HOUR, LOCAL_TTL);
    Record::from_rdata(apex.clone(), LOCAL_TTL, RData::SOA(soa))
}
