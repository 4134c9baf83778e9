//! The messages as they are on the wire.

use serde_json::{Value, json};
use sora_signaling::message::{
    AudioOptions, ClientMessage, Connect, DataChannelOptions, IceServer, InvalidConnect, MessageError, NotifyHead,
    Offer, OfferConfig, Role, ServerMessage, VideoOptions,
};
use sora_signaling::{Action, Event};

/// What the reference client sent with every argument set, without its own name, version and `multistream`.
const FULL: &str = r##"{"type":"connect","role":"sendrecv","channel_id":"plain:full","sora_client":"c","environment":"e","client_id":"cid","bundle_id":"bid","simulcast":true,"simulcast_rid":"r1","spotlight":true,"spotlight_number":3,"spotlight_focus_rid":"r2","spotlight_unfocus_rid":"r0","metadata":{"k":"v","n":1,"b":true,"z":null,"l":[1,"あ",[],{}],"o":{"p":{"q":1}},"big":2147483647,"e":""},"signaling_notify_metadata":{"nm":[1.5,"x"]},"video":{"codec_type":"VP8","bit_rate":1234,"vp9_params":{"profile_id":2},"av1_params":{"profile":1},"h264_params":{"profile_level_id":"42e01f"}},"audio":{"codec_type":"OPUS","bit_rate":64},"audio_streaming_language_code":"ja-JP","data_channel_signaling":true,"ignore_disconnect_websocket":true,"data_channels":[{"label":"#spam","direction":"sendrecv","ordered":true,"max_packet_life_time":5000,"protocol":"abc","compress":true},{"label":"#egg","direction":"recvonly","ordered":false,"max_retransmits":3},{"label":"#min","direction":"sendonly"}],"forwarding_filter":{"action":"block","rules":[[{"field":"connection_id","operator":"is_in","values":["A","B"]}]],"version":"v1","metadata":{"m":1}}}"##;
/// With every argument false or empty.
const FALSE: &str = r#"{"type":"connect","role":"sendrecv","channel_id":"plain:false","sora_client":"c","environment":"e","simulcast":false,"spotlight":false,"metadata":{},"signaling_notify_metadata":[],"video":{"vp9_params":{}},"audio":false,"data_channel_signaling":false,"ignore_disconnect_websocket":false,"forwarding_filter":{"rules":[]}}"#;

