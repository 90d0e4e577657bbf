//! Which servers are asked for the names of the world.
//!
//! They are given, or stand in a file in the form of `resolv.conf(5)`, by default the host's own. The file is looked at
//! again when a query comes, at most once a second, as the C library does it: that costs one system call, and
//! follows a link that is set to another file as well as a file that is written anew. A server at a loopback address, such
//! as systemd-resolved's 127.0.0.53, is reached, since the daemon asks from the host.

use std::fs::{Metadata, metadata, read_to_string};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tapweave_net::Timestamp;
use thiserror::Error;
use tracing::{info, warn};

/// Where it stands which servers the host asks.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The port of DNS.
const PORT: u16 = 53;

/// Most servers that are asked: as many as the C library asks.
const SERVERS_MAX: usize = 3;

/// How often the file is looked at, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Which servers are asked for the names of the world.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResolverOptions {
    /// Those that stand in this file.
    File(PathBuf),
    /// These, the first one first.
    Servers(Vec<SocketAddr>),
}

/// One of what is given: a server, or a file that names some.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DnsChoice {
    /// An address, with the port of DNS where none is given.
    Server(SocketAddr),
    /// A file in the form of `resolv.conf(5)`.
    File(PathBuf),
}

/// Neither an address nor a path.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("should be an address, an address with a port or the path of a file, with a slash in it")]
pub struct DnsChoiceError;

impl FromStr for DnsChoice {
    type Err = DnsChoiceError;

    fn from_str(text: &str) -> Result<Self, DnsChoiceError> {
        if let Ok(server) = text.parse() {
            return Ok(Self::Server(server));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Server(SocketAddr::new(address, PORT)));
        }
        if text.contains('/') {
            return Ok(Self::File(PathBuf::from(text)));
        }
        Err(DnsChoiceError)
    }
}

impl ResolverOptions {
    /// Returns what `choices` say: the servers among them, else the first file, else the host's own.
    pub fn new(choices: &[DnsChoice]) -> Self {
        let mut servers = Vec::new();
        let mut file = None;
        for choice in choices {
            match choice {
                DnsChoice::Server(server) => servers.push(*server),
                DnsChoice::File(path) => file = file.or(Some(path)),
            }
        }
        match (&servers[..], file) {
            ([], None) => Self::default(),
            ([], Some(file)) => Self::File(file.clone()),
            (_, _) => Self::Servers(servers),
        }
    }
}

impl Default for ResolverOptions {
    fn default() -> Self {
        Self::File(PathBuf::from(RESOLV_CONF))
    }
}

/// The servers at present.
#[derive(Debug)]
pub(super) struct Servers {
    file: Option<PathBuf>,
    current: Arc<[SocketAddr]>,
    seen: Option<Identity>,
    looked_at: Option<Timestamp>,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Identity {
    dev: u64,
    ino: u64,
    len: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            dev: metadata.dev(),
            ino: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// Whether the servers are the same as at the last look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    Same,
    Changed,
}

impl Servers {
    pub(super) fn new(options: ResolverOptions) -> Self {
        let (file, servers) = match options {
            ResolverOptions::File(file) => (Some(file), Vec::new()),
            ResolverOptions::Servers(servers) => (None, servers),
        };
        Self {
            file,
            current: servers.into(),
            seen: None,
            looked_at: None,
        }
    }

    /// Reads the file if it is time to, and it has changed.
    pub(super) fn look(&mut self, now: Timestamp) -> Look {
        let Some(file) = &self.file else {
            return Look::Same;
        };
        let is_recent = |at: Timestamp| now.since(at) < LOOK_INTERVAL;
        if self.looked_at.is_some_and(is_recent) {
            return Look::Same;
        }
        let is_first = self.looked_at.replace(now).is_none();
        let seen = metadata(file).ok().as_ref().map(Identity::of);
        // One that is not there is complained about once.
        if !is_first && seen == self.seen {
            return Look::Same;
        }
        self.seen = seen;
        let servers = read(file);
        if *servers == *self.current {
            return Look::Same;
        }
        info!(?servers, file = %file.display(), "names of the world are asked of");
        self.current = servers.into();
        Look::Changed
    }

    pub(super) fn current(&self) -> Arc<[SocketAddr]> {
        Arc::clone(&self.current)
    }
}

fn read(file: &Path) -> Vec<SocketAddr> {
    match read_to_string(file) {
        Ok(text) => parse(&text),
        Err(error) => {
            warn!(%error, file = %file.display(), "cannot read which servers the host asks for names");
            Vec::new()
        }
    }
}

/// Returns the servers that `text` names, in the form of `resolv.conf(5)`. Lines that mean something else, or nothing,
/// are passed over.
fn parse(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        if words.next()? != "nameserver" {
            return None;
        }
        let address: IpAddr = words.next()?.parse().ok()?;
        Some(SocketAddr::new(address, PORT))
    });
    lines.take(SERVERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn servers_and_files_are_told_apart() {
        let read = |text: &str| text.parse::<DnsChoice>().ok();
        let server = |text: &str| Some(DnsChoice::Server(text.parse().unwrap()));
        assert_eq!(read("192.0.2.1"), server("192.0.2.1:53"));
        assert_eq!(read("192.0.2.1:5353"), server("192.0.2.1:5353"));
        assert_eq!(read("::1"), server("[::1]:53"));
        assert_eq!(read("./servers"), Some(DnsChoice::File("./servers".into())));
        assert_eq!(read("servers"), None);
        let both = [read("./servers").unwrap(), read("::1").unwrap()];
        let servers = vec!["[::1]:53".parse().unwrap()];
        assert_eq!(
            ResolverOptions::new(&both),
            ResolverOptions::Servers(servers)
        );
        assert_eq!(ResolverOptions::new(&[]), ResolverOptions::default());
    }

    #[test]
    fn the_first_three_servers_are_taken_and_the_rest_is_passed_over() {
        let text = "# nameserver 192.0.2.9\nsearch lab\nnameserver 192.0.2.1\nnameserver ::1 # x\n\
                    nameserver\nnameserver host\n  nameserver\t127.0.0.53\noptions ndots:1\nnameserver 192.0.2.4\n";
        let expected = ["192.0.2.1:53", "[::1]:53", "127.0.0.53:53"];
        let expected: Vec<SocketAddr> = expected.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn a_file_is_followed_when_it_changes_and_looked_at_once_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        let put = |text: &str| {
            let draft = folder.path().join("draft");
            fs::write(&draft, text).unwrap();
            fs::rename(&draft, &path).unwrap();
        };
        put("nameserver 192.0.2.1\n");
        let mut servers = Servers::new(ResolverOptions::File(path.clone()));
        let at = Timestamp::from_secs;
        assert_eq!(servers.look(at(1)), Look::Changed);
        assert_eq!(servers.current().len(), 1);
        put("nameserver 192.0.2.2\nnameserver 192.0.2.3\n");
        assert_eq!(servers.look(at(1)), Look::Same);
        assert_eq!(servers.look(at(2)), Look::Changed);
        assert_eq!(servers.current().len(), 2);
        assert_eq!(servers.look(at(3)), Look::Same);
        fs::remove_file(&path).unwrap();
        assert_eq!(servers.look(at(4)), Look::Changed);
        assert!(servers.current().is_empty());
        assert_eq!(servers.look(at(5)), Look::Same);
        put("nameserver 192.0.2.1\n");
        assert_eq!(servers.look(at(6)), Look::Changed);
    }
}
