//! Incoming streams: unwrapping, loss repair, statistics (RFC 3550 appendix A).

use std::time::{Duration, Instant};

use rtc_rtcp::reception_report::ReceptionReport;

use super::nack::NackGenerator;

/// One SSRC this side receives.
pub(crate) struct ReceiveStream {
    pub(crate) ssrc: u32,
    pub(crate) transceiver: usize,
    pub(crate) rid: Option<String>,
    pub(crate) clock_rate: u32,
    pub(crate) payload_type: u8,
    pub(crate) nack: Option<NackGenerator>,
    highest: Option<u64>,
    base: u64,
    pub(crate) packets_received: u64,
    pub(crate) bytes_received: u64,
    pub(crate) header_bytes_received: u64,
    pub(crate) retransmitted_received: u64,
    pub(crate) nack_count: u64,
    pub(crate) pli_count: u64,
    pub(crate) jitter: f64,
    last_transit: Option<(Instant, u32)>,
    expected_prior: u64,
    received_prior: u64,
    pub(crate) last_sender_report: Option<(u64, Instant)>,
    pub(crate) remote_sent: RemoteSent,
}

/// What the sender says of itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RemoteSent {
    pub(crate) packets: u32,
    pub(crate) bytes: u32,
    pub(crate) reports: u64,
}

impl ReceiveStream {
    pub(crate) fn new(ssrc: u32, transceiver: usize, rid: Option<String>, clock_rate: u32, nack: bool) -> Self {
        Self {
            ssrc,
            transceiver,
            rid,
            clock_rate,
            payload_type: 0,
            nack: nack.then(NackGenerator::default),
            highest: None,
            base: 0,
            packets_received: 0,
            bytes_received: 0,
            header_bytes_received: 0,
            retransmitted_received: 0,
            nack_count: 0,
            pli_count: 0,
            jitter: 0.0,
            last_transit: None,
            expected_prior: 0,
            received_prior: 0,
            last_sender_report: None,
            remote_sent: RemoteSent::default(),
        }
    }

    /// Unwraps the sequence number next to the highest one seen.
    fn unwrap(&self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else {
            // Room below, so that packets that were overtaken by the first one do not underflow.
            return 0x1_0000 + u64::from(sequence);
        };
        let delta = sequence.wrapping_sub(highest as u16).cast_signed();
        highest.saturating_add_signed(i64::from(delta))
    }

    /// Takes note of a packet and returns its unwrapped sequence number.
    pub(crate) fn received(
        &mut self,
        now: Instant,
        sequence: u16,
        timestamp: u32,
        payload: usize,
        header: usize,
    ) -> u64 {
        let sequence = self.unwrap(sequence);
        match self.highest {
            None => self.base = sequence,
            Some(highest) if sequence.abs_diff(highest) > 3000 => {
                self.base = sequence;
                self.highest = None;
                self.packets_received = 0;
                self.expected_prior = 0;
                self.received_prior = 0;
            }
            Some(_) => {}
        }
        self.highest = Some(self.highest.map_or(sequence, |highest| highest.max(sequence)));
        self.packets_received += 1;
        self.bytes_received += payload as u64;
        self.header_bytes_received += header as u64;
        if let Some((at, last)) = self.last_transit
            && last != timestamp
        {
            let elapsed = now.saturating_duration_since(at).as_secs_f64() * f64::from(self.clock_rate);
            let advanced = f64::from(timestamp.wrapping_sub(last).cast_signed());
            self.jitter += ((elapsed - advanced).abs() - self.jitter) / 16.0;
        }
        self.last_transit = Some((now, timestamp));
        if let Some(nack) = &mut self.nack {
            nack.received(now, sequence);
        }
        sequence
    }

    /// When the last packet came.
    pub(crate) fn last_packet(&self) -> Option<Instant> {
        self.last_transit.map(|(at, _)| at)
    }

    pub(crate) fn packets_lost(&self) -> i64 {
        let Some(highest) = self.highest else { return 0 };
        let expected = highest - self.base.min(highest) + 1;
        i64::try_from(expected).unwrap_or(i64::MAX) - i64::try_from(self.packets_received).unwrap_or(i64::MAX)
    }

    /// The reception report block since the last one.
    pub(crate) fn report(&mut self, now: Instant) -> Option<ReceptionReport> {
        let highest = self.highest?;
        let expected = highest - self.base.min(highest) + 1;
        let expected_interval = expected.saturating_sub(self.expected_prior);
        let received_interval = self.packets_received.saturating_sub(self.received_prior);
        self.expected_prior = expected;
        self.received_prior = self.packets_received;
        let lost = expected_interval.saturating_sub(received_interval);
        let fraction_lost = (lost << 8).checked_div(expected_interval).unwrap_or(0).min(255) as u8;
        let (last_sender_report, delay) = self.last_sender_report.map_or((0, 0), |(ntp, at)| {
            let delay = now.saturating_duration_since(at).as_secs_f64() * 65_536.0;
            ((ntp >> 16) as u32, delay as u32)
        });
        Some(ReceptionReport {
            ssrc: self.ssrc,
            fraction_lost,
            total_lost: self.packets_lost().clamp(0, 0x7f_ffff) as u32,
            last_sequence_number: (highest - 0x1_0000) as u32,
            jitter: self.jitter as u32,
            last_sender_report,
            delay,
        })
    }

    pub(crate) fn jitter_duration(&self) -> Duration {
        Duration::from_secs_f64((self.jitter / f64::from(self.clock_rate.max(1))).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> ReceiveStream {
        ReceiveStream::new(1, 0, None, 90_000, true)
    }

    #[test]
    fn sequence_numbers_unwrap_across_the_border_in_both_directions() {
        let now = Instant::now();
        let mut stream = stream();
        let first = stream.received(now, 65_534, 0, 10, 12);
        assert_eq!(stream.received(now, 1, 0, 10, 12), first + 3);
        assert_eq!(stream.received(now, 65_535, 0, 10, 12), first + 1);
    }

    #[test]
    fn loss_is_counted_in_reports() {
        let now = Instant::now();
        let mut stream = stream();
        for sequence in [0_u16, 1, 2, 4] {
            stream.received(now, sequence, 0, 10, 12);
        }
        let report = stream.report(now).expect("a report after packets");
        assert_eq!(report.total_lost, 1);
        assert_eq!(report.fraction_lost, 51);
        assert_eq!(report.last_sequence_number, 4);
    }
}
