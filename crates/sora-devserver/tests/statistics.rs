//! Statistics travel from the client to the API, on whichever transport carries signaling.

mod common;

use std::time::Duration;

use common::http::api;
use common::{Client, config, connect, server};
use serde_json::{Value, json};
use sora_devserver::{Server, ServerConfig};

async fn eager_server() -> Server {
    let millis = Duration::from_millis;
    let config = ServerConfig { ping_interval: millis(10), stats_interval: millis(15), ..config() };
    Server::start(config).await.expect("a server")
}

async fn statistics(server: &Server, client: &Client) -> Value {
    let body = json!({ "channel_id": "sora", "connection_id": client.connection_id().await });
    let (status, answer) = api(server, "Sora_20170529.GetStatsConnection", body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// What the test client says of itself.
fn reported(statistics: &Value) -> bool {
    statistics["stats"][0]["dataChannelsOpened"] == 7
}

#[tokio::test]
async fn a_ping_asks_for_statistics_and_the_api_shows_what_the_pong_said() {
    let server = eager_server().await;
    let client = Client::connected(&server.signaling_url(), connect("sendrecv", json!({}))).await;
    // The second request means that the answer to the first one is there: the WebSocket keeps the order.
    client
        .wait("two pings for statistics", |seen| {
            let asked = seen.iter().filter_map(|s| s.message("ping")).filter(|ping| ping["stats"] == true);
            (asked.count() >= 2).then_some(())
        })
        .await;
    let statistics = until_reported(&server, &client).await;
    assert!(statistics["stats_timestamp"].is_string());
    assert_eq!(statistics["role"], "sendrecv");
    let types: Vec<&Value> =
        statistics["server_stats"].as_array().expect("a list").iter().map(|s| &s["type"]).collect();
    assert!(types.contains(&&json!("candidate-pair")), "{types:?}");
    let plain = client.seen().iter().filter_map(|s| s.message("ping")).any(|ping| ping.get("stats").is_none());
    assert!(plain, "not every ping asks for statistics");
}

#[tokio::test]
async fn once_signaling_has_moved_statistics_are_asked_for_on_their_data_channel() {
    let server = eager_server().await;
    let more = json!({ "data_channel_signaling": true, "ignore_disconnect_websocket": true });
    let client = Client::connected(&server.signaling_url(), connect("sendrecv", more)).await;
    client.message("switched").await;
    client.message("req-stats").await;
    until_reported(&server, &client).await;
}

/// Asks until the client's answer is in; what carries it is not the API's connection.
async fn until_reported(server: &Server, client: &Client) -> Value {
    let asking = async {
        loop {
            let statistics = statistics(server, client).await;
            if reported(&statistics) {
                return statistics;
            }
        }
    };
    tokio::time::timeout(common::DEADLINE, asking).await.expect("reported in time")
}

#[tokio::test]
async fn statistics_of_all_connections_and_of_the_server_are_counted() {
    let server = server().await;
    let url = server.signaling_url();
    let one = Client::connected(&url, connect("sendrecv", json!({}))).await;
    let two = Client::connected(&url, connect("recvonly", json!({ "channel_id": "other" }))).await;
    let refused = Client::start(&url, connect("nonsense", json!({}))).await;
    assert_eq!(refused.closed().await.0, 4490);
    let (_, all) = api(&server, "Sora_20171101.GetStatsAllConnections", json!({})).await;
    let ids: Vec<&Value> = all.as_array().expect("a list").iter().map(|entry| &entry["connection_id"]).collect();
    assert_eq!(ids.len(), 2);
    for client in [&one, &two] {
        assert!(ids.contains(&&json!(client.connection_id().await)));
    }
    assert!(all[0]["stats"].is_null(), "nothing was asked for yet");
    let (_, report) = api(&server, "Sora_20171010.GetStatsReport", json!({})).await;
    assert_eq!((&report["total_connection_created"], &report["total_ongoing_connections"]), (&json!(2), &json!(2)));
    assert_eq!(report["total_failed_connections"], 1);
}

#[tokio::test]
async fn statistics_that_are_none_end_the_connection() {
    let server = server().await;
    let client = Client::connected(&server.signaling_url(), connect("recvonly", json!({}))).await;
    client.send(json!({ "type": "pong", "stats": "many" }));
    assert_eq!(client.closed().await, (4490, "INVALID-MESSAGE".to_owned()));
}

#[tokio::test]
async fn only_reports_belong_on_the_stats_channel() {
    let server = server().await;
    let more = json!({ "data_channel_signaling": true });
    let client = Client::connected(&server.signaling_url(), connect("recvonly", more)).await;
    client.message("switched").await;
    client.send_on("stats", br#"{"type":"disconnect","reason":"NO-ERROR"}"#);
    assert_eq!(client.closed().await, (4490, "INTERNAL-ERROR".to_owned()));
}
