use sora_rtp::VideoCodecType;

use crate::{CodecRegistry, Implementation};

/// Who is to encode and decode one codec; `None` for nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecPreference {
    /// The codec.
    pub codec: VideoCodecType,
    /// Its encoder.
    pub encoder: Option<Implementation>,
    /// Its decoder.
    pub decoder: Option<Implementation>,
}

/// Which implementations are used. Codecs that are not listed are not used at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VideoCodecPreference {
    /// One entry per codec.
    pub codecs: Vec<CodecPreference>,
}

/// A preference that cannot be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{implementation} has no {codec} {part} here; see the video codec capability for what there is")]
pub struct PreferenceError {
    /// What was asked for.
    pub implementation: Implementation,
    /// The codec.
    pub codec: VideoCodecType,
    /// `encoder` or `decoder`.
    pub part: &'static str,
}

impl VideoCodecPreference {
    /// Everything that one implementation of the registry offers, with an entry for every codec.
    #[must_use]
    pub fn from_implementation(registry: &CodecRegistry, implementation: Implementation) -> Self {
        let offers = |codec, encoder| {
            let mut of_it = registry.capabilities().filter(|c| c.codec == codec && c.implementation == implementation);
            of_it.any(|c| if encoder { c.encoder } else { c.decoder }).then_some(implementation)
        };
        let entry = |codec| CodecPreference { codec, encoder: offers(codec, true), decoder: offers(codec, false) };
        Self { codecs: VideoCodecType::ALL.into_iter().map(entry).collect() }
    }

    /// The place of a codec's entry.
    #[must_use]
    pub fn find(&self, codec: VideoCodecType) -> Option<usize> {
        self.codecs.iter().position(|entry| entry.codec == codec)
    }

    /// The place of a codec's entry, which is made (with nobody in it) if there is none.
    pub fn get_or_add(&mut self, codec: VideoCodecType) -> usize {
        self.find(codec).unwrap_or_else(|| {
            self.codecs.push(CodecPreference { codec, encoder: None, decoder: None });
            self.codecs.len() - 1
        })
    }

    /// True if the implementation encodes or decodes anything.
    #[must_use]
    pub fn has_implementation(&self, implementation: Implementation) -> bool {
        let wanted = Some(implementation);
        self.codecs.iter().any(|entry| entry.encoder == wanted || entry.decoder == wanted)
    }

    /// Takes over every encoder and decoder that the other one names.
    pub fn merge(&mut self, other: &Self) {
        for entry in &other.codecs {
            let at = self.get_or_add(entry.codec);
            let own = &mut self.codecs[at];
            own.encoder = entry.encoder.or(own.encoder);
            own.decoder = entry.decoder.or(own.decoder);
        }
    }
}
