//! Tests over a real socket.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as BlockingListener;
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::sync::Arc;

use tapweave_ipam::DefaultPools;
use tapweave_net::Vid;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{BindError, ControlSocket, serve};
use crate::api::{
    Connect, CreateNetwork, Disconnect, Event, EventAction, EventId, EventType, FdbAdd, FdbFlush,
    Lagged, NatFlush, PeerAdd, SubnetRequest,
};
use crate::client::{Client, ClientError, EventMessage, EventStream, EventsFrom};
use crate::datapath::NamespaceRef;
use crate::memory::{MemoryDatapath, MemoryHost};
use crate::{Controller, EventFilter, SocketPath};

mod description;
mod figures;
mod problems;
mod random;

/// A server on a socket of its own.
struct Rig {
    folder: TempDir,
    client: Client,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

fn uid_of(folder: &TempDir) -> u32 {
    fs::metadata(folder.path()).unwrap().uid()
}

fn controller() -> Arc<Controller> {
    Arc::new(Controller::new(
        Arc::new(MemoryDatapath::default()),
        Arc::new(MemoryHost::default()),
        DefaultPools::default(),
    ))
}

fn start() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let (path, uid) = (folder.path().join("t.sock"), uid_of(&folder));
    let socket = ControlSocket::bind(&SocketPath::Given(path.clone()), uid).unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(serve(controller(), socket, None, async {
        let _sender_dropped = stopped.await;
    }));
    Rig {
        folder,
        client: Client::new(path, uid),
        stop,
        server,
    }
}

impl Rig {
    fn path(&self) -> PathBuf {
        self.client.socket().to_owned()
    }

