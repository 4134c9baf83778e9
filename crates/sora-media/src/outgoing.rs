//! From encoded pictures to packets: at once, or by way of a transformer.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use sora_codec::{EncodedPicture, VideoCodecType};
use sora_rtp::{DEFAULT_MAX_PAYLOAD, EncodedFrame, PictureInfo, VideoPacketizer};

use crate::transform::{
    FrameDirection, FrameMetadata, FrameStream, TransformableFrame, Transformer, VideoFrameMetadata, Way,
};

/// Takes encoded frames; false if it could not.
pub(crate) type Output = Box<dyn FnMut(EncodedFrame) -> bool + Send>;

/// What goes on behind an encoder. Used by its thread, and by those on which programs forward frames.
pub(crate) struct Outgoing {
    streams: Vec<Mutex<Stream>>,
    output: Mutex<Output>,
    transformer: Option<Transformer>,
}

struct Stream {
    rid: Option<Arc<str>>,
    packetizer: VideoPacketizer,
    described: FrameStream,
    /// Pictures given to the transformer.
    frames: i64,
    /// A picture that others refer to was not sent: nothing before the next key frame is of use to anybody.
    broken: bool,
    /// A key frame is needed.
    key_frame_wanted: bool,
}

impl Stream {
    fn next_frame(&mut self) -> (FrameStream, i64) {
        self.frames += 1;
        (self.described, self.frames)
    }

    /// The picture's packets; none, and the wish for a key frame, if it cannot be sent.
    fn packets(&mut self, data: &[u8], timestamp: u32, info: &PictureInfo) -> Option<EncodedFrame> {
        if self.broken && !info.key_frame {
            self.key_frame_wanted = true;
            return None;
        }
        let payloads = self.packetizer.packetize(data, info);
        self.broken = payloads.is_empty();
        if self.broken {
            self.key_frame_wanted = true;
            return None;
        }
        Some(EncodedFrame { timestamp, payloads, key_frame: info.key_frame, marker: true, rid: self.rid.clone() })
    }
}

impl Outgoing {
    pub(crate) fn new(
        codec: VideoCodecType,
        payload_type: u8,
        rids: impl Iterator<Item = (Option<Arc<str>>, u32)>,
        transformer: Option<Transformer>,
        output: Output,
    ) -> Arc<Self> {
        let streams = rids.map(|(rid, ssrc)| {
            let described = FrameStream { ssrc, payload_type, mime_type: mime_type(codec) };
            let packetizer = VideoPacketizer::new(codec, DEFAULT_MAX_PAYLOAD);
            Mutex::new(Stream { rid, packetizer, described, frames: 0, broken: false, key_frame_wanted: false })
        });
        Arc::new(Self { streams: streams.collect(), output: Mutex::new(output), transformer })
    }

    fn stream(&self, index: usize) -> std::sync::MutexGuard<'_, Stream> {
        self.streams[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a picture, or gives it to the transformer.
    pub(crate) fn send(self: &Arc<Self>, index: usize, picture: EncodedPicture, timestamp: u32) {
        let info = PictureInfo {
            key_frame: picture.key_frame,
            width: picture.width as u16,
            height: picture.height as u16,
            temporal: picture.temporal,
            spatial: picture.spatial,
        };
        let Some(transformer) = &self.transformer else { return self.go(index, &picture.data, timestamp, &info) };
        let (described, frame_id) = self.stream(index).next_frame();
        let refers_to_last = !picture.key_frame && info.temporal.is_none();
        let metadata = FrameMetadata::Video(VideoFrameMetadata {
            key_frame: picture.key_frame,
            width: picture.width,
            height: picture.height,
            spatial_index: 0,
            temporal_index: info.temporal.map_or(0, |layer| layer.id),
            frame_id: Some(frame_id),
            dependency: refers_to_last.then_some(frame_id - 1),
        });
        let stream = (described, FrameDirection::Sender);
        let way = Sending { outgoing: self.clone(), index, info };
        transformer.0.transform(TransformableFrame::new((picture.data, timestamp), stream, metadata, way));
    }

    fn go(&self, index: usize, data: &[u8], timestamp: u32, info: &PictureInfo) {
        // Held until the packets are on their way, so that those of the next picture do not overtake them.
        let mut stream = self.stream(index);
        let Some(packets) = stream.packets(data, timestamp, info) else { return };
        if !(self.output.lock().unwrap_or_else(PoisonError::into_inner))(packets) && is_reference(info) {
            (stream.broken, stream.key_frame_wanted) = (true, true);
        }
    }

    /// True once if a key frame is needed because something could not be sent.
    pub(crate) fn take_key_frame_wish(&self, index: usize) -> bool {
        std::mem::take(&mut self.stream(index).key_frame_wanted)
    }
}

/// The way of a picture that is to be sent.
struct Sending {
    outgoing: Arc<Outgoing>,
    index: usize,
    info: PictureInfo,
}

impl Way for Sending {
    fn forward(self: Box<Self>, data: Bytes, rtp_timestamp: u32) {
        self.outgoing.go(self.index, &data, rtp_timestamp, &self.info);
    }

    fn skip(self: Box<Self>) {
        self.outgoing.stream(self.index).broken |= is_reference(&self.info);
    }
}

/// False if no other picture can refer to this one.
fn is_reference(info: &PictureInfo) -> bool {
    info.temporal.is_none_or(|layer| layer.id == 0 || layer.id + 1 < layer.count)
}

pub(crate) const fn mime_type(codec: VideoCodecType) -> &'static str {
    match codec {
        VideoCodecType::Vp8 => "video/VP8",
        VideoCodecType::Vp9 => "video/VP9",
        VideoCodecType::Av1 => "video/AV1",
        VideoCodecType::H264 => "video/H264",
        VideoCodecType::H265 => "video/H265",
    }
}
