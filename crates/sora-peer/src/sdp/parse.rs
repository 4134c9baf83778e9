//! Reading. Unknown lines and attributes are skipped; what is needed is checked.

use super::{Codec, Direction, ExtMap, MediaDescription, MediaKind, SessionDescription, Setup, SsrcAttribute};

/// Larger descriptions are refused: a channel of a thousand participants stays below this.
pub const MAX_SDP_BYTES: usize = 4 << 20;
const MAX_MEDIA: usize = 4096;
const MAX_ATTRIBUTES_PER_MEDIA: usize = 1024;

/// Why a description could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// The text is longer than [`MAX_SDP_BYTES`].
    #[error("session description of {0} bytes, at most {MAX_SDP_BYTES} are read")]
    TooLong(usize),
    /// The text does not begin like a session description.
    #[error("Expect line: {expected}, got {found:?}")]
    ExpectedLine {
        /// What should stand there.
        expected: &'static str,
        /// The beginning of what does.
        found: String,
    },
    /// A line that is needed has a form that cannot be read.
    #[error("line {line}: cannot read {text:?}")]
    Malformed {
        /// Line number from 1.
        line: usize,
        /// The beginning of the line.
        text: String,
    },
    /// More m-lines or attributes than any real session has.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// An attribute every description needs is absent.
    #[error("m-line {mid:?} has no {attribute}")]
    Missing {
        /// The m-line.
        mid: String,
        /// What it lacks.
        attribute: &'static str,
    },
}

fn excerpt(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Attributes that may stand at session level and then hold for every m-line.
#[derive(Default)]
struct SessionLevel {
    ice_ufrag: Option<String>,
    ice_pwd: Option<String>,
    fingerprint: Option<(String, String)>,
    setup: Option<Setup>,
    extmaps: Vec<ExtMap>,
}

impl SessionDescription {
    /// Reads a description.
    ///
    /// # Errors
    /// [`SdpError`] if the text is too long, does not begin with `v=` and `o=`, or a needed line is malformed.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > MAX_SDP_BYTES {
            return Err(SdpError::TooLong(text.len()));
        }
        let mut session = Self::default();
        let mut level = SessionLevel::default();
        let mut attributes = 0;
        let mut seen_origin = false;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            let malformed = || SdpError::Malformed { line: index + 1, text: excerpt(line) };
            if index == 0 && !line.starts_with("v=") {
                return Err(SdpError::ExpectedLine { expected: "v=", found: excerpt(line) });
            }
            let (kind, value) = line.split_once('=').ok_or_else(malformed)?;
            match kind {
                "o" => {
                    seen_origin = true;
                    let mut words = value.split_whitespace();
                    session.session_id = words.nth(1).and_then(|w| w.parse().ok()).unwrap_or(0);
                    session.session_version = words.next().and_then(|w| w.parse().ok()).unwrap_or(0);
                }
                "m" => {
                    if session.media.len() == MAX_MEDIA {
                        return Err(SdpError::TooMany { what: "m-lines", limit: MAX_MEDIA });
                    }
                    attributes = 0;
                    session.media.push(media_line(value, &level).ok_or_else(malformed)?);
                }
                "b" => {
                    if let (Some(media), Some(bps)) = (session.media.last_mut(), value.strip_prefix("TIAS:")) {
                        media.bandwidth_bps = bps.parse().ok();
                    }
                }
                "a" => {
                    attributes += 1;
                    if attributes > MAX_ATTRIBUTES_PER_MEDIA {
                        return Err(SdpError::TooMany { what: "attributes", limit: MAX_ATTRIBUTES_PER_MEDIA });
                    }
                    let (name, value) = value.split_once(':').unwrap_or((value, ""));
                    let understood = match session.media.last_mut() {
                        None => session.session_attribute(&mut level, name, value),
                        Some(media) => media.attribute(name, value),
                    };
                    understood.ok_or_else(malformed)?;
                }
                _ => {}
            }
        }
        if !seen_origin {
            return Err(SdpError::ExpectedLine { expected: "o=", found: excerpt(text) });
        }
        for media in &mut session.media {
            media.finish();
        }
        Ok(session)
    }

    fn session_attribute(&mut self, level: &mut SessionLevel, name: &str, value: &str) -> Option<()> {
        match name {
            "group" => {
                if let Some(mids) = value.strip_prefix("BUNDLE") {
                    self.bundle = mids.split_whitespace().map(str::to_owned).collect();
                }
            }
            "ice-lite" => self.ice_lite = true,
            "extmap-allow-mixed" => self.extmap_allow_mixed = true,
            "ice-ufrag" => level.ice_ufrag = Some(value.to_owned()),
            "ice-pwd" => level.ice_pwd = Some(value.to_owned()),
            "fingerprint" => choose_fingerprint(&mut level.fingerprint, fingerprint(value)?),
            "setup" => level.setup = setup(value),
            "extmap" => level.extmaps.extend(extmap(value)),
            _ => {}
        }
        Some(())
    }
}

