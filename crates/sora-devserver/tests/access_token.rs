//! With a secret, only clients with a good access token are let in.

mod common;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use common::token::sign;
use common::{Client, config, connect};
use serde_json::{Value, json};
use sora_devserver::{Secret, Server, ServerConfig};

const SECRET: &str = "a secret for tests";

async fn server() -> Server {
    let config = ServerConfig { jwt_secret: Some(Secret::from(SECRET.to_owned())), ..config() };
    Server::start(config).await.expect("a server")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn with_token(role: &str, token: &str) -> Value {
    connect(role, json!({ "metadata": { "access_token": token } }))
}

#[tokio::test]
async fn a_good_token_lets_a_client_in() {
    let server = server().await;
    let claims = json!({ "channel_id": "sora", "exp": now() + 60, "nbf": now() - 1, "iat": now(), "sub": "someone" });
    Client::connected(&server.signaling_url(), with_token("sendrecv", &sign(SECRET, claims))).await;
}

#[tokio::test]
async fn every_other_token_is_refused_with_its_reason() {
    let server = server().await;
    let url = server.signaling_url();
    let invalid = "AUTH-ACCESS-TOKEN-INVALID";
    let good = sign(SECRET, json!({ "channel_id": "sora" }));
    let unsigned = good.rsplit_once('.').expect("three parts").0.to_owned() + ".";
    let other_key = sign("another secret", json!({ "channel_id": "sora" }));
    let cases = [
        (connect("sendrecv", json!({})), "AUTH-ACCESS-TOKEN-MISSING"),
        (connect("sendrecv", json!({ "metadata": "text" })), "AUTH-ACCESS-TOKEN-MISSING"),
        (connect("sendrecv", json!({ "metadata": { "access_token": 1 } })), invalid),
        (with_token("sendrecv", ""), invalid),
        (with_token("sendrecv", &unsigned), invalid),
        (with_token("sendrecv", &other_key), invalid),
        (with_token("sendrecv", &sign(SECRET, json!({}))), invalid),
        (with_token("sendrecv", &sign(SECRET, json!({ "channel_id": "sora", "exp": "soon" }))), invalid),
        (with_token("sendrecv", &sign(SECRET, json!({ "channel_id": "sora", "audio": 1 }))), invalid),
        (with_token("sendrecv", &sign(SECRET, json!({ "channel_id": "sora", "connection_lifetime": 0 }))), invalid),
        (
            with_token("sendrecv", &sign(SECRET, json!({ "channel_id": "sora", "exp": now() }))),
            "AUTH-ACCESS-TOKEN-EXPIRED",
        ),
        (
            with_token("sendrecv", &sign(SECRET, json!({ "channel_id": "sora", "nbf": now() + 60 }))),
            "AUTH-ACCESS-TOKEN-NOT-YET-VALID",
        ),
        (with_token("sendrecv", &sign(SECRET, json!({ "channel_id": "other" }))), "AUTH-CHANNEL-ID-MISMATCH"),
        (
            with_token("sendrecv", &sign(SECRET, json!({ "channel_id": "sora", "video_codec_type": "VP7" }))),
            "INVALID-VIDEO-CODEC-TYPE",
        ),
    ];
    for (connect, reason) in cases {
        let client = Client::start(&url, connect).await;
        assert_eq!(client.closed().await, (4490, reason.to_owned()));
    }
}

#[tokio::test]
async fn claims_go_before_what_the_client_asks_for() {
    let server = server().await;
    let url = server.signaling_url();
    let claims = json!({
        "channel_id": "sora", "audio": false, "video": true, "video_codec_type": "VP8", "video_bit_rate": 700,
        "simulcast": false,
    });
    let mut message = with_token("sendrecv", &sign(SECRET, claims));
    message["video"] = json!({ "codec_type": "AV1", "bit_rate": 3000 });
    let offer = Client::connected(&url, message).await.message("offer").await;
    assert_eq!((&offer["audio"], &offer["mid"]), (&json!(false), &json!({ "video": "video_up" })));
    assert_eq!((&offer["video_codec_type"], &offer["video_bit_rate"]), (&json!("VP8"), &json!(700)));
    let sdp = offer["sdp"].as_str().expect("an SDP");
    assert!(sdp.contains("VP8/90000") && !sdp.contains("AV1/90000") && !sdp.contains("m=audio"), "{sdp}");
}

#[tokio::test]
async fn a_connection_ends_when_its_lifetime_does() {
    let server = server().await;
    let claims = json!({ "channel_id": "sora", "connection_lifetime": 1 });
    let client = Client::connected(&server.signaling_url(), with_token("sendrecv", &sign(SECRET, claims))).await;
    assert_eq!(client.closed().await, (1000, "LIFETIME-EXPIRED".to_owned()));
}

#[tokio::test]
async fn an_empty_secret_is_refused() {
    let config = ServerConfig { jwt_secret: Some(Secret::from(String::new())), ..config() };
    assert!(Server::start(config).await.is_err());
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn neither_token_nor_secret_reaches_the_log() {
    let log = Log::default();
    let writer = log.clone();
    // For the whole process: the server's tasks run on the same runtime, and other tests may log into it too.
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
    let server = server().await;
    let url = server.signaling_url();
    let good = sign(SECRET, json!({ "channel_id": "sora" }));
    let bad = sign("another secret", json!({ "channel_id": "sora" }));
    Client::connected(&url, with_token("sendrecv", &good)).await;
    assert_eq!(Client::start(&url, with_token("sendrecv", &bad)).await.closed().await.0, 4490);
    let log = String::from_utf8_lossy(&log.0.lock().expect("no panic")).into_owned();
    assert!(log.contains("connection refused"), "the refusal is logged: {log}");
    for token in [&good, &bad] {
        for part in token.split('.').skip(1) {
            assert!(!log.contains(part), "{log}");
        }
    }
    assert!(!log.contains(SECRET), "{log}");
}
