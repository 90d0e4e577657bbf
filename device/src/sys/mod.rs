//! The only door to `unsafe`: requests to the kernel that no library offers in safe form.
//!
//! Everything else that this crate asks of the kernel goes through safe wrappers of `rustix`. Nothing
//! here decides anything: one function is one kernel request, or one piece of memory that the kernel
//! shares.

#![expect(unsafe_code, reason = "these requests have no safe form")]

pub(crate) mod arena;
mod ask;
pub(crate) mod nsfs;
pub(crate) mod packet;
pub(crate) mod pages;
pub(crate) mod provided;
pub(crate) mod ring;
pub(crate) mod tun;
pub(crate) mod udp;
pub(crate) mod unshare;
