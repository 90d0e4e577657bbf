//! One option that new networks of a driver have unless they say otherwise.

use std::str::FromStr;

/// `DRIVER=KEY=VALUE` on the command line; in the file `KEY = VALUE` in the table
/// `default-network-opts.DRIVER`, as dockerd has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NetworkOption {
    pub(crate) driver: String,
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for NetworkOption {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '=');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(driver), Some(key), Some(value)) if !driver.is_empty() && !key.is_empty() => {
                Ok(Self {
                    driver: driver.to_owned(),
                    key: key.to_owned(),
                    value: value.to_owned(),
                })
            }
            _ => Err("should be DRIVER=KEY=VALUE, such as bridge=tapweave.storm=1000"),
        }
    }
}