fn media_line(value: &str, level: &SessionLevel) -> Option<MediaDescription> {
    let mut words = value.split_whitespace();
    let kind = match words.next()? {
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        "application" => MediaKind::Application,
        _ => return None,
    };
    let port = words.next()?.split('/').next()?.parse().ok()?;
    words.next()?;
    let codecs = if kind == MediaKind::Application {
        Vec::new()
    } else {
        words
            .map(|pt| {
                let payload_type = pt.parse().ok().filter(|pt| *pt < 128)?;
                Some(Codec { payload_type, ..Codec::default() })
            })
            .collect::<Option<Vec<_>>>()?
    };
    Some(MediaDescription {
        kind,
        port,
        codecs,
        ice_ufrag: level.ice_ufrag.clone(),
        ice_pwd: level.ice_pwd.clone(),
        fingerprint: level.fingerprint.clone(),
        setup: level.setup,
        extmaps: level.extmaps.clone(),
        ..MediaDescription::default()
    })
}

impl MediaDescription {
    fn attribute(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "mid" => self.mid = value.to_owned(),
            "sendrecv" => self.direction = Direction::SendRecv,
            "sendonly" => self.direction = Direction::SendOnly,
            "recvonly" => self.direction = Direction::RecvOnly,
            "inactive" => self.direction = Direction::Inactive,
            "ice-ufrag" => self.ice_ufrag = Some(value.to_owned()),
            "ice-pwd" => self.ice_pwd = Some(value.to_owned()),
            "fingerprint" => choose_fingerprint(&mut self.fingerprint, fingerprint(value)?),
            "setup" => self.setup = setup(value),
            "candidate" => self.candidates.push(format!("candidate:{value}")),
            "end-of-candidates" => self.end_of_candidates = true,
            "extmap" => self.extmaps.extend(extmap(value)),
            "rtpmap" => self.rtpmap(value)?,
            "fmtp" => {
                let (pt, fmtp) = value.split_once(' ')?;
                if let Some(codec) = self.codec_mut(pt) {
                    fmtp.trim().clone_into(&mut codec.fmtp);
                }
            }
            "rtcp-fb" => {
                let (pt, feedback) = value.split_once(' ')?;
                let feedback = feedback.trim();
                if pt == "*" {
                    self.codecs.iter_mut().for_each(|c| c.rtcp_fb.push(feedback.to_owned()));
                } else if let Some(codec) = self.codec_mut(pt) {
                    codec.rtcp_fb.push(feedback.to_owned());
                }
            }
            "msid" => {
                let mut words = value.split_whitespace();
                let stream = words.next()?.to_owned();
                let track = words.next().unwrap_or_default().to_owned();
                self.msid = Some((stream, track));
            }
            "ssrc" => self.ssrc(value)?,
            "ssrc-group" => {
                let mut words = value.split_whitespace();
                if words.next() == Some("FID")
                    && let (Some(media), Some(rtx)) = (words.next(), words.next())
                {
                    self.fid_groups.push((media.parse().ok()?, rtx.parse().ok()?));
                }
            }
            "rid" => self.rids.push(value.split_whitespace().next()?.to_owned()),
            "simulcast" => self.simulcast = value.split_whitespace().nth(1).map(str::to_owned),
            "sctp-port" => self.sctp_port = Some(value.trim().parse().ok()?),
            "max-message-size" => self.max_message_size = Some(value.trim().parse().ok()?),
            _ => {}
        }
        Some(())
    }

    fn codec_mut(&mut self, payload_type: &str) -> Option<&mut Codec> {
        let payload_type: u8 = payload_type.parse().ok()?;
        self.codecs.iter_mut().find(|c| c.payload_type == payload_type)
    }

    fn rtpmap(&mut self, value: &str) -> Option<()> {
        let (pt, map) = value.split_once(' ')?;
        let mut parts = map.trim().split('/');
        let name = parts.next()?.to_owned();
        let clock_rate = parts.next()?.parse().ok()?;
        let channels = parts.next().and_then(|c| c.parse().ok());
        if let Some(codec) = self.codec_mut(pt) {
            codec.name = name;
            codec.clock_rate = clock_rate;
            codec.channels = channels;
        }
        Some(())
    }

    fn ssrc(&mut self, value: &str) -> Option<()> {
        let (ssrc, attribute) = value.split_once(' ').unwrap_or((value, ""));
        let ssrc = ssrc.parse().ok()?;
        let cname = attribute.strip_prefix("cname:");
        match self.ssrcs.iter_mut().find(|s| s.ssrc == ssrc) {
            Some(known) => {
                if let Some(cname) = cname {
                    cname.clone_into(&mut known.cname);
                }
            }
            None => self.ssrcs.push(SsrcAttribute { ssrc, cname: cname.unwrap_or_default().to_owned() }),
        }
        Some(())
    }

    /// Folds `rtx` formats into the codec they repair and drops formats without an rtpmap.
    fn finish(&mut self) {
        let rtx: Vec<(u8, u8)> = self
            .codecs
            .iter()
            .filter(|c| c.is("rtx"))
            .filter_map(|c| Some((c.fmtp_value("apt")?.parse().ok()?, c.payload_type)))
            .collect();
        self.codecs.retain(|c| !c.is("rtx") && !c.name.is_empty());
        for codec in &mut self.codecs {
            codec.rtx = rtx.iter().find(|(apt, _)| *apt == codec.payload_type).map(|(_, pt)| *pt);
        }
    }
}

