//! The form of a file: a header, and sections one after the other.
//!
//! ```text
//!  0               8       10      12              16                              32
//! +---------------+-------+-------+---------------+-------------------------------+
//! |   "tapweave"  |version|   0   |   checksum    |            boot id            |   header
//! +---------------+-------+-------+---------------+-------------------------------+
//!  0       2       4               8               12              16
//! +-------+-------+---------------+---------------+---------------+----------- - -
//! | table |version|    length     | of the bytes  | of the header |  bytes          section
//! +-------+-------+---------------+---------------+---------------+----------- - -
//! ```
//!
//! Checksums are CRC-32 (ISO-HDLC, as zlib's), of the header with zeros in its place; those of a section, of its
//! bytes, and of the twelve bytes before. So a section whose bytes are damaged can be skipped, and only a damaged
//! header of a section hides those after it.
//!
//! A journal grows while it is read last: by a process that was killed while it wrote. A section that does not
//! fit the rest of the file was being written then and is not there ([`End::Torn`]). What was there before is whole,
//! because a journal is only ever added to.

use core::mem::size_of;

use thiserror::Error;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{BootId, Table};

/// Version of this form. That of the tables is each table's own.
pub const VERSION: u16 = 1;

/// Bytes of the header.
pub const HEADER_LEN: usize = size_of::<Header>();
/// Bytes of a section besides its records.
pub const SECTION_HEADER_LEN: usize = size_of::<SectionHeader>();

const MAGIC: [u8; 8] = *b"tapweave";

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: U16,
    reserved: [u8; 2],
    checksum: U32,
    boot: [u8; BootId::LEN],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SectionHeader {
    table: U16,
    version: U16,
    len: U32,
    bytes_checksum: U32,
    header_checksum: U32,
}

/// Bytes that are not state of a tapweave daemon of this version and this start of the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// They are something else, or less than a header.
    #[error("it does not begin as the state of a tapweave daemon does")]
    NoState,
    /// Another version of tapweave wrote them.
    #[error("it is of version {found}, and this tapweave reads version {VERSION}")]
    Version {
        /// The version that they have.
        found: u16,
    },
    /// The header's checksum is wrong.
    #[error("its first {HEADER_LEN} bytes are damaged")]
    Damaged,
    /// The machine was started since.
    #[error("the machine was started again since it was written")]
    OtherBoot,
}

/// A section, or what is known of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section<'a> {
    /// Records of a table.
    Records {
        /// The table's number: see [`Table::number`].
        table: u16,
        /// The version of the records.
        version: u16,
        /// The records.
        bytes: &'a [u8],
    },
    /// The checksum of the records is wrong.
    Damaged {
        /// The table's number.
        table: u16,
    },
}

/// How a file ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// After its last section.
    Whole,
    /// Within a section, which counts as not written.
    Torn,
    /// The header of a section is damaged, so what follows cannot be told.
    Damaged,
}

/// Reads the sections of a file. As an iterator it gives them; [`Sections::end`] says then why there are no more.
#[derive(Clone, Debug)]
pub struct Sections<'a> {
    rest: &'a [u8],
    end: End,
    len: usize,
}

/// Returns the header of a file.
pub fn header(boot: BootId) -> [u8; HEADER_LEN] {
    let mut header = Header {
        magic: MAGIC,
        version: U16::new(VERSION),
        reserved: [0; 2],
        checksum: U32::ZERO,
        boot: boot.to_bytes(),
    };
    header.checksum.set(crc32fast::hash(header.as_bytes()));
    zerocopy::transmute!(header)
}

/// Adds a section to `file` whose records `write` adds. What is longer than 4 GiB is left out: it could not be
/// read.
pub fn add_section(file: &mut Vec<u8>, table: Table, write: impl FnOnce(&mut Vec<u8>)) {
    let start = file.len();
    file.extend([0; SECTION_HEADER_LEN]);
    let records = file.len();
    write(file);
    let bytes = file.get(records..).unwrap_or_default();
    let Ok(len) = u32::try_from(bytes.len()) else {
        file.truncate(start);
        return;
    };
    let mut header = SectionHeader {
        table: U16::new(table.number()),
        version: U16::new(table.version()),
        len: U32::new(len),
        bytes_checksum: U32::new(crc32fast::hash(bytes)),
        header_checksum: U32::ZERO,
    };
    header.header_checksum.set(header.checksum());
    if let Some(place) = file.get_mut(start..records) {
        place.copy_from_slice(header.as_bytes());
    }
}

impl SectionHeader {
    fn checksum(&self) -> u32 {
        let [bytes @ .., _, _, _, _] = self.as_bytes() else {
            return 0;
        };
        crc32fast::hash(bytes)
    }
}

