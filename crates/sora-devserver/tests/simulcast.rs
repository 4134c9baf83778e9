//! Senders of several layers, and receivers that get one of them.

mod common;

use common::http::api;
use common::token::sign;
use common::{Client, Seen, config, connect, server};
use serde_json::{Value, json};
use sora_devserver::{Secret, Server, ServerConfig};
use sora_peer::MediaKind;

const REQUEST_RID: &str = "Sora_20251217.RequestSimulcastRid";
const RPC: &str = "2025.2.0/RequestSimulcastRid";
/// VP8 payloads as far as a forwarder reads them (RFC 7741): descriptor, then the header with its inverse key frame
/// bit, then a mark for the test.
const KEY_FRAME: [u8; 2] = [0x10, 0x00];
const DELTA_FRAME: [u8; 2] = [0x10, 0x01];

fn layers(role: &str, more: Value) -> Value {
    let members = json!({ "simulcast": true, "audio": false, "video": { "codec_type": "VP8" } });
    let mut message = connect(role, members);
    message.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    message
}

async fn sender(server: &Server, more: Value) -> Client {
    Client::connected_with_layers(&server.signaling_url(), layers("sendonly", more)).await
}

async fn receiver(server: &Server, more: Value) -> Client {
    Client::connected(&server.signaling_url(), layers("recvonly", more)).await
}

fn send(client: &Client, rid: &'static str, frame: [u8; 2], mark: u8) {
    client.send_layer(rid, vec![frame[0], frame[1], mark]);
}

fn key_frames_asked(client: &Client, rid: &str) -> usize {
    client.seen().iter().filter(|seen| matches!(seen, Seen::LayerKeyFrameRequested(of) if of == rid)).count()
}

/// Sends pictures of a layer until the server wants a key frame of it, and then that.
async fn begin(client: &Client, rid: &'static str, mark: u8) {
    let before = key_frames_asked(client, rid);
    send(client, rid, DELTA_FRAME, b'-');
    client
        .wait("a PLI", |seen| {
            let asked = |seen: &&Seen| matches!(seen, Seen::LayerKeyFrameRequested(of) if of == rid);
            (seen.iter().filter(asked).count() > before).then_some(())
        })
        .await;
    send(client, rid, KEY_FRAME, mark);
}

/// Waits for a packet with this mark; the marks of all that came until then.
async fn marks_until(client: &Client, mark: u8) -> String {
    client
        .wait("video", |seen| {
            let marks = seen.iter().filter_map(|s| match s {
                Seen::Rtp { kind: MediaKind::Video, payload, .. } => payload.last().copied().map(char::from),
                _ => None,
            });
            let marks: String = marks.collect();
            marks.contains(char::from(mark)).then_some(marks)
        })
        .await
}

/// Waits for the switch to this layer that is at least the `nth`; what it tells.
async fn switched(client: &Client, nth: usize, rid: &str) -> [String; 4] {
    let notification = client
        .wait("simulcast.switched", |seen| {
            let mut switches = seen.iter().filter_map(|s| s.notify("simulcast.switched")).skip(nth);
            switches.find(|switch| switch["current_rid"] == rid).cloned()
        })
        .await;
    ["previous_rid", "request_rid", "priority", "trigger"]
        .map(|name| notification[name].as_str().expect("a word").to_owned())
}