fn read(text: &str) -> Connect {
    match ClientMessage::parse(text).expect("connect") {
        ClientMessage::Connect(connect) => *connect,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_references_connect_is_read_and_written_byte_for_byte() {
    for text in [FULL, FALSE] {
        let connect = read(text);
        assert_eq!(connect.to_json(), text);
        assert_eq!(connect.validate(), Ok(()));
    }
}

#[test]
fn empty_strings_zeros_and_nulls_are_left_out() {
    let connect = Connect {
        role: Some(Role::RecvOnly),
        channel_id: "c".to_owned(),
        client_id: Some(String::new()),
        spotlight_number: Some(0),
        metadata: Some(Value::Null),
        video: Some(VideoOptions { bit_rate: Some(0), codec_type: Some(String::new()), ..VideoOptions::default() }),
        audio: Some(AudioOptions::default()),
        ..Connect::default()
    };
    let expected = r#"{"type":"connect","role":"recvonly","channel_id":"c","sora_client":"","environment":"","video":true,"audio":true}"#;
    assert_eq!(connect.to_json(), expected);
}

#[test]
fn absent_audio_and_video_mean_on() {
    let connect = read(r#"{"type":"connect","role":"sendonly","channel_id":"c"}"#);
    assert!(connect.audio.is_some() && connect.video.is_some());
}

#[test]
fn a_server_refuses_fields_of_the_wrong_type() {
    for (text, reason) in [
        ("{", "INVALID-JSON"),
        ("[]", "INVALID-JSON"),
        ("{}", "INVALID-MESSAGE"),
        (r#"{"type":1}"#, "INVALID-MESSAGE"),
        (r#"{"type":"answer"}"#, "INVALID-MESSAGE"),
        (r#"{"type":"connect"}"#, "INVALID-CONNECT-MESSAGE"),
        (r#"{"type":"connect","role":"sendrecv","channel_id":1}"#, "INVALID-CONNECT-MESSAGE"),
        (r#"{"type":"connect","role":"sendrecv","channel_id":"c","video":1}"#, "INVALID-CONNECT-MESSAGE"),
        (
            r#"{"type":"connect","role":"sendrecv","channel_id":"c","video":{"bit_rate":"x"}}"#,
            "INVALID-CONNECT-MESSAGE",
        ),
        (r#"{"type":"connect","role":"sendrecv","channel_id":"c","simulcast":1}"#, "INVALID-CONNECT-MESSAGE"),
        (r#"{"type":"connect","role":"sendrecv","channel_id":"c","data_channels":[{}]}"#, "INVALID-CONNECT-MESSAGE"),
    ] {
        let error = ClientMessage::parse(text).err();
        assert_eq!(error.as_ref().map(MessageError::close_reason), Some(reason), "{text}");
    }
}

#[test]
fn a_server_says_which_value_it_refuses() {
    let good = || read(FULL);
    let channel = |label: &str| DataChannelOptions {
        label: label.to_owned(),
        direction: "sendrecv".to_owned(),
        ordered: None,
        max_packet_life_time: None,
        max_retransmits: None,
        protocol: None,
        compress: None,
        header: None,
    };
    let both = DataChannelOptions { max_packet_life_time: Some(1), max_retransmits: Some(1), ..channel("#ab") };
    let huge = DataChannelOptions { max_retransmits: Some(65_536), ..channel("#ab") };
    let video = |bit_rate| Some(VideoOptions { bit_rate: Some(bit_rate), ..VideoOptions::default() });
    let audio = |bit_rate| Some(AudioOptions { bit_rate: Some(bit_rate), ..AudioOptions::default() });
    let vp7 = Some(VideoOptions { codec_type: Some("VP7".to_owned()), ..VideoOptions::default() });
    let pcmu = Some(AudioOptions { codec_type: Some("PCMU".to_owned()), ..AudioOptions::default() });
    let long = || Some("x".repeat(256));
    for (connect, reason) in [
        (Connect { role: None, ..good() }, "INVALID-ROLE"),
        (Connect { role: Some(Role::Other("x".to_owned())), ..good() }, "INVALID-ROLE"),
        (Connect { channel_id: String::new(), ..good() }, "INVALID-CHANNEL-ID"),
        (Connect { channel_id: "x".repeat(256), ..good() }, "INVALID-CHANNEL-ID"),
        (Connect { client_id: long(), ..good() }, "INVALID-CLIENT-ID"),
        (Connect { bundle_id: long(), ..good() }, "INVALID-BUNDLE-ID"),
        (Connect { video: vp7, ..good() }, "INVALID-VIDEO-CODEC-TYPE"),
        (Connect { audio: pcmu, ..good() }, "INVALID-AUDIO-CODEC-TYPE"),
        (Connect { video: video(50_001), ..good() }, "INVALID-VIDEO-BIT-RATE"),
        (Connect { audio: audio(5), ..good() }, "INVALID-AUDIO-BIT-RATE"),
        (Connect { spotlight: None, ..good() }, "INVALID-SPOTLIGHT"),
        (Connect { data_channels: vec![channel("chat")], ..good() }, "INVALID-DATA-CHANNELS"),
        (Connect { data_channels: vec![channel("#ab"), channel("#ab")], ..good() }, "INVALID-DATA-CHANNELS"),
        (Connect { data_channels: vec![both], ..good() }, "INVALID-DATA-CHANNELS"),
        (Connect { data_channels: vec![huge], ..good() }, "INVALID-DATA-CHANNELS"),
    ] {
        let error = connect.validate().expect_err(reason);
        assert_eq!(InvalidConnect::close_reason(&error), reason);
        assert!(error.to_string().len() > 10);
    }
}

#[test]
fn a_client_reads_an_offer_whose_optional_fields_are_wrong_or_missing() {
    let text = json!({
        "type": "offer", "sdp": "v=0", "connection_id": "C", "new": {},
        "config": { "iceServers": [1, { "urls": "turn:a" }, { "urls": ["turn:b", 2], "username": null, "credential": 3 }] },
        "client_id": 1, "mid": "x", "simulcast": "yes", "video_bit_rate": 1.5, "encodings": [{}, { "rid": "r0" }],
        "data_channels": [{ "compress": true }, { "label": "#a", "compress": "x" }, { "label": "#b", "compress": true }],
    })
    .to_string();
    let ServerMessage::Offer(offer) = ServerMessage::parse(&text).expect("offer") else { panic!("offer") };
    let urls: Vec<&Vec<String>> = offer.config.ice_servers.iter().map(|server| &server.urls).collect();
    assert_eq!(urls, [&["turn:a"], &["turn:b"]]);
    assert!(offer.client_id.is_none() && offer.mid.is_none() && offer.video_bit_rate.is_none());
    assert_eq!(offer.encodings.map(|encodings| encodings.len()), Some(1));
    let channels: Vec<(String, bool)> =
        offer.data_channels.unwrap_or_default().into_iter().map(|c| (c.label, c.compress)).collect();
    assert_eq!(channels, [("#a".to_owned(), false), ("#b".to_owned(), true)]);
}

#[test]
fn messages_of_both_sides_are_written_as_they_are_read() {
    for text in [
        r#"{"type":"redirect","location":"wss://b"}"#,
        r#"{"type":"re-offer","sdp":"x"}"#,
        r#"{"type":"update","sdp":"x"}"#,
        r#"{"type":"switched","ignore_disconnect_websocket":true}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"ping","stats":true}"#,
        r#"{"type":"req-stats"}"#,
        r#"{ "type":"notify", "event_type":"network.status"}"#,
        r#"{"type":"push","data":{"a":[1]}}"#,
        r#"{"type":"close","code":1000,"reason":"R"}"#,
        r#"{"type":"newer","x":1}"#,
        r#"{"type":"offer","sdp":"s","connection_id":"C","config":{"iceServers":[]}}"#,
    ] {
        assert_eq!(ServerMessage::parse(text).expect(text).to_json(), text);
    }
    for text in [
        r#"{"type":"answer","sdp":"x"}"#,
        r#"{"type":"re-answer","sdp":"x"}"#,
        r#"{"type":"candidate","candidate":"c"}"#,
        r#"{"type":"pong"}"#,
        r#"{"type":"pong","stats":[]}"#,
        r#"{"type":"stats","reports":[]}"#,
        r#"{"type":"disconnect","reason":"NO-ERROR"}"#,
    ] {
        assert_eq!(ClientMessage::parse(text).expect(text).to_json(), text);
    }
}

#[test]
fn a_notification_is_kept_verbatim_with_its_head_read() {
    let text = r#"{"type":"notify","event_type":"connection.created","connection_id":"C","minutes":0}"#;
    let ServerMessage::Notify { head, .. } = ServerMessage::parse(text).expect("notify") else { panic!("notify") };
    assert_eq!(head, NotifyHead { event_type: "connection.created".to_owned(), connection_id: Some("C".to_owned()) });
    assert!(ServerMessage::parse(r#"{"type":"notify","event_type":1,"connection_id":[]}"#).is_ok());
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let secret = "s3cr3t";
    let connect = Connect {
        metadata: Some(json!({ "access_token": secret })),
        signaling_notify_metadata: Some(json!(secret)),
        ..Connect::default()
    };
    let server = IceServer { urls: vec![], username: secret.to_owned(), credential: secret.to_owned() };
    let mut offer =
        json!({ "sdp": format!("a=ice-pwd:{secret}"), "connection_id": "C", "config": {}, "metadata": secret });
    let mut offer: Offer = serde_json::from_value(offer.take()).expect("offer");
    offer.config = OfferConfig { ice_servers: vec![server], ice_transport_policy: None };
    let text = connect.to_json();
    assert!(text.contains(secret));
    let shown = format!(
        "{connect:?} {offer:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        ClientMessage::parse(&text),
        Action::SendWebSocket(text.clone()),
        Action::SetOffer(Box::new(offer.clone())),
        Action::ConnectWebSocket(format!("wss://{secret}:{secret}@host/signaling?token={secret}")),
        Event::SetOffer(text.clone()),
        Event::Message { label: "#a".to_owned(), data: secret.as_bytes().to_vec() },
    );
    assert!(!shown.contains(secret), "{shown}");
    assert!(shown.contains("wss://host/signaling"));
}
