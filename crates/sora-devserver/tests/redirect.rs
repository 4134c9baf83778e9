//! A server with a redirect sends clients on, once.

mod common;

use common::{Client, config, connect, server};
use serde_json::json;
use sora_devserver::{Server, ServerConfig};

async fn redirecting(url: &str) -> Server {
    let config = ServerConfig { redirect: Some(url.to_owned()), ..config() };
    Server::start(config).await.expect("a server")
}

#[tokio::test]
async fn a_client_is_sent_on_and_the_websocket_is_closed() {
    let there = server().await;
    let here = redirecting(&there.signaling_url()).await;
    let client = Client::start(&here.signaling_url(), connect("sendrecv", json!({}))).await;
    let redirect = client.message("redirect").await;
    assert_eq!(redirect, json!({ "type": "redirect", "location": there.signaling_url() }));
    assert_eq!(client.closed().await.0, 1000);
    let url = redirect["location"].as_str().expect("a URL");
    Client::connected(url, connect("sendrecv", json!({ "redirect": true }))).await;
}

#[tokio::test]
async fn a_client_that_has_been_redirected_stays() {
    let here = redirecting("wss://sora.example.com/signaling").await;
    Client::connected(&here.signaling_url(), connect("sendrecv", json!({ "redirect": true }))).await;
}

#[tokio::test]
async fn a_wrong_connect_is_refused_and_not_redirected() {
    let here = redirecting("wss://sora.example.com/signaling").await;
    let client = Client::start(&here.signaling_url(), connect("listener", json!({}))).await;
    assert_eq!(client.closed().await, (4490, "INVALID-ROLE".to_owned()));
}

#[tokio::test]
async fn a_redirect_to_something_else_is_refused_at_the_start() {
    for url in ["", "sora.example.com", "https://sora.example.com/signaling", "ws:"] {
        let config = ServerConfig { redirect: Some(url.to_owned()), ..config() };
        assert!(Server::start(config).await.is_err(), "{url}");
    }
}
