//! What a packetizer has to know about a picture.

/// A picture to packetize, besides its bitstream. The default is a delta picture of a stream without layers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PictureInfo {
    /// True if it can be decoded without any earlier one.
    pub key_frame: bool,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Its temporal layer, if the stream has some.
    pub temporal: Option<TemporalLayer>,
    /// Its spatial layers, lowest first; empty for a single one.
    pub spatial: Vec<SpatialLayer>,
}

/// Where a picture stands among the temporal layers of its stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TemporalLayer {
    /// Its layer, less than `count`. Key frames are of layer 0.
    pub id: u8,
    /// Layers in the stream: 1 to 4 for VP8. For VP9 1 to 3, and every key frame begins the pattern 0, or 0 1, or
    /// 0 2 1 2 anew.
    pub count: u8,
    /// VP8: it depends on the base layer only (RFC 7741, Y). VP9: no later picture of a higher layer depends on one
    /// of a higher layer before it (RFC 9628, U).
    pub switching_up: bool,
}

/// One layer frame of a picture. The picture's bitstream is that of its layer frames, one after another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpatialLayer {
    /// Bytes of the layer frame.
    pub len: usize,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Predicted from the layer below in the same picture.
    pub inter_layer: bool,
}
