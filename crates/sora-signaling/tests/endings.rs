//! Every row of the tables of endings: what the application is told, with which code and words.

mod common;

use common::{CLOSED, Harness, LABELS};
use serde_json::json;
use sora_signaling::ErrorCode::*;
use sora_signaling::{Action, WebSocketFailure};

const NO_ERROR: &str = r#"{"type":"disconnect","reason":"NO-ERROR"}"#;
const TIMED_OUT: Option<(u16, &str)> = Some((4999, "DISCONNECT-WAIT-TIMEOUT-ERROR"));
const SELF_CLOSED: Option<(u16, &str)> = Some((1000, "SELF-CLOSED"));

// ---- while connecting ------------------------------------------------------------------------------------------

#[test]
fn unusable_urls_are_an_invalid_parameter() {
    let mut h = Harness::new();
    h.session.websocket_failed("Invalid Signaling URL: x | ", true);
    h.assert_end(None, InvalidParameter, "Invalid Signaling URL: x | ");
}

#[test]
fn a_failed_handshake_names_the_last_url() {
    let mut h = Harness::new();
    h.session.handshake_failed("Connection refused", "ws://a/", None);
    let text = "Failed Websocket handshake: last_ec=Connection refused last_url=ws://a/";
    h.assert_end(None, WebsocketHandshakeFailed, text);
}

#[test]
fn a_failed_handshake_through_a_proxy_names_the_proxy() {
    let mut h = Harness::new();
    h.session.handshake_failed("e", "wss://a/", Some("http://p:1"));
    let text = "Failed Websocket handshake: last_ec=e last_url=wss://a/ proxy_url=http://p:1";
    h.assert_end(None, WebsocketHandshakeFailed, text);
}

#[test]
fn thirty_seconds_without_a_websocket_are_a_timeout() {
    let mut h = Harness::new();
    h.wait(29.9);
    assert_eq!(h.ended(), None);
    h.wait(0.2);
    h.assert_end(None, InternalError, "Connection timeout");
}

#[test]
fn thirty_seconds_without_an_offer_are_a_timeout() {
    let mut h = Harness::opened();
    h.wait(30.1);
    h.assert_end(None, InternalError, "Connection timeout");
}

#[test]
fn an_answer_that_leads_to_no_connection_fails_within_the_connect_timeout() {
    let mut h = Harness::opened();
    h.text(&common::offer());
    h.session.answer_created("v=0");
    h.wait(30.1);
    h.assert_end(None, PeerConnectionStateFailed, "PeerConnectionState::kFailed");
}

#[test]
fn disconnect_while_connecting_succeeds_at_once() {
    let mut h = Harness::new();
    h.disconnect();
    h.assert_end(None, CloseSucceeded, "Close was called in connecting");
}

#[test]
fn a_close_4490_before_the_offer_is_onclose() {
    let mut h = Harness::opened();
    h.session.websocket_closed(4490, "INVALID-ROLE");
    let text = format!("Failed to read WebSocket: ec={CLOSED} wscode=4490 wsreason=INVALID-ROLE");
    h.assert_end(Some((4490, "INVALID-ROLE")), WebsocketOnclose, &text);
}

#[test]
fn a_close_1000_before_the_offer_succeeds() {
    let mut h = Harness::opened();
    h.session.websocket_closed(1000, "BYE");
    let text = format!("Succeeded to close WebSocket from server: ec={CLOSED} wscode=1000 wsreason=BYE");
    h.assert_end(Some((1000, "BYE")), CloseSucceeded, &text);
}

#[test]
fn an_offer_without_what_it_needs_ends_with_a_clear_text() {
    for missing in ["sdp", "connection_id", "config"] {
        let mut h = Harness::opened();
        let mut offer = common::offer();
        offer.as_object_mut().expect("object").remove(missing);
        h.text(&offer);
        h.run();
        let (code, text) = h.ended().expect("an end");
        assert_eq!(code, InternalError);
        assert!(text.contains("offer") && text.contains(missing), "{text}");
    }
}

