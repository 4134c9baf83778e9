use sora_rtp::VideoCodecType;

use crate::vpx::{VpxCodec, VpxDecoder, VpxEncoder};
use crate::{CodecError, VideoDecoder, VideoEncoder, VideoEncoderConfig};

/// Which backend wins when several do the same: the higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Slow or limited; better than nothing.
    Fallback,
    /// The usual software codec.
    Standard,
    /// Hardware, or what the user asked for.
    Preferred,
}

type MakeEncoder = Box<dyn Fn(VideoEncoderConfig) -> Result<Box<dyn VideoEncoder>, CodecError> + Send + Sync>;
type MakeDecoder = Box<dyn Fn(u32) -> Result<Box<dyn VideoDecoder>, CodecError> + Send + Sync>;

/// What one backend offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    /// The codec.
    pub codec: VideoCodecType,
    /// Name of the backend.
    pub backend: &'static str,
    /// Its rank.
    pub tier: Tier,
    /// It encodes.
    pub encoder: bool,
    /// It decodes.
    pub decoder: bool,
}

struct Entry {
    capability: Capability,
    encoder: Option<MakeEncoder>,
    decoder: Option<MakeDecoder>,
}

/// The codecs at hand. A backend whose library is absent is simply not registered.
pub struct CodecRegistry(Vec<Entry>);

impl std::fmt::Debug for CodecRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.capabilities()).finish()
    }
}

impl Default for CodecRegistry {
    /// The software codecs of this build.
    fn default() -> Self {
        let mut registry = Self(Vec::new());
        for (codec, kind) in [(VideoCodecType::Vp8, VpxCodec::Vp8), (VideoCodecType::Vp9, VpxCodec::Vp9)] {
            registry.register(
                codec,
                "libvpx",
                Tier::Standard,
                Some(Box::new(move |config| Ok(Box::new(VpxEncoder::new(kind, config)) as Box<dyn VideoEncoder>))),
                Some(Box::new(move |threads| Ok(Box::new(VpxDecoder::new(kind, threads)?) as Box<dyn VideoDecoder>))),
            );
        }
        registry
    }
}

impl CodecRegistry {
    /// Adds a backend.
    pub fn register(
        &mut self,
        codec: VideoCodecType,
        backend: &'static str,
        tier: Tier,
        encoder: Option<MakeEncoder>,
        decoder: Option<MakeDecoder>,
    ) {
        let capability = Capability { codec, backend, tier, encoder: encoder.is_some(), decoder: decoder.is_some() };
        self.0.push(Entry { capability, encoder, decoder });
        self.0.sort_by_key(|entry| std::cmp::Reverse(entry.capability.tier));
    }

    /// Everything registered, best first.
    pub fn capabilities(&self) -> impl Iterator<Item = Capability> {
        self.0.iter().map(|entry| entry.capability)
    }

    /// True if something decodes this codec.
    #[must_use]
    pub fn decodes(&self, codec: VideoCodecType) -> bool {
        self.capabilities().any(|c| c.codec == codec && c.decoder)
    }

    /// True if something encodes this codec.
    #[must_use]
    pub fn encodes(&self, codec: VideoCodecType) -> bool {
        self.capabilities().any(|c| c.codec == codec && c.encoder)
    }

    /// The best encoder for a codec.
    ///
    /// # Errors
    /// [`CodecError::Unsupported`] if nothing encodes it, or what the backend says.
    pub fn encoder(
        &self,
        codec: VideoCodecType,
        config: VideoEncoderConfig,
    ) -> Result<Box<dyn VideoEncoder>, CodecError> {
        let make = self.0.iter().find_map(|e| e.encoder.as_ref().filter(|_| e.capability.codec == codec));
        make.ok_or(CodecError::Unsupported { codec, operation: "encoding" })?(config)
    }

    /// The best decoder for a codec, with the threads it may use.
    ///
    /// # Errors
    /// [`CodecError::Unsupported`] if nothing decodes it, or what the backend says.
    pub fn decoder(&self, codec: VideoCodecType, threads: u32) -> Result<Box<dyn VideoDecoder>, CodecError> {
        let make = self.0.iter().find_map(|e| e.decoder.as_ref().filter(|_| e.capability.codec == codec));
        make.ok_or(CodecError::Unsupported { codec, operation: "decoding" })?(threads)
    }
}
