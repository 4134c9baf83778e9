//! What a server accepts in `connect` beyond well-formed JSON.

use std::collections::HashSet;

use super::{Connect, Role, is_valid_label};

/// Ids are 1 to 255 bytes.
const MAX_ID_BYTES: usize = 255;
const VIDEO_CODECS: [&str; 5] = ["VP8", "VP9", "AV1", "H264", "H265"];

/// Why a server refuses a `connect`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConnect {
    /// The role is none of the three.
    #[error("expected sendrecv, sendonly or recvonly, got {0:?}")]
    Role(String),
    /// The channel id is empty or too long.
    #[error("expected a channel_id of 1 to {MAX_ID_BYTES} bytes, got {0} bytes")]
    ChannelId(usize),
    /// The client id is too long.
    #[error("expected a client_id of up to {MAX_ID_BYTES} bytes, got {0} bytes")]
    ClientId(usize),
    /// The bundle id is too long.
    #[error("expected a bundle_id of up to {MAX_ID_BYTES} bytes, got {0} bytes")]
    BundleId(usize),
    /// The video codec is not one of Sora's.
    #[error("expected VP8, VP9, AV1, H264 or H265, got {0:?}")]
    VideoCodecType(String),
    /// The audio codec is not Opus.
    #[error("expected OPUS, got {0:?}")]
    AudioCodecType(String),
    /// The video bit rate is out of range.
    #[error("expected a video bit_rate of 1 to 50000 kbit/s, got {0}")]
    VideoBitRate(i64),
    /// The audio bit rate is out of range.
    #[error("expected an audio bit_rate of 6 to 510 kbit/s, got {0}")]
    AudioBitRate(i64),
    /// `spotlight_focus_rid` or `spotlight_unfocus_rid` without spotlight.
    #[error("expected spotlight to be true with spotlight_focus_rid or spotlight_unfocus_rid")]
    Spotlight,
    /// A data channel that cannot be opened.
    #[error("data channel {label:?}: {reason}")]
    DataChannel {
        /// Its label.
        label: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl InvalidConnect {
    /// What the server gives as the reason when it closes the WebSocket (code 4490).
    #[must_use]
    pub fn close_reason(&self) -> &'static str {
        match self {
            Self::Role(_) => "INVALID-ROLE",
            Self::ChannelId(_) => "INVALID-CHANNEL-ID",
            Self::ClientId(_) => "INVALID-CLIENT-ID",
            Self::BundleId(_) => "INVALID-BUNDLE-ID",
            Self::VideoCodecType(_) => "INVALID-VIDEO-CODEC-TYPE",
            Self::AudioCodecType(_) => "INVALID-AUDIO-CODEC-TYPE",
            Self::VideoBitRate(_) => "INVALID-VIDEO-BIT-RATE",
            Self::AudioBitRate(_) => "INVALID-AUDIO-BIT-RATE",
            Self::Spotlight => "INVALID-SPOTLIGHT",
            Self::DataChannel { .. } => "INVALID-DATA-CHANNELS",
        }
    }
}

impl Connect {
    /// Checks what Sora's documentation says about the values (a client sends whatever it was given; the server says
    /// no).
    ///
    /// # Errors
    /// [`InvalidConnect`], the first thing that is wrong.
    pub fn validate(&self) -> Result<(), InvalidConnect> {
        match &self.role {
            Some(Role::SendRecv | Role::SendOnly | Role::RecvOnly) => {}
            other => {
                let word = other.as_ref().map_or("", Role::as_str);
                return Err(InvalidConnect::Role(word.to_owned()));
            }
        }
        if self.channel_id.is_empty() || self.channel_id.len() > MAX_ID_BYTES {
            return Err(InvalidConnect::ChannelId(self.channel_id.len()));
        }
        if let Some(id) = self.client_id.as_ref().filter(|id| id.len() > MAX_ID_BYTES) {
            return Err(InvalidConnect::ClientId(id.len()));
        }
        if let Some(id) = self.bundle_id.as_ref().filter(|id| id.len() > MAX_ID_BYTES) {
            return Err(InvalidConnect::BundleId(id.len()));
        }
        if let Some(video) = &self.video {
            if let Some(codec) = video.codec_type.as_deref().filter(|codec| !VIDEO_CODECS.contains(codec)) {
                return Err(InvalidConnect::VideoCodecType(codec.to_owned()));
            }
            if let Some(rate) = video.bit_rate.filter(|rate| !(1..=50_000).contains(rate)) {
                return Err(InvalidConnect::VideoBitRate(rate));
            }
        }
        if let Some(audio) = &self.audio {
            if let Some(codec) = audio.codec_type.as_deref().filter(|codec| *codec != "OPUS") {
                return Err(InvalidConnect::AudioCodecType(codec.to_owned()));
            }
            if let Some(rate) = audio.bit_rate.filter(|rate| !(6..=510).contains(rate)) {
                return Err(InvalidConnect::AudioBitRate(rate));
            }
        }
        let rids = self.spotlight_focus_rid.is_some() || self.spotlight_unfocus_rid.is_some();
        if rids && self.spotlight != Some(true) {
            return Err(InvalidConnect::Spotlight);
        }
        self.validate_data_channels()
    }

    fn validate_data_channels(&self) -> Result<(), InvalidConnect> {
        let mut labels = HashSet::new();
        for channel in &self.data_channels {
            let in_range = |value: Option<i64>| value.is_none_or(|value| u16::try_from(value).is_ok());
            let reason = if !is_valid_label(&channel.label) {
                "expected a label of #, a letter or digit, and 1 to 30 letters, digits or hyphens"
            } else if !labels.insert(channel.label.as_str()) {
                "the label is there twice"
            } else if channel.parsed_direction().is_none() {
                "expected sendrecv, sendonly or recvonly in \"direction\""
            } else if channel.max_packet_life_time.is_some() && channel.max_retransmits.is_some() {
                "max_packet_life_time and max_retransmits exclude each other"
            } else if !in_range(channel.max_packet_life_time) || !in_range(channel.max_retransmits) {
                "expected 0 to 65535 in \"max_packet_life_time\" and \"max_retransmits\""
            } else {
                continue;
            };
            return Err(InvalidConnect::DataChannel { label: channel.label.clone(), reason });
        }
        Ok(())
    }
}
