use sora_rtp::VideoCodecType;

use crate::preference::{PreferenceError, VideoCodecPreference};
use crate::{CodecError, Implementation, VideoDecoder, VideoEncoder, VideoEncoderConfig};

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// The codec.
    pub codec: VideoCodecType,
    /// Who implements it.
    pub implementation: Implementation,
    /// Name of the backend.
    pub backend: &'static str,
    /// Its rank.
    pub tier: Tier,
    /// It encodes.
    pub encoder: bool,
    /// It decodes.
    pub decoder: bool,
    /// Version of a library that was loaded.
    pub version: Option<String>,
    /// Where a library was loaded from.
    pub path: Option<String>,
}

/// One way to encode a codec, to decode it, or both.
pub struct Backend {
    capability: Capability,
    encoder: Option<MakeEncoder>,
    decoder: Option<MakeDecoder>,
}

impl Backend {
    /// A backend that does nothing yet.
    #[must_use]
    pub fn new(codec: VideoCodecType, implementation: Implementation, backend: &'static str, tier: Tier) -> Self {
        let (version, path) = (None, None);
        let capability =
            Capability { codec, implementation, backend, tier, encoder: false, decoder: false, version, path };
        Self { capability, encoder: None, decoder: None }
    }

    /// Adds an encoder.
    #[must_use]
    pub fn with_encoder<E: VideoEncoder + 'static>(
        mut self,
        make: impl Fn(VideoEncoderConfig) -> Result<E, CodecError> + Send + Sync + 'static,
    ) -> Self {
        self.encoder = Some(Box::new(move |config| Ok(Box::new(make(config)?))));
        self
    }

    /// Adds a decoder, which is told how many threads it may use.
    #[must_use]
    pub fn with_decoder<D: VideoDecoder + 'static>(
        mut self,
        make: impl Fn(u32) -> Result<D, CodecError> + Send + Sync + 'static,
    ) -> Self {
        self.decoder = Some(Box::new(move |threads| Ok(Box::new(make(threads)?))));
        self
    }

    fn capability(&self) -> Capability {
        Capability { encoder: self.encoder.is_some(), decoder: self.decoder.is_some(), ..self.capability.clone() }
    }
}

/// The codecs at hand. A backend whose library is absent is simply not registered.
pub struct CodecRegistry(Vec<Backend>);

impl std::fmt::Debug for CodecRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.capabilities()).finish()
    }
}

impl Default for CodecRegistry {
    /// The software codecs of this build.
    fn default() -> Self {
        let mut registry = Self(Vec::new());
        registry.add_built_in();
        registry
    }
}

impl CodecRegistry {
    fn add_built_in(&mut self) {
        #[cfg(feature = "libvpx")]
        for (codec, kind) in
            [(VideoCodecType::Vp8, crate::vpx::VpxCodec::Vp8), (VideoCodecType::Vp9, crate::vpx::VpxCodec::Vp9)]
        {
            self.register(
                Backend::new(codec, Implementation::Internal, "libvpx", Tier::Standard)
                    .with_encoder(move |config| Ok(crate::vpx::VpxEncoder::new(kind, config)))
                    .with_decoder(move |threads| crate::vpx::VpxDecoder::new(kind, threads)),
            );
        }
        #[cfg(feature = "libaom")]
        self.register(
            Backend::new(VideoCodecType::Av1, Implementation::Internal, "libaom", Tier::Standard)
                .with_encoder(|config| Ok(crate::aom::AomEncoder::new(config))),
        );
        #[cfg(feature = "rav1e")]
        self.register(
            Backend::new(VideoCodecType::Av1, Implementation::Internal, "rav1e", Tier::Fallback)
                .with_encoder(|config| Ok(crate::rav1e::Rav1eEncoder::new(config))),
        );
        #[cfg(feature = "dav1d")]
        self.register(
            Backend::new(VideoCodecType::Av1, Implementation::Internal, "dav1d", Tier::Standard)
                .with_decoder(crate::dav1d::Dav1dDecoder::new),
        );
        #[cfg(feature = "openh264-source")]
        self.register(openh264_backend(&crate::OpenH264::built_in(), Implementation::Internal));
    }

