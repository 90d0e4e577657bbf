//! What all sources together say: for each key the first one that says something, in the order command
//! line, environment, file, defaults.
//!
//! Tables of keys (`nat-timeout`, `default-network-opts`) are merged key by key; lists are not merged.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize as _;
use toml::{Table, Value};

use super::keys::KEYS;
use super::settings::Settings;

/// Who said something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Source {
    Default,
    File,
    Environment,
    Flag,
}

/// A value and who gave it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Leaf {
    pub(crate) value: Value,
    pub(crate) source: Source,
}

/// The path of keys to a value: one, or several where a key is a table.
pub(crate) type KeyPath = Vec<String>;

/// The values of all sources.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Layers {
    leaves: BTreeMap<KeyPath, Leaf>,
}

impl Layers {
    /// Lets `source` say what stands in `table`, over what those before it said.
    pub(crate) fn put(&mut self, source: Source, table: Table) {
        self.put_below(&[], source, table);
    }

    fn put_below(&mut self, path: &[String], source: Source, table: Table) {
        for (name, value) in table {
            let mut path = path.to_vec();
            path.push(name);
            if let Value::Table(inner) = value {
                self.put_below(&path, source, inner);
            } else {
                self.leaves.insert(path, Leaf { value, source });
            }
        }
    }

    /// Returns the values in the order of the reference.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = (&KeyPath, &Leaf)> {
        KEYS.iter().flat_map(|key| {
            let of_key =
                move |(path, _): &(&KeyPath, &Leaf)| path.first().is_some_and(|k| k == key.name);
            self.leaves.iter().filter(of_key)
        })
    }

    /// Returns what is to be done by all of this.
    ///
    /// # Errors
    ///
    /// When values contradict each other that are well formed by themselves.
    pub(crate) fn settings(&self) -> Result<Settings, toml::de::Error> {
        let mut table = Table::new();
        for (path, leaf) in &self.leaves {
            insert(&mut table, path, &leaf.value);
        }
        Settings::deserialize(table)
    }

    /// Returns the names of the keys whose values differ between `self` and `other`.
    pub(crate) fn difference(&self, other: &Self) -> Vec<&'static str> {
        let values = |layers: &Self, name: &str| -> Vec<_> {
            let of_key =
                |(path, _): &(&KeyPath, &Leaf)| path.first().is_some_and(|key| key == name);
            let leaves = layers.leaves.iter().filter(of_key);
            leaves
                .map(|(path, leaf)| (path.clone(), leaf.value.clone()))
                .collect()
        };
        let names = KEYS.iter().map(|key| key.name);
        names
            .filter(|name| values(self, name) != values(other, name))
            .collect()
    }
}

fn insert(table: &mut Table, path: &[String], value: &Value) {
    match path {
        [] => {}
        [name] => {
            table.insert(name.clone(), value.clone());
        }
        [name, rest @ ..] => {
            let inner = table.entry(name.as_str());
            let inner = inner.or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    #[test]
    fn later_sources_win_key_by_key_but_lists_stay_whole() {
        let mut layers = Layers::default();
        layers.put(
            Source::Default,
            table("workers = 1\nvxlan-port = 4789\nnat-timeout = { udp = 300, icmp = 60 }"),
        );
        layers.put(
            Source::File,
            table("workers = 2\nunderlay = ['a', 'b']\nnat-timeout.udp = 30"),
        );
        layers.put(Source::Flag, table("underlay = ['c']"));
        let shown: Vec<_> = layers
            .leaves()
            .map(|(path, leaf)| format!("{}={} {}", path.join("."), leaf.value, leaf.source))
            .collect();
        assert_eq!(
            shown,
            [
                "workers=2 file",
                "underlay=[\"c\"] flag",
                "vxlan-port=4789 default",
                "nat-timeout.icmp=60 default",
                "nat-timeout.udp=30 file",
            ]
        );
        let settings = layers.settings().unwrap();
        assert_eq!(settings.workers.unwrap().get(), 2);
        assert_eq!(settings.nat_timeout.len(), 2);
    }

    #[test]
    fn only_what_has_another_value_differs() {
        let layers = |text: &str, source| {
            let mut layers = Layers::default();
            layers.put(source, table(text));
            layers
        };
        let before = layers("workers = 1\nnat-timeout.udp = 30", Source::Default);
        let after = layers(
            "workers = 1\nnat-timeout.udp = 31\nunderlay = ['a']",
            Source::File,
        );
        assert_eq!(before.difference(&after), ["underlay", "nat-timeout"]);
    }
}