impl<'a> Sections<'a> {
    /// Begins to read a file that was written since the machine was started as `boot` says.
    ///
    /// # Errors
    ///
    /// When the file cannot be of use, as [`HeaderError`] says.
    pub fn new(file: &'a [u8], boot: BootId) -> Result<Self, HeaderError> {
        let (header, rest) =
            Header::read_from_prefix(file).map_err(|_short| HeaderError::NoState)?;
        if header.magic != MAGIC {
            return Err(HeaderError::NoState);
        }
        // Before the checksum: it may be made in another way there.
        if header.version != VERSION {
            let found = header.version.get();
            return Err(HeaderError::Version { found });
        }
        let unsigned = Header {
            checksum: U32::ZERO,
            ..header
        };
        if header.checksum != crc32fast::hash(unsigned.as_bytes()) {
            return Err(HeaderError::Damaged);
        }
        if header.boot != boot.to_bytes() {
            return Err(HeaderError::OtherBoot);
        }
        Ok(Self {
            len: HEADER_LEN,
            ..Self::after_header(rest)
        })
    }

    /// Begins to read sections that were added to a file behind [`Sections::read_len`].
    pub const fn after_header(added: &'a [u8]) -> Self {
        Self {
            rest: added,
            end: End::Whole,
            len: 0,
        }
    }

    /// Returns how many bytes were read, up to the end of the last section that was given.
    pub const fn read_len(&self) -> usize {
        self.len
    }

    /// Returns how the file ends, as far as it was read.
    pub const fn end(&self) -> End {
        self.end
    }

    fn stop(&mut self, end: End) -> Option<Section<'a>> {
        self.rest = &[];
        self.end = end;
        None
    }
}

impl<'a> Iterator for Sections<'a> {
    type Item = Section<'a>;

    fn next(&mut self) -> Option<Section<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let Ok((header, rest)) = SectionHeader::read_from_prefix(self.rest) else {
            return self.stop(End::Torn);
        };
        if header.header_checksum != header.checksum() {
            return self.stop(End::Damaged);
        }
        let split = usize::try_from(header.len.get())
            .ok()
            .and_then(|len| rest.split_at_checked(len));
        let Some((bytes, rest)) = split else {
            return self.stop(End::Torn);
        };
        self.rest = rest;
        self.len += SECTION_HEADER_LEN + bytes.len();
        let table = header.table.get();
        Some(if header.bytes_checksum == crc32fast::hash(bytes) {
            Section::Records {
                table,
                version: header.version.get(),
                bytes,
            }
        } else {
            Section::Damaged { table }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: BootId = BootId::from_bytes([7; 16]);

    fn file() -> Vec<u8> {
        let mut file = header(BOOT).to_vec();
        add_section(&mut file, Table::Networks, |records| {
            records.extend([1; 72]);
        });
        add_section(&mut file, Table::Flows, |_| {});
        add_section(&mut file, Table::FlowsGone, |records| {
            records.extend([2; 8]);
        });
        file
    }

    fn records(table: Table, bytes: &[u8]) -> Section<'_> {
        Section::Records {
            table: table.number(),
            version: table.version(),
            bytes,
        }
    }

    #[test]
    fn sections_come_back_in_their_order() {
        let file = file();
        let mut sections = Sections::new(&file, BOOT).unwrap();
        let read: Vec<_> = sections.by_ref().collect();
        let expected = [
            records(Table::Networks, &[1; 72]),
            records(Table::Flows, &[]),
            records(Table::FlowsGone, &[2; 8]),
        ];
        assert_eq!(read, expected);
        assert_eq!(sections.end(), End::Whole);
    }

    #[test]
    fn a_file_that_was_cut_anywhere_has_the_sections_before_the_cut() {
        let file = file();
        let ends = [32, 120, 136, 160];
        for len in HEADER_LEN..=file.len() {
            let mut sections = Sections::new(&file[..len], BOOT).unwrap();
            let count = sections.by_ref().count();
            assert_eq!(count, ends.iter().filter(|&&end| len >= end).count() - 1);
            let end = if ends.contains(&len) {
                End::Whole
            } else {
                End::Torn
            };
            assert_eq!(sections.end(), end, "{len}");
        }
        for len in 0..HEADER_LEN {
            let sections = Sections::new(&file[..len], BOOT);
            assert!(matches!(sections, Err(HeaderError::NoState)));
        }
    }

    #[test]
    fn every_octet_that_is_wrong_is_noticed() {
        let file = file();
        for at in 0..file.len() {
            let mut broken = file.clone();
            broken[at] ^= 0x10;
            let Ok(mut sections) = Sections::new(&broken, BOOT) else {
                assert!(at < HEADER_LEN);
                continue;
            };
            let read: Vec<_> = sections.by_ref().collect();
            let is_hidden = sections.end() == End::Damaged;
            let damaged = |section: &&Section<'_>| matches!(section, Section::Damaged { .. });
            assert_eq!(
                read.iter().filter(damaged).count() + usize::from(is_hidden),
                1
            );
        }
    }

    #[test]
    fn what_cannot_be_of_use_is_refused_with_its_reason() {
        let error = |file: &[u8], boot| Sections::new(file, boot).map(|_| ()).unwrap_err();
        let file = file();
        let other = BootId::from_bytes([8; 16]);
        assert_eq!(error(&file, other), HeaderError::OtherBoot);
        let mut newer = file.clone();
        newer[8] = 2;
        assert_eq!(error(&newer, BOOT), HeaderError::Version { found: 2 });
        let mut damaged = file;
        damaged[20] = 0;
        assert_eq!(error(&damaged, BOOT), HeaderError::Damaged);
        assert_eq!(
            error(b"something else entirely, and longer", BOOT),
            HeaderError::NoState
        );
    }
}
