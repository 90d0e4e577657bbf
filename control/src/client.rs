//! The client of the API that the command line uses.
//!
//! One connection for each request: a command makes one or two, and a connection on a unix socket
//! costs microseconds.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::http::request::Builder;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tapweave_net::{MacAddr, Vid};
use thiserror::Error;
use tokio::net::UnixStream;

use crate::Name;
use crate::api::{
    Connect, CreateNetwork, DhcpView, Disconnect, DnsAnswer, DnsQuestion, DnsRecordAdd,
    DnsRecordView, Endpoint, FdbAdd, FdbEntryView, FdbFlush, FdbFlushed, FdbPut, LeaseAdd,
    LeasePut, LeaseView, MdbEntryView, NatFlowView, NatFlush, NatFlushed, NeighborAdd, NeighborPut,
    NeighborView, NetworkInspect, PeerAdd, PeerPut, PeerView, Port, Problem, ResolverView, Sandbox,
    Stats, Version,
};

mod events;
#[cfg(test)]
mod tests;

pub use events::{EventMessage, EventStream, EventsFrom};

/// Largest answer that is read, in bytes: a list of some hundred thousand FDB entries.
const MAX_ANSWER_LEN: usize = 64 * 1024 * 1024;

const ROOT: u32 = 0;

/// Asks one daemon.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    uid: u32,
}

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody serves the socket.
    #[error(
        "no daemon answers on {}; start one with `tapweave daemon`, or name its socket with --socket",
        .0.display()
    )]
    NoDaemon(PathBuf),
    /// The socket cannot be used.
    #[error("cannot connect to {}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Somebody else serves the socket.
    #[error("{} is served by user {uid}, neither root nor the user of this command", path.display())]
    ForeignDaemon {
        /// The socket.
        path: PathBuf,
        /// Who serves it.
        uid: u32,
    },
    /// The daemon refused.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// The connection broke.
    #[error("the daemon on {} did not answer to the end", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer means nothing to this version.
    #[error("the daemon's answer to {request} cannot be understood")]
    BadAnswer {
        /// Method and path.
        request: String,
        /// Why.
        source: serde_json::Error,
    },
}

impl Client {
    /// Returns a client of the daemon that serves `socket`. `uid` is the user of the process: the
    /// daemon must be of that user, or of root.
    pub fn new(socket: impl Into<PathBuf>, uid: u32) -> Self {
        Self {
            socket: socket.into(),
            uid,
        }
    }

    /// Returns the path of the socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Lists the networks.
    ///
    /// # Errors
    ///
    /// See [`ClientError`]; the same for all other methods.
    pub async fn networks(&self) -> Result<Vec<NetworkInspect>, ClientError> {
        self.fetch("/v1/networks").await
    }

