//! Encoded frames on their way, for the program to look at and to change (W3C webrtc-encoded-transform): between encoder
//! and packets when they are sent, between packets and decoder when they are received.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::SinkError;
use crate::queue::Queue;

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameDirection {
    /// It was received.
    Receiver = 1,
    /// It is to be sent.
    Sender = 2,
}

/// The stream a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameStream {
    /// Its synchronisation source (RFC 3550 section 3); of a stream that is sent 0 until it has one.
    pub ssrc: u32,
    /// Its payload type.
    pub payload_type: u8,
    /// Its media type as in IANA's registry, for example `video/VP8`.
    pub mime_type: &'static str,
}

/// What is known of a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VideoFrameMetadata {
    /// It can be decoded without any earlier one.
    pub key_frame: bool,
    /// Width in pixels; 0 if the packets do not tell.
    pub width: u32,
    /// Height in pixels; 0 if the packets do not tell.
    pub height: u32,
    /// Its spatial layer.
    pub spatial_index: u8,
    /// Its temporal layer.
    pub temporal_index: u8,
    /// Its number in its stream, from 1; of pictures that are sent only.
    pub frame_id: Option<i64>,
    /// The number of the picture it refers to, if there is one and the stream has no temporal layers.
    pub dependency: Option<i64>,
}

/// What is known of a piece of sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AudioFrameMetadata {
    /// The sequence number of its packet; of received ones only.
    pub sequence_number: Option<u16>,
    /// When its packet came; of received ones only.
    pub arrival: Option<Instant>,
}

/// What is known of a frame besides its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameMetadata {
    /// Of a picture.
    Video(VideoFrameMetadata),
    /// Of sound.
    Audio(AudioFrameMetadata),
}

/// Where a frame goes on. Nothing is told of those that do not: they are missed by their numbers.
pub(crate) trait Way: Send {
    /// It goes on, as it is now.
    fn forward(self: Box<Self>, data: Bytes, rtp_timestamp: u32);
}

/// An encoded frame that waits for the program's word. It goes on with [`forward`](Self::forward). If it does not, or
/// after a later one, the pictures that refer to it do not go on either, and a key frame is asked for when one of them is
/// forwarded.
pub struct TransformableFrame {
    /// The encoded frame. What packetizers and servers read of it has to stay as it is: for H.264 and AV1 the whole
    /// structure of NAL units and OBUs, for VP8 the first byte, which tells key frames.
    pub data: Bytes,
    /// Its RTP timestamp (90 kHz for video, 48 kHz for Opus).
    pub rtp_timestamp: u32,
    stream: FrameStream,
    direction: FrameDirection,
    metadata: FrameMetadata,
    way: Box<dyn Way>,
}

impl fmt::Debug for TransformableFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransformableFrame")
            .field("len", &self.data.len())
            .field("stream", &self.stream)
            .field("direction", &self.direction)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

impl TransformableFrame {
    pub(crate) fn new(
        (data, rtp_timestamp): (Bytes, u32),
        (stream, direction): (FrameStream, FrameDirection),
        metadata: FrameMetadata,
        way: impl Way + 'static,
    ) -> Self {
        Self { data, rtp_timestamp, stream, direction, metadata, way: Box::new(way) }
    }

    /// The stream it belongs to.
    #[must_use]
    pub const fn stream(&self) -> FrameStream {
        self.stream
    }

    /// Which way it goes.
    #[must_use]
    pub const fn direction(&self) -> FrameDirection {
        self.direction
    }

    /// What is known of it.
    #[must_use]
    pub const fn metadata(&self) -> FrameMetadata {
        self.metadata
    }

    /// Lets it go on, on any thread. Never blocks for long: it is cut into packets, or put into a queue.
    pub fn forward(self) {
        self.way.forward(self.data, self.rtp_timestamp);
    }
}

/// Sees the encoded frames of a track in their order. Called on the thread that encodes, of received pictures on the one
/// that decodes, of received sound on the one that serves the network: none of them may be held up, and sound that is
/// sent must not be pushed to its source from here. [`TransformerThread`] is for those who need time.
pub trait FrameTransformer: Send + Sync {
    /// Takes a frame, to [forward](TransformableFrame::forward) it now, later or never.
    fn transform(&self, frame: TransformableFrame);
}

impl<F: Fn(TransformableFrame) + Send + Sync> FrameTransformer for F {
    fn transform(&self, frame: TransformableFrame) {
        self(frame);
    }
}

/// A transformer shared by any number of tracks. Cloning gives another handle.
#[derive(Clone)]
pub struct Transformer(pub Arc<dyn FrameTransformer>);

impl Transformer {
    /// Shares a transformer.
    pub fn new(transformer: impl FrameTransformer + 'static) -> Self {
        Self(Arc::new(transformer))
    }
}

impl fmt::Debug for Transformer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transformer")
    }
}

/// Gives frames to a callback on a thread of its own. If it falls behind, the oldest frames are dropped.
pub struct TransformerThread(Arc<Queue<TransformableFrame>>);

impl fmt::Debug for TransformerThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransformerThread").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

impl TransformerThread {
    /// Starts. At most `capacity` frames wait, at least 1.
    ///
    /// # Errors
    /// [`SinkError::Thread`] if no thread can be started.
    pub fn start(
        capacity: usize,
        callback: impl FnMut(TransformableFrame) + Send + 'static,
    ) -> Result<Self, SinkError> {
        let queue = Arc::new(Queue::new(capacity.max(1)));
        queue.call_with_each("sora-transform", callback)?;
        Ok(Self(queue))
    }

    /// Frames dropped because the callback fell behind.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }
}

impl FrameTransformer for TransformerThread {
    fn transform(&self, frame: TransformableFrame) {
        self.0.push(frame);
    }
}

impl Drop for TransformerThread {
    fn drop(&mut self) {
        self.0.close();
    }
}
