//! The tables that tapweave prints as JSON: the keys that the tests rely on.

use std::error::Error;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use anyhow::{Context, Result};
use serde_json::Value;
use tapweave_net::MacAddr;

/// What `network connect` tells of the interface that it made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Name of the port, `NETWORK/SANDBOX` or `NETWORK/SANDBOX:IFNAME`.
    pub port: String,
    /// Name of the interface inside of the sandbox.
    pub ifname: String,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its IPv4 address, if it has one.
    pub ip: Option<Ipv4Addr>,
    /// Its IPv6 address, if it has one.
    pub ip6: Option<Ipv6Addr>,
}

impl Endpoint {
    /// Returns the IPv4 address of an endpoint that must have one.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn ipv4(&self) -> Result<Ipv4Addr> {
        self.ip
            .with_context(|| format!("{} has no IPv4 address", self.port))
    }

    /// Returns the IPv6 address of an endpoint that must have one.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn ipv6(&self) -> Result<Ipv6Addr> {
        self.ip6
            .with_context(|| format!("{} has no IPv6 address", self.port))
    }
}

impl Endpoint {
    /// Reads the answer of `network connect --json`.
    ///
    /// # Errors
    ///
    /// When a key is missing or its value is not what it should be.
    pub fn parse(answer: &Value) -> Result<Self> {
        Ok(Self {
            port: text(answer, "port")?.to_owned(),
            ifname: text(answer, "ifname")?.to_owned(),
            mac: text(answer, "mac")?.parse()?,
            ip: optional(answer, "ip")?,
            ip6: optional(answer, "ip6")?,
        })
    }
}

/// One row of `fdb show --json`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FdbRow {
    /// The station.
    pub mac: MacAddr,
    /// Name of the network.
    pub network: String,
    /// Name of the port.
    pub port: String,
    /// `learned` or `static`.
    pub origin: String,
}

impl FdbRow {
    /// Reads one row.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::parse`].
    pub fn parse(row: &Value) -> Result<Self> {
        Ok(Self {
            mac: text(row, "mac")?.parse()?,
            network: text(row, "network")?.to_owned(),
            port: text(row, "port")?.to_owned(),
            origin: text(row, "origin")?.to_owned(),
        })
    }
}

/// What `port show --json` tells of one port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// Name of the port.
    pub name: String,
    /// Frames that came in.
    pub rx_frames: u64,
    /// Frames that went out.
    pub tx_frames: u64,
    /// The whole answer.
    all: Value,
}

impl Port {
    /// Reads the answer.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::parse`].
    pub fn parse(answer: &Value) -> Result<Self> {
        Ok(Self {
            name: text(answer, "port")?.to_owned(),
            rx_frames: number(answer, "rx_frames")?,
            tx_frames: number(answer, "tx_frames")?,
            all: answer.clone(),
        })
    }

    /// Returns how many frames were dropped for a reason.
    ///
    /// # Errors
    ///
    /// When there is no such reason.
    pub fn drops(&self, reason: &str) -> Result<u64> {
        number(&self.all["drops"], reason)
    }
}

/// Returns the rows of a listing.
///
/// # Errors
///
/// When it is not an array.
pub fn rows(listing: &Value) -> Result<&Vec<Value>> {
    listing
        .as_array()
        .with_context(|| format!("not a list: {listing}"))
}

/// Returns the parsed text under a key, `None` when the key is missing or null.
fn optional<T>(value: &Value, key: &str) -> Result<Option<T>>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    match value[key].as_str() {
        Some(text) => Ok(Some(
            text.parse().with_context(|| format!("{key} is {text:?}"))?,
        )),
        None => Ok(None),
    }
}

/// Returns the text under a key.
///
/// # Errors
///
/// When there is none.
pub fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    value[key]
        .as_str()
        .with_context(|| format!("no text {key:?} in {value}"))
}

/// Returns the number under a key.
///
/// # Errors
///
/// When there is none.
pub fn number(value: &Value, key: &str) -> Result<u64> {
    value[key]
        .as_u64()
        .with_context(|| format!("no number {key:?} in {value}"))
}