fn fingerprint(value: &str) -> Option<(String, String)> {
    let (algorithm, value) = value.split_once(' ')?;
    Some((algorithm.to_ascii_lowercase(), value.trim().to_ascii_lowercase()))
}

/// A peer may give several, one per hash function (RFC 8122 section 5): the one this stack verifies is kept.
fn choose_fingerprint(slot: &mut Option<(String, String)>, given: (String, String)) {
    if slot.as_ref().is_none_or(|(algorithm, _)| algorithm != "sha-256") {
        *slot = Some(given);
    }
}

fn setup(value: &str) -> Option<Setup> {
    match value.trim() {
        "actpass" => Some(Setup::ActPass),
        "active" => Some(Setup::Active),
        "passive" => Some(Setup::Passive),
        _ => None,
    }
}

fn extmap(value: &str) -> Option<ExtMap> {
    let mut words = value.split_whitespace();
    let id = words.next()?.split('/').next()?.parse().ok()?;
    Some(ExtMap { id, uri: words.next()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_fingerprints_the_sha_256_one_is_kept() {
        let text = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
                    a=fingerprint:sha-256 AA:BB\r\na=fingerprint:sha-512 CC:DD\r\n";
        let session = SessionDescription::parse(text).expect("readable");
        assert_eq!(session.media[0].fingerprint, Some(("sha-256".to_owned(), "aa:bb".to_owned())));
    }
}
