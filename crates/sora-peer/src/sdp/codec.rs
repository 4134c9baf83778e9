/// What an m-line carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MediaKind {
    /// `m=audio`
    #[default]
    Audio,
    /// `m=video`
    Video,
    /// `m=application` with SCTP data channels
    Application,
}

impl MediaKind {
    /// The word behind `m=`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Application => "application",
        }
    }
}

/// One negotiated codec: a payload type and what it means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Codec {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// Encoding name as in `a=rtpmap`, e.g. `VP9` or `opus`.
    pub name: String,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// Channel count, audio only.
    pub channels: Option<u8>,
    /// Format parameters as one string, empty if none.
    pub fmtp: String,
    /// Feedback the receiver understands, e.g. `nack pli`.
    pub rtcp_fb: Vec<String>,
    /// Payload type of the retransmission format for this codec (RFC 4588).
    pub rtx: Option<u8>,
}

impl Codec {
    /// A video codec at 90 kHz with the usual feedback and RTX at `payload_type + 1`.
    #[must_use]
    pub fn video(payload_type: u8, name: &str, fmtp: &str) -> Self {
        Self {
            payload_type,
            name: name.to_owned(),
            clock_rate: 90_000,
            channels: None,
            fmtp: fmtp.to_owned(),
            rtcp_fb: ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"].map(str::to_owned).to_vec(),
            rtx: Some(payload_type + 1),
        }
    }

    /// Opus at 48 kHz, two channels in the rtpmap as RFC 7587 demands.
    #[must_use]
    pub fn opus(payload_type: u8, fmtp: &str) -> Self {
        Self {
            payload_type,
            name: "opus".to_owned(),
            clock_rate: 48_000,
            channels: Some(2),
            fmtp: fmtp.to_owned(),
            rtcp_fb: vec!["transport-cc".to_owned()],
            rtx: None,
        }
    }

    /// Compares encoding names without regard to case (RFC 8866 section 6.6).
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// One format parameter's value.
    #[must_use]
    pub fn fmtp_value(&self, key: &str) -> Option<&str> {
        self.fmtp.split(';').find_map(|pair| {
            let (k, v) = pair.trim().split_once('=')?;
            k.eq_ignore_ascii_case(key).then_some(v)
        })
    }

    /// True if the receiver asked for this feedback.
    #[must_use]
    pub fn has_feedback(&self, feedback: &str) -> bool {
        self.rtcp_fb.iter().any(|f| f == feedback)
    }
}
