//! Reads the frames of a capture file (the classic format, `man 5 pcap-savefile`).
//!
//! The file may still be growing: a record that is not complete yet is left for the next time.

use anyhow::{Result, bail, ensure};

/// Bytes of the file header and of the header of a record.
const FILE_HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;

/// `LINKTYPE_ETHERNET`.
const ETHERNET: u32 = 1;

/// Returns the complete frames of a capture in this machine's byte order, oldest first.
///
/// # Errors
///
/// When it is no such capture, not of Ethernet, or a frame was cut.
pub fn frames(file: &[u8]) -> Result<Vec<Vec<u8>>> {
    if file.len() < FILE_HEADER_LEN {
        return Ok(Vec::new());
    }
    ensure!(
        matches!(number(file, 0), Some(0xa1b2_c3d4 | 0xa1b2_3c4d)),
        "not a capture file"
    );
    ensure!(
        number(file, 20) == Some(ETHERNET),
        "not a capture of Ethernet"
    );
    let mut frames = Vec::new();
    let mut rest = file.get(FILE_HEADER_LEN..).unwrap_or_default();
    while let (Some(captured), Some(original)) = (number(rest, 8), number(rest, 12)) {
        if captured != original {
            bail!("a frame of {original} bytes was cut to {captured}");
        }
        let end = RECORD_HEADER_LEN + usize::try_from(captured)?;
        let Some(frame) = rest.get(RECORD_HEADER_LEN..end) else {
            break;
        };
        frames.push(frame.to_vec());
        rest = rest.get(end..).unwrap_or_default();
    }
    Ok(frames)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
