//! What one packet brings to its picture.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::references::Dependency;
use crate::annexb::UnitPart;
use crate::{
    PayloadError, RtpPacket, VideoCodecType, Vp8Descriptor, Vp9Descriptor, av1, h264, h265, superframe, vp8, vp9,
};

#[derive(Debug)]
pub(super) enum Data {
    /// A piece of the bitstream; empty for padding.
    Piece(Bytes),
    /// Pieces that only make a bitstream together.
    Av1(av1::Av1Part),
}

#[derive(Debug)]
pub(super) struct Part {
    pub(super) timestamp: u32,
    /// A picture can begin with it.
    pub(super) begins: bool,
    /// Even if the packet before it is not known.
    pub(super) surely_begins: bool,
    pub(super) ends: bool,
    /// Decoding can start with it if the whole picture is one to start with.
    pub(super) key: bool,
    /// It makes the picture one to start with.
    pub(super) intra: bool,
    /// It begins in the middle of a unit of the packet before (H.264, H.265, AV1) or of a layer frame (VP9).
    pub(super) continues: bool,
    /// Its last unit or its layer frame goes on in the packet behind.
    pub(super) unfinished: bool,
    pub(super) picture_id: Option<u16>,
    pub(super) dependency: Option<Box<Dependency>>,
    pub(super) arrival: Instant,
    /// `None` for a packet that cannot be read; a picture containing one is broken.
    pub(super) data: Option<Data>,
}

impl Part {
    pub(super) fn read(codec: VideoCodecType, packet: RtpPacket) -> Self {
        let mut part = Self {
            timestamp: packet.timestamp,
            begins: false,
            surely_begins: false,
            ends: packet.marker,
            key: false,
            intra: false,
            continues: false,
            unfinished: false,
            picture_id: None,
            dependency: None,
            arrival: packet.arrival,
            data: None,
        };
        let payload = packet.payload;
        let data = if payload.is_empty() {
            Ok(Data::Piece(payload))
        } else {
            match codec {
                VideoCodecType::H264 => h264::read(&payload).map(|read| part.take_units(read)),
                VideoCodecType::H265 => h265::read(&payload).map(|read| part.take_units(read)),
                VideoCodecType::Av1 => av1::read(&payload).map(|read| {
                    (part.begins, part.key, part.intra) = (!read.continues, read.key, read.key);
                    (part.continues, part.unfinished) = (read.continues, read.unfinished);
                    Data::Av1(read)
                }),
                VideoCodecType::Vp8 => Vp8Descriptor::parse(&payload).and_then(|read| part.take_vp8(read, &payload)),
                VideoCodecType::Vp9 => Vp9Descriptor::parse(&payload).and_then(|read| part.take_vp9(read, &payload)),
            }
        };
        part.data = data.ok();
        part
    }

    fn take_units(&mut self, read: UnitPart) -> Data {
        (self.begins, self.key, self.intra) = (!read.continues, read.key, read.intra);
        (self.continues, self.unfinished) = (read.continues, read.unfinished);
        Data::Piece(read.data)
    }

    fn take_vp8(&mut self, read: (Vp8Descriptor, usize), payload: &Bytes) -> Result<Data, PayloadError> {
        let (descriptor, offset) = read;
        let data = behind(VideoCodecType::Vp8, offset, payload)?;
        self.begins = descriptor.begins_frame();
        self.surely_begins = self.begins;
        self.picture_id = descriptor.picture_id;
        self.key = self.begins && vp8::is_key_frame(&data);
        self.intra = self.key;
        if self.begins && descriptor.temporal_id.is_some() {
            self.dependency = Some(Box::new(Dependency::Vp8(descriptor)));
        }
        Ok(Data::Piece(data))
    }

    fn take_vp9(&mut self, read: (Vp9Descriptor, usize), payload: &Bytes) -> Result<Data, PayloadError> {
        let (descriptor, offset) = read;
        let data = behind(VideoCodecType::Vp9, offset, payload)?;
        let base = descriptor.spatial_id.unwrap_or(0) == 0;
        // A receiver may get pictures without their lowest layers, but only if the others do not need them.
        self.begins = descriptor.begins_layer_frame && (base || !descriptor.inter_layer);
        self.surely_begins = descriptor.begins_layer_frame && base;
        self.continues = !descriptor.begins_layer_frame;
        self.unfinished = !descriptor.ends_layer_frame;
        self.picture_id = descriptor.picture_id;
        self.key = self.surely_begins && !descriptor.inter_predicted && vp9::is_key_frame(&data);
        self.intra = self.key;
        if descriptor.begins_layer_frame {
            self.dependency = Some(Box::new(Dependency::Vp9(descriptor)));
        }
        Ok(Data::Piece(data))
    }

    pub(super) fn is_padding(&self) -> bool {
        matches!(&self.data, Some(Data::Piece(piece)) if piece.is_empty())
    }
}

/// The data behind a descriptor. Without data it would look like padding inside a picture.
fn behind(codec: VideoCodecType, offset: usize, payload: &Bytes) -> Result<Bytes, PayloadError> {
    if offset < payload.len() {
        Ok(payload.slice(offset..))
    } else {
        Err(PayloadError::Truncated { codec, needed: offset + 1, actual: payload.len() })
    }
}

/// The bitstream of a whole picture; `None` if what looked whole is none.
pub(super) fn join(codec: VideoCodecType, parts: BTreeMap<u64, Part>) -> Option<Bytes> {
    let (mut pieces, mut av1_parts) = (Vec::new(), Vec::new());
    for part in parts.into_values() {
        match part.data? {
            Data::Piece(piece) => pieces.push((part.continues, piece)),
            Data::Av1(part) => av1_parts.push(part),
        }
    }
    if !av1_parts.is_empty() {
        return av1::join(&av1_parts);
    }
    if codec == VideoCodecType::Vp9 {
        let frames: Vec<Bytes> = pieces.chunk_by(|_, (continues, _)| *continues).map(concat).collect();
        return superframe::join(frames);
    }
    Some(concat(&pieces))
}

fn concat(pieces: &[(bool, Bytes)]) -> Bytes {
    if let [(_, piece)] = pieces {
        return piece.clone();
    }
    let mut joined = BytesMut::with_capacity(pieces.iter().map(|(_, piece)| piece.len()).sum());
    pieces.iter().for_each(|(_, piece)| joined.extend_from_slice(piece));
    joined.freeze()
}