    /// Adds H.264 by a library that has been loaded.
    #[cfg(feature = "openh264")]
    pub fn add_openh264(&mut self, library: &crate::OpenH264) {
        self.register(openh264_backend(library, Implementation::CiscoOpenH264));
    }

    /// Adds a backend.
    pub fn register(&mut self, backend: Backend) {
        self.0.push(backend);
        self.0.sort_by_key(|backend| std::cmp::Reverse(backend.capability.tier));
    }

    /// Takes out what needs hardware of its own.
    pub fn remove_hardware_encoders(&mut self) {
        for backend in self.0.iter_mut().filter(|backend| backend.capability.implementation.is_hardware()) {
            backend.encoder = None;
        }
    }

    /// Leaves only what the preference names.
    ///
    /// # Errors
    /// [`PreferenceError`] for the first encoder or decoder that is not there.
    pub fn restrict(&mut self, preference: &VideoCodecPreference) -> Result<(), PreferenceError> {
        for entry in &preference.codecs {
            for (part, wanted) in [("encoder", entry.encoder), ("decoder", entry.decoder)] {
                let Some(implementation) = wanted else { continue };
                let mut of_it = self.capabilities().filter(|c| c.implementation == implementation);
                if !of_it.any(|c| c.codec == entry.codec && if part == "encoder" { c.encoder } else { c.decoder }) {
                    return Err(PreferenceError { implementation, codec: entry.codec, part });
                }
            }
        }
        for backend in &mut self.0 {
            let entry = preference.codecs.iter().find(|entry| entry.codec == backend.capability.codec);
            let implementation = Some(backend.capability.implementation);
            backend.encoder.take_if(|_| entry.and_then(|entry| entry.encoder) != implementation);
            backend.decoder.take_if(|_| entry.and_then(|entry| entry.decoder) != implementation);
        }
        Ok(())
    }

    /// Everything registered, best first.
    pub fn capabilities(&self) -> impl Iterator<Item = Capability> {
        self.0.iter().map(Backend::capability)
    }

    /// True if something decodes this codec.
    #[must_use]
    pub fn decodes(&self, codec: VideoCodecType) -> bool {
        self.0.iter().any(|backend| backend.capability.codec == codec && backend.decoder.is_some())
    }

    /// True if something encodes this codec.
    #[must_use]
    pub fn encodes(&self, codec: VideoCodecType) -> bool {
        self.0.iter().any(|backend| backend.capability.codec == codec && backend.encoder.is_some())
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
        let mut of_codec = self.0.iter().filter(|backend| backend.capability.codec == codec);
        let make = of_codec.find_map(|backend| backend.encoder.as_ref());
        make.ok_or_else(|| self.unsupported(codec, "encoding"))?(config)
    }

    /// The best decoder for a codec, with the threads it may use.
    ///
    /// # Errors
    /// [`CodecError::Unsupported`] if nothing decodes it, or what the backend says.
    pub fn decoder(&self, codec: VideoCodecType, threads: u32) -> Result<Box<dyn VideoDecoder>, CodecError> {
        let mut of_codec = self.0.iter().filter(|backend| backend.capability.codec == codec);
        let make = of_codec.find_map(|backend| backend.decoder.as_ref());
        make.ok_or_else(|| self.unsupported(codec, "decoding"))?(threads)
    }

    fn unsupported(&self, codec: VideoCodecType, operation: &'static str) -> CodecError {
        let supports = |codec: &VideoCodecType| {
            if operation == "encoding" { self.encodes(*codec) } else { self.decodes(*codec) }
        };
        let names: Vec<&str> = VideoCodecType::ALL.iter().filter(|c| supports(c)).map(|c| c.name()).collect();
        let supported = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        CodecError::Unsupported { codec, operation, supported }
    }
}

#[cfg(feature = "openh264")]
fn openh264_backend(library: &crate::OpenH264, implementation: Implementation) -> Backend {
    let (encoders, decoders) = (library.clone(), library.clone());
    let mut backend = Backend::new(VideoCodecType::H264, implementation, "OpenH264", Tier::Preferred)
        .with_encoder(move |config| Ok(encoders.encoder(config)))
        .with_decoder(move |_| decoders.decoder());
    backend.capability.version = Some(library.version().to_string());
    backend.capability.path = library.path().map(str::to_owned);
    backend
}
