//! Every parser of `tapweave-net`, checksum completion and segmentation.
//!
//! An input is a `virtio_net_hdr` of 12 bytes and a frame. Run it with
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run frame_parser`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tapweave_net::fuzzing::frame_parser(input));
