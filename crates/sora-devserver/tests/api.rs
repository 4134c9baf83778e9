//! The HTTP API: one test per target and per way to get it wrong.

mod common;

use common::http::{api, request};
use common::{Client, Seen, connect, server};
use serde_json::{Value, json};

const DISCONNECT_CONNECTION: &str = "Sora_20151104.DisconnectConnection";

#[tokio::test]
async fn a_disconnected_connection_is_told_so_and_the_others_hear_of_it() {
    let server = server().await;
    let url = server.signaling_url();
    let stays = Client::connected(&url, connect("sendrecv", json!({}))).await;
    let goes = Client::connected(&url, connect("sendrecv", json!({}))).await;
    let id = goes.connection_id().await;
    let answer = api(&server, DISCONNECT_CONNECTION, json!({ "channel_id": "sora", "connection_id": id })).await;
    assert_eq!(answer, (200, json!({ "channel_id": "sora", "connection_id": id })));
    assert_eq!(goes.closed().await, (1000, "DISCONNECTED-API".to_owned()));
    let destroyed = stays
        .wait("connection.destroyed", |seen| seen.iter().find_map(|s| s.notify("connection.destroyed")).cloned())
        .await;
    assert_eq!(destroyed["connection_id"], *id);
    assert_eq!(destroyed["channel_connections"], 1);
}

#[tokio::test]
async fn a_connection_without_websocket_gets_a_close_message_when_it_is_disconnected() {
    let server = server().await;
    let more = json!({ "data_channel_signaling": true, "ignore_disconnect_websocket": true });
    let client = Client::connected(&server.signaling_url(), connect("sendrecv", more)).await;
    client.message("switched").await;
    let id = client.connection_id().await;
    api(&server, DISCONNECT_CONNECTION, json!({ "channel_id": "sora", "connection_id": id })).await;
    let close = client.message("close").await;
    assert_eq!(close, json!({ "type": "close", "code": 1000, "reason": "DISCONNECTED-API" }));
    client.wait("end", |seen| seen.contains(&Seen::PeerClosed).then_some(())).await;
}

#[tokio::test]
async fn a_disconnected_channel_loses_all_its_connections_and_no_other() {
    let server = server().await;
    let url = server.signaling_url();
    let one = Client::connected(&url, connect("sendrecv", json!({}))).await;
    let two = Client::connected(&url, connect("recvonly", json!({}))).await;
    let other = Client::connected(&url, connect("recvonly", json!({ "channel_id": "other" }))).await;
    let answer = api(&server, "Sora_20151104.DisconnectChannel", json!({ "channel_id": "sora" })).await;
    assert_eq!(answer, (200, json!({ "channel_id": "sora" })));
    for client in [one, two] {
        assert_eq!(client.closed().await, (1000, "DISCONNECTED-CHANNEL-API".to_owned()));
    }
    let (_, list) = api(&server, "Sora_20201013.ListConnections", json!({})).await;
    let ids: Vec<&Value> = list.as_array().expect("a list").iter().map(|entry| &entry["connection_id"]).collect();
    assert_eq!(ids, [&json!(other.connection_id().await)]);
}

#[tokio::test]
async fn a_disconnected_client_loses_all_its_connections() {
    let server = server().await;
    let url = server.signaling_url();
    let mine = Client::connected(&url, connect("sendrecv", json!({ "client_id": "me" }))).await;
    let yours = Client::connected(&url, connect("sendrecv", json!({ "client_id": "you" }))).await;
    let body = json!({ "channel_id": "sora", "client_id": "me" });
    assert_eq!(api(&server, "Sora_20151104.DisconnectClient", body.clone()).await, (200, body));
    assert_eq!(mine.closed().await, (1000, "DISCONNECTED-API".to_owned()));
    assert!(!yours.seen().iter().any(|seen| matches!(seen, Seen::Closed { .. })));
}

#[tokio::test]
async fn lists_name_channels_and_connections() {
    let server = server().await;
    let url = server.signaling_url();
    let (_, empty) = api(&server, "Sora_20201013.ListChannelConnections", json!({ "channel_id": "sora" })).await;
    assert_eq!(empty, json!([]));
    let more = json!({ "client_id": "me", "video": { "codec_type": "VP8" } });
    let client = Client::connected(&url, connect("sendonly", more)).await;
    let (_, list) = api(&server, "Sora_20201013.ListChannelConnections", json!({ "channel_id": "sora" })).await;
    let entry = &list[0];
    assert_eq!(entry["connection_id"], client.connection_id().await);
    assert_eq!((&entry["client_id"], &entry["role"]), (&json!("me"), &json!("sendonly")));
    assert_eq!(entry["tracks"], json!(["audio opus", "video VP8"]));
    let (_, channels) = api(&server, "Sora_20201013.ListChannels", json!({})).await;
    assert_eq!(channels[0]["channel_id"], "sora");
}

