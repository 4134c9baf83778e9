//! Statistics with the member names of W3C webrtc-stats, as a JSON array. Times are microseconds since the Unix epoch,
//! as the reference client gives them.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};

use crate::ice::CandidateDescription;
use crate::sctp::ChannelState;
use crate::sdp::Codec;
use crate::{ConnectionState, MediaKind, PeerConnection};

impl PeerConnection {
    /// Everything known now. `timestamp_us` is the wall clock in microseconds.
    #[must_use]
    pub fn stats(&self, now: Instant, timestamp_us: i64) -> Vec<Value> {
        let mut stats = Vec::new();
        let state = match self.state {
            ConnectionState::New => "new",
            ConnectionState::Connecting => "connecting",
            ConnectionState::Connected => "connected",
            ConnectionState::Disconnected => "disconnected",
            ConnectionState::Failed => "failed",
            ConnectionState::Closed => "closed",
        };
        let opened = self.sctp.channels().filter(|(_, c)| c.state != ChannelState::Connecting).count();
        let closed = self.sctp.channels().filter(|(_, c)| c.state == ChannelState::Closed).count();
        stats.push(json!({
            "type": "peer-connection", "id": "P", "timestamp": timestamp_us,
            "dataChannelsOpened": opened, "dataChannelsClosed": closed,
        }));
        self.transport_stats(now, timestamp_us, state, &mut stats);
        for (id, channel) in self.sctp.channels() {
            let state = match channel.state {
                ChannelState::Connecting => "connecting",
                ChannelState::Open => "open",
                ChannelState::Closing => "closing",
                ChannelState::Closed => "closed",
            };
            stats.push(json!({
                "type": "data-channel", "id": format!("D{}", id.0), "timestamp": timestamp_us,
                "label": channel.init.label, "protocol": channel.init.protocol,
                "dataChannelIdentifier": id.0, "state": state,
                "messagesSent": channel.messages_sent, "messagesReceived": channel.messages_received,
                "bytesSent": channel.bytes_sent, "bytesReceived": channel.bytes_received,
            }));
        }
        self.send_stats(timestamp_us, &mut stats);
        self.receive_stats(now, timestamp_us, &mut stats);
        stats
    }

    fn transport_stats(&self, now: Instant, timestamp_us: i64, state: &str, stats: &mut Vec<Value>) {
        let local = self.dtls.certificate().fingerprint().to_ascii_uppercase();
        let remote = self.dtls.remote_fingerprint().to_ascii_uppercase();
        for fingerprint in [&local, &remote].into_iter().filter(|f| !f.is_empty()) {
            stats.push(json!({
                "type": "certificate", "id": format!("CF{fingerprint}"), "timestamp": timestamp_us,
                "fingerprint": fingerprint, "fingerprintAlgorithm": "sha-256",
            }));
        }
        let pair = self.ice.pair().map(|(local, remote)| {
            let (of_local, of_remote) = self.ice.pair_descriptions().unwrap_or_default();
            let mut side = |remote: bool, address: SocketAddr, candidate: &CandidateDescription| {
                let (kind, prefix) = if remote { ("remote-candidate", "IR") } else { ("local-candidate", "I") };
                let id = format!("{prefix}{address}");
                stats.push(json!({
                    "type": kind, "id": id, "timestamp": timestamp_us, "transportId": "T01", "isRemote": remote,
                    "address": address.ip().to_string(), "ip": address.ip().to_string(), "port": address.port(),
                    "protocol": "udp", "candidateType": candidate.candidate_type, "priority": candidate.priority,
                    "foundation": candidate.foundation, "usernameFragment": candidate.ufrag,
                }));
                id
            };
            let (local, remote) = (side(false, local, &of_local), side(true, remote, &of_remote));
            let id = format!("CP{local}_{remote}");
            let (sent, received) = (self.traffic.data_sent, self.traffic.data_received);
            let mut pair = json!({
                "type": "candidate-pair", "id": id, "timestamp": timestamp_us, "transportId": "T01",
                "localCandidateId": local, "remoteCandidateId": remote, "state": "succeeded", "nominated": true,
                "writable": self.state == ConnectionState::Connected,
                "priority": pair_priority(self.ice.is_controlling(), of_local.priority, of_remote.priority),
                "packetsSent": sent.packets, "bytesSent": sent.bytes,
                "packetsReceived": received.packets, "bytesReceived": received.bytes,
                "availableOutgoingBitrate": self.rtp.twcc_sender.estimate(),
            });
            let moments = [("lastPacketSentTimestamp", sent.last), ("lastPacketReceivedTimestamp", received.last)];
            for (name, at) in moments {
                if let Some(at) = at {
                    pair[name] = milliseconds(now, timestamp_us, at);
                }
            }
            if let Some(checks) = self.ice.checks(now) {
                for (name, count) in [
                    ("requestsSent", checks.requests_sent),
                    ("requestsReceived", checks.requests_received),
                    ("responsesSent", checks.responses_sent),
                    ("responsesReceived", checks.responses_received),
                    ("consentRequestsSent", checks.consent_requests_sent),
                ] {
                    pair[name] = json!(count);
                }
                pair["totalRoundTripTime"] = json!(checks.total_round_trip_time);
            }
            if let Some(rtt) = self.ice.round_trip_time(now).or(self.rtp.twcc_sender.round_trip_time) {
                pair["currentRoundTripTime"] = json!(rtt.as_secs_f64());
            }
            stats.push(pair);
            id
        });
        let (sent, received) = (self.traffic.sent, self.traffic.received);
        stats.push(json!({
            "type": "transport", "id": "T01", "timestamp": timestamp_us,
            "dtlsState": if self.dtls.is_connected() { "connected" } else { state },
            "dtlsRole": if self.dtls.is_client() { "client" } else { "server" },
            "dtlsCipher": self.dtls.cipher(), "srtpCipher": self.dtls.srtp_profile(), "tlsVersion": "FEFD",
            "localCertificateId": format!("CF{local}"), "remoteCertificateId": format!("CF{remote}"),
            "selectedCandidatePairId": pair, "selectedCandidatePairChanges": self.pair_changes,
            "packetsSent": sent.packets, "bytesSent": sent.bytes,
            "packetsReceived": received.packets, "bytesReceived": received.bytes,
            "iceRole": if self.ice.is_controlling() { "controlling" } else { "controlled" }, "iceState": ice_state(self.state),
            "iceLocalUsernameFragment": self.local_ufrag(),
            "sctpState": if self.sctp.is_connected() { "connected" } else { "connecting" },
        }));
    }

