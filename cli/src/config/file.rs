//! Reads the file: TOML, keys that are known, values that fit; whatever is wrong is told with line and
//! column.

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use tapweave_control::did_you_mean;
use thiserror::Error;
use toml::Table;
use toml::de::{DeTable, Deserializer};

use super::keys::KEYS;
use super::settings::Settings;

/// A file that was read and is well formed.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    text: String,
    /// Its keys and values as they will be merged with those of other sources.
    pub(crate) table: Table,
}

/// Where in a file: line and column, both from 1, columns in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    line: usize,
    column: usize,
}

/// Why a file is no configuration.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error("cannot read the configuration {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}:{position}: {message}", path.display())]
    Content {
        path: PathBuf,
        position: Position,
        message: String,
    },
}

impl ConfigFile {
    /// Reads the file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, FileError> {
        let text = fs::read_to_string(path).map_err(|source| FileError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, text)
    }

    /// Reads `text` as the content of the file at `path`.
    pub(crate) fn parse(path: &Path, text: String) -> Result<Self, FileError> {
        let refuse = |span: Option<Range<usize>>, message: String| FileError::Content {
            path: path.to_owned(),
            position: Position::of(&text, span.map_or(0, |span| span.start)),
            message,
        };
        let refuse_toml = |error: toml::de::Error| {
            let message = error.message().replace('\n', ", ");
            refuse(error.span(), message)
        };
        let document = DeTable::parse(&text).map_err(refuse_toml)?;
        let unknown = document.get_ref().keys();
        let unknown = unknown.filter(|it| KEYS.iter().all(|key| key.name != it.get_ref().as_ref()));
        // The table is in the order of the alphabet.
        if let Some(first) = unknown.min_by_key(|it| it.span().start) {
            let name = first.get_ref().as_ref();
            let known = KEYS.map(|key| key.name);
            let suggestion = did_you_mean(name, known);
            let message = if suggestion.is_empty() {
                format!("unknown key {name}; there are {}", known.join(", "))
            } else {
                format!("unknown key {name}{suggestion}")
            };
            return Err(refuse(Some(first.span()), message));
        }
        let settings = serde::Deserialize::deserialize(Deserializer::from(document));
        let settings: Settings = settings.map_err(refuse_toml)?;
        let table = Table::try_from(&settings).map_err(|error| refuse(None, error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            text,
            table,
        })
    }

    /// Returns where the file says something of `key`, a path of keys.
    pub(crate) fn find(&self, key: &[&str]) -> Option<Position> {
        let document = DeTable::parse(&self.text).ok()?;
        let (last, parents) = key.split_last()?;
        let mut table = document.get_ref();
        for parent in parents {
            let (_, value) = table.iter().find(|(name, _)| name.get_ref() == parent)?;
            table = value.get_ref().as_table()?;
        }
        let (name, _) = table.iter().find(|(name, _)| name.get_ref() == last)?;
        Some(Position::of(&self.text, name.span().start))
    }
}

impl Position {
    fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    pub(crate) const fn line(self) -> usize {
        self.line
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let path = Path::new("t.toml");
        let error = ConfigFile::parse(path, text.to_owned()).unwrap_err();
        error.to_string()
    }

    #[test]
    fn what_is_wrong_is_told_with_line_and_column() {
        for (text, expected) in [
            (
                "workers = 2\n  wrokers = 3\n",
                "t.toml:2:3: unknown key wrokers; did you mean workers?",
            ),
            (
                "wrokers = 3\nbakend = \"epoll\"\n",
                "t.toml:1:1: unknown key wrokers; did you mean workers?",
            ),
            (
                "[default-network-opt.bridge]\n",
                "t.toml:1:2: unknown key default-network-opt; did you mean default-network-opts?",
            ),
            (
                "workers = 0",
                "t.toml:1:11: invalid value: integer `0`, expected a number from 1 to 256",
            ),
            (
                "\nworkers = \"2\"",
                "t.toml:2:11: invalid type: string \"2\", expected a number from 1 to 256",
            ),
            (
                "backend = \"kqueue\"",
                "t.toml:1:11: unknown variant `kqueue`, expected one of `auto`, `io_uring`, `epoll`",
            ),
            (
                "uplink = \"nci:eth0\"",
                "t.toml:1:10: \"nci:eth0\": should be auto, none, tun[:CIDR[,CIDR]] or nic:IFNAME[:CIDR[@GATEWAY][,…]]",
            ),
            (
                "underlay = [\"eth0\", \"a b\"]",
                "t.toml:1:12: \"a b\" should be an IP address or the name of an interface",
            ),
            (
                "nat-timeout.udp = 0",
                "t.toml:1:1: \"0\" is no time of 1 to 604800 seconds",
            ),
            (
                "nat-timeout.upd = 5",
                "t.toml:1:1: \"upd\" is none of tcp-established, tcp-transitory, tcp-syn, tcp-reset, udp, udp-brief, icmp",
            ),
            (
                "default-address-pools = [{ base = \"10.0.0.0/8\", sise = 24 }]",
                "t.toml:1:49: unknown field `sise`, expected `base` or `size`",
            ),
            (
                "default-address-pools = [{ base = \"10.0.0.0/8\", size = 7 }]",
                "t.toml:1:25: 10.0.0.0/8 cannot be handed out in /7 subnets: give a size from 8 to 32",
            ),
            (
                "log = \"everything=loud\"",
                "t.toml:1:7: \"everything=loud\" is no filter such as info or info,tapweave_control=debug",
            ),
        ] {
            assert_eq!(refusal(text), expected, "{text:?}");
        }
        // The words are those of the TOML library.
        assert!(refusal("log = 'ü'\nworkers =\n").starts_with("t.toml:2:"));
        assert!(refusal("workers = 1\nworkers = 2\n").contains("duplicate key"));
        let other = refusal("colour = 1");
        assert!(
            other.contains("there are socket, state-dir, node, store, hold, log, workers"),
            "{other}"
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = ConfigFile::read(Path::new("/nowhere/t.toml")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the configuration /nowhere/t.toml"
        );
    }

    #[test]
    fn keys_are_found_where_they_stand() {
        let text = "workers = 2\n[default-network-opts.bridge]\n\"tapweave.storm\" = 5\n";
        let file = ConfigFile::parse(Path::new("t.toml"), text.to_owned()).unwrap();
        let at = |key: &[&str]| file.find(key).map(|position| position.to_string());
        assert_eq!(at(&["workers"]).unwrap(), "1:1");
        assert_eq!(
            at(&["default-network-opts", "bridge", "tapweave.storm"]).unwrap(),
            "3:1"
        );
        assert_eq!(at(&["nowhere"]), None);
    }
}
