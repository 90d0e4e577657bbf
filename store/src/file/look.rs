//! A file that can be written without being changed: writes stay in memory.
//!
//! A database writes when it is opened, be it only the mark that it is open, and repairs what a crash has
//! left. Through this it can be opened to see whether it is whole and which version wrote it, before
//! anything is done to the file.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// Octets that are copied at once when one of them is written.
const BLOCK_LEN: usize = 4096;

/// What is under a layer of writes in memory.
#[derive(Debug)]
pub(super) struct Look {
    under: Box<dyn StorageBackend>,
    layer: Mutex<Layer>,
}

#[derive(Debug)]
struct Layer {
    len: u64,
    /// Octets of what is under that are to be seen; the rest was cut off.
    under_len: u64,
    /// Blocks that were written, by number.
    blocks: BTreeMap<u64, Box<[u8; BLOCK_LEN]>>,
}

impl Look {
    /// Returns the look at what is under. That is only read.
    ///
    /// # Errors
    ///
    /// When it cannot tell its length.
    pub(super) fn new(under: Box<dyn StorageBackend>) -> io::Result<Self> {
        let len = under.len()?;
        Ok(Self {
            under,
            layer: Mutex::new(Layer {
                len,
                under_len: len,
                blocks: BTreeMap::new(),
            }),
        })
    }

    fn layer(&self) -> MutexGuard<'_, Layer> {
        self.layer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a block as it is to be seen where nothing was written.
    fn below(&self, layer: &Layer, number: u64) -> io::Result<Box<[u8; BLOCK_LEN]>> {
        let mut block = Box::new([0; BLOCK_LEN]);
        let start = number * BLOCK_LEN as u64;
        let seen = layer.under_len.saturating_sub(start);
        let seen = usize::try_from(seen).unwrap_or(BLOCK_LEN).min(BLOCK_LEN);
        if seen > 0 {
            self.under.read(start, &mut block[..seen])?;
        }
        Ok(block)
    }
}

/// Calls `each` for every block that `len` octets at `offset` touch, with its number, where they begin in
/// it, and which of them are in it.
fn for_blocks(
    offset: u64,
    len: usize,
    mut each: impl FnMut(u64, usize, std::ops::Range<usize>) -> io::Result<()>,
) -> io::Result<()> {
    let mut done = 0;
    while done < len {
        let at = offset + done as u64;
        let number = at / BLOCK_LEN as u64;
        let start = usize::try_from(at % BLOCK_LEN as u64).unwrap_or(0);
        let part = (BLOCK_LEN - start).min(len - done);
        each(number, start, done..done + part)?;
        done += part;
    }
    Ok(())
}

impl StorageBackend for Look {
    fn len(&self) -> io::Result<u64> {
        Ok(self.layer().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let layer = self.layer();
        if offset.saturating_add(out.len() as u64) > layer.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for_blocks(offset, out.len(), |number, start, part| {
            let out = &mut out[part];
            let block = match layer.blocks.get(&number) {
                Some(block) => block,
                None => &self.below(&layer, number)?,
            };
            out.copy_from_slice(&block[start..start + out.len()]);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut layer = self.layer();
        if len < layer.len {
            layer.under_len = layer.under_len.min(len);
            let first_gone = len.div_ceil(BLOCK_LEN as u64);
            layer.blocks.split_off(&first_gone);
            let start = usize::try_from(len % BLOCK_LEN as u64).unwrap_or(0);
            if let Some(block) = layer.blocks.get_mut(&(len / BLOCK_LEN as u64)) {
                block[start..].fill(0);
            }
        }
        layer.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut layer = self.layer();
        for_blocks(offset, data.len(), |number, start, part| {
            let data = &data[part];
            if !layer.blocks.contains_key(&number) {
                let block = self.below(&layer, number)?;
                layer.blocks.insert(number, block);
            }
            if let Some(block) = layer.blocks.get_mut(&number) {
                block[start..start + data.len()].copy_from_slice(data);
            }
            Ok(())
        })?;
        layer.len = layer.len.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;

    fn bytes_of(backend: &dyn StorageBackend) -> Vec<u8> {
        let len = backend.len().unwrap();
        let mut bytes = vec![0xa5; usize::try_from(len).unwrap()];
        backend.read(0, &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn looks_like_a_file_that_is_written_and_leaves_it_as_it_is(
            steps in prop::collection::vec((0..30_000_u64, 0..9_000_usize, any::<bool>()), 0..20),
        ) {
            let under = InMemoryBackend::new();
            let before = vec![0x5a; 10_000];
            under.set_len(10_000).unwrap();
            under.write(0, &before).unwrap();
            let look = Look::new(Box::new(under)).unwrap();
            let mut expected = before.clone();
            for (n, (offset, len, cut)) in steps.into_iter().enumerate() {
                let at = usize::try_from(offset).unwrap();
                if cut {
                    look.set_len(offset).unwrap();
                    expected.resize(at, 0);
                } else {
                    let data = vec![u8::try_from(n).unwrap(); len];
                    look.write(offset, &data).unwrap();
                    if len > 0 && expected.len() < at + len {
                        expected.resize(at + len, 0);
                    }
                    let at = at.min(expected.len());
                    expected[at..][..len].copy_from_slice(&data);
                }
                let end = look.len().unwrap();
                expected.resize(usize::try_from(end).unwrap(), 0);
                prop_assert_eq!(bytes_of(&look), &expected[..]);
            }
            prop_assert!(look.read(look.len().unwrap(), &mut [0]).is_err());
            prop_assert_eq!(bytes_of(&*look.under), before);
        }
    }
}