#[test]
fn a_redirect_that_cannot_be_followed_says_why() {
    let redirect = json!({ "type": "redirect", "location": "wss://b/signaling" });
    let mut h = Harness::opened();
    h.text(&redirect);
    h.session.handshake_failed("Connection refused", "wss://b/signaling", None);
    let text = "Failed Websocket handshake in redirecting: ec=Connection refused url=wss://b/signaling";
    h.assert_end(SELF_CLOSED, WebsocketHandshakeFailed, text);

    let mut h = Harness::opened();
    h.text(&redirect);
    h.wait(30.1);
    h.assert_end(SELF_CLOSED, InternalError, "Connection timeout in redirection");

    let mut h = Harness::opened();
    h.text(&json!({ "type": "redirect", "location": "http://b" }));
    h.assert_end(SELF_CLOSED, InvalidParameter, "Invalid URL: url=http://b");
}

#[test]
fn disconnect_while_redirecting_succeeds() {
    let mut h = Harness::opened();
    h.text(&json!({ "type": "redirect", "location": "wss://b" }));
    h.disconnect();
    h.assert_end(SELF_CLOSED, CloseSucceeded, "Close was called in connecting");
}

#[test]
fn redirects_in_a_circle_come_to_an_end() {
    let mut h = Harness::opened();
    for _ in 0..20 {
        h.text(&json!({ "type": "redirect", "location": "wss://b" }));
        h.session.websocket_opened(h.now);
    }
    h.assert_end(SELF_CLOSED, InternalError, "Redirected more than 10 times");
}

#[test]
fn an_offer_that_cannot_be_applied_says_goodbye_first() {
    let mut h = Harness::opened();
    h.text(&common::offer());
    h.session.offer_failed(false, "Expect line: o=");
    h.run();
    assert_eq!(h.ended(), None);
    assert!(h.has_sent("ws", NO_ERROR));
    h.session.websocket_closed(1000, "TYPE-DISCONNECT");
    let text = "Failed to SetOffer in offer message via WebSocket: error=Expect line: o=, \
                internal_message=Succeeded to close WebSocket (DC signaling is not enabled)";
    h.assert_end(Some((1000, "TYPE-DISCONNECT")), IceFailed, text);
}

#[test]
fn an_answer_that_cannot_be_made_ends_even_if_the_server_says_nothing() {
    let mut h = Harness::opened();
    h.text(&common::offer());
    h.session.offer_failed(true, "e");
    h.wait(3.1);
    let text = "Failed to CreateAnswer in offer message via WebSocket: error=e, \
                internal_message=Failed to close WebSocket: ec=Operation canceled wscode=0 wsreason=";
    h.assert_end(TIMED_OUT, IceFailed, text);
}

#[test]
fn a_later_offer_that_cannot_be_applied_names_its_transport() {
    for (kind, name) in [("re-offer", "re-offer"), ("update", "update")] {
        let mut h = Harness::connected();
        h.text(&json!({ "type": kind, "sdp": "x" }));
        h.session.offer_failed(false, "e");
        h.session.websocket_closed(1000, "");
        let text = format!(
            "Failed to SetOffer in {name} message via WebSocket: error=e, \
             internal_message=Succeeded to close WebSocket (DC signaling is not enabled)"
        );
        h.assert_end(Some((1000, "")), IceFailed, &text);
    }
    let mut h = Harness::data_channel_only();
    h.channel("signaling", &json!({ "type": "re-offer", "sdp": "x" }));
    h.session.offer_failed(false, "e");
    h.close_channels();
    let text = "Failed to SetOffer in re-offer message via DataChannel: error=e, \
                internal_message=Succeeded to close DataChannel";
    h.assert_end(SELF_CLOSED, IceFailed, text);
}

