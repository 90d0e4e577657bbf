//! Merging UDP runs of a batch into super-frames, and cutting them again.
//!
//! An input is a batch: per frame a port, a length, a `virtio_net_hdr` of 12 bytes and the frame. Run it
//! with `RUSTC_BOOTSTRAP=1 cargo fuzz run coalescer`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tapweave_net::fuzzing::coalescer(input));