#[tokio::test]
async fn a_push_reaches_the_channel_or_one_connection_with_its_data_unchanged() {
    let server = server().await;
    let url = server.signaling_url();
    let one = Client::connected(&url, connect("recvonly", json!({}))).await;
    let more = json!({ "data_channel_signaling": true });
    let two = Client::connected(&url, connect("recvonly", more)).await;
    two.message("switched").await;
    let data = json!({ "text": "こんにちは", "numbers": [1, 2.5, null] });
    let answer = api(&server, "Sora_20160711.PushChannel", json!({ "channel_id": "sora", "data": data })).await;
    assert_eq!(answer, (200, json!({})));
    for client in [&one, &two] {
        assert_eq!(client.message("push").await, json!({ "type": "push", "data": data }));
    }
    let on_channel = two.seen().into_iter().any(|s| matches!(&s, Seen::Message { on, .. } if on == "push"));
    assert!(on_channel, "a switched connection gets it on its data channel");
    let id = one.connection_id().await;
    let body = json!({ "channel_id": "sora", "connection_id": id, "data": "only you" });
    assert_eq!(api(&server, "Sora_20160711.PushConnection", body).await, (200, json!({})));
    one.wait("the second push", |seen| {
        seen.iter().filter_map(|s| s.message("push")).find(|push| push["data"] == "only you").map(|_| ())
    })
    .await;
    assert_eq!(two.seen().iter().filter_map(|s| s.message("push")).count(), 1);
}

#[tokio::test]
async fn a_key_frame_is_asked_of_who_sends_video() {
    let server = server().await;
    let url = server.signaling_url();
    let sender = Client::connected(&url, connect("sendonly", json!({}))).await;
    let receiver = Client::connected(&url, connect("recvonly", json!({}))).await;
    let call = async |client: &Client| {
        let body = json!({ "channel_id": "sora", "connection_id": client.connection_id().await });
        api(&server, "Sora_20241218.RequestKeyFrame", body).await
    };
    let (status, answer) = call(&receiver).await;
    assert_eq!((status, &answer["error_type"]), (400, &json!("VIDEO-NOT-SENT")));
    let before = sender.seen().iter().filter(|s| **s == Seen::KeyFrameRequested).count();
    assert_eq!(call(&sender).await, (200, json!({})));
    sender
        .wait("a PLI", |seen| (seen.iter().filter(|s| **s == Seen::KeyFrameRequested).count() > before).then_some(()))
        .await;
}

#[tokio::test]
async fn calls_that_are_wrong_are_told_why() {
    let server = server().await;
    let client = Client::connected(&server.signaling_url(), connect("recvonly", json!({}))).await;
    let body = json!({ "channel_id": "sora", "connection_id": client.connection_id().await });
    let refusals = [
        ("", body.clone(), 400, "UNSUPPORTED-TARGET"),
        ("DisconnectConnection", body.clone(), 400, "UNSUPPORTED-TARGET"),
        ("Sora_2015.DisconnectConnection", body.clone(), 400, "UNSUPPORTED-TARGET"),
        ("Sora_20151104.MakeCoffee", body.clone(), 400, "UNSUPPORTED-TARGET"),
        (DISCONNECT_CONNECTION, json!([]), 400, "INVALID-JSON"),
        (DISCONNECT_CONNECTION, json!({}), 400, "INVALID-PARAMETER"),
        (DISCONNECT_CONNECTION, json!({ "channel_id": 1, "connection_id": "x" }), 400, "INVALID-PARAMETER"),
        (DISCONNECT_CONNECTION, json!({ "channel_id": "nowhere", "connection_id": "x" }), 404, "CHANNEL-NOT-FOUND"),
        (DISCONNECT_CONNECTION, json!({ "channel_id": "sora", "connection_id": "x" }), 404, "CONNECTION-NOT-FOUND"),
        ("Sora_20151104.DisconnectChannel", json!({ "channel_id": "nowhere" }), 404, "CHANNEL-NOT-FOUND"),
        ("Sora_20160711.PushChannel", json!({ "channel_id": "sora" }), 400, "INVALID-PARAMETER"),
    ];
    for (target, body, status, error_type) in refusals {
        let (answered, answer) = api(&server, target, body).await;
        assert_eq!((answered, &answer["error_type"]), (status, &json!(error_type)), "{target}");
        assert!(answer["reason"].is_string(), "{target}");
    }
    assert_eq!(client.seen().iter().filter(|seen| matches!(seen, Seen::Closed { .. })).count(), 0);
}

#[tokio::test]
async fn requests_that_are_no_calls_are_refused() {
    let server = server().await;
    let url = server.api_url();
    let target = format!("x-sora-target: {DISCONNECT_CONNECTION}\r\n");
    let refusals = [
        ("GET", target.as_str(), Vec::new(), 405, "METHOD-NOT-ALLOWED"),
        ("OPTIONS", "", Vec::new(), 405, "METHOD-NOT-ALLOWED"),
        ("POST", "", b"{}".to_vec(), 400, "MISSING-TARGET"),
        ("POST", &target, b"{".to_vec(), 400, "INVALID-JSON"),
        ("POST", &target, b"\xff\xfe".to_vec(), 400, "INVALID-JSON"),
        ("POST", &target, "[".repeat(100_000).into_bytes(), 400, "INVALID-JSON"),
        ("POST", &target, vec![b' '; (1 << 20) + 1], 413, "BODY-TOO-LARGE"),
    ];
    for (method, headers, body, status, error_type) in refusals {
        let (answered, answer) = request(&url, method, "/", headers, body).await;
        assert_eq!((answered, &answer["error_type"]), (status, &json!(error_type)), "{method} {headers:?}");
    }
}