    /// Shows a network.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn network(&self, reference: &str) -> Result<NetworkInspect, ClientError> {
        self.fetch(&format!("/v1/networks/{}", escaped(reference)))
            .await
    }

    /// Lists whom questions for neighbours are answered for, in one network or in all.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn neighbors(&self, network: Option<&str>) -> Result<Vec<NeighborView>, ClientError> {
        self.fetch(&of_network("/v1/neighbors", network)).await
    }

    /// States the MAC address of a neighbour.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn neighbor_add(&self, request: &NeighborAdd) -> Result<(), ClientError> {
        let path = format!(
            "/v1/neighbors/{}/{}",
            escaped(&request.network),
            request.address
        );
        let body = NeighborPut {
            mac: request.mac,
            router: request.router,
        };
        self.request_with(builder(&Method::PUT, &path), &body).await
    }

    /// Takes back what was stated of a neighbour.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn neighbor_del(&self, network: &str, address: IpAddr) -> Result<(), ClientError> {
        self.delete(&format!("/v1/neighbors/{}/{address}", escaped(network)))
            .await
    }

    /// Lists the records of the resolvers of one network, or of all.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn dns_records(
        &self,
        network: Option<&str>,
    ) -> Result<Vec<DnsRecordView>, ClientError> {
        self.fetch(&of_network("/v1/dns", network)).await
    }

    /// States that a name leads to an address.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn dns_add(&self, request: &DnsRecordAdd) -> Result<(), ClientError> {
        let network = escaped(&request.network);
        let DnsRecordAdd { name, address, .. } = request;
        let path = format!("/v1/dns/{network}/{name}/{address}");
        self.request(builder(&Method::PUT, &path), Bytes::new())
            .await
    }

    /// Takes back that a name leads to an address, or all that was stated of it.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn dns_del(
        &self,
        network: &str,
        name: &Name,
        address: Option<IpAddr>,
    ) -> Result<(), ClientError> {
        let mut path = format!("/v1/dns/{}/{name}", escaped(network));
        if let Some(address) = address {
            // Writing to a string cannot fail.
            let _written = write!(path, "/{address}");
        }
        self.delete(&path).await
    }

    /// Asks the resolver of a network.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn dns_query(
        &self,
        network: &str,
        question: &DnsQuestion,
    ) -> Result<DnsAnswer, ClientError> {
        let path = format!("/v1/networks/{}/dns/query", escaped(network));
        self.post(&path, question).await
    }

    /// Shows the resolver of a network.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn resolver(&self, network: &str) -> Result<ResolverView, ClientError> {
        self.fetch(&format!("/v1/networks/{}/dns", escaped(network)))
            .await
    }

    /// Lists the leases of DHCP in one network, or in all.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn leases(&self, network: Option<&str>) -> Result<Vec<LeaseView>, ClientError> {
        self.fetch(&of_network("/v1/leases", network)).await
    }

    /// Fixes an address for a client of DHCP.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn lease_add(&self, request: &LeaseAdd) -> Result<(), ClientError> {
        let LeaseAdd {
            network, address, ..
        } = request;
        let path = format!("/v1/leases/{}/{address}", escaped(network));
        let client = request.client.clone();
        let body = LeasePut { client };
        self.request_with(builder(&Method::PUT, &path), &body).await
    }

    /// Takes back that an address is fixed.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn lease_del(&self, network: &str, address: Ipv4Addr) -> Result<(), ClientError> {
        self.delete(&format!("/v1/leases/{}/{address}", escaped(network)))
            .await
    }

    /// Shows the DHCP server of a network.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn dhcp(&self, network: &str) -> Result<DhcpView, ClientError> {
        self.fetch(&format!("/v1/networks/{}/dhcp", escaped(network)))
            .await
    }

    /// Lists the peers of one network, or of all.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn peers(&self, network: Option<&str>) -> Result<Vec<PeerView>, ClientError> {
        self.fetch(&of_network("/v1/peers", network)).await
    }

    /// Lets a host take part in a network.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn add_peer(&self, request: &PeerAdd) -> Result<(), ClientError> {
        let path = format!(
            "/v1/peers/{}/{}",
            escaped(&request.network),
            request.address
        );
        let body = PeerPut {
            port: request.port,
            subnets: request.subnets.clone(),
        };
        let request = builder(&Method::PUT, &path).header(header::IF_NONE_MATCH, "*");
        self.request_with(request, &body).await
    }

    /// Lets a host take part in a network no more.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn remove_peer(&self, network: &str, address: IpAddr) -> Result<(), ClientError> {
        self.delete(&format!("/v1/peers/{}/{address}", escaped(network)))
            .await
    }

    /// Makes a network.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn create_network(
        &self,
        request: &CreateNetwork,
    ) -> Result<NetworkInspect, ClientError> {
        self.post("/v1/networks", request).await
    }

    /// Removes a network.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn remove_network(&self, reference: &str) -> Result<(), ClientError> {
        self.delete(&format!("/v1/networks/{}", escaped(reference)))
            .await
    }

    /// Connects a sandbox to a network.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn connect(&self, network: &str, request: &Connect) -> Result<Endpoint, ClientError> {
        let path = format!("/v1/networks/{}/connect", escaped(network));
        self.post(&path, request).await
    }

    /// Disconnects a sandbox from a network.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn disconnect(&self, network: &str, request: &Disconnect) -> Result<(), ClientError> {
        let path = format!("/v1/networks/{}/disconnect", escaped(network));
        self.post(&path, request).await
    }

    /// Lists the endpoints.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>, ClientError> {
        self.fetch("/v1/endpoints").await
    }

    /// Lists the sandboxes.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn sandboxes(&self) -> Result<Vec<Sandbox>, ClientError> {
        self.fetch("/v1/sandboxes").await
    }

    /// Shows a sandbox.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn sandbox(&self, reference: &str) -> Result<Sandbox, ClientError> {
        self.fetch(&format!("/v1/sandboxes/{}", escaped(reference)))
            .await
    }

    /// Disconnects a sandbox from everything and forgets it.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn remove_sandbox(&self, reference: &str) -> Result<(), ClientError> {
        self.delete(&format!("/v1/sandboxes/{}", escaped(reference)))
            .await
    }

    /// Lists the ports of one network, or of all.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn ports(&self, network: Option<&str>) -> Result<Vec<Port>, ClientError> {
        self.fetch(&of_network("/v1/ports", network)).await
    }

    /// Shows a port.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn port(&self, reference: &str) -> Result<Port, ClientError> {
        self.fetch(&format!("/v1/ports/{}", escaped(reference)))
            .await
    }

    /// Shows the forwarding table of one network, or those of all.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn fdb(&self, network: Option<&str>) -> Result<Vec<FdbEntryView>, ClientError> {
        self.fetch(&of_network("/v1/fdb", network)).await
    }

    /// Makes a static entry.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn fdb_add(&self, request: &FdbAdd) -> Result<(), ClientError> {
        let query = request
            .vlan
            .map_or_else(String::new, |vid| format!("?vlan={vid}"));
        let network = escaped(&request.network);
        let path = format!("/v1/fdb/{network}/{}{query}", request.mac);
        let body = FdbPut {
            port: request.port.clone(),
            vtep: request.vtep,
        };
        self.request_with(builder(&Method::PUT, &path), &body).await
    }

    /// Removes an entry of a VLAN or of none.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn fdb_del(
        &self,
        network: &str,
        mac: MacAddr,
        vlan: Option<Vid>,
    ) -> Result<(), ClientError> {
        let query = vlan.map_or_else(String::new, |vid| format!("?vlan={vid}"));
        self.delete(&format!("/v1/fdb/{}/{mac}{query}", escaped(network)))
            .await
    }

    /// Removes learned entries.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn fdb_flush(&self, request: &FdbFlush) -> Result<FdbFlushed, ClientError> {
        self.post("/v1/fdb/flush", request).await
    }

    /// Shows translated flows of one network, or of all: at most `limit`, or 100,000 if none.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn nat(
        &self,
        network: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<NatFlowView>, ClientError> {
        let mut path = of_network("/v1/nat", network);
        if let Some(limit) = limit {
            let before = if network.is_some() { '&' } else { '?' };
            // Writing to a string cannot fail.
            let _written = write!(path, "{before}limit={limit}");
        }
        self.fetch(&path).await
    }

    /// Forgets translated flows.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn nat_flush(&self, request: &NatFlush) -> Result<NatFlushed, ClientError> {
        self.post("/v1/nat/flush", request).await
    }

    /// Shows the multicast database of one network, or those of all.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn mdb(&self, network: Option<&str>) -> Result<Vec<MdbEntryView>, ClientError> {
        self.fetch(&of_network("/v1/mdb", network)).await
    }

    /// Returns the figures of the daemon as Prometheus reads them.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let body = self
            .answer(builder(&Method::GET, "/v1/metrics"), Bytes::new())
            .await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Shows an endpoint.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn endpoint(&self, reference: &str) -> Result<Endpoint, ClientError> {
        self.fetch(&format!("/v1/endpoints/{}", escaped(reference)))
            .await
    }

    /// Disconnects the sandbox of an endpoint from its network.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn remove_endpoint(&self, reference: &str) -> Result<(), ClientError> {
        self.delete(&format!("/v1/endpoints/{}", escaped(reference)))
            .await
    }

    /// Returns figures of the whole daemon.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn stats(&self) -> Result<Stats, ClientError> {
        self.fetch("/v1/stats").await
    }

    /// Returns which daemon it is.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn version(&self) -> Result<Version, ClientError> {
        self.fetch("/v1/version").await
    }

    async fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.request(builder(&Method::GET, path), Bytes::new())
            .await
    }

    async fn delete(&self, path: &str) -> Result<(), ClientError> {
        self.request(builder(&Method::DELETE, path), Bytes::new())
            .await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.request_with(builder(&Method::POST, path), body).await
    }

    async fn request_with<T: DeserializeOwned>(
        &self,
        request: Builder,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|source| ClientError::BadAnswer {
            request: name(&request),
            source,
        })?;
        let request = request.header(header::CONTENT_TYPE, "application/json");
        self.request(request, body.into()).await
    }

    async fn request<T: DeserializeOwned>(
        &self,
        request: Builder,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let name = name(&request);
        // On the heap, because every command has some of these.
        let body = Box::pin(self.answer(request, body)).await?;
        // An empty body is the answer of type `()`.
        let text: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(text).map_err(|source| ClientError::BadAnswer {
            request: name,
            source,
        })
    }

    /// Returns the body of a success.
    async fn answer(&self, request: Builder, body: Bytes) -> Result<Bytes, ClientError> {
        let name = name(&request);
        let response = self.send(request, body).await?;
        if !response.status().is_success() {
            return Err(self.refusal(&name, response).await);
        }
        self.collect(response).await
    }

    async fn send(&self, request: Builder, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        let request = request.body(Full::new(body));
        let request = request.map_err(|cause| self.broken(cause))?;
        let mut sender = self.sender().await?;
        let response = sender.send_request(request).await;
        response.map_err(|cause| self.broken(cause))
    }

    async fn collect(&self, response: Response<Incoming>) -> Result<Bytes, ClientError> {
        let body = Limited::new(response.into_body(), MAX_ANSWER_LEN);
        let body = body.collect().await.map_err(|cause| self.broken(cause))?;
        Ok(body.to_bytes())
    }

    /// Returns the error of an answer that is no success.
    async fn refusal(&self, request: &str, response: Response<Incoming>) -> ClientError {
        let body = match self.collect(response).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        match serde_json::from_slice(&body) {
            Ok(problem) => ClientError::Refused(Box::new(problem)),
            Err(source) => ClientError::BadAnswer {
                request: request.to_owned(),
                source,
            },
        }
    }

    async fn sender(&self) -> Result<http1::SendRequest<Full<Bytes>>, ClientError> {
        let (sender, connection) = http1::handshake(TokioIo::new(self.stream().await?))
            .await
            .map_err(|cause| self.broken(cause))?;
        // Ends with the exchange, and with an error of its own when that does; the exchange tells.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn stream(&self) -> Result<UnixStream, ClientError> {
        let connect_error = |source: io::Error| {
            if matches!(
                source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) {
                return ClientError::NoDaemon(self.socket.clone());
            }
            ClientError::Connect {
                path: self.socket.clone(),
                source,
            }
        };
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(connect_error)?;
        // Somebody else may have made the socket first, where others may write.
        let uid = stream.peer_cred().map_err(connect_error)?.uid();
        if uid != self.uid && uid != ROOT {
            return Err(ClientError::ForeignDaemon {
                path: self.socket.clone(),
                uid,
            });
        }
        Ok(stream)
    }

    fn broken(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
        ClientError::Broken {
            path: self.socket.clone(),
            source: source.into(),
        }
    }
}

fn builder(method: &Method, path: &str) -> Builder {
    let request = Request::builder().method(method).uri(path);
    request.header(header::HOST, "tapweave")
}

/// Returns method and path of a request, for messages.
fn name(request: &Builder) -> String {
    let method = request.method_ref().map_or("", Method::as_str);
    let path = request.uri_ref().map_or("", |uri| uri.path());
    format!("{method} {path}")
}

fn of_network(path: &str, network: Option<&str>) -> String {
    match network {
        Some(network) => format!("{path}?network={}", escaped(network)),
        None => path.to_owned(),
    }
}

/// Escapes all but the unreserved characters (RFC 3986 §2.3).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _infallible = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}
