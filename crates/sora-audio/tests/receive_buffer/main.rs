//! The receive buffer on a virtual clock: what it costs in delay and in made-up sound on networks of every kind.
#![allow(clippy::expect_used)]

mod simulation;

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::RngExt;
use simulation::{Fate, Outcome, Run, Sound, exponential};

fn delayed(delay_ms: f64) -> Fate {
    Fate { delay_ms, ..Fate::default() }
}

#[test]
fn a_clean_link_costs_at_most_40_ms_and_nothing_is_made_up() {
    for phase in 0..10 {
        let run = Run { phase_ms: f64::from(phase), ..Run::default() };
        let outcome = run.simulate(|_, random| delayed(random.random_range(0.0..1.5)));
        assert!(outcome.mean_delay_ms() <= 40.0, "phase {phase}: {:.1} ms", outcome.mean_delay_ms());
        assert_eq!(outcome.stats.concealed_samples, 0, "phase {phase}");
        assert_eq!((outcome.stats.packets_discarded, outcome.gaps), (0, 0));
    }
}

#[test]
fn delay_follows_the_jitter() {
    // Mean jitter, most delay beyond the packet's own 20 ms, most sound made up.
    for (mean, delay, concealed) in [(2.0, 25.0, 0.005), (10.0, 60.0, 0.01), (20.0, 100.0, 0.02), (60.0, 280.0, 0.03)] {
        let outcome = Run { seconds: 300, ..Run::default() }.simulate(|_, random| delayed(exponential(random, mean)));
        let beyond = outcome.mean_delay_ms() - 20.0;
        assert!(beyond <= delay, "{mean} ms: {beyond:.1} ms");
        assert!(outcome.concealed() <= concealed, "{mean} ms: {:.4} made up", outcome.concealed());
    }
}

#[test]
fn a_tenth_lost_is_rebuilt_from_redundancy() {
    let lossy = |_: u64, random: &mut rand::rngs::StdRng| Fate {
        lost: random.random_range(0.0..1.0) < 0.1,
        ..delayed(random.random_range(0.0..2.0))
    };
    let with = Run { seconds: 300, redundancy: true, ..Run::default() }.simulate(lossy);
    assert!(with.concealed() < 0.02, "{:.4}", with.concealed());
    assert!(with.stats.recovered_packets > 1200, "{:?}", with.stats);
    assert!(with.mean_delay_ms() < 70.0, "{:.1} ms", with.mean_delay_ms());
    // Without it there is no reason to wait, and as much is made up as was lost.
    let without = Run { seconds: 300, ..Run::default() }.simulate(lossy);
    assert!((0.085..0.12).contains(&without.concealed()), "{:.4}", without.concealed());
    assert!(without.mean_delay_ms() <= 45.0, "{:.1} ms", without.mean_delay_ms());
}

#[test]
fn an_hour_of_clocks_that_differ_needs_nothing_made_up() {
    for ppm in [-100.0, 100.0] {
        let run = Run { seconds: 3600, sound: Sound::Counter, ppm, ..Run::default() };
        let outcome = run.simulate(|_, random| delayed(random.random_range(0.0..2.0)));
        assert_eq!(outcome.stats.concealed_samples, 0, "{ppm} ppm");
        // The sender's counter runs at its own pace; subtract what the clocks went apart.
        let apart = |pull: usize| pull as f64 * 10.0 * ppm * 1e-6;
        let corrected = |(pull, delay): (usize, &f64)| (delay + apart(pull)).rem_euclid(327_680.0);
        let delays: Vec<f64> = outcome.delays_ms.iter().enumerate().map(corrected).collect();
        let most = delays.iter().copied().fold(0.0, f64::max);
        assert!(most <= 60.0, "{ppm} ppm: up to {most:.1} ms");
        let changed = if ppm > 0.0 { outcome.stats.removed_samples } else { outcome.stats.inserted_samples };
        // 100 ppm of an hour.
        assert!(changed.abs_diff(17_280) < 3000, "{ppm} ppm: {changed} samples");
    }
}

#[test]
fn a_tone_stays_a_tone_under_jitter_and_loss() {
    let bend = |outcome: &Outcome| {
        let bends = outcome.samples.windows(3).map(|w| (i32::from(w[2]) - 2 * i32::from(w[1]) + i32::from(w[0])).abs());
        bends.max().unwrap_or(0)
    };
    for channels in [1, 2] {
        let run = Run { sound: Sound::Tone, channels, redundancy: true, ..Run::default() };
        let even = run.simulate(|_, _| delayed(0.0));
        let rough = run.simulate(|_, random| Fate {
            lost: random.random_range(0.0..1.0) < 0.05,
            ..delayed(exponential(random, 15.0))
        });
        assert!(rough.stats.removed_samples + rough.stats.inserted_samples > 0);
        // A joint may bend by a few steps of rounding and of a period that is no whole number of samples.
        assert!(bend(&rough) <= bend(&even) + 400, "{} after {}", bend(&rough), bend(&even));
    }
}

#[test]
fn after_a_stall_the_delay_is_caught_up() {
    // Half a second of everything comes at once, once.
    let outcome = Run { seconds: 120, ..Run::default() }
        .simulate(|number, _| delayed(if (500..525).contains(&number) { (525 - number) as f64 * 20.0 } else { 0.0 }));
    let late: Vec<f64> = outcome.delays_ms[9000..].to_vec();
    assert!(late.iter().all(|delay| *delay <= 60.0), "{late:?}");
    assert!(outcome.stats.concealed_samples <= 48_000 * 6 / 10, "{:?}", outcome.stats);
    assert_eq!(outcome.stats.packets_discarded, 0);
}

