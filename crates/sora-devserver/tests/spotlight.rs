//! In a spotlight channel those who spoke last are forwarded.

mod common;

use common::http::api;
use common::{Client, Seen, connect, server};
use serde_json::{Value, json};
use sora_codec::{OpusEncoder, OpusParameters};
use sora_devserver::Server;
use sora_peer::MediaKind;

/// VP8 payloads as far as a forwarder reads them (RFC 7741): descriptor, then the header with its inverse key frame
/// bit, then a mark for the test.
const KEY_FRAME: [u8; 2] = [0x10, 0x00];
const DELTA_FRAME: [u8; 2] = [0x10, 0x01];

fn spotlight(role: &str, more: Value) -> Value {
    let mut message = connect(role, json!({ "spotlight": true, "video": { "codec_type": "VP8" } }));
    message.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    message
}

async fn join(server: &Server, role: &str, more: Value) -> Client {
    Client::connected(&server.signaling_url(), spotlight(role, more)).await
}

/// A tenth of a second of loud sound.
fn speak(client: &Client) {
    let mut encoder = OpusEncoder::new(1, &OpusParameters::default()).expect("an encoder");
    for packet in 0..10 {
        let sample = |n: usize| (8000.0 * ((packet * 960 + n) as f64 * 0.06).sin()) as i16;
        let samples: Vec<i16> = (0..960).map(sample).collect();
        client.send_media(MediaKind::Audio, encoder.encode(&samples).expect("a packet"));
    }
}

/// Waits for a notification about this connection.
async fn notified(client: &Client, event_type: &str, connection_id: &str) -> Value {
    let what = format!("{event_type} of {connection_id}");
    client
        .wait(&what, |seen| {
            seen.iter().filter_map(|s| s.notify(event_type)).find(|n| n["connection_id"] == connection_id).cloned()
        })
        .await
}

/// Waits for a video packet with this mark at its end; the marks of all that came.
async fn video_until(client: &Client, mark: u8) -> Vec<u8> {
    client
        .wait("video", |seen| {
            let marks: Vec<u8> = seen
                .iter()
                .filter_map(|s| match s {
                    Seen::Rtp { kind: MediaKind::Video, payload, .. } => payload.last().copied(),
                    _ => None,
                })
                .collect();
            marks.contains(&mark).then_some(marks)
        })
        .await
}

fn send_video(client: &Client, frame: [u8; 2], mark: u8) {
    client.send_media(MediaKind::Video, vec![frame[0], frame[1], mark]);
}

#[tokio::test]
async fn who_speaks_comes_into_focus_and_who_spoke_longest_ago_goes_out_of_it() {
    let server = server().await;
    let first = join(&server, "sendonly", json!({})).await;
    let second = join(&server, "sendonly", json!({})).await;
    let (first_id, second_id) = (first.connection_id().await, second.connection_id().await);
    let viewer = join(&server, "recvonly", json!({ "spotlight_number": 1 })).await;
    assert_eq!(viewer.message("offer").await["spotlight"], true);
    // Nobody has spoken: the one who came first is in focus.
    let focused = notified(&viewer, "spotlight.focused", &first_id).await;
    assert_eq!((&focused["audio"], &focused["video"], &focused["fixed"]), (&json!(true), &json!(true), &json!(false)));
    send_video(&second, KEY_FRAME, b'x');
    send_video(&first, KEY_FRAME, b'a');
    assert_eq!(video_until(&viewer, b'a').await, [b'a']);
    speak(&second);
    notified(&viewer, "spotlight.focused", &second_id).await;
    notified(&viewer, "spotlight.unfocused", &first_id).await;
    send_video(&first, KEY_FRAME, b'x');
    // A picture that builds on ones that were withheld is of no use.
    send_video(&second, DELTA_FRAME, b'x');
    send_video(&second, KEY_FRAME, b'b');
    send_video(&second, DELTA_FRAME, b'c');
    assert_eq!(video_until(&viewer, b'c').await, [b'a', b'b', b'c']);
}