#[test]
fn a_forced_goodbye_in_hybrid_mode_says_internal_error() {
    let mut h = Harness::hybrid();
    h.channel("signaling", &json!({ "type": "re-offer", "sdp": "x" }));
    h.session.offer_failed(false, "e");
    h.run();
    assert!(h.has_sent("signaling", r#"{"type":"disconnect","reason":"INTERNAL-ERROR"}"#));
}

// ---- unsolicited -----------------------------------------------------------------------------------------------

#[test]
fn a_close_1000_without_data_channels_succeeds() {
    let mut h = Harness::connected();
    h.session.websocket_closed(1000, "LIFETIME-EXPIRED");
    let text = format!("Succeeded to close WebSocket from server: ec={CLOSED} wscode=1000 wsreason=LIFETIME-EXPIRED");
    h.assert_end(Some((1000, "LIFETIME-EXPIRED")), CloseSucceeded, &text);
}

#[test]
fn a_close_1000_in_hybrid_mode_succeeds_and_tells_the_server_why() {
    let mut h = Harness::hybrid();
    h.session.websocket_closed(1000, "DISCONNECTED-API");
    let text = format!(
        "Succeeded to close WebSocket and DataChannel from server: ec={CLOSED} wscode=1000 wsreason=DISCONNECTED-API"
    );
    h.assert_end(Some((1000, "DISCONNECTED-API")), CloseSucceeded, &text);
    assert!(h.has_sent("signaling", r#"{"type":"disconnect","reason":"WEBSOCKET-ONCLOSE"}"#));
}

#[test]
fn another_close_code_is_onclose_in_every_mode() {
    let text = format!("Failed to read WebSocket: ec={CLOSED} wscode=1011 wsreason=OOPS");
    let mut h = Harness::connected();
    h.session.websocket_closed(1011, "OOPS");
    h.assert_end(Some((1011, "OOPS")), WebsocketOnclose, &text);
    let mut h = Harness::hybrid();
    h.session.websocket_closed(1011, "OOPS");
    h.assert_end(Some((1011, "OOPS")), WebsocketOnclose, &text);
    assert!(h.has_sent("signaling", r#"{"type":"disconnect","reason":"WEBSOCKET-ONCLOSE"}"#));
}

#[test]
fn a_close_frame_without_a_code_is_onclose_0() {
    let mut h = Harness::connected();
    h.session.websocket_closed(0, "");
    let text = format!("Failed to read WebSocket: ec={CLOSED} wscode=0 wsreason=");
    h.assert_end(Some((0, "")), WebsocketOnclose, &text);
}

#[test]
fn an_end_of_file_and_a_reset_are_onerror() {
    for (failure, ec) in [(WebSocketFailure::Eof, "End of file"), (WebSocketFailure::Reset, "Connection reset by peer")]
    {
        let text = format!("Failed to read WebSocket: ec={ec} wscode=0 wsreason=");
        let mut h = Harness::connected();
        h.session.websocket_broken(&failure);
        h.assert_end(Some((0, "")), WebsocketOnerror, &text);
        let mut h = Harness::hybrid();
        h.session.websocket_broken(&failure);
        h.assert_end(Some((0, "")), WebsocketOnerror, &text);
        assert!(h.has_sent("signaling", r#"{"type":"disconnect","reason":"WEBSOCKET-ONERROR"}"#));
    }
}

#[test]
fn the_loss_of_a_websocket_that_was_let_go_is_nothing() {
    let mut h = Harness::data_channel_only();
    assert_eq!(h.ws_close(), Some((1000, "SELF-CLOSED".to_owned())));
    h.session.websocket_broken(&WebSocketFailure::Eof);
    h.session.websocket_closed(1006, "");
    h.wait(3600.0);
    assert_eq!(h.ended(), None);
}

#[test]
fn a_failed_peer_connection_ends_without_a_word_to_the_server() {
    for mut h in [Harness::connected(), Harness::hybrid()] {
        h.session.peer_failed();
        h.assert_end(None, PeerConnectionStateFailed, "PeerConnectionState::kFailed");
        assert!(!h.sent().iter().any(|(_, text)| text.contains("disconnect")));
    }
}

#[test]
fn the_servers_close_takes_effect_when_all_channels_are_closed() {
    for (code, text) in [
        (1000, "Succeeded to close DataChannel: reason=DISCONNECTED-API"),
        (4490, "Failed to close DataChannel: code=4490 ec=Success"),
    ] {
        let close = json!({ "type": "close", "code": code, "reason": "DISCONNECTED-API" });
        let mut h = Harness::data_channel_only();
        h.channel("signaling", &close);
        for label in &LABELS[1..] {
            h.session.data_channel_closed(label);
        }
        h.run();
        assert_eq!(h.ended(), None);
        h.session.data_channel_closed("signaling");
        h.assert_end(SELF_CLOSED, CloseSucceeded, text);

        // In hybrid mode the WebSocket goes without a callback, whichever closes first.
        let mut h = Harness::hybrid();
        h.channel("signaling", &close);
        h.session.websocket_closed(1000, "DISCONNECTED-API");
        h.close_channels();
        h.assert_end(None, CloseSucceeded, text);
    }
}

#[test]
fn a_server_that_says_close_and_closes_nothing_is_waited_for_five_seconds() {
    let mut h = Harness::data_channel_only();
    h.channel("signaling", &json!({ "type": "close", "code": 1000, "reason": "R" }));
    h.wait(4.9);
    assert_eq!(h.ended(), None);
    h.wait(0.2);
    h.assert_end(SELF_CLOSED, CloseSucceeded, "Succeeded to close DataChannel: reason=R");
}

#[test]
fn channels_that_close_unasked_end_the_session() {
    let mut h = Harness::data_channel_only();
    h.close_channels();
    h.assert_end(SELF_CLOSED, PeerConnectionStateFailed, "DataChannel was closed by the server");

    let mut h = Harness::hybrid();
    h.session.data_channel_closed("signaling");
    h.wait(4.9);
    assert_eq!(h.ended(), None, "the WebSocket's close may be on its way");
    h.wait(0.2);
    assert!(h.has_sent("ws", r#"{"type":"disconnect","reason":"DATACHANNEL-ONCLOSE"}"#));
    h.assert_end(None, PeerConnectionStateFailed, "DataChannel was closed by the server");
}

#[test]
fn channels_that_close_before_the_websocket_leave_the_word_to_the_websocket() {
    let mut h = Harness::hybrid();
    h.close_channels();
    h.session.websocket_closed(1000, "DISCONNECTED-API");
    let text = format!(
        "Succeeded to close WebSocket and DataChannel from server: ec={CLOSED} wscode=1000 wsreason=DISCONNECTED-API"
    );
    h.assert_end(Some((1000, "DISCONNECTED-API")), CloseSucceeded, &text);
}

// ---- disconnect() ----------------------------------------------------------------------------------------------

#[test]
fn disconnect_over_the_websocket() {
    let mut h = Harness::connected();
    h.disconnect();
    assert!(h.has_sent("ws", NO_ERROR));
    h.session.websocket_closed(1000, "TYPE-DISCONNECT");
    let text = "Succeeded to close WebSocket (DC signaling is not enabled)";
    h.assert_end(Some((1000, "TYPE-DISCONNECT")), CloseSucceeded, text);

    let mut h = Harness::connected();
    h.disconnect();
    h.wait(2.9);
    assert_eq!(h.ended(), None);
    h.wait(0.2);
    let text = "Failed to close WebSocket: ec=Operation canceled wscode=0 wsreason=";
    h.assert_end(TIMED_OUT, CloseFailed, text);
}

#[test]
fn disconnect_in_hybrid_mode() {
    let text = "Succeeded to close Websocket (DC signaling is enabled)";
    let end = Some((1000, "TYPE-DISCONNECT"));
    // Channels first, WebSocket first, or the WebSocket only.
    for channels_first in [true, false] {
        let mut h = Harness::hybrid();
        h.disconnect();
        assert!(h.has_sent("signaling", NO_ERROR));
        if channels_first {
            h.close_channels();
            assert_eq!(h.ended(), None);
        }
        h.session.websocket_closed(1000, "TYPE-DISCONNECT");
        h.assert_end(end, CloseSucceeded, text);
    }
    let mut h = Harness::hybrid();
    h.disconnect();
    h.wait(5.1);
    let text = "Failed to close WebSocket (Close timeout): ec=Connection timed out wscode=4999 \
                wsreason=DISCONNECT-WAIT-TIMEOUT-ERROR";
    h.assert_end(TIMED_OUT, CloseFailed, text);
}

#[test]
fn a_hybrid_server_that_closes_only_the_channels_is_waited_for_three_seconds() {
    let text = "Failed to close WebSocket (DC succeeded): ec=Operation canceled wscode=0 wsreason=";
    let mut h = Harness::hybrid();
    h.disconnect();
    h.now += std::time::Duration::from_secs(4);
    h.close_channels();
    h.wait(2.9);
    assert_eq!(h.ended(), None);
    h.wait(0.2);
    h.assert_end(TIMED_OUT, CloseFailed, text);
}

#[test]
fn disconnect_over_data_channels() {
    let mut h = Harness::data_channel_only();
    h.disconnect();
    assert!(h.has_sent("signaling", NO_ERROR));
    h.close_channels();
    h.assert_end(SELF_CLOSED, CloseSucceeded, "Succeeded to close DataChannel");

    let mut h = Harness::data_channel_only();
    h.disconnect();
    h.session.peer_closed(h.now);
    h.assert_end(SELF_CLOSED, CloseSucceeded, "Succeeded to close DataChannel");

    let mut h = Harness::data_channel_only();
    h.disconnect();
    h.wait(5.1);
    h.assert_end(SELF_CLOSED, CloseFailed, "Failed to close DataChannel: ec=Connection timed out");

    let mut h = Harness::data_channel_only();
    h.session.data_channel_closed("signaling");
    h.disconnect();
    let text = "Failed to close DataChannel: ec=Transport endpoint is not connected";
    h.assert_end(SELF_CLOSED, CloseFailed, text);
}

#[test]
fn disconnect_before_switched_is_over_the_websocket_even_if_switched_comes_then() {
    let mut h = Harness::connected();
    h.disconnect();
    h.text(&json!({ "type": "switched", "ignore_disconnect_websocket": true }));
    h.session.websocket_closed(1000, "TYPE-DISCONNECT");
    let text = "Succeeded to close WebSocket (DC signaling is not enabled)";
    h.assert_end(Some((1000, "TYPE-DISCONNECT")), CloseSucceeded, text);
}

#[test]
fn signaling_that_does_not_move_to_the_channels_it_should_is_a_timeout() {
    let mut h = Harness::connected();
    LABELS.iter().for_each(|label| h.session.data_channel_opened(label));
    h.wait(179.9);
    assert_eq!(h.ended(), None);
    h.wait(0.2);
    h.session.websocket_closed(1000, "TYPE-DISCONNECT");
    let text = "Signaling did not move to data channels within data_channel_signaling_timeout, \
                internal_message=Succeeded to close WebSocket (DC signaling is not enabled)";
    h.assert_end(Some((1000, "TYPE-DISCONNECT")), InternalError, text);
}

#[test]
fn a_websocket_that_breaks_during_goodbye_is_a_failed_close() {
    let mut h = Harness::connected();
    h.disconnect();
    h.session.websocket_broken(&WebSocketFailure::Eof);
    h.assert_end(Some((0, "")), CloseFailed, "Failed to close WebSocket: ec=End of file wscode=0 wsreason=");
}

#[test]
fn a_second_disconnect_and_everything_after_the_end_are_nothing() {
    let mut h = Harness::hybrid();
    h.channel("signaling", &json!({ "type": "re-offer", "sdp": "x" }));
    h.session.peer_failed();
    h.run();
    h.disconnect();
    h.session.offer_applied();
    h.session.answer_created("v=0");
    h.session.local_candidate("candidate:1");
    h.session.data_channel_opened("#late");
    h.session.websocket_closed(1000, "");
    h.session.stats_collected(&[]);
    h.channel("notify", &json!({ "type": "notify" }));
    assert!(h.run().is_empty());
    assert_eq!(h.ended().map(|(code, _)| code), Some(PeerConnectionStateFailed));
    assert!(h.actions.iter().any(|action| matches!(action, Action::ClosePeer)));
}
