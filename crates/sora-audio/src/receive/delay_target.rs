//! How long sound has to wait so that nearly every packet is there when its turn comes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{RATE, ms};

/// The fastest packet of this time is what all others are compared with.
const HISTORY: Duration = Duration::from_secs(2);
/// Width of a histogram bucket.
const BUCKET: i64 = ms(5);
/// Delays up to a second are told apart.
const BUCKETS: usize = 200;
/// Share of packets that must not come too late.
const QUANTILE: f32 = 0.97;
/// What remains of the past with every packet: half of it is forgotten after 400 packets, 8 s.
const FORGET: f32 = 0.998_3;
/// The delay falls by one bucket in this many packets at most: waiting is better than stretching to and fro.
const LOWER_AFTER: u32 = 25;
/// A packet this much later than others after a pause as long says that the sender paused, not that the network is slow.
const PAUSE: i64 = ms(300);

/// A histogram of how much later than the fastest recent packet each packet came (libwebrtc's NetEq keeps one as well,
/// of 20 ms buckets).
#[derive(Debug)]
pub(super) struct DelayTarget {
    origin: Option<Instant>,
    /// Arrival and transit time of packets, transit times ascending: the first is the smallest.
    fastest: VecDeque<(Instant, i64)>,
    last: Option<(Instant, i64)>,
    histogram: [f32; BUCKETS],
    packets: u32,
    quantile: i64,
}

impl DelayTarget {
    pub(super) fn new() -> Self {
        Self {
            origin: None,
            fastest: VecDeque::new(),
            last: None,
            histogram: [0.0; BUCKETS],
            packets: 0,
            quantile: BUCKET,
        }
    }

    /// Forgets when packets came, as for a new stream, but not how evenly.
    pub(super) fn restart(&mut self) {
        self.fastest.clear();
        self.last = None;
    }

    /// Takes note of a packet of RTP time `time` (unwrapped). Returns how many samples later than the fastest recent
    /// one it came.
    pub(super) fn observe(&mut self, arrival: Instant, time: i64) -> i64 {
        let origin = *self.origin.get_or_insert(arrival);
        let since = arrival.saturating_duration_since(origin);
        let transit = (since.as_micros() as i64).saturating_mul(i64::from(RATE)) / 1_000_000 - time;
        let base = self.fastest.front().map_or(transit, |(_, transit)| *transit);
        if let Some((at, previous)) = self.last {
            let silence = (arrival.saturating_duration_since(at).as_micros() as i64) * i64::from(RATE) / 1_000_000;
            let behind = transit - base;
            // All of the lateness lies in one silence between two packets in order.
            if behind > PAUSE && silence + ms(40) > behind && time > previous {
                self.fastest.clear();
            }
        }
        self.last = Some((arrival, time));
        while self.fastest.back().is_some_and(|(_, other)| *other >= transit) {
            self.fastest.pop_back();
        }
        self.fastest.push_back((arrival, transit));
        while self.fastest.front().is_some_and(|(at, _)| arrival.saturating_duration_since(*at) > HISTORY) {
            self.fastest.pop_front();
        }
        let behind = transit - self.fastest.front().map_or(transit, |(_, transit)| *transit);
        self.count(behind);
        behind
    }

    fn count(&mut self, behind: i64) {
        // The first packets weigh as much as their number allows.
        let forget = FORGET.min(1.0 - 2.0 / (self.packets as f32 + 2.0));
        self.packets = self.packets.saturating_add(1);
        let bucket = ((behind / BUCKET).max(0) as usize).min(BUCKETS - 1);
        let mut sum = 0.0;
        let mut quantile = None;
        for (index, share) in self.histogram.iter_mut().enumerate() {
            *share *= forget;
            if index == bucket {
                *share += 1.0 - forget;
            }
            sum += *share;
            if quantile.is_none() && sum >= QUANTILE {
                quantile = Some(index);
            }
        }
        let quantile = (quantile.unwrap_or(BUCKETS - 1) as i64 + 1) * BUCKET;
        if quantile >= self.quantile {
            self.quantile = quantile;
        } else if self.packets.is_multiple_of(LOWER_AFTER) {
            self.quantile -= BUCKET;
        }
    }

    /// Samples that sound should wait beyond the fastest packet.
    pub(super) fn samples(&self) -> i64 {
        self.quantile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observe_all(target: &mut DelayTarget, delays_ms: impl Iterator<Item = u64>) {
        let start = Instant::now();
        for (number, delay) in delays_ms.enumerate() {
            target.observe(start + Duration::from_millis(number as u64 * 20 + delay), number as i64 * 960);
        }
    }

    #[test]
    fn an_even_network_needs_one_bucket() {
        let mut target = DelayTarget::new();
        observe_all(&mut target, (0..100).map(|number| 50 + number % 3));
        assert_eq!(target.samples(), BUCKET);
    }

    #[test]
    fn one_late_packet_in_ten_is_waited_for_and_forgotten_in_the_end() {
        let mut target = DelayTarget::new();
        observe_all(&mut target, (0..500).map(|number| if number % 10 == 0 { 61 } else { 0 }));
        assert_eq!(target.samples(), ms(65));
        target.restart();
        observe_all(&mut target, (0..2500).map(|_| 0));
        assert_eq!(target.samples(), BUCKET);
    }

    #[test]
    fn a_pause_of_the_sender_is_no_delay() {
        let mut target = DelayTarget::new();
        observe_all(&mut target, (0..200).map(|number| number / 50 * 2000));
        assert_eq!(target.samples(), BUCKET);
    }

    #[test]
    fn a_stall_of_the_network_is_one() {
        let mut target = DelayTarget::new();
        // Everything of a quarter of a second comes at once at its end, every two seconds.
        observe_all(&mut target, (0..1000).map(|number| 250_u64.saturating_sub(number % 100 * 20)));
        assert!((ms(190)..=ms(220)).contains(&target.samples()), "{}", target.samples());
    }
}
