//! The overlay's core: what a socket receives, and frames that are to be sent, through every
//! tunnel.
//!
//! An input is an octet that chooses the tunnel, one that is the outer traffic class, a
//! `virtio_net_hdr` of 12 bytes, and a frame or datagram. Run it with `RUSTC_BOOTSTRAP=1 cargo fuzz
//! run tunnel`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tapweave_encap::fuzzing::tunnel(input));
