use crate::sdp::{Codec, Direction, MediaDescription, MediaKind, SimulcastRid};

/// Identifies a transceiver within its connection, for as long as the connection lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransceiverId(pub(crate) usize);

/// What an offerer adds to its next offer.
#[derive(Debug, Clone)]
pub struct TransceiverInit {
    /// Audio or video.
    pub kind: MediaKind,
    /// Identification tag; opaque, at most 16 bytes so that it fits a one-byte header extension (RFC 8285).
    pub mid: String,
    /// From this side's view: `RecvOnly` for an uplink, `SendOnly` for a downlink.
    pub direction: Direction,
    /// Codecs to offer, in order of preference.
    pub codecs: Vec<Codec>,
    /// Stream id and track id announced for what this side sends.
    pub msid: Option<(String, String)>,
    /// Bandwidth limit to announce, in bit/s.
    pub bandwidth_bps: Option<u64>,
    /// Simulcast layers to receive, lowest first; none for a single stream.
    pub rids: Vec<SimulcastRid>,
}

/// A transceiver as an outsider sees it.
#[derive(Debug, Clone)]
pub struct TransceiverInfo {
    /// Its id.
    pub id: TransceiverId,
    /// Audio or video.
    pub kind: MediaKind,
    /// Its mid.
    pub mid: String,
    /// True if the peer sends media on it.
    pub remote_sends: bool,
    /// True if the peer is ready to receive media on it.
    pub remote_receives: bool,
    /// The offered simulcast layers that the peer agreed to send; empty if it sends a single stream.
    pub remote_rids: Vec<String>,
    /// The simulcast layers the peer is ready to receive, lowest first; empty if it wants a single stream.
    pub wanted_rids: Vec<SimulcastRid>,
    /// The peer's stream id and track id.
    pub remote_msid: Option<(String, String)>,
    /// Negotiated codecs; the first is the one to send.
    pub codecs: Vec<Codec>,
    /// Bandwidth limit the peer announced, in bit/s.
    pub bandwidth_bps: Option<u64>,
    /// Synchronisation sources of what this side sends: one, or one per simulcast layer, lowest first.
    pub sent_ssrcs: Vec<u32>,
    /// True once the m-line was rejected or stopped.
    pub stopped: bool,
}

/// One m-line's state on either side.
#[derive(Debug, Clone)]
pub(crate) struct Transceiver {
    pub(crate) id: usize,
    pub(crate) kind: MediaKind,
    pub(crate) mid: String,
    /// What this side wants.
    pub(crate) direction: Direction,
    pub(crate) codecs: Vec<Codec>,
    pub(crate) msid: Option<(String, String)>,
    pub(crate) bandwidth_bps: Option<u64>,
    /// Simulcast layers this side offered to receive.
    pub(crate) offered_rids: Vec<SimulcastRid>,
    pub(crate) ssrc: Option<(u32, Option<u32>)>,
    /// Simulcast layers this side sends, instead of the one stream of `ssrc`.
    pub(crate) sent_rids: Vec<String>,
    /// The SSRC of each of them.
    pub(crate) layer_ssrcs: Vec<u32>,
    /// The peer's last description of the m-line.
    pub(crate) remote: Option<MediaDescription>,
    pub(crate) stopped: bool,
}

impl Transceiver {
    pub(crate) fn info(&self) -> TransceiverInfo {
        let remote = self.remote.as_ref().filter(|_| !self.stopped);
        TransceiverInfo {
            id: TransceiverId(self.id),
            kind: self.kind,
            mid: self.mid.clone(),
            remote_sends: remote.is_some_and(|media| media.direction.sends()),
            remote_receives: remote.is_some_and(|media| media.direction.receives()),
            remote_rids: self.negotiated_rids(),
            wanted_rids: remote.map(MediaDescription::simulcast_layers).unwrap_or_default(),
            remote_msid: remote.and_then(|media| media.msid.clone()),
            codecs: self.codecs.clone(),
            bandwidth_bps: remote.and_then(|media| media.bandwidth_bps),
            sent_ssrcs: self.ssrc.map_or_else(|| self.layer_ssrcs.clone(), |(ssrc, _)| vec![ssrc]),
            stopped: self.stopped,
        }
    }

    /// True if this side has something to send on it.
    pub(crate) fn is_sender(&self) -> bool {
        self.ssrc.is_some() || !self.sent_rids.is_empty()
    }

    /// The layers both sides agreed on, in the order of the offer. Both attributes have to be in the answer
    /// (RFC 8853 section 5.3.2).
    pub(crate) fn negotiated_rids(&self) -> Vec<String> {
        let remote = self.remote.as_ref().filter(|media| media.simulcast.is_some() && !self.stopped);
        let Some(remote) = remote else { return Vec::new() };
        self.offered_rids.iter().map(|layer| layer.rid.clone()).filter(|rid| remote.rids.contains(rid)).collect()
    }

    /// The value of the offer's `a=simulcast`.
    pub(crate) fn offered_simulcast(&self) -> Option<String> {
        let layers: Vec<String> = self
            .offered_rids
            .iter()
            .map(|layer| format!("{}{}", if layer.active { "" } else { "~" }, layer.rid))
            .collect();
        (!layers.is_empty()).then(|| layers.join(";"))
    }
}

/// What stands at one position of the m-line list. Positions never move (RFC 8829 section 5.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    Application,
    Media(usize),
    /// Port 0; may be taken over by a new mid once the peer has answered the rejection.
    Free {
        kind: MediaKind,
        mid: String,
        reusable: bool,
    },
}
