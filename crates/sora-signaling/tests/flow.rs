//! What goes out on which transport, and what the application hears of it.

mod common;

use common::{Harness, LABELS};
use serde_json::json;
use sora_signaling::{Action, Event, MAX_MESSAGE, SendError, deflate, inflate};

fn events(actions: &[Action]) -> Vec<&Event> {
    let mut events = Vec::new();
    for action in actions {
        if let Action::Event(event) = action {
            events.push(event);
        }
    }
    events
}

fn told(actions: &[Action], event: &Event) -> bool {
    events(actions).contains(&event)
}

/// Type, by data channel, sent.
fn signals(h: &Harness) -> Vec<(&str, bool, bool)> {
    let signal = |event| match event {
        &Event::SignalingMessage { signal, ref message_type, .. } => {
            Some((message_type.as_str(), signal.data_channel, signal.sent))
        }
        _ => None,
    };
    events(&h.actions).into_iter().filter_map(signal).collect()
}

#[test]
fn the_offer_is_told_answered_and_followed_by_candidates_on_the_websocket() {
    let mut h = Harness::connected();
    h.session.local_candidate("candidate:1 1 udp 1 192.0.2.1 1 typ host");
    h.run();
    let sent: Vec<String> = h.sent().into_iter().map(|(_, text)| text).collect();
    assert!(sent[0].starts_with(r#"{"type":"connect","#));
    assert_eq!(sent[1], r#"{"type":"answer","sdp":"v=0 answer"}"#);
    assert_eq!(sent[2], r#"{"type":"candidate","candidate":"candidate:1 1 udp 1 192.0.2.1 1 typ host"}"#);
    assert_eq!(
        signals(&h),
        [("connect", false, true), ("offer", false, false), ("answer", false, true), ("candidate", false, true)]
    );
    assert!(told(&h.actions, &Event::SetOffer(common::offer().to_string())));
}

#[test]
fn everything_but_offer_and_redirect_is_dropped_before_the_offer() {
    let mut h = Harness::opened();
    for kind in ["ping", "notify", "push", "switched", "re-offer", "what"] {
        h.text(&json!({ "type": kind, "sdp": "x" }));
    }
    assert!(h.run().is_empty());
    // A broken message of another kind is survived too.
    h.text(&json!({ "type": "re-offer" }));
    assert!(matches!(events(&h.run())[..], [Event::Warning(_)]));
    h.text(&common::offer());
    assert!(h.run().iter().any(|action| matches!(action, Action::SetOffer(_))));
}

#[test]
fn a_redirect_closes_the_websocket_and_connects_with_the_redirect_flag() {
    let mut h = Harness::opened();
    h.text(&json!({ "type": "redirect", "location": "wss://b/signaling?x=1" }));
    let actions = h.run();
    assert!(actions.iter().any(|action| matches!(action, Action::DropWebSocket)));
    assert!(matches!(actions.last(), Some(Action::ConnectWebSocket(url)) if url == "wss://b/signaling?x=1"));
    h.session.websocket_opened(h.now);
    h.run();
    assert!(h.sent().last().expect("connect").1.contains(r#""redirect":true"#));
}

#[test]
fn pings_are_answered_with_and_without_statistics() {
    let mut h = Harness::connected();
    h.text(&json!({ "type": "ping" }));
    h.text(&json!({ "type": "ping", "stats": true }));
    assert!(h.run().iter().any(|action| matches!(action, Action::CollectStats)));
    h.session.stats_collected(&[json!({ "id": "a" })]);
    h.run();
    assert!(h.has_sent("ws", r#"{"type":"pong"}"#));
    assert!(h.has_sent("ws", r#"{"type":"pong","stats":[{"id":"a"}]}"#));
}

#[test]
fn after_switched_statistics_go_to_the_stats_channel_also_for_a_ping() {
    let mut h = Harness::hybrid();
    h.text(&json!({ "type": "ping", "stats": true }));
    h.session.stats_collected(&[]);
    h.channel("stats", &json!({ "type": "req-stats" }));
    h.session.stats_collected(&[json!(1)]);
    h.run();
    assert!(h.has_sent("stats", r#"{"type":"stats","reports":[]}"#));
    assert!(h.has_sent("stats", r#"{"type":"stats","reports":[1]}"#));
    assert!(!h.sent().iter().any(|(_, text)| text.contains("pong")));
}

#[test]
fn req_stats_before_switched_is_answered_with_a_pong() {
    let mut h = Harness::connected();
    h.session.data_channel_opened("stats");
    h.channel("stats", &json!({ "type": "req-stats" }));
    h.session.stats_collected(&[]);
    h.run();
    assert!(h.has_sent("ws", r#"{"type":"pong","stats":[]}"#));
}

#[test]
fn a_re_answer_follows_the_transport_of_signaling_and_not_that_of_the_re_offer() {
    let re_offer = json!({ "type": "re-offer", "sdp": "x" });
    let answer = r#"{"type":"re-answer","sdp":"y"}"#;
    let mut h = Harness::connected();
    h.text(&re_offer);
    h.session.answer_created("y");
    h.run();
    assert!(h.has_sent("ws", answer));
    let mut h = Harness::hybrid();
    h.text(&re_offer);
    h.session.answer_created("y");
    h.run();
    assert!(h.has_sent("signaling", answer) && !h.has_sent("ws", answer));
    h.text(&json!({ "type": "update", "sdp": "x" }));
    h.session.answer_created("z");
    h.run();
    assert!(h.has_sent("ws", r#"{"type":"update","sdp":"z"}"#));
}

#[test]
fn re_offers_that_come_too_early_wait_and_too_many_are_dropped() {
    let mut h = Harness::connected();
    for n in 0..20 {
        h.text(&json!({ "type": "re-offer", "sdp": format!("{n}") }));
    }
    h.run();
    for n in 0..17 {
        h.session.answer_created(&format!("{n}"));
    }
    h.run();
    let set = |action: &&Action| matches!(action, Action::SetReOffer(_));
    assert_eq!(h.actions.iter().filter(set).count(), 17, "one applied, sixteen waiting");
    assert_eq!((h.warnings(), h.session.warnings()), (3, 3));
    assert!(h.has_sent("ws", r#"{"type":"re-answer","sdp":"16"}"#));
}

#[test]
fn candidates_stay_on_the_websocket_while_there_is_one() {
    let text = r#"{"type":"candidate","candidate":"c"}"#;
    for (mut h, transport) in [(Harness::hybrid(), "ws"), (Harness::data_channel_only(), "signaling")] {
        h.session.local_candidate("c");
        h.run();
        assert!(h.has_sent(transport, text));
    }
}

#[test]
fn switched_is_told_before_the_websocket_goes() {
    let h = Harness::data_channel_only();
    let events = events(&h.actions);
    let at = |wanted: fn(&Event) -> bool| events.iter().position(|event| wanted(event)).expect("told");
    assert!(at(|e| matches!(e, Event::Switched(_))) < at(|e| matches!(e, Event::WsClose { .. })));
}

#[test]
fn every_listed_channel_is_told_once_when_open_and_no_other() {
    let mut h = Harness::connected();
    for label in LABELS.iter().chain(&["#unlisted", "signaling"]) {
        h.session.data_channel_opened(label);
    }
    h.run();
    let labels: Vec<&str> = events(&h.actions)
        .into_iter()
        .filter_map(|event| if let Event::DataChannel(label) = event { Some(label.as_str()) } else { None })
        .collect();
    assert_eq!(labels, LABELS);
}

#[test]
fn messages_are_inflated_where_the_offer_says_so() {
    let mut h = Harness::connected();
    h.session.data_channel_opened("#chat");
    h.session.data_channel_message(h.now, "#chat", &deflate(b"\x00\xff"));
    h.session.data_channel_message(h.now, "#unlisted", b"plain");
    h.session.data_channel_message(h.now, "unknown", b"{}");
    let message = |label: &str, data: &[u8]| Event::Message { label: label.to_owned(), data: data.to_vec() };
    let actions = h.run();
    assert!(told(&actions, &message("#chat", b"\x00\xff")));
    assert!(told(&actions, &message("#unlisted", b"plain")));
    assert_eq!(events(&actions).iter().filter(|event| matches!(event, Event::Message { .. })).count(), 2);
}

#[test]
fn garbage_on_a_channel_is_a_warning_and_not_the_end() {
    let mut h = Harness::hybrid();
    let bomb = deflate(&vec![0; sora_signaling::MAX_INFLATED + 1]);
    for (label, data) in [
        ("#chat", b"not zlib".to_vec()),
        ("#chat", bomb),
        ("notify", deflate(b"\xff")),
        ("notify", deflate(b"{not json")),
        ("push", deflate(b"")),
        ("signaling", deflate(b"not json")),
    ] {
        h.session.data_channel_message(h.now, label, &data);
    }
    h.text(&json!("not an object"));
    h.session.websocket_text(h.now, "{");
    h.run();
    assert_eq!((h.warnings(), h.session.warnings()), (8, 8));
    assert_eq!(h.ended(), None);
}

#[test]
fn notifications_and_pushes_come_verbatim_over_either_transport() {
    let mut h = Harness::hybrid();
    let notify = r#"{ "type":"notify" , "event_type":"x" }"#;
    h.session.websocket_text(h.now, notify);
    h.session.data_channel_message(h.now, "notify", &deflate(notify.as_bytes()));
    h.session.data_channel_message(h.now, "push", &deflate(br#"{"type":"push","data":1}"#));
    let actions = h.run();
    assert_eq!(
        events(&actions),
        [
            &Event::Notify(notify.to_owned()),
            &Event::Notify(notify.to_owned()),
            &Event::Push(r#"{"type":"push","data":1}"#.to_owned())
        ]
    );
}

#[test]
fn everything_on_the_signaling_channel_is_told() {
    let mut h = Harness::hybrid();
    h.channel("signaling", &json!({ "type": "something-new" }));
    h.run();
    assert_eq!(signals(&h).last(), Some(&("something-new", true, false)));
}

#[test]
fn application_messages_need_an_open_label_that_begins_with_a_hash() {
    let mut h = Harness::connected();
    assert_eq!(h.session.encode_message("stats", b"x"), Err(SendError::ReservedLabel));
    assert_eq!(h.session.encode_message("#chat", b"x"), Err(SendError::NotOpen));
    h.session.data_channel_opened("#chat");
    h.session.data_channel_opened("#raw");
    assert_eq!(inflate(&h.session.encode_message("#chat", b"x").expect("open")), Ok(b"x".to_vec()));
    assert_eq!(h.session.encode_message("#raw", b"x"), Ok(b"x".to_vec()));
    assert_eq!(h.session.encode_message("#raw", b""), Ok(Vec::new()));
    let long = vec![0; MAX_MESSAGE + 1];
    assert_eq!(h.session.encode_message("#raw", &long), Err(SendError::TooLarge(MAX_MESSAGE + 1)));
    assert!(h.session.encode_message("#raw", &long[1..]).is_ok());
    h.session.data_channel_closed("#chat");
    assert_eq!(h.session.encode_message("#chat", b"x"), Err(SendError::NotOpen));
    h.disconnect();
    assert_eq!(h.session.encode_message("#raw", b"x"), Err(SendError::NotOpen));
}
