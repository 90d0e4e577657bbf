//! Numbers that are the same each time on one machine, and others on every other machine.

use std::fs;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

/// Bytes that a machine has for one purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// Returns the bytes of this machine for `purpose`. The machine's id itself cannot be found from
    /// them, as `man 5 machine-id` asks for. A machine without one gets random bytes.
    ///
    /// # Errors
    ///
    /// When the kernel gives no random numbers.
    pub(crate) fn of_this_machine(purpose: &str) -> Result<Self> {
        let id = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
            .into_iter()
            .find_map(|path| fs::read_to_string(path).ok())
            .filter(|id| id.trim().len() >= 32);
        if let Some(id) = id {
            return Ok(Self::of(id.trim(), purpose));
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).context("the kernel gives no random numbers")?;
        Ok(Self(bytes))
    }

    fn of(id: &str, purpose: &str) -> Self {
        let hash = Sha256::new()
            .chain_update("tapweave\0")
            .chain_update(purpose)
            .chain_update("\0")
            .chain_update(id);
        Self(hash.finalize().into())
    }

    /// Returns its first `N` bytes, at most 32; further ones are zero.
    pub(crate) fn array<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        for (to, from) in bytes.iter_mut().zip(self.0) {
            *to = from;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_of_each_machine_has_bytes_of_its_own() {
        let one = Digest::of("a", "tun");
        assert_eq!(one, Digest::of("a", "tun"));
        assert_ne!(one, Digest::of("b", "tun"));
        assert_ne!(one, Digest::of("a", "nic"));
        assert_ne!(one.array::<4>(), [0; 4]);
    }
}
