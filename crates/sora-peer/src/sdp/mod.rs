//! Session descriptions (RFC 8866) as far as WebRTC with one BUNDLE group uses them (RFC 8829).

mod codec;
mod parse;
mod write;

pub use codec::{Codec, MediaKind};
pub use parse::{MAX_SDP_BYTES, SdpError};

/// A parsed session description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionDescription {
    /// The session id of the `o=` line.
    pub session_id: u64,
    /// The version of the `o=` line; grows with every offer.
    pub session_version: u64,
    /// Mids of the BUNDLE group in order (RFC 9143).
    pub bundle: Vec<String>,
    /// True if the peer announced `a=ice-lite` (RFC 8445 section 2.5).
    pub ice_lite: bool,
    /// True if `a=extmap-allow-mixed` was given (RFC 8285 section 6).
    pub extmap_allow_mixed: bool,
    /// The m-lines in order.
    pub media: Vec<MediaDescription>,
}

/// Which way media flows on an m-line, seen from the side that wrote the description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// `a=sendrecv`
    #[default]
    SendRecv,
    /// `a=sendonly`
    SendOnly,
    /// `a=recvonly`
    RecvOnly,
    /// `a=inactive`
    Inactive,
}

impl Direction {
    /// From the two halves.
    #[must_use]
    pub fn new(send: bool, receive: bool) -> Self {
        match (send, receive) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// True for `sendrecv` and `sendonly`.
    #[must_use]
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// True for `sendrecv` and `recvonly`.
    #[must_use]
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// DTLS role attribute (RFC 8842).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// `a=setup:actpass`, in offers.
    ActPass,
    /// `a=setup:active`: sends the ClientHello.
    Active,
    /// `a=setup:passive`: waits for it.
    Passive,
}

/// A header extension mapping (RFC 8285).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtMap {
    /// Id on the wire, 1 to 14 here.
    pub id: u8,
    /// What the extension is.
    pub uri: String,
}

/// One synchronisation source announced in the description (RFC 5576).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SsrcAttribute {
    /// The source.
    pub ssrc: u32,
    /// Its canonical name.
    pub cname: String,
}

/// One m-line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaDescription {
    /// What is carried.
    pub kind: MediaKind,
    /// 0 rejects or stops the m-line.
    pub port: u16,
    /// Identification tag (RFC 5888).
    pub mid: String,
    /// Media direction.
    pub direction: Direction,
    /// ICE user name fragment (RFC 8839).
    pub ice_ufrag: Option<String>,
    /// ICE password.
    pub ice_pwd: Option<String>,
    /// Certificate fingerprint: hash function and value.
    pub fingerprint: Option<(String, String)>,
    /// DTLS role.
    pub setup: Option<Setup>,
    /// Candidate lines without the `a=` prefix.
    pub candidates: Vec<String>,
    /// No more candidates follow.
    pub end_of_candidates: bool,
    /// Codecs in order of preference.
    pub codecs: Vec<Codec>,
    /// Header extensions.
    pub extmaps: Vec<ExtMap>,
    /// `a=msid` as stream id and track id (RFC 8830).
    pub msid: Option<(String, String)>,
    /// Sources.
    pub ssrcs: Vec<SsrcAttribute>,
    /// `a=ssrc-group:FID`: media source and its retransmission source.
    pub fid_groups: Vec<(u32, u32)>,
    /// `a=rid` ids with the direction word of the line (RFC 8851).
    pub rids: Vec<String>,
    /// Value of `a=simulcast` behind the direction word, e.g. `r0;r1;~r2` (RFC 8853).
    pub simulcast: Option<String>,
    /// `b=TIAS` in bit/s (RFC 3890).
    pub bandwidth_bps: Option<u64>,
    /// `a=sctp-port` (RFC 8841).
    pub sctp_port: Option<u16>,
    /// `a=max-message-size` in bytes.
    pub max_message_size: Option<u64>,
}

/// A simulcast layer that a receiver is ready for (RFC 8851).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulcastRid {
    /// Its name.
    pub rid: String,
    /// False: the sender starts with it paused (`~`, RFC 8853 section 5.2).
    pub active: bool,
}

impl MediaDescription {
    /// The layers of `a=simulcast` that have an `a=rid` line, in its order. Of alternatives the first counts.
    #[must_use]
    pub fn simulcast_layers(&self) -> Vec<SimulcastRid> {
        let list = self.simulcast.as_deref().unwrap_or_default();
        let first = list.split(';').filter_map(|alternatives| alternatives.split(',').next());
        first
            .map(|name| {
                let rid = name.strip_prefix('~').unwrap_or(name);
                SimulcastRid { rid: rid.to_owned(), active: rid.len() == name.len() }
            })
            .filter(|layer| self.rids.contains(&layer.rid))
            .collect()
    }

    /// The wire id of a header extension, if mapped.
    #[must_use]
    pub fn extension_id(&self, uri: &str) -> Option<u8> {
        self.extmaps.iter().find(|e| e.uri == uri).map(|e| e.id)
    }
}
