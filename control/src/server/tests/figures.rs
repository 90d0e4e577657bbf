//! Figures over TCP.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpStream;

use super::*;
use crate::server::MetricsListener;

async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn whoever_connects_by_tcp_gets_figures_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = SocketPath::Given(folder.path().join("t.sock"));
    let socket = ControlSocket::bind(&path, uid_of(&folder)).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let metrics = MetricsListener::bind(any).await.unwrap();
    let address = metrics.address().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(serve(controller(), socket, Some(metrics), async {
        let _sender_dropped = stopped.await;
    }));
    for path in ["/metrics", "/v1/metrics"] {
        let answer = ask(address, &format!("GET {path}")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(
            answer.contains("content-type: text/plain; version=0.0.4"),
            "{answer}"
        );
        assert!(answer.contains("\ntapweave_networks 0\n"), "{answer}");
    }
    for (request, status) in [("GET /v1/networks", "404"), ("POST /metrics", "405")] {
        let answer = ask(address, request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
    let taken = MetricsListener::bind(address).await;
    taken.unwrap_err();
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    TcpStream::connect(address).await.unwrap_err();
}