#[test]
fn a_sender_that_pauses_is_not_taken_for_a_slow_network() {
    // The sender says nothing for two seconds out of four; its packets' time does not go on meanwhile.
    let outcome = Run { seconds: 60, ..Run::default() }.simulate(|number, _| delayed((number / 100) as f64 * 2000.0));
    assert!(outcome.stats.packets_discarded == 0);
    let per_burst: Vec<f64> = outcome.delays_ms.iter().map(|delay| delay % 2000.0).collect();
    let during: Vec<f64> = per_burst.into_iter().filter(|delay| *delay < 1000.0).collect();
    let mean = during.iter().sum::<f64>() / during.len() as f64;
    assert!(mean < 600.0, "{mean:.1} ms");
}

#[test]
fn discontinuous_transmission_is_no_loss() {
    // One second of speech, then one of nothing but a packet every 400 ms.
    let outcome = Run::default().simulate(|number, _| {
        let silent = number % 100 >= 50;
        let sent = (number % 100 - 50 * u64::from(silent)).is_multiple_of(20);
        Fate { unsent: silent && !sent, pause: silent, ..delayed(0.0) }
    });
    assert_eq!((outcome.stats.concealed_samples, outcome.stats.packets_discarded), (0, 0));
    // What is made up in the pauses is no newer than the packet before.
    let speech: Vec<f64> = outcome.delays_ms.iter().copied().filter(|delay| *delay <= 60.0).collect();
    assert!(speech.len() * 2 > outcome.delays_ms.len() - 200, "{} of {}", speech.len(), outcome.delays_ms.len());
}

#[test]
fn reordered_and_duplicate_packets_are_put_right() {
    let outcome = Run::default().simulate(|number, _| delayed(if number % 2 == 0 { 25.0 } else { 0.0 }));
    assert!(outcome.concealed() < 0.002, "{:.4}", outcome.concealed());
    assert!(outcome.mean_delay_ms() < 75.0, "{:.1}", outcome.mean_delay_ms());
}

#[test]
fn two_hours_neither_drift_nor_grow() {
    let run = Run { seconds: 7200, ppm: 20.0, redundancy: true, ..Run::default() };
    let outcome = run
        .simulate(|_, random| Fate { lost: random.random_range(0.0..1.0) < 0.01, ..delayed(exponential(random, 4.0)) });
    let mean = |delays: &[f64], from: usize| {
        let apart = |index: usize| (from + index) as f64 * 10.0 * 20e-6;
        let corrected = delays.iter().enumerate().map(|(index, delay)| (delay + apart(index)).rem_euclid(327_680.0));
        corrected.sum::<f64>() / delays.len() as f64
    };
    let count = outcome.delays_ms.len();
    let early = mean(&outcome.delays_ms[6000..60_000], 6000);
    let late = mean(&outcome.delays_ms[count - 54_000..], count - 54_000);
    assert!((early - late).abs() < 10.0, "{early:.1} ms, then {late:.1} ms");
    assert!(outcome.concealed() < 0.01);
}

#[test]
fn hostile_packets_neither_grow_nor_break_it() {
    use sora_audio::{PacketDecoder, ReceiveBuffer};
    use sora_rtp::RtpPacket;

    struct Any;
    impl PacketDecoder for Any {
        fn channels(&self) -> usize {
            2
        }
        fn samples(&self, packet: &[u8]) -> usize {
            [0, 120, 480, 960, 2880, 5760][packet.len() % 6]
        }
        fn is_pause(&self, packet: &[u8]) -> bool {
            packet.len() == 7
        }
        fn has_redundancy(&self, packet: &[u8]) -> bool {
            packet.len().is_multiple_of(2)
        }
        fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> bool {
            out.resize(self.samples(packet) * 2, 9000);
            !packet.len().is_multiple_of(5)
        }
        fn recover(&mut self, _: &[u8], samples: usize, out: &mut Vec<i16>) -> bool {
            out.resize(samples * 2, -9000);
            true
        }
        fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
            assert!(samples.is_multiple_of(120));
            out.resize(out.len() + samples * 2, 1);
        }
    }
    let now = Instant::now();
    let mut buffer = ReceiveBuffer::new(Any);
    let mut seed = 1_u32;
    let mut pulled = 0_u64;
    for step in 0..100_000_u64 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let near = step as u32 * 480 + (seed >> 20);
        buffer.push(RtpPacket {
            ssrc: 1,
            payload_type: 109,
            sequence: if seed.is_multiple_of(7) { u64::from(seed) } else { step },
            timestamp: if seed.is_multiple_of(50) { seed } else { near },
            marker: false,
            payload: Bytes::from(vec![0; (seed >> 8) as usize % 11]),
            arrival: now + Duration::from_micros(u64::from(seed >> 12)),
            retransmitted: seed.is_multiple_of(9),
        });
        if seed.is_multiple_of(2) {
            pulled += buffer.pull(now + Duration::from_millis(step * 10)).map_or(0, |frame| frame.len() as u64 / 2);
        }
        assert!(buffer.buffered() <= 200 * 5760 + 48_000, "{} samples wait", buffer.buffered());
    }
    assert_eq!(buffer.stats().total_samples, pulled);
}
