use std::fs;
use std::io::{self, Read as _};
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

use super::client::bind_listener;
use super::server::Server;
use super::*;

/// A holder on a thread of this process.
struct Lab {
    folder: TempDir,
    thread: JoinHandle<io::Result<()>>,
}

impl Lab {
    fn new(patience_secs: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = bind_listener(folder.path()).unwrap();
        let server = Server::new(listener, &folder.path().join(SOCKET), patience_secs);
        Self {
            folder,
            thread: thread::spawn(move || server.serve()),
        }
    }

    fn daemon(&self) -> Holder {
        Holder::find(self.folder.path()).unwrap().unwrap()
    }
}

/// A socket that says by its port which it is.
fn socket() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn port_of(fd: OwnedFd) -> u16 {
    UdpSocket::from(fd).local_addr().unwrap().port()
}

fn ports(holder: &Holder) -> Vec<(String, String, Vec<u16>)> {
    let all = holder.take_all().unwrap().into_iter();
    all.map(|Held { key, note, fds }| {
        let ports = fds.into_iter().map(port_of).collect();
        (key.to_string(), note, ports)
    })
    .collect()
}

#[test]
fn what_was_put_is_there_for_the_next_daemon() {
    let lab = Lab::new(60);
    let (first, second) = (lab.daemon(), HeldKey::new("port", "b"));
    let ((a, port_a), (b, port_b)) = (socket(), socket());
    let both = [a.as_fd(), b.as_fd()];
    first.put(&HeldKey::new("port", "a"), "two", &both).unwrap();
    first.put(&second, "old", &[a.as_fd()]).unwrap();
    first.put(&second, "new", &[b.as_fd()]).unwrap();
    // It is gone without a word, right after it has spoken.
    drop((first, a, b));
    let next = lab.daemon();
    let kept = [
        ("port/a".to_owned(), "two".to_owned(), vec![port_a, port_b]),
        ("port/b".to_owned(), "new".to_owned(), vec![port_b]),
    ];
    assert_eq!(ports(&next), kept);
    // The holder keeps what was taken.
    assert_eq!(ports(&next), kept);
    next.quit();
    lab.thread.join().unwrap().unwrap();
    assert!(Holder::find(lab.folder.path()).unwrap().is_none());
}

#[test]
fn everything_is_closed_when_the_holder_was_told_to_end() {
    let lab = Lab::new(60);
    let daemon = lab.daemon();
    let mut readers = Vec::new();
    for number in 0..200 {
        let (reader, writer) = io::pipe().unwrap();
        let key = HeldKey::new("port", number);
        daemon.put(&key, "", &[writer.as_fd()]).unwrap();
        rustix::io::ioctl_fionbio(&reader, true).unwrap();
        readers.push(reader);
    }
    daemon.quit();
    for mut reader in readers {
        // Not `WouldBlock`: nobody has the other end.
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }
    lab.thread.join().unwrap().unwrap();
}

#[test]
fn what_is_removed_is_closed_when_the_answer_is_there() {
    let lab = Lab::new(60);
    let daemon = lab.daemon();
    let (held, port) = socket();
    let key = HeldKey::new("udp", port);
    daemon.put(&key, "", &[held.as_fd()]).unwrap();
    drop(held);
    let bind = || UdpSocket::bind(("127.0.0.1", port));
    assert_eq!(bind().unwrap_err().kind(), io::ErrorKind::AddrInUse);
    daemon.remove(&key).unwrap();
    bind().unwrap();
    // Once more, and nothing happens.
    daemon.remove(&key).unwrap();
    daemon.quit();
    lab.thread.join().unwrap().unwrap();
}

#[test]
fn two_daemons_are_served_while_one_takes_over() {
    let lab = Lab::new(60);
    let old = lab.daemon();
    let (a, port) = socket();
    let key = HeldKey::new("udp", "x");
    old.put(&key, "", &[a.as_fd()]).unwrap();
    let new = lab.daemon();
    // The answer to the old one tells that its message has been read.
    old.remove(&HeldKey::new("udp", "none")).unwrap();
    assert_eq!(ports(&new)[0].2, [port]);
    drop(old);
    new.remove(&key).unwrap();
    assert!(ports(&new).is_empty());
    new.quit();
    lab.thread.join().unwrap().unwrap();
}

#[test]
fn a_holder_without_a_daemon_ends_when_its_patience_does() {
    let lab = Lab::new(1);
    let daemon = lab.daemon();
    let (a, port) = socket();
    let key = HeldKey::new("udp", "x");
    daemon.put(&key, "", &[a.as_fd()]).unwrap();
    drop((daemon, a));
    lab.thread.join().unwrap().unwrap();
    UdpSocket::bind(("127.0.0.1", port)).unwrap();
    // Its socket is a leftover, which is neither an error nor in the way of the next.
    assert!(Holder::find(lab.folder.path()).unwrap().is_none());
    bind_listener(lab.folder.path()).unwrap();
}

#[test]
fn a_holder_that_cannot_be_found_any_more_ends() {
    let lab = Lab::new(3600);
    fs::remove_file(lab.folder.path().join(SOCKET)).unwrap();
    lab.thread.join().unwrap().unwrap();
}

#[test]
fn a_daemon_that_is_not_understood_is_hung_up_on_and_others_are_served() {
    let lab = Lab::new(60);
    let odd = lab.daemon();
    let strange = HeldKey::new("x", "y".repeat(40_000));
    let (a, _) = socket();
    odd.put(&strange, &"z".repeat(40_000), &[a.as_fd()])
        .unwrap();
    odd.take_all().unwrap_err();
    let daemon = lab.daemon();
    assert!(ports(&daemon).is_empty());
    daemon.quit();
    daemon.put(&strange, "", &[a.as_fd()]).unwrap_err();
    lab.thread.join().unwrap().unwrap();
}
