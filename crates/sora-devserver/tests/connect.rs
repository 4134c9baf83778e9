//! A `connect` that Sora would refuse is refused with close code 4490 and a reason.

mod common;

use common::{Client, connect, server};
use serde_json::json;

#[tokio::test]
async fn a_connect_with_wrong_values_is_refused_with_the_reason_of_the_first() {
    let server = server().await;
    let label = |channel: serde_json::Value| json!({ "data_channel_signaling": true, "data_channels": [channel] });
    let cases = [
        (connect("listener", json!({})), "INVALID-ROLE"),
        (connect("sendrecv", json!({ "channel_id": "" })), "INVALID-CHANNEL-ID"),
        (connect("sendrecv", json!({ "channel_id": "x".repeat(256) })), "INVALID-CHANNEL-ID"),
        (connect("sendrecv", json!({ "client_id": "x".repeat(256) })), "INVALID-CLIENT-ID"),
        (connect("sendrecv", json!({ "bundle_id": "x".repeat(256) })), "INVALID-BUNDLE-ID"),
        (connect("sendrecv", json!({ "video": { "codec_type": "VP7" } })), "INVALID-VIDEO-CODEC-TYPE"),
        (connect("sendrecv", json!({ "video": { "bit_rate": 50_001 } })), "INVALID-VIDEO-BIT-RATE"),
        (connect("sendrecv", json!({ "audio": { "codec_type": "PCMU" } })), "INVALID-AUDIO-CODEC-TYPE"),
        (connect("sendrecv", json!({ "audio": { "bit_rate": 5 } })), "INVALID-AUDIO-BIT-RATE"),
        (connect("sendrecv", json!({ "spotlight_focus_rid": "r1" })), "INVALID-SPOTLIGHT"),
        (connect("sendrecv", label(json!({ "label": "chat", "direction": "sendrecv" }))), "INVALID-DATA-CHANNELS"),
        (connect("sendrecv", label(json!({ "label": "#chat", "direction": "up" }))), "INVALID-DATA-CHANNELS"),
        (connect("sendrecv", label(json!({ "label": "#chat" }))), "INVALID-CONNECT-MESSAGE"),
        (connect("sendrecv", json!({ "simulcast_request_rid": "r3" })), "INVALID-SIMULCAST-RID"),
        (connect("recvonly", json!({ "simulcast_rid": "high" })), "INVALID-SIMULCAST-RID"),
        (json!({ "type": "connect", "role": "sendrecv" }), "INVALID-CONNECT-MESSAGE"),
        (json!({ "type": "answer", "sdp": "" }), "INVALID-CONNECT-MESSAGE"),
        (json!({ "type": 1 }), "INVALID-MESSAGE"),
        (json!([]), "INVALID-JSON"),
    ];
    for (message, reason) in cases {
        let client = Client::start(&server.signaling_url(), message.clone()).await;
        assert_eq!(client.closed().await, (4490, reason.to_owned()), "{message}");
    }
}

#[tokio::test]
async fn messages_out_of_place_end_the_connection() {
    let server = server().await;
    let again = connect("sendrecv", json!({}));
    for (message, reason) in [(again, "ALREADY-CONNECTED"), (json!({ "type": "dance" }), "UNKNOWN-MESSAGE-TYPE")] {
        let client = Client::connected(&server.signaling_url(), connect("sendrecv", json!({}))).await;
        client.send(message);
        assert_eq!(client.closed().await, (4490, reason.to_owned()));
    }
}
