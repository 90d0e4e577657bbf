//! How a demo sandbox finds others: it asks the resolver of its network, as `connect` has printed it.
//!
//! The query goes out by a plain socket, so that the demo needs no `/etc/resolv.conf` of its own and works
//! in whatever file system it is started.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tapweave_dns::{encode_query, show};

const DNS_PORT: u16 = 53;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Queries that are sent before the resolver counts as silent.
const TRIES: usize = 3;
/// What each query is called: a socket has only one.
const ID: u16 = 0x7477;

/// Returns the address that `text` is, or the one that the resolver knows it by.
pub(super) fn address_of(text: &str, resolver: Option<IpAddr>) -> Result<Ipv4Addr> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let resolver = resolver.with_context(|| format!("nobody can be asked who {text} is"))?;
    look_up(text, resolver)?.with_context(|| format!("{resolver} knows no {text}"))
}

/// Returns the first IPv4 address of a name, `None` when there is no such name.
pub(super) fn look_up(name: &str, resolver: IpAddr) -> Result<Option<Ipv4Addr>> {
    let any: IpAddr = match resolver {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((resolver, DNS_PORT))?;
    socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let query = encode_query(name, "A", ID).map_err(anyhow::Error::new)?;
    let mut answer = [0; 1232];
    for _ in 0..TRIES {
        socket.send(&query)?;
        let len = match socket.recv(&mut answer) {
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error).context("nobody answers for names"),
        };
        let shown = show(answer.get(..len).unwrap_or_default());
        let shown = shown.context("the resolver says what is no answer")?;
        let mut addresses = shown.records.iter().filter(|record| record.kind == "A");
        return match (shown.status.as_str(), addresses.next()) {
            ("NOERROR", Some(record)) => Ok(Some(record.data.parse()?)),
            ("NOERROR" | "NXDOMAIN", _) => Ok(None),
            (status, _) => bail!("asked for {name}, the resolver says {status}"),
        };
    }
    bail!("the resolver {resolver} is silent")
}
