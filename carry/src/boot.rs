//! Which start of the machine state is of.

use core::fmt;

/// What tells one start of the machine from every other: the kernel's `/proc/sys/kernel/random/boot_id`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BootId([u8; Self::LEN]);

impl BootId {
    /// Its bytes.
    pub const LEN: usize = 16;

    /// Returns the id of these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the id that the kernel writes as 32 hexadecimal digits, with dashes or without; none for another text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digits = text.trim().chars().filter(|&c| c != '-');
        let mut bytes = [0; Self::LEN];
        for byte in &mut bytes {
            let [high, low] = [digits.next()?.to_digit(16)?, digits.next()?.to_digit(16)?];
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        digits.next().is_none().then_some(Self(bytes))
    }

    /// Returns the bytes.
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        self.0
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootId({:032x})", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_the_kernel_is_read_and_no_other() {
        let text = "3f2504e0-4f89-41d3-9a0c-0305e82c3301\n";
        let id = BootId::parse(text).unwrap();
        assert_eq!(
            format!("{id:?}"),
            "BootId(3f2504e04f8941d39a0c0305e82c3301)"
        );
        for wrong in ["", "3f25", "3f2504e0-4f89-41d3-9a0c-0305e82c33011", "zz"] {
            assert_eq!(BootId::parse(wrong), None);
        }
    }
}
