//! Transport-wide congestion control feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01): arrival times out, bandwidth estimate in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rtc_interceptor::{BandwidthEstimator, Gcc, History, convert_twcc};
use rtc_rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, RecvDelta, StatusChunkTypeTcc, StatusVectorChunk, SymbolSizeTypeTcc, SymbolTypeTcc,
    TransportLayerCc,
};

const FEEDBACK_INTERVAL: Duration = Duration::from_millis(50);
const MAX_PACKETS_PER_FEEDBACK: u64 = 512;
const MAX_PENDING: usize = 4096;
const DELTA_US: i64 = 250;
const SYMBOLS_PER_CHUNK: usize = 7;
const HISTORY_HORIZON: Duration = Duration::from_secs(5);

/// Receiving side: records arrivals, builds feedback.
pub(crate) struct TwccRecorder {
    origin: Instant,
    highest: Option<u64>,
    next: Option<u64>,
    arrivals: BTreeMap<u64, i64>,
    count: u8,
    media_ssrc: u32,
    due: Option<Instant>,
}

impl TwccRecorder {
    pub(crate) fn new(origin: Instant) -> Self {
        Self { origin, highest: None, next: None, arrivals: BTreeMap::new(), count: 0, media_ssrc: 0, due: None }
    }

    pub(crate) fn record(&mut self, now: Instant, media_ssrc: u32, sequence: u16) {
        let unwrapped = match self.highest {
            None => 0x1_0000 + u64::from(sequence),
            Some(highest) => {
                highest.saturating_add_signed(i64::from(sequence.wrapping_sub(highest as u16).cast_signed()))
            }
        };
        if self.next.is_some_and(|next| unwrapped < next) || self.arrivals.len() >= MAX_PENDING {
            return;
        }
        self.highest = Some(self.highest.map_or(unwrapped, |highest| highest.max(unwrapped)));
        self.media_ssrc = media_ssrc;
        let at = now.saturating_duration_since(self.origin).as_micros() as i64;
        self.arrivals.entry(unwrapped).or_insert(at);
        self.due.get_or_insert(now + FEEDBACK_INTERVAL);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// The next feedback message, if it is time.
    pub(crate) fn feedback(&mut self, now: Instant, sender_ssrc: u32) -> Option<TransportLayerCc> {
        if self.due? > now {
            return None;
        }
        let (&first_arrived, &first_at) = self.arrivals.first_key_value()?;
        // Everything between the last feedback and this one counts as missing, unless the jump is absurd.
        let base =
            self.next.filter(|next| first_arrived - next < MAX_PACKETS_PER_FEEDBACK / 2).unwrap_or(first_arrived);
        let reference = first_at / 64_000;
        let mut last_us = reference * 64_000;
        let mut symbols = Vec::new();
        let mut recv_deltas = Vec::new();
        let mut sequence = base;
        while sequence - base < MAX_PACKETS_PER_FEEDBACK {
            let Some((&next_arrived, &at)) = self.arrivals.first_key_value() else { break };
            if next_arrived > sequence {
                symbols.push(SymbolTypeTcc::PacketNotReceived);
                sequence += 1;
                continue;
            }
            let ticks = (at - last_us).div_euclid(DELTA_US);
            if i16::try_from(ticks).is_err() {
                break;
            }
            let symbol = if (0..=255).contains(&ticks) {
                SymbolTypeTcc::PacketReceivedSmallDelta
            } else {
                SymbolTypeTcc::PacketReceivedLargeDelta
            };
            self.arrivals.pop_first();
            symbols.push(symbol);
            recv_deltas.push(RecvDelta { type_tcc_packet: symbol, delta: ticks * DELTA_US });
            last_us += ticks * DELTA_US;
            sequence += 1;
        }
        self.next = Some(sequence);
        self.due = (!self.arrivals.is_empty()).then_some(now);
        let packet_chunks = symbols
            .chunks(SYMBOLS_PER_CHUNK)
            .map(|symbols| {
                let mut symbol_list = symbols.to_vec();
                symbol_list.resize(SYMBOLS_PER_CHUNK, SymbolTypeTcc::PacketNotReceived);
                PacketStatusChunk::StatusVectorChunk(StatusVectorChunk {
                    type_tcc: StatusChunkTypeTcc::StatusVectorChunk,
                    symbol_size: SymbolSizeTypeTcc::TwoBit,
                    symbol_list,
                })
            })
            .collect();
        let fb_pkt_count = self.count;
        self.count = self.count.wrapping_add(1);
        Some(TransportLayerCc {
            sender_ssrc,
            media_ssrc: self.media_ssrc,
            base_sequence_number: base as u16,
            packet_status_count: symbols.len() as u16,
            reference_time: (reference & 0xff_ffff) as u32,
            fb_pkt_count,
            packet_chunks,
            recv_deltas,
        })
    }
}

/// Sending side: numbers packets and turns feedback into a bandwidth estimate.
pub(crate) struct TwccSender {
    next: u16,
    history: History,
    estimator: Gcc,
    last_target: f64,
    pruned: Option<Instant>,
    pub(crate) round_trip_time: Option<Duration>,
}

impl TwccSender {
    pub(crate) fn new(start: u64, min: u64, max: u64) -> Self {
        Self {
            next: 1,
            history: History::new(),
            estimator: Gcc::new(start as f64, min as f64, max as f64),
            last_target: start as f64,
            pruned: None,
            round_trip_time: None,
        }
    }

