//! Test frames: bytes that no protocol stack sends by itself, with a text to know them by.

use std::fmt::Write;

use anyhow::{Result, ensure};
use tapweave_net::MacAddr;

/// The `EtherType` that IEEE 802 sets aside for local experiments; the kernel has no use for it.
pub const TEST_TYPE: u16 = 0x88b5;

/// Bytes of an Ethernet header.
pub const HEADER_LEN: usize = 14;

/// Bytes of the addresses.
const ADDRESSES_LEN: usize = 12;

/// Bytes of the smallest frame, without its check sequence.
const MIN_LEN: usize = 60;

/// Returns a frame of [`TEST_TYPE`] whose payload is `tag`, then zeroes.
pub fn tagged(destination: MacAddr, source: MacAddr, tag: &str) -> Vec<u8> {
    let mut frame = header(destination, source, TEST_TYPE);
    frame.extend_from_slice(tag.as_bytes());
    frame.resize(frame.len().max(MIN_LEN), 0);
    frame
}

/// Returns the frame with a VLAN tag right behind its addresses: `tpid` 0x8100 or 0x88a8, and `tci` with
/// priority, drop eligibility and VID (IEEE 802.1Q §9.6).
pub fn with_tag(frame: &[u8], tpid: u16, tci: u16) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(ADDRESSES_LEN.min(frame.len()));
    [addresses, &tpid.to_be_bytes(), &tci.to_be_bytes(), rest].concat()
}

/// Returns an Ethernet header.
pub fn header(destination: MacAddr, source: MacAddr, ether_type: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(MIN_LEN);
    frame.extend_from_slice(&destination.octets());
    frame.extend_from_slice(&source.octets());
    frame.extend_from_slice(&ether_type.to_be_bytes());
    frame
}

/// Returns a locally administered address made of `number`.
pub const fn mac(number: u16) -> MacAddr {
    let [high, low] = number.to_be_bytes();
    MacAddr::new([0x02, 0x7e, 0x57, 0x00, high, low])
}

/// Returns the bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads what [`hex`] writes.
///
/// # Errors
///
/// When a digit is missing or is none.
pub fn from_hex(text: &str) -> Result<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        let digits = str::from_utf8(pair)?;
        ensure!(digits.len() == 2, "half an octet in {text:?}");
        Ok(u8::from_str_radix(digits, 16)?)
    });
    pairs.collect()
}

/// Returns the destination of a frame, `None` when it is too short.
pub fn destination(frame: &[u8]) -> Option<MacAddr> {
    Some(MacAddr::new(frame.get(..6)?.try_into().ok()?))
}

/// Returns the source of a frame, `None` when it is too short.
pub fn source(frame: &[u8]) -> Option<MacAddr> {
    Some(MacAddr::new(frame.get(6..12)?.try_into().ok()?))
}

/// Returns the `EtherType` of a frame, `None` when it is too short.
pub fn ether_type(frame: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(frame.get(12..14)?.try_into().ok()?))
}
