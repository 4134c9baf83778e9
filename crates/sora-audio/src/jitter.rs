//! How late packets come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets remembered: about 5 s of 20 ms packets.
const WINDOW: usize = 250;
/// Share of packets that should be in time.
const QUANTILE: f64 = 0.98;
/// Assumed before there is a measurement.
const START_MS: f64 = 10.0;
/// Never more than this.
const MAX_MS: f64 = 500.0;

/// Distribution of arrival times against the sender's clock.
///
/// The delay of a packet is its arrival minus its media time; the fastest packet of the window is the reference, so a
/// constant network delay and slow clock drift do not matter.
#[derive(Debug, Default)]
pub(crate) struct JitterEstimate {
    origin: Option<(Instant, i64)>,
    delays_ms: VecDeque<f64>,
    scratch: Vec<f64>,
    margin_ms: f64,
}

impl JitterEstimate {
    pub(crate) fn new() -> Self {
        Self {
            margin_ms: START_MS,
            ..Self::default()
        }
    }

    /// Takes the arrival of a packet whose first sample is `timestamp` (unwrapped, 48 kHz).
    pub(crate) fn arrived(&mut self, arrival: Instant, timestamp: i64) {
        let &mut (origin, first) = self.origin.get_or_insert((arrival, timestamp));
        let wall = signed_ms(arrival, origin);
        let media = (timestamp - first) as f64 / 48.0;
        if self.delays_ms.len() == WINDOW {
            self.delays_ms.pop_front();
        }
        self.delays_ms.push_back(wall - media);
        let fastest = self.delays_ms.iter().copied().fold(f64::INFINITY, f64::min);
        self.scratch.clear();
        self.scratch
            .extend(self.delays_ms.iter().map(|delay| delay - fastest));
        let rank = ((self.scratch.len() - 1) as f64 * QUANTILE) as usize;
        let (_, value, _) = self.scratch.select_nth_unstable_by(rank, f64::total_cmp);
        let measured = value.min(MAX_MS);
        // Few packets say little: lean on the assumption first.
        let trust = (self.delays_ms.len() as f64 / 50.0).min(1.0);
        self.margin_ms = if measured > START_MS {
            measured
        } else {
            measured * trust + START_MS * (1.0 - trust)
        };
    }

    /// Time in ms that should be left in the buffer for late packets.
    pub(crate) const fn margin_ms(&self) -> f64 {
        self.margin_ms
    }

    /// Forgets everything, for a sender that started over.
    pub(crate) fn reset(&mut self) {
        self.origin = None;
        self.delays_ms.clear();
        self.margin_ms = START_MS;
    }
}

fn signed_ms(a: Instant, b: Instant) -> f64 {
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    if a >= b { ms(a - b) } else { -ms(b - a) }
}
