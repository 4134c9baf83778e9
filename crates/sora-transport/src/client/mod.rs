//! One client connection: signaling, data channels and RTP in one task.

mod task;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use sora_peer::{Certificate, CodecFilter, RtpPacket, TransceiverId, TransceiverInfo};
use sora_rtp::EncodedFrame;
use sora_signaling::message::Offer;
use sora_signaling::{Event, SessionConfig};
use tokio::sync::{mpsc, oneshot};

use crate::websocket::ConnectOptions;

/// Encoded frames that may wait for the task: a quarter of a second of video.
const FRAME_QUEUE: usize = 8;
const COMMAND_QUEUE: usize = 256;

/// What a connection is made from.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Signaling URLs; all are tried at once.
    pub urls: Vec<String>,
    /// How to connect to them.
    pub connect: ConnectOptions,
    /// The `connect` message and the time limits.
    pub session: SessionConfig,
    /// DTLS certificate.
    pub certificate: Certificate,
    /// Bandwidth estimate to start from, in bit/s.
    pub start_bitrate_bps: u64,
    /// Bandwidth estimate never to exceed, in bit/s.
    pub max_bitrate_bps: u64,
    /// Says whether an offered codec can be used.
    pub supports: CodecFilter,
}

/// What this side sends on a transceiver.
#[derive(Debug, Clone)]
pub struct SenderBinding {
    /// The transceiver.
    pub transceiver: TransceiverId,
    /// Stream id to announce.
    pub stream_id: String,
    /// Track id to announce.
    pub track_id: String,
    /// Simulcast layers, lowest first; empty for a single stream.
    pub rids: Vec<String>,
}

/// What the task tells its owner. All calls come from the task, one at a time, and must not block.
pub trait ClientHandler: Send {
    /// Something for the application.
    fn event(&mut self, event: Event);
    /// The first offer is applied: say what to send on which transceiver. Tracks have been told by then.
    fn bind_senders(&mut self, offer: &Offer, transceivers: &[TransceiverInfo]) -> Vec<SenderBinding>;
    /// The peer sends a track.
    fn track_added(&mut self, transceiver: &TransceiverInfo);
    /// The peer has stopped sending a track.
    fn track_ended(&mut self, transceiver: TransceiverId);
    /// Media can flow: the transceivers with their negotiated codecs.
    fn connected(&mut self, transceivers: &[TransceiverInfo]);
    /// A media packet.
    fn rtp(&mut self, transceiver: TransceiverId, packet: RtpPacket);
    /// The peer wants a key frame, of one simulcast layer if it names it.
    fn key_frame_requested(&mut self, transceiver: TransceiverId, rid: Option<&str>);
    /// The bandwidth estimate changed, in bit/s.
    fn target_bitrate(&mut self, bits_per_second: u64);
    /// The peer reported this share (0 to 1) of the packets sent on a transceiver as lost.
    fn loss_reported(&mut self, transceiver: TransceiverId, fraction: f32);
    /// Adds what the media side knows to the statistics.
    fn extend_stats(&mut self, stats: &mut Vec<Value>);
    /// Nothing more will come. Called exactly once.
    fn finished(&mut self);
}

enum Command {
    RequestKeyFrame(TransceiverId),
    SendMessage { label: String, data: Vec<u8>, accepted: oneshot::Sender<bool> },
    Stats(oneshot::Sender<Vec<Value>>),
    Disconnect,
}

struct OutgoingFrame {
    transceiver: TransceiverId,
    payload_type: u8,
    frame: EncodedFrame,
}

/// Hands encoded frames to the task. Cheap to clone; never blocks.
#[derive(Clone)]
pub struct FrameSender {
    frames: mpsc::Sender<OutgoingFrame>,
    dropped: Arc<AtomicU64>,
}

impl fmt::Debug for FrameSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameSender").field("dropped", &self.dropped).finish_non_exhaustive()
    }
}

impl FrameSender {
    /// Queues one frame. Returns false if the queue is full or the connection gone: the frame is dropped, and a video
    /// sender should make its next one a key frame.
    #[must_use]
    pub fn send(&self, transceiver: TransceiverId, payload_type: u8, frame: EncodedFrame) -> bool {
        let sent = self.frames.try_send(OutgoingFrame { transceiver, payload_type, frame }).is_ok();
        if !sent {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }
}

/// Controls a running connection. Dropping the last clone disconnects it.
#[derive(Clone)]
pub struct ClientHandle {
    commands: mpsc::Sender<Command>,
}

impl fmt::Debug for ClientHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHandle").finish_non_exhaustive()
    }
}

impl ClientHandle {
    /// Says goodbye. The end is told by `Event::Disconnected`.
    pub fn disconnect(&self) {
        if let Err(mpsc::error::TrySendError::Full(command)) = self.commands.try_send(Command::Disconnect) {
            // A full queue must not swallow a goodbye.
            let commands = self.commands.clone();
            std::thread::spawn(move || commands.blocking_send(command));
        }
    }

    /// Sends an application message and waits until the task has accepted or refused it. False if it was refused: the
    /// channel is not open, the message too large or the send buffer full.
    ///
    /// Blocks for the time of a task switch; must not be called from async code.
    #[must_use]
    pub fn send_message(&self, label: &str, data: &[u8]) -> bool {
        let (accepted, answer) = oneshot::channel();
        let command = Command::SendMessage { label: label.to_owned(), data: data.to_vec(), accepted };
        self.commands.blocking_send(command).is_ok() && answer.blocking_recv().unwrap_or(false)
    }

    /// Collects statistics. Empty after the end. Blocks like [`Self::send_message`].
    #[must_use]
    pub fn stats(&self) -> Vec<Value> {
        let (reply, answer) = oneshot::channel();
        if self.commands.blocking_send(Command::Stats(reply)).is_err() {
            return Vec::new();
        }
        answer.blocking_recv().unwrap_or_default()
    }
}

/// Asks the peer for key frames without keeping the connection alive.
#[derive(Clone)]
pub struct KeyFrameRequester(mpsc::WeakSender<Command>);

impl fmt::Debug for KeyFrameRequester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFrameRequester").finish_non_exhaustive()
    }
}

impl KeyFrameRequester {
    /// Asks for one on a transceiver. Never blocks.
    pub fn request(&self, transceiver: TransceiverId) {
        if let Some(commands) = self.0.upgrade() {
            // A lost request is asked again by the receiver that still waits for its key frame.
            let _ = commands.try_send(Command::RequestKeyFrame(transceiver));
        }
    }
}

/// Starts a connection on the given runtime. `handler` is made from what it needs to send.
pub fn spawn<H: ClientHandler + 'static>(
    runtime: &tokio::runtime::Handle,
    options: ClientOptions,
    handler: impl FnOnce(FrameSender, KeyFrameRequester) -> H,
) -> ClientHandle {
    let (commands, command_queue) = mpsc::channel(COMMAND_QUEUE);
    let (frames, frame_queue) = mpsc::channel(FRAME_QUEUE);
    let frames = FrameSender { frames, dropped: Arc::default() };
    let handler = handler(frames, KeyFrameRequester(commands.downgrade()));
    runtime.spawn(task::run(options, Box::new(handler), command_queue, frame_queue));
    ClientHandle { commands }
}