#[tokio::test]
async fn who_comes_into_focus_is_asked_for_a_key_frame() {
    let server = server().await;
    let first = join(&server, "sendonly", json!({})).await;
    let second = join(&server, "sendonly", json!({})).await;
    let viewer = join(&server, "recvonly", json!({ "spotlight_number": 1 })).await;
    notified(&viewer, "spotlight.focused", &first.connection_id().await).await;
    let requests = |seen: &[Seen]| seen.iter().filter(|s| **s == Seen::KeyFrameRequested).count();
    let before = requests(&second.seen());
    speak(&second);
    second.wait("a PLI", |seen| (requests(seen) > before).then_some(())).await;
}

#[tokio::test]
async fn sound_of_those_out_of_focus_is_withheld_unless_a_layer_is_asked_for() {
    let server = server().await;
    let first = join(&server, "sendonly", json!({})).await;
    let second = join(&server, "sendonly", json!({})).await;
    let first_id = first.connection_id().await;
    let strict = join(&server, "recvonly", json!({ "spotlight_number": 1 })).await;
    let more = json!({ "spotlight_number": 1, "spotlight_unfocus_rid": "r0" });
    let lenient = join(&server, "recvonly", more).await;
    for viewer in [&strict, &lenient] {
        notified(viewer, "spotlight.focused", &first_id).await;
    }
    let heard = async |viewer: &Client, last: &'static [u8]| -> Vec<Vec<u8>> {
        viewer
            .wait("sound", |seen| {
                let sound = seen.iter().filter_map(|s| match s {
                    Seen::Rtp { kind: MediaKind::Audio, payload, .. } => Some(payload.to_vec()),
                    _ => None,
                });
                let sound: Vec<Vec<u8>> = sound.collect();
                sound.iter().any(|payload| payload == last).then_some(sound)
            })
            .await
    };
    second.send_media(MediaKind::Audio, &b"s"[..]);
    assert_eq!(heard(&lenient, b"s").await, [b"s"]);
    first.send_media(MediaKind::Audio, &b"f"[..]);
    assert_eq!(heard(&strict, b"f").await, [b"f"]);
}

#[tokio::test]
async fn within_the_number_everybody_is_in_focus() {
    let server = server().await;
    let one = join(&server, "sendrecv", json!({})).await;
    let two = join(&server, "sendrecv", json!({})).await;
    notified(&one, "spotlight.focused", &two.connection_id().await).await;
    notified(&two, "spotlight.focused", &one.connection_id().await).await;
    let (_, channels) = api(&server, "Sora_20201013.ListChannels", json!({})).await;
    assert_eq!(channels, json!([{ "channel_id": "sora", "multistream": true, "spotlight": true }]));
}

#[tokio::test]
async fn when_somebody_in_focus_leaves_the_next_one_comes_in() {
    let server = server().await;
    let first = join(&server, "sendonly", json!({})).await;
    let second = join(&server, "sendonly", json!({})).await;
    let viewer = join(&server, "recvonly", json!({ "spotlight_number": 1 })).await;
    notified(&viewer, "spotlight.focused", &first.connection_id().await).await;
    first.send(json!({ "type": "disconnect", "reason": "NO-ERROR" }));
    notified(&viewer, "spotlight.focused", &second.connection_id().await).await;
    let unfocused = viewer.seen().iter().any(|seen| seen.notify("spotlight.unfocused").is_some());
    assert!(!unfocused, "connection.destroyed tells of those who left");
}

#[tokio::test]
async fn a_spotlight_that_cannot_be_is_refused() {
    let server = server().await;
    let url = server.signaling_url();
    let _member = join(&server, "recvonly", json!({})).await;
    for message in [
        spotlight("recvonly", json!({ "spotlight_number": 9 })),
        spotlight("recvonly", json!({ "spotlight_number": 0 })),
        spotlight("recvonly", json!({ "spotlight_number": -1 })),
        spotlight("recvonly", json!({ "spotlight_focus_rid": "r3" })),
        // The channel has a spotlight.
        connect("recvonly", json!({})),
    ] {
        let client = Client::start(&url, message.clone()).await;
        assert_eq!(client.closed().await, (4490, "INVALID-SPOTLIGHT".to_owned()), "{message}");
    }
}