    /// Sends `request` as it is and returns the whole answer.
    async fn raw(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(self.path()).await.unwrap();
        // A server that has read enough may answer and close before everything is written; then the
        // answer is followed by a reset.
        let _written = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _read = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn post(&self, path: &str, body: &str) -> String {
        let len = body.len();
        self.raw(&format!(
            "POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {len}\r\n\r\n{body}"
        ))
        .await
    }
}

fn network(name: &str) -> CreateNetwork {
    CreateNetwork::new(name.parse().unwrap())
}

fn subnet(prefix: &str) -> SubnetRequest {
    SubnetRequest {
        subnet: prefix.parse().unwrap(),
        ip_range: None,
        gateway: None,
        aux_addresses: BTreeMap::new(),
    }
}

fn with_pid(sandbox: &str, pid: u32) -> Connect {
    Connect {
        namespace: Some(NamespaceRef::Pid(pid)),
        ..Connect::new(sandbox)
    }
}

fn detail(error: ClientError) -> (u16, String) {
    let ClientError::Refused(problem) = error else {
        panic!("not a problem document: {error}");
    };
    (problem.status, problem.detail)
}

#[tokio::test]
async fn every_request_of_the_client_reaches_the_controller() {
    let rig = start();
    let client = &rig.client;
    let made = client.create_network(&network("net")).await.unwrap();
    assert_eq!(client.networks().await.unwrap(), from_ref(&made));
    let endpoint = client.connect("net", &with_pid("web", 7)).await.unwrap();
    assert_eq!(client.endpoints().await.unwrap(), from_ref(&endpoint));
    assert_eq!(
        client
            .network(made.id.short())
            .await
            .unwrap()
            .containers
            .len(),
        1
    );
    assert_eq!(client.sandbox("web").await.unwrap().endpoints, [endpoint]);
    assert_eq!(client.sandboxes().await.unwrap().len(), 1);
    // The name of a port has a slash in it.
    let port = client.port("net/web:eth0").await.unwrap();
    assert_eq!(client.ports(Some("net")).await.unwrap(), from_ref(&port));
    assert_eq!(client.ports(None).await.unwrap(), [port]);
    let mac = "02:aa:00:00:00:01".parse().unwrap();
    let add = FdbAdd {
        network: "net".to_owned(),
        mac,
        port: Some("net/web".to_owned()),
        vtep: None,
        vlan: Some(Vid::MAX),
    };
    client.fdb_add(&add).await.unwrap();
    assert_eq!(client.fdb(Some("net")).await.unwrap()[0].mac, mac);
    assert_eq!(
        client
            .fdb_flush(&FdbFlush::default())
            .await
            .unwrap()
            .flushed,
        0
    );
    client.fdb_del("net", mac, None).await.unwrap_err();
    client.fdb_del("net", mac, add.vlan).await.unwrap();
    assert_eq!(client.nat(Some("net"), Some(9)).await.unwrap(), []);
    assert_eq!(client.nat(None, Some(9)).await.unwrap(), []);
    let flushed = client.nat_flush(&NatFlush::default()).await.unwrap();
    assert_eq!(flushed.flushed, 0);
    assert_eq!(client.stats().await.unwrap().ports, 1);
    assert_eq!(client.version().await.unwrap().api, "v1");
    let disconnect = Disconnect {
        sandbox: "web".to_owned(),
        force: false,
    };
    client.disconnect("net", &disconnect).await.unwrap();
    client.remove_sandbox("web").await.unwrap();
    client.remove_network("net").await.unwrap();
    assert!(client.networks().await.unwrap().is_empty());
}

#[tokio::test]
async fn refusals_are_problem_documents_with_a_fitting_status() {
    let rig = start();
    let client = &rig.client;
    client.create_network(&network("net")).await.unwrap();
    client.connect("net", &with_pid("web", 7)).await.unwrap();
    let in_use = client.remove_network("net").await.unwrap_err();
    assert_eq!(
        detail(in_use),
        (409, "network net is in use by net/web".to_owned())
    );
    let unknown = client.network("a/b?c").await.unwrap_err();
    assert_eq!(
        detail(unknown),
        (404, "there is no network \"a/b?c\"".to_owned())
    );
    let routed = CreateNetwork {
        driver: "routed".to_owned(),
        ..network("far")
    };
    let (status, text) = detail(client.create_network(&routed).await.unwrap_err());
    assert_eq!((status, text.contains("not built yet")), (422, true));

    let answer = rig.post("/v1/networks", r#"{"name": "../x"}"#).await;
    assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(
        answer.contains(r#""type":"urn:tapweave:problem:malformed""#),
        "{answer}"
    );
    let answer = rig.post("/v1/networks", "{").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let answer = rig
        .post("/v1/networks", r#"{"name": "x", "colour": 1}"#)
        .await;
    assert!(answer.contains("unknown field `colour`"), "{answer}");
    let answer = rig.post("/v1/nonsense", "{}").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(answer.contains("problem:unknown-path"), "{answer}");
    let answer = rig.post("/v1/stats", "{}").await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(answer.contains("problem:unknown-method"), "{answer}");
    let huge = format!(
        r#"{{"name": "{}"}}"#,
        "x".repeat(super::extract::MAX_BODY_LEN)
    );
    let answer = rig.post("/v1/networks", &huge).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let get = "GET /v1/ports?colour=1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    let answer = rig.raw(get).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    // Nonsense neither stops the server nor anybody else.
    let answer = rig.raw("\0\0\0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    client.version().await.unwrap();
}

#[tokio::test]
async fn events_are_streamed_filtered_and_resumed_and_end_with_the_server() {
    let rig = start();
    let client = &rig.client;
    let mut filter = EventFilter::default();
    filter.add("network", "two").unwrap();
    let mut all = client
        .events(&EventsFrom::Now, None, &EventFilter::default())
        .await
        .unwrap();
    let mut two = client
        .events(&EventsFrom::Now, None, &filter)
        .await
        .unwrap();
    client.create_network(&network("one")).await.unwrap();
    client.create_network(&network("two")).await.unwrap();
    let (first, second) = (event(&mut all).await, event(&mut all).await);
    assert_eq!(first.actor.attributes["network"], "one");
    assert_eq!(
        (second.kind, second.action),
        (EventType::Network, EventAction::Created)
    );
    assert_eq!(event(&mut two).await, second);
    let from = EventsFrom::After(first.id);
    let mut resumed = client
        .events(&from, None, &EventFilter::default())
        .await
        .unwrap();
    assert_eq!(event(&mut resumed).await, second);
    let from = EventsFrom::Time(second.time.clone());
    let mut since = client.events(&from, None, &filter).await.unwrap();
    assert_eq!(event(&mut since).await, second);
    // It ends by itself: the clock of this host stands still.
    let everything = EventFilter::default();
    let from = EventsFrom::Time("0".to_owned());
    for (until, expected) in [("1", &[][..]), (&second.time, &[&first, &second])] {
        let told = client.events(&from, Some(until), &everything).await;
        let mut told = told.unwrap();
        for expected in expected {
            assert_eq!(event(&mut told).await, **expected);
        }
        assert_eq!(told.next().await.unwrap(), None, "until {until}");
    }
    // One of a run that has ended.
    let from = EventsFrom::After(EventId { run: 1, number: 9 });
    let mut lost = client
        .events(&from, None, &EventFilter::default())
        .await
        .unwrap();
    let lagged = EventMessage::Lagged(Lagged { missed: None });
    assert_eq!(lost.next().await.unwrap(), Some(lagged));
    assert_eq!(event(&mut lost).await, first);

    let from = EventsFrom::Time("tomorrow".to_owned());
    let error = client
        .events(&from, None, &EventFilter::default())
        .await
        .unwrap_err();
    assert!(detail(error).1.contains("not \"tomorrow\""));
    let get = "GET /v1/events?colour=1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    let answer = rig.raw(get).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");

    rig.stop.send(()).unwrap();
    rig.server.await.unwrap().unwrap();
    assert_eq!(two.next().await.unwrap(), None);
}

async fn event(stream: &mut EventStream) -> Event {
    match stream.next().await.unwrap() {
        Some(EventMessage::Event(event)) => event,
        other => panic!("not an event: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_at_once_are_served() {
    let rig = start();
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..50 {
        let client = rig.client.clone();
        clients.spawn(async move {
            let name = format!("net-{n}");
            client.create_network(&network(&name)).await.unwrap();
            let sandbox = with_pid(&format!("sandbox-{n}"), n);
            client.connect(&name, &sandbox).await.unwrap();
            client.remove_network(&name).await.unwrap_err();
            client
                .remove_sandbox(&format!("sandbox-{n}"))
                .await
                .unwrap();
            client.remove_network(&name).await.unwrap();
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    assert_eq!(rig.client.stats().await.unwrap().networks, 0);
}

#[tokio::test]
async fn the_socket_is_private_exclusive_and_gone_after_a_clean_end() {
    let rig = start();
    let path = rig.path();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let uid = uid_of(&rig.folder);
    let second = ControlSocket::bind(&SocketPath::Given(path.clone()), uid).unwrap_err();
    assert!(matches!(second, BindError::InUse(_)), "{second}");
    rig.client.version().await.unwrap();
    rig.stop.send(()).unwrap();
    rig.server.await.unwrap().unwrap();
    assert!(!path.exists());
    let error = rig.client.version().await.unwrap_err();
    assert!(matches!(error, ClientError::NoDaemon(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains("start one with `tapweave daemon`")
    );
    // Its place can be taken.
    drop(ControlSocket::bind(&SocketPath::Given(path), uid).unwrap());
}

#[tokio::test]
async fn a_leftover_socket_is_replaced_and_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let uid = uid_of(&folder);
    let path = folder.path().join("t.sock");
    let bind = || ControlSocket::bind(&SocketPath::Given(path.clone()), uid);
    let foreign = BlockingListener::bind(&path).unwrap();
    assert!(matches!(bind().unwrap_err(), BindError::InUse(_)));
    // The file stays when its owner is gone.
    drop(foreign);
    assert!(path.exists());
    drop(bind().unwrap());
    fs::write(&path, "precious").unwrap();
    assert!(matches!(bind().unwrap_err(), BindError::NotASocket(_)));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let nameless = ControlSocket::bind(&SocketPath::Given("/".into()), uid).unwrap_err();
    assert!(matches!(nameless, BindError::BadPath(_)), "{nameless}");
}

#[tokio::test]
async fn the_folder_of_a_default_path_is_made_private_or_must_be() {
    let parent = tempfile::tempdir().unwrap();
    let uid = uid_of(&parent);
    let folder = parent.path().join("tapweave-x");
    let path = SocketPath::Default(folder.join("t.sock"));
    drop(ControlSocket::bind(&path, uid).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let foreign = ControlSocket::bind(&path, uid + 1).unwrap_err();
    assert!(
        foreign.to_string().contains("belongs to another user"),
        "{foreign}"
    );
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let open = ControlSocket::bind(&path, uid).unwrap_err();
    assert!(
        open.to_string()
            .contains("can be written to by other users"),
        "{open}"
    );
    fs::remove_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink(parent.path(), &folder).unwrap();
    let link = ControlSocket::bind(&path, uid).unwrap_err();
    assert!(link.to_string().contains("is not a folder"), "{link}");
}

#[tokio::test]
async fn a_client_talks_to_nobody_but_its_own_user_and_root() {
    let rig = start();
    let uid = uid_of(&rig.folder);
    let stranger = Client::new(rig.path(), uid + 1);
    let answer = stranger.version().await;
    if uid == super::socket::ROOT {
        // A daemon of root serves everybody who may open the socket.
        answer.unwrap();
    } else {
        let error = answer.unwrap_err();
        assert!(
            matches!(error, ClientError::ForeignDaemon { .. }),
            "{error}"
        );
    }
}