    pub(crate) fn next_sequence(&mut self) -> u16 {
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        sequence
    }

    pub(crate) fn sent(&mut self, now: Instant, ssrc: u32, rtp_sequence: u16, twcc_sequence: u16, size: usize) {
        self.history.add_outgoing(ssrc, rtp_sequence, true, twcc_sequence, size, now);
        if self.pruned.is_none_or(|at| now.saturating_duration_since(at) > Duration::from_secs(1)) {
            self.pruned = Some(now);
            if let Some(cutoff) = now.checked_sub(HISTORY_HORIZON) {
                self.history.prune_before(cutoff);
            }
        }
    }

    /// Takes feedback in; returns the new estimate in bit/s if it changed by more than a percent.
    pub(crate) fn feedback(&mut self, now: Instant, feedback: &TransportLayerCc) -> Option<u64> {
        for acknowledgement in acknowledgements(feedback) {
            if let Some(rtt) = self.history.on_twcc_feedback(now, acknowledgement) {
                self.round_trip_time = Some(rtt);
            }
        }
        let reports = self.history.take_reports();
        self.estimator.on_reports(now, &reports);
        let target = self.estimator.target_bitrate();
        if (target - self.last_target).abs() < self.last_target * 0.01 {
            return None;
        }
        self.last_target = target;
        Some(target as u64)
    }

    pub(crate) fn estimate(&self) -> u64 {
        self.last_target as u64
    }
}

/// What the feedback says of each packet. The last chunk is padded: symbols behind the status count mean nothing, and
/// taking them for losses would push the estimate down.
fn acknowledgements(feedback: &TransportLayerCc) -> impl Iterator<Item = rtc_interceptor::Acknowledgement> {
    convert_twcc(feedback).into_iter().take(usize::from(feedback.packet_status_count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_tells_each_packet_and_the_gaps_between() {
        let start = Instant::now();
        let mut recorder = TwccRecorder::new(start);
        for (sequence, ms) in [(5_u16, 0), (6, 3), (9, 20)] {
            recorder.record(start + Duration::from_millis(ms), 7, sequence);
        }
        assert!(recorder.feedback(start, 1).is_none());
        let feedback = recorder.feedback(start + FEEDBACK_INTERVAL, 1).expect("due after the interval");
        assert_eq!(feedback.base_sequence_number, 5);
        assert_eq!(feedback.packet_status_count, 5);
        let arrived: Vec<(u16, bool)> = acknowledgements(&feedback).map(|a| (a.sequence_number, a.arrived)).collect();
        assert_eq!(arrived, vec![(5, true), (6, true), (7, false), (8, false), (9, true)]);
        assert!(recorder.poll_timeout().is_none());
    }

    #[test]
    fn the_next_feedback_starts_where_the_last_one_ended() {
        let start = Instant::now();
        let mut recorder = TwccRecorder::new(start);
        recorder.record(start, 7, 65_535);
        recorder.feedback(start + FEEDBACK_INTERVAL, 1).expect("first feedback");
        recorder.record(start + FEEDBACK_INTERVAL, 7, 1);
        let second = recorder.feedback(start + FEEDBACK_INTERVAL * 2, 1).expect("second feedback");
        assert_eq!(second.base_sequence_number, 0);
        assert_eq!(second.packet_status_count, 2);
    }
}
