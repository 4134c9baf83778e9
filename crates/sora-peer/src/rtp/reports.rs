//! Sender and receiver reports (RFC 3550 section 6.4).

use std::time::{Duration, Instant};

use rtc_rtcp::Packet;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::sender_report::SenderReport;

use super::send::{RemoteReport, SendStream};

pub(crate) const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// A report has five bits for its block count.
const MAX_BLOCKS: usize = 31;

/// Maps the injected clock to NTP time, which only has to be consistent within a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NtpClock {
    pub(crate) origin: Instant,
    /// NTP time (32.32 fixed point, seconds since 1900) at `origin`.
    pub(crate) ntp_at_origin: u64,
}

impl NtpClock {
    pub(crate) fn ntp(self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.origin);
        let seconds = elapsed.as_secs() << 32;
        let fraction = (u64::from(elapsed.subsec_nanos()) << 32) / 1_000_000_000;
        self.ntp_at_origin.wrapping_add(seconds + fraction)
    }
}

pub(crate) fn sender_report(
    clock: NtpClock,
    now: Instant,
    stream: &SendStream,
    clock_rate: u32,
) -> Option<Box<dyn Packet>> {
    let (timestamp, at) = stream.last_timestamp?;
    let elapsed = now.saturating_duration_since(at).as_secs_f64() * f64::from(clock_rate);
    Some(Box::new(SenderReport {
        ssrc: stream.ssrc,
        ntp_time: clock.ntp(now),
        rtp_time: timestamp.wrapping_add(elapsed as u32),
        packet_count: stream.packets_sent as u32,
        octet_count: stream.bytes_sent as u32,
        ..SenderReport::default()
    }))
}

pub(crate) fn receiver_reports(ssrc: u32, blocks: &[ReceptionReport]) -> Vec<Box<dyn Packet>> {
    blocks
        .chunks(MAX_BLOCKS)
        .map(|reports| {
            let report = ReceiverReport { ssrc, reports: reports.to_vec(), ..ReceiverReport::default() };
            Box::new(report) as Box<dyn Packet>
        })
        .collect()
}

/// Reads one reception report about our stream; the round trip is A - LSR - DLSR in NTP middle bits.
pub(crate) fn remote_report(clock: NtpClock, now: Instant, report: &ReceptionReport) -> RemoteReport {
    let round_trip_time = (report.last_sender_report != 0).then(|| {
        let arrived = (clock.ntp(now) >> 16) as u32;
        let ticks = arrived.wrapping_sub(report.last_sender_report).wrapping_sub(report.delay);
        Duration::from_secs_f64(f64::from(ticks) / 65_536.0)
    });
    RemoteReport {
        fraction_lost: f64::from(report.fraction_lost) / 256.0,
        packets_lost: report.total_lost,
        jitter: report.jitter,
        // A clock step or a hostile report would give hours.
        round_trip_time: round_trip_time.filter(|rtt| *rtt < Duration::from_secs(60)),
    }
}
