//! A resolver, asked and answered in bytes.

use core::net::IpAddr;
use core::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;
use tapweave_net::Timestamp;

use crate::*;

mod forwarding;
mod hostile;
mod local;
mod people;

const START: Timestamp = Timestamp::from_secs(100);
const UDP: Transport = Transport::Datagram { max: 1232 };

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn record(name: &str, addresses: &[&str], is_alias: bool) -> NameRecord {
    NameRecord {
        name: name.to_owned(),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        is_alias,
    }
}

fn names(world: World) -> NetworkNames {
    NetworkNames {
        domain: "lab".to_owned(),
        subnets: vec!["10.0.0.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()],
        gateway: vec!["10.0.0.1".parse().unwrap()],
        host: vec!["192.0.2.1".parse().unwrap()],
        records: vec![
            record("web", &["10.0.0.2", "fd00::2"], false),
            record("db", &["10.0.0.3"], false),
            record("a.b", &["10.0.0.4"], false),
            record("all", &["10.0.0.2", "fd00::2"], true),
            record("all", &["10.0.0.3"], true),
        ],
        world,
    }
}

fn resolver(world: World) -> Resolver<u8> {
    Resolver::new(Zone::new(&names(world)), Limits::default())
}

fn query(text: &str, kind: RecordType) -> Message {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.queries.push(Query::query(name(text), kind));
    message
}

impl Resolver<u8> {
    /// Asks for something that is answered at once.
    fn ask(&mut self, text: &str, kind: RecordType) -> Message {
        self.ask_with(&query(text, kind))
    }

    fn ask_with(&mut self, query: &Message) -> Message {
        match self.put(START, 1, query) {
            Step::Answer(9, bytes) => Message::from_vec(&bytes).unwrap(),
            other @ (Step::Answer(..) | Step::Ask(_) | Step::Wait | Step::Ignore) => {
                panic!("{other:?}")
            }
        }
    }

    fn put(&mut self, now: Timestamp, client: u64, query: &Message) -> Step<u8> {
        self.handle_query(now, ClientNo(client), UDP, &query.to_vec().unwrap(), 9)
    }
}

fn addresses(message: &Message) -> Vec<IpAddr> {
    let records = message.answers.iter();
    records.filter_map(|record| record.data.ip_addr()).collect()
}

fn code(message: &Message) -> ResponseCode {
    message.metadata.response_code
}
