//! A sender, a network and a clock that exist in numbers only.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sora_audio::{PacketDecoder, ReceiveBuffer, ReceiveStats};
use sora_rtp::RtpPacket;

/// What a packet's sound is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sound {
    /// Every 10 ms have the number of their frame as value, so that the delay can be read off.
    Counter,
    /// 200 Hz.
    Tone,
}

impl Sound {
    fn sample(self, index: i64) -> i16 {
        match self {
            Self::Counter => (index / 480 % 32_768) as i16,
            Self::Tone => ((index % 240) as f64 / 240.0 * std::f64::consts::TAU).sin().mul_add(8000.0, 0.0) as i16,
        }
    }
}

/// Decodes packets that hold the number of their first sample: four bytes plain, five with redundancy, one more for
/// "nothing follows".
pub(crate) struct Numbers {
    sound: Sound,
    channels: usize,
    next: i64,
}

impl Numbers {
    fn put(&mut self, from: i64, samples: usize, out: &mut Vec<i16>) {
        for index in from..from + samples as i64 {
            out.extend(std::iter::repeat_n(self.sound.sample(index), self.channels));
        }
        self.next = from + samples as i64;
    }

    fn first(packet: &[u8]) -> i64 {
        packet.first_chunk::<4>().map_or(0, |bytes| i64::from(u32::from_be_bytes(*bytes)))
    }
}

impl PacketDecoder for Numbers {
    fn channels(&self) -> usize {
        self.channels
    }
    fn samples(&self, packet: &[u8]) -> usize {
        if (4..=6).contains(&packet.len()) { 960 } else { 0 }
    }
    fn is_pause(&self, packet: &[u8]) -> bool {
        packet.len() == 6
    }
    fn has_redundancy(&self, packet: &[u8]) -> bool {
        packet.len() == 5
    }
    fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> bool {
        self.put(Self::first(packet), 960, out);
        true
    }
    fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<i16>) -> bool {
        self.put(Self::first(next) - samples as i64, samples, out);
        true
    }
    fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        match self.sound {
            // The last value goes on: made-up sound is no newer than what was heard.
            Sound::Counter => {
                out.extend(std::iter::repeat_n(self.sound.sample(self.next - 1), samples * self.channels))
            }
            Sound::Tone => self.put(self.next, samples, out),
        }
    }
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fate {
    /// Milliseconds on the way.
    pub(crate) delay_ms: f64,
    /// Never arrives.
    pub(crate) lost: bool,
    /// Not even sent: the sender had nothing to say. The sequence number stays.
    pub(crate) unsent: bool,
    /// It says that nothing follows for a while.
    pub(crate) pause: bool,
}

/// A run: `seconds` of 20 ms packets from a sender whose clock is `ppm` faster than ours.
pub(crate) struct Run {
    pub(crate) seconds: u64,
    pub(crate) sound: Sound,
    pub(crate) channels: usize,
    pub(crate) redundancy: bool,
    pub(crate) ppm: f64,
    /// When in the 10 ms of playing the first packet is sent.
    pub(crate) phase_ms: f64,
}

impl Default for Run {
    fn default() -> Self {
        Self { seconds: 60, sound: Sound::Counter, channels: 1, redundancy: false, ppm: 0.0, phase_ms: 3.0 }
    }
}

/// What came out.
pub(crate) struct Outcome {
    pub(crate) stats: ReceiveStats,
    /// Delay from the microphone to the ear in ms for every 10 ms; [`Sound::Counter`] only.
    pub(crate) delays_ms: Vec<f64>,
    pub(crate) samples: Vec<i16>,
    /// Pulls that gave nothing after the first that gave something.
    pub(crate) gaps: usize,
}

impl Outcome {
    pub(crate) fn mean_delay_ms(&self) -> f64 {
        self.delays_ms.iter().sum::<f64>() / self.delays_ms.len() as f64
    }

    pub(crate) fn concealed(&self) -> f64 {
        self.stats.concealed_samples as f64 / self.stats.total_samples as f64
    }
}

/// Exponentially distributed milliseconds.
pub(crate) fn exponential(random: &mut StdRng, mean_ms: f64) -> f64 {
    -mean_ms * (1.0 - random.random::<f64>()).ln()
}

impl Run {
    /// Sends every packet to its fate. The random numbers are the same in every run.
    pub(crate) fn simulate(&self, mut fate: impl FnMut(u64, &mut StdRng) -> Fate) -> Outcome {
        let mut random = StdRng::seed_from_u64(7);
        let start = Instant::now();
        let packets = self.seconds * 50;
        let mut arrivals: Vec<(f64, RtpPacket)> = Vec::with_capacity(packets as usize);
        let mut sequence = 0;
        for number in 0..packets {
            let fate = fate(number, &mut random);
            sequence += u64::from(!fate.unsent);
            if fate.lost || fate.unsent {
                continue;
            }
            let sent_ms = (number + 1) as f64 * 20.0 / (1.0 + self.ppm * 1e-6) + self.phase_ms;
            let at_ms = sent_ms + fate.delay_ms;
            let first = number as u32 * 960;
            let mut payload = first.to_be_bytes().to_vec();
            payload.resize(if fate.pause { 6 } else { 4 + usize::from(self.redundancy) }, 0);
            arrivals.push((
                at_ms,
                RtpPacket {
                    ssrc: 1,
                    payload_type: 109,
                    sequence,
                    timestamp: first.wrapping_sub(5000),
                    marker: false,
                    payload: Bytes::from(payload),
                    arrival: start + Duration::from_secs_f64(at_ms / 1000.0),
                    retransmitted: false,
                },
            ));
        }
        arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
        let decoder = Numbers { sound: self.sound, channels: self.channels, next: 0 };
        self.play(start, ReceiveBuffer::new(decoder), arrivals)
    }

    fn play(&self, start: Instant, mut buffer: ReceiveBuffer<Numbers>, arrivals: Vec<(f64, RtpPacket)>) -> Outcome {
        let mut arrivals = arrivals.into_iter().peekable();
        let mut outcome =
            Outcome { stats: ReceiveStats::default(), delays_ms: Vec::new(), samples: Vec::new(), gaps: 0 };
        let mut started = false;
        for pull in 1_u64.. {
            let now_ms = pull as f64 * 10.0;
            if arrivals.peek().is_none() {
                break;
            }
            while let Some((_, packet)) = arrivals.next_if(|(at, _)| *at <= now_ms) {
                buffer.push(packet);
            }
            let Some(frame) = buffer.pull(start + Duration::from_millis(pull * 10)) else {
                outcome.gaps += usize::from(started);
                continue;
            };
            started = true;
            assert_eq!(frame.len(), 480 * self.channels);
            match self.sound {
                Sound::Counter => {
                    let heard = f64::from(frame[frame.len() - 1]);
                    let spoken = (pull as f64 - heard).rem_euclid(32_768.0);
                    outcome.delays_ms.push(spoken * 10.0);
                }
                Sound::Tone => outcome.samples.extend(frame.iter().step_by(self.channels)),
            }
        }
        outcome.stats = buffer.stats();
        outcome
    }
}