#[tokio::test]
async fn an_offer_to_a_simulcast_sender_has_the_layers() {
    let server = server().await;
    for codec in ["VP8", "VP9", "AV1", "H264", "H265"] {
        let more = json!({ "audio": true, "video": { "codec_type": codec } });
        let client = Client::start(&server.signaling_url(), layers("sendrecv", more)).await;
        let offer = client.message("offer").await;
        assert_eq!(offer["simulcast"], true, "{codec}");
        let encoding = |rid: &str, by: f64| json!({ "rid": rid, "active": true, "scaleResolutionDownBy": by, "scalabilityMode": "L1T1" });
        assert_eq!(offer["encodings"], json!([encoding("r0", 4.0), encoding("r1", 2.0), encoding("r2", 1.0)]));
        let sdp = offer["sdp"].as_str().expect("an SDP");
        let (others, video) = sdp.split_once("m=video").expect("a video m-line");
        for line in ["a=rid:r0 recv", "a=rid:r1 recv", "a=rid:r2 recv", "a=simulcast:recv r0;r1;r2", "a=recvonly"] {
            assert!(video.contains(&format!("\r\n{line}\r\n")), "{codec} {line}: {sdp}");
        }
        for extension in ["mid", "rtp-stream-id", "repaired-rtp-stream-id"] {
            assert!(video.contains(&format!(" urn:ietf:params:rtp-hdrext:sdes:{extension}\r\n")), "{codec} {sdp}");
        }
        assert!(!others.contains("a=rid:") && !others.contains("a=simulcast:"), "{sdp}");
    }
}

#[tokio::test]
async fn others_are_offered_no_layers() {
    let server = server().await;
    let no_video = json!({ "audio": true, "video": false });
    let off = json!({ "simulcast": false });
    for message in [layers("recvonly", json!({})), layers("sendonly", no_video), layers("sendrecv", off)] {
        let client = Client::start(&server.signaling_url(), message.clone()).await;
        let offer = client.message("offer").await;
        assert_eq!((&offer["simulcast"], &offer["encodings"]), (&json!(false), &Value::Null), "{message}");
        assert!(!offer["sdp"].as_str().expect("an SDP").contains("a=simulcast:"), "{message}");
    }
}

#[tokio::test]
async fn an_access_token_says_how_to_encode() {
    let secret = "a secret for tests";
    let config = ServerConfig { jwt_secret: Some(Secret::from(secret.to_owned())), ..config() };
    let server = Server::start(config).await.expect("a server");
    let start = async |claims: Value| {
        let mut message = connect("sendonly", json!({ "video": { "codec_type": "VP8" } }));
        message["metadata"] = json!({ "access_token": sign(secret, claims) });
        Client::start(&server.signaling_url(), message).await
    };
    let encodings = json!([
        { "rid": "r0", "active": true, "scaleResolutionDownBy": 2, "scalabilityMode": "L1T1" },
        { "rid": "r1", "active": true, "scaleResolutionDownTo": { "maxWidth": 640, "maxHeight": 360 } },
        { "rid": "r2", "active": false },
    ]);
    let claims = json!({ "channel_id": "sora", "simulcast": true, "simulcast_encodings": encodings });
    let offer = start(claims).await.message("offer").await;
    assert_eq!((&offer["simulcast"], &offer["encodings"]), (&json!(true), &encodings));
    assert!(offer["sdp"].as_str().expect("an SDP").contains("\r\na=simulcast:recv r0;r1;~r2\r\n"));
    let two = json!([{ "rid": "r2" }, { "rid": "r0" }]);
    let claims = json!({ "channel_id": "sora", "simulcast": true, "simulcast_encodings": two });
    let offer = start(claims).await.message("offer").await;
    assert_eq!(offer["encodings"], json!([{ "rid": "r0", "active": true }, { "rid": "r2", "active": true }]));
    assert!(offer["sdp"].as_str().expect("an SDP").contains("\r\na=simulcast:recv r0;r2\r\n"));
    for wrong in [json!({}), json!([]), json!([{ "rid": "r9" }]), json!([{ "rid": "r0", "maxBitrate": "all" }])] {
        let claims = json!({ "channel_id": "sora", "simulcast": true, "simulcast_encodings": wrong });
        assert_eq!(start(claims).await.closed().await, (4490, "AUTH-ACCESS-TOKEN-INVALID".to_owned()), "{wrong}");
    }
    let claims = json!({ "channel_id": "sora", "simulcast_request_rid": "r9" });
    assert_eq!(start(claims).await.closed().await, (4490, "INVALID-SIMULCAST-RID".to_owned()));
}

