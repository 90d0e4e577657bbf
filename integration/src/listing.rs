//! The tables that tapweave prints as JSON: the keys that the tests rely on.

use std::net::IpAddr;

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
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl Endpoint {
    /// Reads the answer of `network connect --json`.
    ///
    /// # Errors
    ///
    /// When a key is missing or its value is not what it should be.
    pub fn parse(answer: &Value) -> Result<Self> {
        let addresses = rows(&answer["addresses"])?.iter().map(|address| {
            let text = address.as_str().and_then(|text| text.split('/').next());
            Ok(text.context("an address is no text")?.parse()?)
        });
        Ok(Self {
            port: text(answer, "port")?.to_owned(),
            ifname: text(answer, "ifname")?.to_owned(),
            mac: text(answer, "mac")?.parse()?,
            addresses: addresses.collect::<Result<_>>()?,
        })
    }

    /// Returns the IPv4 address.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn ipv4(&self) -> Result<IpAddr> {
        self.address(IpAddr::is_ipv4)
    }

    /// Returns the IPv6 address.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn ipv6(&self) -> Result<IpAddr> {
        self.address(IpAddr::is_ipv6)
    }

    fn address(&self, family: impl Fn(&IpAddr) -> bool) -> Result<IpAddr> {
        let address = self.addresses.iter().copied().find(family);
        address.with_context(|| format!("{} has only {:?}", self.port, self.addresses))
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
    /// How the entry came into the table: `learned` or `static`.
    pub kind: String,
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
            kind: text(row, "kind")?.to_owned(),
        })
    }
}

/// The counters that `port show --json` tells of one port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counters {
    /// Frames that came in from the sandbox.
    pub rx_frames: u64,
    /// Frames that went out to it.
    pub tx_frames: u64,
    drops: Value,
}

impl Counters {
    /// Reads the answer.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::parse`].
    pub fn parse(answer: &Value) -> Result<Self> {
        let counters = &answer["counters"];
        Ok(Self {
            rx_frames: number(counters, "rx_frames")?,
            tx_frames: number(counters, "tx_frames")?,
            drops: counters["drops"].clone(),
        })
    }

    /// Returns how many frames were dropped for a reason; one that never occurred is left out.
    pub fn drops(&self, reason: &str) -> u64 {
        self.drops[reason].as_u64().unwrap_or(0)
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
