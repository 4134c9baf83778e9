//! Writing, in the order the reference clients write their lines.

use std::fmt::{self, Display, Formatter};

use super::{MediaDescription, MediaKind, SessionDescription, Setup};

impl Display for SessionDescription {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "v=0\r\no=- {} {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", self.session_id, self.session_version)?;
        if !self.bundle.is_empty() {
            write!(f, "a=group:BUNDLE {}\r\n", self.bundle.join(" "))?;
        }
        if self.extmap_allow_mixed {
            write!(f, "a=extmap-allow-mixed\r\n")?;
        }
        write!(f, "a=msid-semantic: WMS *\r\n")?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl Display for MediaDescription {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_str();
        if self.kind == MediaKind::Application {
            write!(f, "m={kind} {} UDP/DTLS/SCTP webrtc-datachannel\r\n", self.port)?;
        } else {
            write!(f, "m={kind} {} UDP/TLS/RTP/SAVPF", self.port)?;
            if self.codecs.is_empty() {
                write!(f, " 0")?;
            }
            for codec in &self.codecs {
                write!(f, " {}", codec.payload_type)?;
                if let Some(rtx) = codec.rtx {
                    write!(f, " {rtx}")?;
                }
            }
            write!(f, "\r\n")?;
        }
        write!(f, "c=IN IP4 0.0.0.0\r\n")?;
        if let Some(bps) = self.bandwidth_bps {
            write!(f, "b=TIAS:{bps}\r\n")?;
        }
        if self.kind != MediaKind::Application {
            write!(f, "a=rtcp:9 IN IP4 0.0.0.0\r\n")?;
        }
        for candidate in &self.candidates {
            write!(f, "a={candidate}\r\n")?;
        }
        if self.end_of_candidates {
            write!(f, "a=end-of-candidates\r\n")?;
        }
        if let (Some(ufrag), Some(pwd)) = (&self.ice_ufrag, &self.ice_pwd) {
            write!(f, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=ice-options:trickle\r\n")?;
        }
        if let Some((algorithm, value)) = &self.fingerprint {
            write!(f, "a=fingerprint:{algorithm} {}\r\n", value.to_ascii_uppercase())?;
        }
        if let Some(setup) = self.setup {
            let setup = match setup {
                Setup::ActPass => "actpass",
                Setup::Active => "active",
                Setup::Passive => "passive",
            };
            write!(f, "a=setup:{setup}\r\n")?;
        }
        write!(f, "a=mid:{}\r\n", self.mid)?;
        if self.kind == MediaKind::Application {
            if let Some(port) = self.sctp_port {
                write!(f, "a=sctp-port:{port}\r\n")?;
            }
            if let Some(size) = self.max_message_size {
                write!(f, "a=max-message-size:{size}\r\n")?;
            }
            return Ok(());
        }
        self.media_attributes(f)
    }
}

impl MediaDescription {
    fn media_attributes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for extmap in &self.extmaps {
            write!(f, "a=extmap:{} {}\r\n", extmap.id, extmap.uri)?;
        }
        write!(f, "a={}\r\n", self.direction.as_str())?;
        if let Some((stream, track)) = &self.msid {
            write!(f, "a=msid:{stream} {track}\r\n")?;
        }
        if self.port != 0 {
            write!(f, "a=rtcp-mux\r\na=rtcp-rsize\r\n")?;
        }
        for codec in &self.codecs {
            let pt = codec.payload_type;
            write!(f, "a=rtpmap:{pt} {}/{}", codec.name, codec.clock_rate)?;
            if let Some(channels) = codec.channels {
                write!(f, "/{channels}")?;
            }
            write!(f, "\r\n")?;
            for feedback in &codec.rtcp_fb {
                write!(f, "a=rtcp-fb:{pt} {feedback}\r\n")?;
            }
            if !codec.fmtp.is_empty() {
                write!(f, "a=fmtp:{pt} {}\r\n", codec.fmtp)?;
            }
            if let Some(rtx) = codec.rtx {
                write!(f, "a=rtpmap:{rtx} rtx/{}\r\na=fmtp:{rtx} apt={pt}\r\n", codec.clock_rate)?;
            }
        }
        let word = if self.direction.sends() { "send" } else { "recv" };
        for rid in &self.rids {
            write!(f, "a=rid:{rid} {word}\r\n")?;
        }
        if let Some(simulcast) = &self.simulcast {
            write!(f, "a=simulcast:{word} {simulcast}\r\n")?;
        }
        for (media, rtx) in &self.fid_groups {
            write!(f, "a=ssrc-group:FID {media} {rtx}\r\n")?;
        }
        for ssrc in &self.ssrcs {
            write!(f, "a=ssrc:{} cname:{}\r\n", ssrc.ssrc, ssrc.cname)?;
        }
        Ok(())
    }
}
