//! The two ends of a TCP transfer, run by `nsenter` inside sandboxes.
//!
//! The receiver checks every byte, so whatever the way of the frames was, it delivered what was sent.

use std::env;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) const RECEIVER: &str = "tcp-receiver";
pub(crate) const SENDER: &str = "tcp-sender";

/// Bytes of a transfer.
pub(crate) const TRANSFER_LEN: usize = 64 * 1024 * 1024;

/// How long either end waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run_if_requested() -> Option<ExitCode> {
    let mut words = env::args().skip(1);
    let role = words.next()?;
    if role == RECEIVER {
        receive(&words.next().unwrap());
    } else if role == SENDER {
        send(&words.next().unwrap());
    } else {
        return None;
    }
    Some(ExitCode::SUCCESS)
}

fn receive(address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    println!("ready");
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buf = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        let len = stream.read(&mut buf).unwrap();
        if len == 0 {
            break;
        }
        let same = buf[..len]
            .iter()
            .zip(at..)
            .all(|(byte, at)| *byte == pattern(at));
        assert!(same, "wrong bytes after {at}");
        at += len;
    }
    assert_eq!(at, TRANSFER_LEN);
    println!("received {at}");
}

fn send(address: &str) {
    let bytes: Vec<_> = (0..TRANSFER_LEN).map(pattern).collect();
    let address = address.parse().unwrap();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&bytes).unwrap();
}

/// Repeats after a prime number of bytes, which no segment length divides.
fn pattern(at: usize) -> u8 {
    u8::try_from(at % 251).unwrap()
}