    fn codec_stats(
        &self,
        timestamp_us: i64,
        direction: char,
        transceiver: usize,
        payload_type: u8,
        stats: &mut Vec<Value>,
    ) -> Option<String> {
        let transceiver = self.transceivers.get(transceiver)?;
        let codec: &Codec = transceiver.codecs.iter().find(|codec| codec.payload_type == payload_type)?;
        let id = format!("C{direction}T01_{payload_type}");
        if !stats.iter().any(|s| s["id"] == id) {
            let mut stat = json!({
                "type": "codec", "id": id, "timestamp": timestamp_us, "transportId": "T01",
                "payloadType": payload_type, "clockRate": codec.clock_rate,
                "mimeType": format!("{}/{}", transceiver.kind.as_str(), codec.name),
            });
            if let Some(channels) = codec.channels {
                stat["channels"] = json!(channels);
            }
            if !codec.fmtp.is_empty() {
                stat["sdpFmtpLine"] = json!(codec.fmtp);
            }
            stats.push(stat);
        }
        Some(id)
    }

    fn send_stats(&self, timestamp_us: i64, stats: &mut Vec<Value>) {
        for (index, stream) in &self.rtp.send_streams {
            let Some(transceiver) = self.transceivers.get(*index) else { continue };
            let letter = if transceiver.kind == MediaKind::Audio { 'A' } else { 'V' };
            let codec = self.codec_stats(timestamp_us, 'O', *index, stream.payload_type, stats);
            let id = format!("OT01{letter}{}", stream.ssrc);
            let mut stat = json!({
                "type": "outbound-rtp", "id": id, "timestamp": timestamp_us, "transportId": "T01",
                "kind": transceiver.kind.as_str(), "mediaType": transceiver.kind.as_str(), "mid": transceiver.mid,
                "ssrc": stream.ssrc, "codecId": codec,
                "packetsSent": stream.packets_sent, "bytesSent": stream.bytes_sent,
                "headerBytesSent": stream.header_bytes_sent, "nackCount": stream.nack_count,
                "retransmittedPacketsSent": stream.retransmitted_packets,
                "retransmittedBytesSent": stream.retransmitted_bytes, "active": !transceiver.stopped,
            });
            if transceiver.kind == MediaKind::Video {
                stat["pliCount"] = json!(stream.pli_count);
                stat["firCount"] = json!(stream.fir_count);
            }
            if let Some(rtx) = stream.rtx_ssrc {
                stat["rtxSsrc"] = json!(rtx);
            }
            if let Some(rid) = &stream.rid {
                stat["rid"] = json!(rid);
            }
            if let Some(report) = stream.remote_report {
                let remote_id = format!("RI{letter}{}", stream.ssrc);
                stat["remoteId"] = json!(remote_id);
                let clock_rate = if transceiver.kind == MediaKind::Audio { 48_000.0 } else { 90_000.0 };
                let mut remote = json!({
                    "type": "remote-inbound-rtp", "id": remote_id, "timestamp": timestamp_us, "transportId": "T01",
                    "kind": transceiver.kind.as_str(), "ssrc": stream.ssrc, "localId": id, "codecId": stat["codecId"],
                    "packetsLost": report.packets_lost, "fractionLost": report.fraction_lost,
                    "jitter": f64::from(report.jitter) / clock_rate,
                    "totalRoundTripTime": stream.round_trips.0.as_secs_f64(),
                    "roundTripTimeMeasurements": stream.round_trips.1,
                });
                if let Some(rtt) = report.round_trip_time {
                    remote["roundTripTime"] = json!(rtt.as_secs_f64());
                }
                stats.push(remote);
            }
            stats.push(stat);
        }
    }

