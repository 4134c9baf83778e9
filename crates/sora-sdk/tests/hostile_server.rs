//! A mock server that misbehaves on purpose: whatever it does, the connection ends once, in bounded time, with a
//! reason, and the process lives. (No real server does these things, so there is no real peer for them.)

use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sora_sdk::{CodecRegistry, Connection, ConnectionConfig, ConnectionEvent, ErrorCode, Role};
use sora_signaling::Event;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const DEADLINE: Duration = Duration::from_secs(20);

type Socket = WebSocketStream<TcpStream>;

/// Runs `misbehave` against one connection that has said `connect`, and returns how that ended.
fn ending<F, R>(misbehave: F) -> (ErrorCode, String)
where
    F: FnOnce(Socket) -> R + Send + 'static,
    R: Future<Output = ()> + Send,
{
    ending_of_tcp(async |tcp| {
        let mut socket = tokio_tungstenite::accept_async(tcp).await.expect("an upgrade");
        let connect = socket.next().await.expect("a message").expect("readable");
        assert!(connect.to_text().expect("text").contains("\"type\":\"connect\""));
        misbehave(socket).await;
    })
}

/// The same from the first byte.
fn ending_of_tcp<F, R>(misbehave: F) -> (ErrorCode, String)
where
    F: FnOnce(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send,
{
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a listener");
    let url = format!("ws://{}/signaling", listener.local_addr().expect("bound"));
    runtime.spawn(async move {
        let (tcp, _) = listener.accept().await.expect("a connection");
        misbehave(tcp).await;
    });
    let (told, ends) = mpsc::channel();
    let mut config = ConnectionConfig::new(vec![url], Role::SendRecv, "test");
    config.websocket_connection_timeout = Duration::from_secs(1);
    config.websocket_close_timeout = Duration::from_millis(300);
    let connection = Connection::new(config, Arc::new(CodecRegistry::default()), move |event| {
        if let ConnectionEvent::Signaling(Event::Disconnected { code, message }) = event {
            let _ = told.send((code, message));
        }
    })
    .expect("a connection");
    connection.connect().expect("started");
    let end = ends.recv_timeout(DEADLINE).expect("an ending in time");
    connection.disconnect();
    assert!(ends.try_recv().is_err(), "the end is told once");
    end
}

/// Writes the same bytes until the client has had enough.
async fn write_for_ever(tcp: &mut TcpStream, bytes: &[u8]) {
    while tcp.write_all(bytes).await.is_ok() {}
}

async fn send(socket: &mut Socket, text: &str) {
    // The client may have had enough already.
    let _ = socket.send(Message::text(text)).await;
}

async fn drain(mut socket: Socket) {
    while let Some(Ok(_)) = socket.next().await {}
}

#[test]
fn messages_that_are_no_messages_are_survived() {
    let (code, message) = ending(async |mut socket| {
        for text in
            ["", "null", "[]", "{}", "{\"type\":1}", "not json", "{\"type\":\"nonsense\"}", "{\"type\":\"ping\""]
        {
            send(&mut socket, text).await;
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        send(&mut socket, &deep).await;
        let _ = socket.send(Message::binary(vec![0xff; 1000])).await;
        let _ = socket.close(None).await;
        drain(socket).await;
    });
    assert_eq!(code, ErrorCode::WebsocketOnclose, "{message}");
}

#[test]
fn an_offer_without_what_it_needs_ends_the_connection() {
    for offer in [
        r#"{"type":"offer"}"#,
        r#"{"type":"offer","sdp":1,"connection_id":"x","config":{}}"#,
        r#"{"type":"offer","sdp":"v=0","config":{}}"#,
    ] {
        let (code, message) = ending(async move |mut socket| {
            send(&mut socket, offer).await;
            drain(socket).await;
        });
        assert_eq!(code, ErrorCode::InternalError, "{message}");
    }
}

#[test]
fn an_offer_with_an_unusable_description_ends_the_connection() {
    for sdp in [
        "",
        "garbage",
        "v=0\\r\\no=- 1 1 IN IP4 0.0.0.0\\r\\ns=-\\r\\nt=0 0\\r\\n",
        "v=0\\r\\no=-\\r\\nm=video 9 x 1\\r\\n",
    ] {
        let offer = format!(r#"{{"type":"offer","sdp":"{sdp}","connection_id":"x","config":{{"iceServers":[]}}}}"#);
        let (code, message) = ending(async move |mut socket| {
            send(&mut socket, &offer).await;
            drain(socket).await;
        });
        assert_eq!(code, ErrorCode::IceFailed, "{message}");
        assert!(message.starts_with("Failed to SetOffer in offer message via WebSocket: error="), "{message}");
    }
}

/// A section as real offers have it, sending one track.
fn media_section(mid: usize) -> String {
    format!(
        "m=audio 9 UDP/TLS/RTP/SAVPF 109\\r\\nc=IN IP4 0.0.0.0\\r\\na=ice-ufrag:abcd\\r\\na=ice-pwd:{}\\r\\n\
         a=fingerprint:sha-256 {}\\r\\na=setup:actpass\\r\\na=mid:m{mid}\\r\\na=sendonly\\r\\na=rtcp-mux\\r\\n\
         a=rtpmap:109 opus/48000/2\\r\\na=msid:S{mid} t{mid}\\r\\na=ssrc:{mid} cname:x\\r\\n",
        "p".repeat(24),
        ["AB"; 32].join(":"),
    )
}

fn offer_of(sections: usize) -> String {
    let sdp: String = (1..=sections).map(media_section).collect();
    let head = "v=0\\r\\no=- 1 1 IN IP4 0.0.0.0\\r\\ns=-\\r\\nt=0 0\\r\\n";
    format!(r#"{{"type":"offer","sdp":"{head}{sdp}","connection_id":"x","config":{{"iceServers":[]}}}}"#)
}

#[test]
fn an_offer_of_more_sections_than_any_channel_has_is_refused() {
    let (code, message) = ending(async |mut socket| {
        send(&mut socket, &offer_of(5000)).await;
        drain(socket).await;
    });
    assert_eq!(code, ErrorCode::IceFailed, "{message}");
    assert!(message.contains("m-lines"), "{message}");
}

#[test]
fn an_offer_of_a_thousand_tracks_is_answered() {
    let (code, message) = ending(async |mut socket| {
        send(&mut socket, &offer_of(1000)).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.to_text().is_ok_and(|text| text.contains(r#""type":"answer""#)) {
                break;
            }
        }
        let _ = socket.close(None).await;
        drain(socket).await;
    });
    assert_eq!(code, ErrorCode::WebsocketOnclose, "{message}");
}

#[test]
fn a_message_of_a_hundred_megabytes_is_refused_by_its_length() {
    let (code, message) = ending_of_tcp(async |tcp| {
        let mut socket = tokio_tungstenite::accept_async(tcp).await.expect("an upgrade");
        socket.next().await;
        let mut header = vec![0x81, 127];
        header.extend(100_000_000_u64.to_be_bytes());
        let tcp = socket.get_mut();
        let _ = tcp.write_all(&header).await;
        write_for_ever(tcp, &[b'x'; 4096]).await;
    });
    assert_eq!(code, ErrorCode::WebsocketOnerror, "{message}");
}

#[test]
fn a_message_in_endless_fragments_ends_the_connection() {
    let (code, message) = ending_of_tcp(async |tcp| {
        let mut socket = tokio_tungstenite::accept_async(tcp).await.expect("an upgrade");
        socket.next().await;
        let tcp = socket.get_mut();
        let _ = tcp.write_all(&[0x01, 1, b'x']).await;
        let fragment = [vec![0x00, 126, 0x40, 0x00], vec![b'x'; 0x4000]].concat();
        write_for_ever(tcp, &fragment).await;
    });
    assert_eq!(code, ErrorCode::WebsocketOnerror, "{message}");
}

#[test]
fn a_frame_that_is_cut_off_is_an_end_of_file() {
    let (code, message) = ending_of_tcp(async |tcp| {
        let mut socket = tokio_tungstenite::accept_async(tcp).await.expect("an upgrade");
        socket.next().await;
        let _ = socket.get_mut().write_all(&[0x81, 100, b'x']).await;
    });
    assert_eq!(code, ErrorCode::WebsocketOnerror, "{message}");
}

#[test]
fn an_upgrade_that_drips_is_given_up() {
    let (code, message) = ending_of_tcp(async |mut tcp| {
        let _ = tcp.write_all(b"HTTP/1.1 101 Switching Protocols\r\nX-Filler: ").await;
        while tcp.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!((code, message.as_str()), (ErrorCode::InternalError, "Connection timeout"));
}

#[test]
fn an_upgrade_without_end_is_refused() {
    let (code, message) = ending_of_tcp(async |mut tcp| {
        let _ = tcp.write_all(b"HTTP/1.1 101 Switching Protocols\r\n").await;
        write_for_ever(&mut tcp, b"X-Filler: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n").await;
    });
    assert_eq!(code, ErrorCode::WebsocketHandshakeFailed, "{message}");
}

#[test]
fn another_protocol_is_a_failed_handshake() {
    let (code, message) = ending_of_tcp(async |mut tcp| {
        let mut request = [0; 4096];
        let _ = tcp.read(&mut request).await;
        let _ = tcp.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n").await;
    });
    assert_eq!(code, ErrorCode::WebsocketHandshakeFailed, "{message}");
}

#[test]
fn a_dropped_connection_is_told_as_such() {
    let (code, message) = ending(async |socket| drop(socket));
    assert_eq!(
        (code, message.as_str()),
        (ErrorCode::WebsocketOnerror, "Failed to read WebSocket: ec=End of file wscode=0 wsreason=")
    );
}

#[test]
fn a_server_that_does_not_close_is_left_in_time() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a listener");
    let url = format!("ws://{}/signaling", listener.local_addr().expect("bound"));
    let (greeted, greeting) = mpsc::channel();
    runtime.spawn(async move {
        let (tcp, _) = listener.accept().await.expect("a connection");
        let mut socket = tokio_tungstenite::accept_async(tcp).await.expect("an upgrade");
        let _ = socket.next().await;
        let _ = greeted.send(());
        std::future::pending::<()>().await;
    });
    let (told, ends) = mpsc::channel();
    let mut config = ConnectionConfig::new(vec![url], Role::SendRecv, "test");
    config.websocket_close_timeout = Duration::from_millis(200);
    let connection = Connection::new(config, Arc::new(CodecRegistry::default()), move |event| {
        if let ConnectionEvent::Signaling(event) = event {
            let _ = told.send(event);
        }
    })
    .expect("a connection");
    connection.connect().expect("started");
    greeting.recv_timeout(DEADLINE).expect("connected");
    connection.disconnect();
    let events: Vec<Event> = ends.try_iter().collect();
    assert!(events.contains(&Event::WsClose { code: 4999, reason: "DISCONNECT-WAIT-TIMEOUT-ERROR".to_owned() }));
    let Some(Event::Disconnected { code, .. }) = events.last() else { panic!("the end comes last: {events:?}") };
    assert_eq!(*code, ErrorCode::CloseFailed);
}
