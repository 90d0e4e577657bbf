//! `--filter KEY=VALUE` of `network ls`

use std::str::FromStr;

use tapweave_control::api::NetworkInspect;

/// A condition on networks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Filter {
    Name(String),
    Id(String),
    Driver(String),
    Internal(bool),
    Label(String, Option<String>),
}

impl Filter {
    pub(crate) fn matches(&self, network: &NetworkInspect) -> bool {
        match self {
            Self::Name(part) => network.name.as_str().contains(part.as_str()),
            Self::Id(beginning) => network.id.as_str().starts_with(beginning.as_str()),
            Self::Driver(driver) => network.driver == *driver,
            Self::Internal(internal) => network.internal == *internal,
            Self::Label(key, None) => network.labels.contains_key(key),
            Self::Label(key, value) => network.labels.get(key) == value.as_ref(),
        }
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("should be KEY=VALUE")?;
        let value = value.to_owned();
        match key {
            "name" => Ok(Self::Name(value)),
            "id" => Ok(Self::Id(value)),
            "driver" => Ok(Self::Driver(value)),
            "internal" => value
                .parse()
                .map(Self::Internal)
                .map_err(|error| error.to_string()),
            "label" => Ok(match value.split_once('=') {
                Some((key, value)) => Self::Label(key.to_owned(), Some(value.to_owned())),
                None => Self::Label(value, None),
            }),
            _ => Err("the key should be name, id, driver, internal or label".to_owned()),
        }
    }
}
