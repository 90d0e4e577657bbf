//! What refusals say beside their sentence.

use serde_json::{Value, json};

use super::*;

/// Sends a request and returns status line with headers, and the problem document.
async fn problem(rig: &Rig, request: &str) -> (String, Value) {
    let answer = rig.raw(request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("content-type: application/problem+json"),
        "{answer}"
    );
    (head.to_owned(), serde_json::from_str(body).unwrap())
}

fn post(path: &str, media_type: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Type: {media_type}\r\n\
         Content-Length: {len}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_body_that_means_nothing_is_shown_where() {
    let rig = start();
    let json = "application/json; charset=utf-8";
    let request = post("/v1/networks", json, "{\"name\": \"a\",\n  \"mtu\": }");
    let (head, found) = problem(&rig, &request).await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert_eq!((&found["line"], &found["column"]), (&json!(2), &json!(10)));
    assert_eq!(
        (&found["kind"], &found["instance"]),
        (&json!("malformed"), &json!("/v1/networks"))
    );
    assert_eq!(found["type"], "urn:tapweave:problem:malformed");
    let body = r#"{"name": "a", "subnets": [{"subnet": "10.0.0.0/24", "gateway": "x"}]}"#;
    let (head, found) = problem(&rig, &post("/v1/networks", json, body)).await;
    assert!(head.starts_with("HTTP/1.1 422"), "{head}");
    assert_eq!(found["pointer"], "#/subnets/0/gateway");
    let (head, _) = problem(&rig, &post("/v1/networks", json, "{\"name\": \"a\"} x")).await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    let (head, found) = problem(&rig, &post("/v1/fdb/flush", json, " []")).await;
    assert!(head.starts_with("HTTP/1.1 422"), "{head}");
    assert!(
        found["detail"]
            .as_str()
            .unwrap()
            .contains("should be an object")
    );
    let (head, found) = problem(&rig, &post("/v1/networks", "text/plain", "{}")).await;
    assert!(head.starts_with("HTTP/1.1 415"), "{head}");
    assert!(
        found["detail"]
            .as_str()
            .unwrap()
            .contains("not \"text/plain\"")
    );
}

#[tokio::test]
async fn what_no_path_method_or_parameter_is_called_is_refused_by_name() {
    let rig = start();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    let (head, found) = problem(&rig, &get("/v2/networks?x=1")).await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    assert_eq!(
        (&found["kind"], &found["instance"]),
        (&json!("unknown-path"), &json!("/v2/networks"))
    );
    let (head, _) = problem(
        &rig,
        &post("/v1/fdb/net/02:00:00:00:00:01", "application/json", "{}"),
    )
    .await;
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
    let allow = head
        .lines()
        .find_map(|line| line.strip_prefix("allow: "))
        .unwrap();
    let mut allow: Vec<_> = allow.split(',').map(str::trim).collect();
    allow.sort_unstable();
    assert_eq!(allow, ["DELETE", "PUT"]);
    let (head, found) = problem(&rig, &get("/v1/ports?network=a&colour=1")).await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert_eq!(found["parameter"], "colour");
    let (_, found) = problem(&rig, &get("/v1/networks?network=a")).await;
    assert_eq!(found["parameter"], "network");
}

#[tokio::test]
async fn what_exists_already_is_named_by_its_path() {
    let rig = start();
    let client = &rig.client;
    let made = client.create_network(&network("net")).await.unwrap();
    let endpoint = client.connect("net", &with_pid("web", 7)).await.unwrap();
    let existing = |error| {
        let ClientError::Refused(problem) = error else {
            panic!("not refused: {error}");
        };
        (problem.status, problem.existing.unwrap())
    };
    let again = client.create_network(&network("net")).await.unwrap_err();
    assert_eq!(existing(again), (409, format!("/v1/networks/{}", made.id)));
    let again = client
        .connect("net", &Connect::new("web"))
        .await
        .unwrap_err();
    assert_eq!(
        existing(again),
        (409, format!("/v1/endpoints/{}", endpoint.id))
    );
    // The header says it of what was made.
    let answer = rig.post("/v1/networks", r#"{"name": "other"}"#).await;
    let other = client.network("other").await.unwrap();
    assert!(
        answer.contains(&format!("location: /v1/networks/{}\r\n", other.id)),
        "{answer}"
    );
}

#[tokio::test]
async fn what_is_put_twice_is_there_once() {
    let rig = start();
    let client = &rig.client;
    let far = CreateNetwork {
        driver: "overlay".to_owned(),
        vni: Some(42),
        subnets: vec![subnet("10.42.0.0/16")],
        ..network("far")
    };
    client.create_network(&far).await.unwrap();
    let put = |body: &str| {
        let len = body.len();
        format!(
            "PUT /v1/peers/far/192.0.2.7 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {len}\r\n\r\n{body}"
        )
    };
    assert!(rig.raw(&put("{}")).await.starts_with("HTTP/1.1 201"));
    assert!(rig.raw(&put("{}")).await.starts_with("HTTP/1.1 204"));
    assert!(
        rig.raw(&put(r#"{"port": 8472}"#))
            .await
            .starts_with("HTTP/1.1 204")
    );
    let peers = client.peers(Some("far")).await.unwrap();
    assert_eq!((peers.len(), peers[0].port), (1, Some(8472)));
    // One that cannot be had leaves the old one.
    let refused = rig.raw(&put(r#"{"subnets": ["10.9.0.0/24"]}"#)).await;
    assert!(refused.starts_with("HTTP/1.1 422"), "{refused}");
    assert_eq!(client.peers(Some("far")).await.unwrap(), peers);
    // The command `peer add` wants a new one.
    let peer = PeerAdd {
        network: "far".to_owned(),
        address: "192.0.2.7".parse().unwrap(),
        port: None,
        subnets: Vec::new(),
    };
    let (status, text) = detail(client.add_peer(&peer).await.unwrap_err());
    assert_eq!(
        (status, &*text),
        (412, "192.0.2.7 is a peer of network far already")
    );
    client.connect("far", &with_pid("web", 7)).await.unwrap();
    let fdb = "/v1/fdb/far/02:00:00:00:00:07";
    for status in ["201", "204"] {
        let request = put(r#"{"port": "far/web"}"#).replace("/v1/peers/far/192.0.2.7", fdb);
        let answer = rig.raw(&request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn figures_are_given_to_prometheus() {
    let rig = start();
    rig.client.create_network(&network("net")).await.unwrap();
    rig.client
        .connect("net", &with_pid("web", 7))
        .await
        .unwrap();
    rig.client.network("nowhere").await.unwrap_err();
    let text = rig.client.metrics().await.unwrap();
    for line in [
        "tapweave_networks 1",
        "tapweave_port_receive_bytes_total{network=\"net\",sandbox=\"web\"} 0",
        "tapweave_control_requests_total{operation=\"showNetwork\",code=\"404\"} 1",
        "tapweave_control_request_duration_seconds_count{operation=\"createNetwork\"} 1",
        "tapweave_events_total{type=\"endpoint\",action=\"connected\"} 1",
        "# TYPE tapweave_repairs_total counter",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is missing in {text}"
        );
    }
}

#[tokio::test]
async fn a_client_with_too_many_connections_is_told_and_others_are_served() {
    let rig = start();
    let mut idle = Vec::new();
    for _ in 0..crate::server::shares::CONNECTIONS_EACH {
        idle.push(UnixStream::connect(rig.path()).await.unwrap());
    }
    // The server takes them in order, so this one is the last.
    let answer = rig.raw("GET /v1/version HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("problem:too-many-connections"), "{answer}");
    idle.clear();
    // They are gone when the server has noticed.
    loop {
        match rig.client.version().await {
            Ok(_) => break,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
