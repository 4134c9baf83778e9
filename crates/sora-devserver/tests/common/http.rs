//! Just enough HTTP to ask a server for something.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use sora_devserver::Server;

use super::DEADLINE;

/// Calls the HTTP API; status and answer.
pub(crate) async fn api(server: &Server, target: &str, body: Value) -> (u16, Value) {
    let target = format!("x-sora-target: {target}\r\n");
    request(&server.api_url(), "POST", "/", &target, body.to_string().into_bytes()).await
}

/// Sends any request; the answer has to be JSON.
pub(crate) async fn request(url: &str, method: &str, path: &str, headers: &str, body: Vec<u8>) -> (u16, Value) {
    let (status, body) = send(url, method, path, headers, body).await;
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {body:?}")))
}

/// Fetches a page.
pub(crate) async fn get(url: &str, path: &str) -> (u16, String) {
    send(url, "GET", path, "", Vec::new()).await
}

async fn send(url: &str, method: &str, path: &str, headers: &str, body: Vec<u8>) -> (u16, String) {
    let host = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).expect("a host").to_owned();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    let answer = tokio::task::spawn_blocking(move || exchange(&host, head.as_bytes(), &body));
    let answer = answer.await.expect("no panic");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

fn exchange(host: &str, head: &[u8], body: &[u8]) -> String {
    let mut tcp = TcpStream::connect(host).expect("a connection");
    tcp.set_read_timeout(Some(DEADLINE)).expect("a limit");
    tcp.write_all(head).expect("sent");
    // The server may refuse before it has read everything.
    let _ = tcp.write_all(body);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = tcp.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
