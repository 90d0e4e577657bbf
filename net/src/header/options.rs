//! The option list that IPv4 (RFC 791 §3.1) and TCP (RFC 9293 §3.1) share.
//!
//! ```text
//! | 0                        the list ends here, the rest is padding
//! | 1                        nothing, one octet of padding
//! | kind | len | len - 2 octets of data
//! ```
//!
//! Each step takes at least one octet and the list is at most 40 octets long, so a walk is bounded.

use super::{HeaderError, HeaderName};

/// An option as it stands in the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawOption<'a> {
    /// What the option is.
    pub kind: u8,
    /// Its octets after kind and length.
    pub data: &'a [u8],
}

/// Walks an option list; stops after the first option that is malformed.
#[derive(Clone, Debug)]
pub struct RawOptions<'a> {
    rest: &'a [u8],
    header: HeaderName,
}

impl<'a> RawOptions<'a> {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;

    /// Walks `list`; errors name `header`.
    pub(crate) const fn new(list: &'a [u8], header: HeaderName) -> Self {
        Self { rest: list, header }
    }

    /// Returns the bytes of the list that the walk has not reached yet.
    pub(crate) const fn rest_len(&self) -> usize {
        self.rest.len()
    }

    fn take(&mut self, kind: u8) -> Result<RawOption<'a>, HeaderError> {
        let present = self.rest.len();
        let Some(&len) = self.rest.get(1) else {
            return Err(HeaderError::truncated(self.header, 2, present));
        };
        let len = usize::from(len);
        let Some((option, rest)) = self.rest.split_at_checked(len) else {
            return Err(HeaderError::truncated(self.header, len, present));
        };
        let Some(data) = option.get(2..) else {
            return Err(HeaderError::Length {
                header: self.header,
                stated: len,
            });
        };
        self.rest = rest;
        Ok(RawOption { kind, data })
    }
}

impl<'a> Iterator for RawOptions<'a> {
    type Item = Result<RawOption<'a>, HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match *self.rest.first()? {
                Self::END => {
                    self.rest = &[];
                    return None;
                }
                Self::NO_OPERATION => self.rest = self.rest.get(1..).unwrap_or_default(),
                kind => {
                    let option = self.take(kind);
                    if option.is_err() {
                        self.rest = &[];
                    }
                    return Some(option);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(list: &[u8]) -> Vec<Result<(u8, Vec<u8>), HeaderError>> {
        RawOptions::new(list, HeaderName::TcpOption)
            .map(|option| option.map(|option| (option.kind, option.data.to_vec())))
            .collect()
    }

    #[test]
    fn padding_is_skipped_and_the_end_ends_the_list() {
        let list = [1, 1, 8, 4, 0xaa, 0xbb, 1, 4, 2, 0, 9, 9];
        assert_eq!(walk(&list), [Ok((8, vec![0xaa, 0xbb])), Ok((4, vec![]))]);
        assert_eq!(walk(&[]), []);
        assert_eq!(walk(&[1]), []);
    }

    #[test]
    fn a_malformed_option_is_told_once_and_ends_the_walk() {
        let header = HeaderName::TcpOption;
        for stated in [0, 1] {
            assert_eq!(
                walk(&[8, u8::try_from(stated).unwrap(), 2, 4]),
                [Err(HeaderError::Length { header, stated })]
            );
        }
        assert_eq!(walk(&[8]), [Err(HeaderError::truncated(header, 2, 1))]);
        assert_eq!(
            walk(&[8, 5, 0, 0]),
            [Err(HeaderError::truncated(header, 5, 4))]
        );
    }
}
