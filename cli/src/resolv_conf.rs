//! What a sandbox has to be told of its resolver, in the form of `resolv.conf(5)`.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tapweave_control::api::Endpoint;
use tempfile::Builder;

/// Returns the text for an endpoint; `None` when its network has no resolver.
pub(crate) fn text(endpoint: &Endpoint) -> Option<String> {
    if endpoint.dns.is_empty() {
        return None;
    }
    let mut lines = vec![
        format!("# written by tapweave for {}", endpoint.port),
        format!("search {}", endpoint.network),
    ];
    let servers = endpoint.dns.iter();
    lines.extend(servers.map(|server| format!("nameserver {server}")));
    lines.push(String::new());
    Some(lines.join("\n"))
}

/// Writes `text` to `path` in one step, so that nobody reads half of it. A file that something is mounted on, as in
/// containers, cannot be replaced and is written over.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    if replace(path, text).is_ok() {
        return Ok(());
    }
    fs::write(path, text)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let mut draft = Builder::new()
        .prefix(".resolv.conf.")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder.unwrap_or_else(|| Path::new(".")))?;
    draft.write_all(text.as_bytes())?;
    draft.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        fs::write(&path, "nameserver 192.0.2.1\n").unwrap();
        write(&path, "search lab\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "search lab\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(&folder.path().join("no/such"), "").is_err());
    }
}