#[tokio::test]
async fn a_receiver_gets_the_layer_it_asks_for_as_soon_as_it_is_there() {
    let server = server().await;
    let sender = sender(&server, json!({})).await;
    let receiver = receiver(&server, json!({ "simulcast_request_rid": "r1" })).await;
    send(&sender, "r0", KEY_FRAME, b'a');
    assert_eq!(marks_until(&receiver, b'a').await, "a");
    assert_eq!(switched(&receiver, 0, "r0").await, ["none", "r1", "higher", "receiver"]);
    begin(&sender, "r1", b'b').await;
    send(&sender, "r0", DELTA_FRAME, b'x');
    send(&sender, "r1", DELTA_FRAME, b'c');
    assert_eq!(marks_until(&receiver, b'c').await, "abc");
    assert_eq!(switched(&receiver, 1, "r1").await, ["r0", "r1", "higher", "sender"]);
    let before = key_frames_asked(&sender, "r1");
    receiver.ask_for_key_frame();
    sender
        .wait("a PLI", |seen| {
            let asked = seen.iter().filter(|s| matches!(s, Seen::LayerKeyFrameRequested(rid) if rid == "r1"));
            (asked.count() > before).then_some(())
        })
        .await;
    assert_eq!(key_frames_asked(&sender, "r2"), 0, "nobody wants that layer");
}

#[tokio::test]
async fn rpc_changes_the_layer() {
    let server = server().await;
    let sender = sender(&server, json!({})).await;
    let sender_id = sender.connection_id().await;
    let receiver = receiver(&server, json!({ "data_channel_signaling": true })).await;
    let offer = receiver.message("offer").await;
    assert_eq!(offer["rpc_methods"], json!([RPC]));
    let labels = offer["data_channels"].as_array().expect("channels");
    assert!(labels.contains(&json!({ "label": "rpc", "direction": "sendrecv", "compress": true })), "{labels:?}");
    receiver.message("switched").await;
    begin(&sender, "r0", b'a').await;
    marks_until(&receiver, b'a').await;
    let call = |id: Option<u32>, params: Value| {
        let mut call = json!({ "jsonrpc": "2.0", "method": RPC, "params": params });
        if let Some(id) = id {
            call["id"] = json!(id);
        }
        receiver.send_on("rpc", call.to_string().as_bytes());
    };
    call(Some(1), json!({ "rid": "r2", "sender_connection_id": sender_id }));
    let result = json!({
        "channel_id": "sora", "receiver_connection_id": receiver.connection_id().await, "rid": "r2",
        "sender_connection_id": sender_id,
    });
    assert_eq!(rpc_answers(&receiver, 1).await, [json!({ "jsonrpc": "2.0", "id": 1, "result": result })]);
    begin(&sender, "r2", b'b').await;
    assert_eq!(marks_until(&receiver, b'b').await, "ab");
    assert_eq!(switched(&receiver, 1, "r2").await, ["r0", "r2", "higher", "receiver"]);
    // A notification: no answer comes, but the request counts.
    call(None, json!({ "rid": "none" }));
    call(Some(2), json!({ "rid": "none" }));
    let answers = rpc_answers(&receiver, 2).await;
    assert_eq!((&answers[1]["id"], &answers[1]["result"]["rid"]), (&json!(2), &json!("none")));
    assert_eq!(answers[1]["result"].get("sender_connection_id"), None);
    send(&sender, "r2", KEY_FRAME, b'x');
    assert_eq!(switched(&receiver, 2, "none").await, ["r2", "none", "lower", "receiver"]);
    assert_eq!(marks_until(&receiver, b'b').await, "ab");
}

async fn rpc_answers(client: &Client, count: usize) -> Vec<Value> {
    client
        .wait("answers", |seen| {
            let answers = seen.iter().filter_map(|s| match s {
                Seen::Message { on, value } if on == "rpc" => Some(value.clone()),
                _ => None,
            });
            let answers: Vec<Value> = answers.collect();
            (answers.len() >= count).then_some(answers)
        })
        .await
}