    fn receive_stats(&self, now: Instant, timestamp_us: i64, stats: &mut Vec<Value>) {
        for stream in self.rtp.receive_streams.values() {
            let Some(transceiver) = self.transceivers.get(stream.transceiver) else { continue };
            let letter = if transceiver.kind == MediaKind::Audio { 'A' } else { 'V' };
            let codec = self.codec_stats(timestamp_us, 'I', stream.transceiver, stream.payload_type, stats);
            let track =
                transceiver.remote.as_ref().and_then(|media| media.msid.as_ref()).map(|(_, track)| track.clone());
            let mut stat = json!({
                "type": "inbound-rtp", "id": format!("IT01{letter}{}", stream.ssrc), "timestamp": timestamp_us,
                "transportId": "T01", "kind": transceiver.kind.as_str(), "mediaType": transceiver.kind.as_str(),
                "mid": transceiver.mid, "ssrc": stream.ssrc, "codecId": codec, "trackIdentifier": track,
                "packetsReceived": stream.packets_received, "bytesReceived": stream.bytes_received,
                "headerBytesReceived": stream.header_bytes_received, "packetsLost": stream.packets_lost(),
                "jitter": stream.jitter_duration().as_secs_f64(), "nackCount": stream.nack_count,
                "retransmittedPacketsReceived": stream.retransmitted_received,
            });
            if transceiver.kind == MediaKind::Video {
                stat["pliCount"] = json!(stream.pli_count);
                // It asks with picture loss indications only.
                stat["firCount"] = json!(0);
            }
            if let Some(at) = stream.last_packet() {
                stat["lastPacketReceivedTimestamp"] = milliseconds(now, timestamp_us, at);
            }
            if let Some((ntp_time, at)) = stream.last_sender_report {
                let (id, sent) = (format!("RO{letter}{}", stream.ssrc), stream.remote_sent);
                stats.push(json!({
                    "type": "remote-outbound-rtp", "id": id, "timestamp": timestamp_us - micros_since(now, at),
                    "transportId": "T01", "kind": transceiver.kind.as_str(), "ssrc": stream.ssrc,
                    "localId": stat["id"], "codecId": stat["codecId"], "packetsSent": sent.packets,
                    "bytesSent": sent.bytes, "reportsSent": sent.reports, "remoteTimestamp": unix_ms(ntp_time),
                    "totalRoundTripTime": 0.0, "roundTripTimeMeasurements": 0,
                }));
                stat["remoteId"] = json!(id);
            }
            stats.push(stat);
        }
    }
}

/// RFC 8445 section 6.1.2.3.
fn pair_priority(controlling: bool, local: u32, remote: u32) -> u64 {
    let (g, d) = if controlling { (local, remote) } else { (remote, local) };
    (u64::from(g.min(d)) << 32) + 2 * u64::from(g.max(d)) + u64::from(g > d)
}

const fn ice_state(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::New => "new",
        ConnectionState::Connecting => "checking",
        ConnectionState::Connected => "connected",
        ConnectionState::Disconnected => "disconnected",
        ConnectionState::Failed => "failed",
        ConnectionState::Closed => "closed",
    }
}

fn micros_since(now: Instant, at: Instant) -> i64 {
    i64::try_from(now.saturating_duration_since(at).as_micros()).unwrap_or(i64::MAX)
}

/// A moment as the reference gives it: milliseconds since the Unix epoch.
fn milliseconds(now: Instant, timestamp_us: i64, at: Instant) -> Value {
    json!((timestamp_us - micros_since(now, at)) as f64 / 1000.0)
}

/// An NTP timestamp in milliseconds since the Unix epoch (RFC 3550 section 4).
fn unix_ms(ntp_time: u64) -> i64 {
    let seconds = (ntp_time >> 32) as i64 - 2_208_988_800;
    seconds * 1000 + (((ntp_time & 0xffff_ffff) * 1000) >> 32) as i64
}
