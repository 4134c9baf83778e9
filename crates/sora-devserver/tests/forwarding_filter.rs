//! Tracks that a forwarding filter blocks are neither offered nor forwarded.

mod common;

use common::{Client, Seen, connect, server};
use serde_json::{Value, json};
use sora_peer::MediaKind;

/// Kinds and senders of the downlinks in an SDP.
fn downlinks(description: &Value) -> Vec<(String, String)> {
    let sdp = description["sdp"].as_str().expect("an SDP");
    let mut found: Vec<_> = sdp
        .split("m=")
        .filter_map(|media| {
            let kind = media.split(' ').next()?;
            let msid = media.lines().find_map(|line| line.strip_prefix("a=msid:"))?;
            Some((kind.to_owned(), msid.split(' ').next()?.to_owned()))
        })
        .collect();
    found.sort();
    found
}

fn block(rules: Value) -> Value {
    json!({ "forwarding_filters": [{ "name": "test", "action": "block", "rules": rules, "version": "1" }] })
}

#[tokio::test]
async fn a_blocked_track_is_not_offered_and_its_packets_do_not_come() {
    let server = server().await;
    let url = server.signaling_url();
    let blocked = Client::connected(&url, connect("sendonly", json!({ "client_id": "blocked" }))).await;
    let wanted = Client::connected(&url, connect("sendonly", json!({ "client_id": "wanted" }))).await;
    let rules = json!([[
        { "field": "client_id", "operator": "is_in", "values": ["blocked"] },
        { "field": "kind", "operator": "is_in", "values": ["audio"] },
    ]]);
    let receiver = Client::connected(&url, connect("recvonly", block(rules))).await;
    let (blocked_id, wanted_id) = (blocked.connection_id().await, wanted.connection_id().await);
    let mut expected = vec![
        ("audio".to_owned(), wanted_id.clone()),
        ("video".to_owned(), blocked_id.clone()),
        ("video".to_owned(), wanted_id.clone()),
    ];
    expected.sort();
    assert_eq!(downlinks(&receiver.message("offer").await), expected);
    // The blocked one first: had it been forwarded, it would be there when the wanted one is.
    blocked.send_media(MediaKind::Audio, &b"blocked"[..]);
    wanted.send_media(MediaKind::Audio, &b"wanted"[..]);
    let sources = receiver
        .wait("sound", |seen| {
            let sound = seen.iter().filter_map(|s| match s {
                Seen::Rtp { kind: MediaKind::Audio, source, .. } => Some(source.clone()),
                _ => None,
            });
            let sources: Vec<String> = sound.collect();
            (!sources.is_empty()).then_some(sources)
        })
        .await;
    assert_eq!(sources, [wanted_id]);
}

#[tokio::test]
async fn a_filter_holds_for_those_who_come_later() {
    let server = server().await;
    let url = server.signaling_url();
    let rules = json!([[{ "field": "kind", "operator": "is_in", "values": ["video"] }]]);
    let filter = json!({ "forwarding_filter": { "rules": rules } });
    let receiver = Client::connected(&url, connect("recvonly", filter)).await;
    let sender = Client::connected(&url, connect("sendonly", json!({}))).await;
    let re_offer = receiver.message("re-offer").await;
    assert_eq!(downlinks(&re_offer), [("audio".to_owned(), sender.connection_id().await)]);
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_refused() {
    let server = server().await;
    for more in [
        json!({ "forwarding_filters": "all" }),
        json!({ "forwarding_filter": { "action": "drop", "rules": [] } }),
        block(json!([[{ "field": "role", "operator": "is_in", "values": [] }]])),
    ] {
        let client = Client::start(&server.signaling_url(), connect("recvonly", more)).await;
        assert_eq!(client.closed().await, (4490, "INVALID-FORWARDING-FILTER".to_owned()));
    }
}
