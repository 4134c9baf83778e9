//! Header extensions this stack reads and writes (RFC 8285).

use bytes::Bytes;
use rtc_rtp::header::Header;

use crate::sdp::{ExtMap, MediaDescription};

pub(crate) const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub(crate) const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
pub(crate) const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
pub(crate) const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
pub(crate) const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// What an offer of this stack maps, the same ids on every m-line of the BUNDLE group.
pub(crate) fn offered(video: bool) -> Vec<ExtMap> {
    let mut uris = vec![(4, MID), (3, TRANSPORT_CC)];
    if video {
        uris.extend([(10, RID), (11, REPAIRED_RID)]);
    } else {
        uris.push((1, AUDIO_LEVEL));
    }
    uris.into_iter().map(|(id, uri)| ExtMap { id, uri: uri.to_owned() }).collect()
}

pub(crate) fn is_supported(uri: &str) -> bool {
    [MID, RID, REPAIRED_RID, TRANSPORT_CC, AUDIO_LEVEL].contains(&uri)
}

/// Ids as negotiated; one table serves the whole BUNDLE group (RFC 8843 section 8.1).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ExtensionIds {
    pub(crate) mid: Option<u8>,
    pub(crate) rid: Option<u8>,
    pub(crate) repaired_rid: Option<u8>,
    pub(crate) transport_cc: Option<u8>,
}

impl ExtensionIds {
    pub(crate) fn merge(&mut self, media: &MediaDescription) {
        let take = |slot: &mut Option<u8>, uri: &str| *slot = media.extension_id(uri).or(*slot);
        take(&mut self.mid, MID);
        take(&mut self.rid, RID);
        take(&mut self.repaired_rid, REPAIRED_RID);
        take(&mut self.transport_cc, TRANSPORT_CC);
    }
}

pub(crate) fn text(header: &Header, id: Option<u8>) -> Option<String> {
    let payload = payload(header, id)?;
    std::str::from_utf8(&payload).ok().map(str::to_owned)
}

pub(crate) fn u16_be(header: &Header, id: Option<u8>) -> Option<u16> {
    let payload = payload(header, id)?;
    Some(u16::from_be_bytes([*payload.first()?, *payload.get(1)?]))
}

fn payload(header: &Header, id: Option<u8>) -> Option<Bytes> {
    let id = id?;
    header.extensions.iter().find(|e| e.id == id).map(|e| e.payload.clone())
}
