//! From encoded pictures to packets: at once, or by way of a transformer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

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

/// Where a picture stands in its stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    /// Its number, from 1.
    number: u64,
    /// That of the key frame it depends on; its own if it is one.
    key: u64,
    /// How many pictures that others can refer to there are from that key frame to before this one.
    references: u64,
}

struct Stream {
    rid: Option<Arc<str>>,
    packetizer: VideoPacketizer,
    described: FrameStream,
    /// The place of the next picture that is encoded.
    next: Place,
    /// The place of the picture that may be sent next: everything it depends on has been sent.
    expected: Place,
    /// A key frame is needed.
    key_frame_wanted: bool,
    /// Pictures sent.
    sent: u64,
}

impl Stream {
    /// Gives a picture that was encoded its place.
    fn place(&mut self, info: &PictureInfo) -> Place {
        let number = self.next.number + 1;
        if info.key_frame {
            self.next = Place { number, key: number, references: 0 };
        }
        let place = Place { number, ..self.next };
        self.next = Place { number, key: place.key, references: place.references + u64::from(is_reference(info)) };
        place
    }

    /// The picture's packets; none if it cannot be sent, or should not because what it depends on was not.
    fn packets(&mut self, data: &[u8], timestamp: u32, place: Place, info: &PictureInfo) -> Option<EncodedFrame> {
        if place.number <= self.expected.number {
            // Later ones have gone before it.
            return None;
        }
        if !info.key_frame && (place.key, place.references) != (self.expected.key, self.expected.references) {
            self.want_key_frame(place);
            return None;
        }
        self.packetizer.skip(place.number - self.expected.number - 1);
        self.expected.number = place.number;
        let payloads = self.packetizer.packetize(data, info);
        if payloads.is_empty() {
            self.want_key_frame(place);
            return None;
        }
        Some(EncodedFrame { timestamp, payloads, key_frame: info.key_frame, marker: true, rid: self.rid.clone() })
    }

    fn was_sent(&mut self, place: Place, info: &PictureInfo) {
        let references = place.references + u64::from(is_reference(info));
        self.expected = Place { number: place.number, key: place.key, references };
    }

    /// Nobody can go on from this picture, unless a newer key frame is on its way already.
    fn want_key_frame(&mut self, place: Place) {
        self.key_frame_wanted |= place.key == self.next.key;
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
            Mutex::new(Stream {
                rid,
                packetizer: VideoPacketizer::new(codec, DEFAULT_MAX_PAYLOAD),
                described: FrameStream { ssrc, payload_type, mime_type: mime_type(codec) },
                next: Place::default(),
                expected: Place::default(),
                key_frame_wanted: false,
                sent: 0,
            })
        });
        Arc::new(Self { streams: streams.collect(), output: Mutex::new(output), transformer })
    }

    fn stream(&self, index: usize) -> MutexGuard<'_, Stream> {
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
        let (place, described) = {
            let mut stream = self.stream(index);
            (stream.place(&info), stream.described)
        };
        let Some(transformer) = &self.transformer else {
            return self.go(index, &picture.data, timestamp, place, &info);
        };
        let frame_id = i64::try_from(place.number).unwrap_or(i64::MAX);
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
        let way = Sending { outgoing: Arc::downgrade(self), index, place, info };
        let stream = (described, FrameDirection::Sender);
        transformer.0.transform(TransformableFrame::new((picture.data, timestamp), stream, metadata, way));
    }

    fn go(&self, index: usize, data: &[u8], timestamp: u32, place: Place, info: &PictureInfo) {
        // Held until the packets are on their way, so that those of the next picture do not overtake them.
        let mut stream = self.stream(index);
        let Some(packets) = stream.packets(data, timestamp, place, info) else { return };
        // Before they go out, so that whoever has received the picture finds it counted.
        stream.sent += 1;
        if (self.output.lock().unwrap_or_else(PoisonError::into_inner))(packets) {
            stream.was_sent(place, info);
        } else {
            stream.sent -= 1;
            if is_reference(info) {
                stream.want_key_frame(place);
            }
        }
    }

    /// True once if a key frame is needed because something could not be sent.
    pub(crate) fn take_key_frame_wish(&self, index: usize) -> bool {
        std::mem::take(&mut self.stream(index).key_frame_wanted)
    }

    /// Pictures of a stream that went out.
    pub(crate) fn sent(&self, index: usize) -> u64 {
        self.stream(index).sent
    }
}

/// The way of a picture that is to be sent.
struct Sending {
    outgoing: Weak<Outgoing>,
    index: usize,
    place: Place,
    info: PictureInfo,
}

impl Way for Sending {
    fn forward(self: Box<Self>, data: Bytes, rtp_timestamp: u32) {
        if let Some(outgoing) = self.outgoing.upgrade() {
            outgoing.go(self.index, &data, rtp_timestamp, self.place, &self.info);
        }
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