#[tokio::test]
async fn calls_that_are_wrong_get_the_error_of_json_rpc() {
    let server = server().await;
    let client = receiver(&server, json!({ "data_channel_signaling": true })).await;
    client.message("switched").await;
    let request =
        |method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": "a", "method": method, "params": params });
    let cases = [
        ("{".to_owned(), -32_700, Value::Null),
        ("[]".to_owned(), -32_600, Value::Null),
        (json!({ "id": 3, "method": RPC }).to_string(), -32_600, json!(3)),
        (request("2025.2.0/MakeCoffee", json!({})).to_string(), -32_601, json!("a")),
        (request("RequestSimulcastRid", json!({ "rid": "r0" })).to_string(), -32_601, json!("a")),
        (request(RPC, json!({ "rid": "r7" })).to_string(), -32_602, json!("a")),
        (request(RPC, json!(["r0"])).to_string(), -32_602, json!("a")),
        (request(RPC, json!({ "rid": "r0", "sender_connection_id": "nobody" })).to_string(), -32_602, json!("a")),
        (request(RPC, json!({ "rid": "r".repeat(20_000) })).to_string(), -32_600, Value::Null),
    ];
    // Notifications that fail get no answer either.
    client.send_on("rpc", json!({ "jsonrpc": "2.0", "method": "nothing" }).to_string().as_bytes());
    for (text, ..) in &cases {
        client.send_on("rpc", text.as_bytes());
    }
    let answers = rpc_answers(&client, cases.len()).await;
    for ((text, code, id), answer) in cases.iter().zip(&answers) {
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), id), "{text:.80}");
        assert_eq!(answer["jsonrpc"], "2.0");
        assert!(answer["error"]["message"].is_string() && answer.get("result").is_none(), "{answer}");
    }
}

#[tokio::test]
async fn without_data_channel_signaling_no_calls_are_offered() {
    let server = server().await;
    let offer = receiver(&server, json!({})).await.message("offer").await;
    assert_eq!((offer.get("rpc_methods"), offer.get("data_channels")), (None, None));
}

/// Asks for another layer and waits until the receiver's task has heard of it: it answers in order.
async fn request_rid(server: &Server, body: Value) {
    assert_eq!(api(server, REQUEST_RID, body.clone()).await, (200, json!({})));
    assert_eq!(api(server, "Sora_20170529.GetStatsConnection", body).await.0, 200);
}

#[tokio::test]
async fn the_api_changes_the_layer_of_one_sender_or_of_all() {
    let server = server().await;
    let (first, second) = (sender(&server, json!({})).await, sender(&server, json!({})).await);
    let receiver = receiver(&server, json!({})).await;
    begin(&first, "r0", b'a').await;
    marks_until(&receiver, b'a').await;
    begin(&second, "r0", b'b').await;
    assert_eq!(marks_until(&receiver, b'b').await, "ab");
    let id = receiver.connection_id().await;
    let body = json!({
        "channel_id": "sora", "connection_id": id, "rid": "r1", "sender_connection_id": second.connection_id().await,
    });
    request_rid(&server, body).await;
    begin(&second, "r1", b'c').await;
    marks_until(&receiver, b'c').await;
    // What was silent for long would be replaced.
    send(&first, "r0", DELTA_FRAME, b'd');
    send(&first, "r1", KEY_FRAME, b'x');
    send(&first, "r0", DELTA_FRAME, b'e');
    assert_eq!(marks_until(&receiver, b'e').await, "abcde", "the first sender's layer did not change");
    let body = json!({ "channel_id": "sora", "connection_id": id, "rid": "r2" });
    request_rid(&server, body).await;
    for (client, mark) in [(&first, b'f'), (&second, b'g')] {
        begin(client, "r2", mark).await;
        marks_until(&receiver, mark).await;
    }
    assert_eq!(marks_until(&receiver, b'g').await, "abcdefg");
}

