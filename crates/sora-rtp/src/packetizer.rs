//! Encoded pictures to RTP payloads.

use bytes::{BufMut, Bytes, BytesMut};

use crate::vp8::Vp8Descriptor;
use crate::vp9::{SCALABILITY_LEN, Vp9Descriptor, Vp9Packet};
use crate::{UnsupportedPayloadFormat, VideoCodecType, av1, h264};

/// Payload bytes that fit a 1200 byte datagram with SRTP, header extensions and RTX.
pub const DEFAULT_MAX_PAYLOAD: usize = 1160;

/// Cuts encoded pictures of one stream into RTP payloads of nearly equal size.
///
/// All payloads of a VP8 or VP9 picture share one allocation, filled in one pass.
#[derive(Debug)]
pub struct VideoPacketizer {
    codec: VideoCodecType,
    max_payload: usize,
    picture_id: u16,
}

impl VideoPacketizer {
    /// A packetizer whose payloads have at most `max_payload` bytes (clamped to 100 to 65 000).
    ///
    /// # Errors
    /// [`UnsupportedPayloadFormat`] for H.265.
    pub fn new(codec: VideoCodecType, max_payload: usize) -> Result<Self, UnsupportedPayloadFormat> {
        match codec {
            VideoCodecType::H265 => Err(UnsupportedPayloadFormat(codec)),
            _ => Ok(Self { codec, max_payload: max_payload.clamp(100, 65_000), picture_id: 0 }),
        }
    }

    /// The codec whose payload format is written.
    #[must_use]
    pub const fn codec(&self) -> VideoCodecType {
        self.codec
    }

    /// Payloads of one picture in sending order; none for an empty picture.
    ///
    /// H.264 is taken as Annex B, AV1 in the low-overhead format; what cannot be read gives no payloads.
    /// `width` and `height` are written into the scalability structure of VP9 key frames.
    pub fn packetize(&mut self, frame: &[u8], key_frame: bool, width: u16, height: u16) -> Vec<Bytes> {
        if frame.is_empty() {
            return Vec::new();
        }
        match self.codec {
            VideoCodecType::H264 => return h264::packetize(frame, self.max_payload),
            VideoCodecType::Av1 => return av1::packetize(frame, self.max_payload),
            _ => {}
        }
        let (descriptor, first_extra) = match self.codec {
            VideoCodecType::Vp9 => (3, if key_frame { SCALABILITY_LEN } else { 0 }),
            _ => (Vp8Descriptor::WRITTEN_LEN, 0),
        };
        let room = self.max_payload - descriptor;
        let count = (frame.len() + first_extra).div_ceil(room);
        // Equal parts: a short last packet costs as much as a full one and is lost as easily.
        let share = (frame.len() + first_extra).div_ceil(count);
        let mut buffer = BytesMut::with_capacity(frame.len() + first_extra + count * descriptor);
        let mut payloads = Vec::with_capacity(count);
        let mut rest = frame;
        for index in 0..count {
            let (first, last) = (index == 0, index + 1 == count);
            let take = if last { rest.len() } else { (share - if first { first_extra } else { 0 }).min(rest.len()) };
            let (part, after) = rest.split_at(take);
            rest = after;
            match self.codec {
                VideoCodecType::Vp9 => Vp9Descriptor::write(
                    &Vp9Packet {
                        picture_id: self.picture_id,
                        key_frame,
                        first,
                        last,
                        resolution: (first && key_frame).then_some((width, height)),
                    },
                    &mut buffer,
                ),
                _ => buffer.put_slice(&Vp8Descriptor::write(self.picture_id, first)),
            }
            buffer.put_slice(part);
            payloads.push(buffer.split().freeze());
        }
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        payloads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_bounded_equal_and_complete() {
        for codec in [VideoCodecType::Vp8, VideoCodecType::Vp9] {
            let mut packetizer = VideoPacketizer::new(codec, 200).expect("supported");
            for length in [1, 150, 196, 197, 198, 199, 200, 390, 1000, 12_345] {
                for key in [true, false] {
                    let frame: Vec<u8> = (0..length).map(|i| i as u8).collect();
                    let payloads = packetizer.packetize(&frame, key, 640, 480);
                    assert!(payloads.iter().all(|p| p.len() <= 200), "{codec} {length}");
                    let joined: Vec<u8> = payloads
                        .iter()
                        .flat_map(|p| {
                            let offset = match codec {
                                VideoCodecType::Vp9 => Vp9Descriptor::parse(p).expect("own").1,
                                _ => Vp8Descriptor::parse(p).expect("own").1,
                            };
                            assert!(p.len() > offset, "no payload without data");
                            p[offset..].to_vec()
                        })
                        .collect();
                    assert_eq!(joined, frame);
                }
            }
            assert!(packetizer.packetize(&[], true, 1, 1).is_empty());
        }
    }

    #[test]
    fn codecs_without_a_payload_format_are_refused() {
        let error = VideoPacketizer::new(VideoCodecType::H265, 1160).expect_err("not yet");
        assert_eq!(error, UnsupportedPayloadFormat(VideoCodecType::H265));
    }
}
