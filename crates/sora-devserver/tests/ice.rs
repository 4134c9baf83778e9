//! What offers say about reaching the server.

mod common;

use common::{Client, config, connect};
use serde_json::json;
use sora_devserver::{IceTransportPolicy, Server, ServerConfig, parse_ice_servers};
use sora_transport::UdpPorts;

const TURN: &str = r#"[{"urls":["turn:turn.example.com:3478?transport=udp"],"username":"u","credential":"p"}]"#;

#[tokio::test]
async fn ice_servers_and_policy_are_handed_out_in_the_offer() {
    let config = ServerConfig { ice_servers: parse_ice_servers(TURN).expect("valid"), ..config() };
    let config = ServerConfig { ice_transport_policy: IceTransportPolicy::Relay, ..config };
    let server = Server::start(config).await.expect("a server");
    let client = Client::start(&server.signaling_url(), connect("sendrecv", json!({}))).await;
    let servers: serde_json::Value = serde_json::from_str(TURN).expect("JSON");
    let expected = json!({ "iceServers": servers, "iceTransportPolicy": "relay" });
    assert_eq!(client.message("offer").await["config"], expected);
}

#[tokio::test]
async fn without_options_all_candidates_may_be_used_and_there_are_no_servers() {
    let server = common::server().await;
    let client = Client::start(&server.signaling_url(), connect("sendrecv", json!({}))).await;
    let expected = json!({ "iceServers": [], "iceTransportPolicy": "all" });
    assert_eq!(client.message("offer").await["config"], expected);
}

#[tokio::test]
async fn the_policy_relay_without_a_turn_server_is_refused_at_the_start() {
    let config = ServerConfig { ice_transport_policy: IceTransportPolicy::Relay, ..config() };
    assert!(Server::start(config).await.is_err());
}

#[tokio::test]
async fn media_ports_are_taken_from_the_range() {
    let range = 41_000..=41_100;
    let config = ServerConfig { udp_ports: UdpPorts(Some(range.clone())), ..config() };
    let server = Server::start(config).await.expect("a server");
    let client = Client::connected(&server.signaling_url(), connect("sendrecv", json!({}))).await;
    let offer = client.message("offer").await;
    let sdp = offer["sdp"].as_str().expect("an SDP");
    let candidates: Vec<&str> = sdp.lines().filter(|line| line.starts_with("a=candidate:")).collect();
    assert!(!candidates.is_empty(), "{sdp}");
    for candidate in candidates {
        let port = candidate.split(' ').nth(5).and_then(|port| port.parse().ok()).expect("a port");
        assert!(range.contains(&port), "{candidate}");
    }
}