#[tokio::test]
async fn api_calls_that_are_wrong_are_told_why() {
    let server = server().await;
    let sender = sender(&server, json!({})).await;
    let receiver = receiver(&server, json!({})).await;
    let (sender_id, id) = (sender.connection_id().await, receiver.connection_id().await);
    let spotlight = json!({ "channel_id": "spot", "spotlight": true });
    let spot = Client::connected(&server.signaling_url(), layers("recvonly", spotlight)).await;
    let spot_id = spot.connection_id().await;
    let body = |id: &str, rid: Value| json!({ "channel_id": "sora", "connection_id": id, "rid": rid });
    let of = |sender: Value| json!({ "channel_id": "sora", "connection_id": id, "rid": "r0", "sender_connection_id": sender });
    let spot = json!({ "channel_id": "spot", "connection_id": spot_id, "rid": "r0" });
    let refusals = [
        (body(&id, json!("r3")), 400, "INVALID-PARAMETER"),
        (body(&id, Value::Null), 400, "INVALID-PARAMETER"),
        (of(json!(1)), 400, "INVALID-PARAMETER"),
        (body("nobody", json!("r0")), 404, "CONNECTION-NOT-FOUND"),
        (of(json!("nobody")), 404, "CONNECTION-NOT-FOUND"),
        (of(json!(id)), 404, "CONNECTION-NOT-FOUND"),
        (body(&sender_id, json!("r0")), 400, "VIDEO-NOT-RECEIVED"),
        (spot, 400, "SPOTLIGHT-CHANNEL"),
    ];
    for (body, status, error_type) in refusals {
        let (answered, answer) = api(&server, REQUEST_RID, body.clone()).await;
        assert_eq!((answered, &answer["error_type"]), (status, &json!(error_type)), "{body}");
    }
}

#[tokio::test]
async fn spotlight_chooses_among_the_layers() {
    let server = server().await;
    let join = json!({ "spotlight": true });
    let first = sender(&server, join.clone()).await;
    let second = sender(&server, join).await;
    let more = json!({
        "spotlight": true, "spotlight_number": 1, "spotlight_focus_rid": "r2", "spotlight_unfocus_rid": "r0",
    });
    let receiver = receiver(&server, more).await;
    receiver.wait("focus", |seen| seen.iter().find_map(|s| s.notify("spotlight.focused")).map(|_| ())).await;
    begin(&first, "r2", b'a').await;
    marks_until(&receiver, b'a').await;
    begin(&second, "r0", b'b').await;
    marks_until(&receiver, b'b').await;
    for (client, wanted, unwanted) in [(&first, "r2", "r0"), (&second, "r0", "r2")] {
        // What was silent for long would be replaced.
        send(client, wanted, DELTA_FRAME, b'c');
        send(client, unwanted, KEY_FRAME, b'x');
    }
    send(&first, "r2", DELTA_FRAME, b'd');
    send(&second, "r0", DELTA_FRAME, b'e');
    marks_until(&receiver, b'd').await;
    assert!(!marks_until(&receiver, b'e').await.contains('x'));
}

#[tokio::test]
async fn a_sender_that_answers_without_simulcast_sends_one_stream_for_every_request() {
    let server = server().await;
    let sender = Client::connected(&server.signaling_url(), layers("sendonly", json!({}))).await;
    assert_eq!(sender.message("offer").await["simulcast"], true);
    let receiver = receiver(&server, json!({ "simulcast_request_rid": "r2" })).await;
    sender.send_media(MediaKind::Video, vec![KEY_FRAME[0], KEY_FRAME[1], b'a']);
    assert_eq!(marks_until(&receiver, b'a').await, "a");
    assert!(!receiver.seen().iter().any(|seen| seen.notify("simulcast.switched").is_some()));
}
