//! Sound from the source to the receiver's ear, through Opus, on a virtual clock: every rate and layout.
#![allow(clippy::expect_used)]

use std::f64::consts::TAU;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sora_audio::ReceiveBuffer;
use sora_media::{AudioSender, AudioSource, OpusPackets, OpusParameters};
use sora_rtp::{EncodedFrame, RtpPacket};

/// Sends two seconds of `samples` through Opus; what comes out at 48 kHz.
fn transmit(rate: u32, channels: usize, fmtp: &str, chunk: usize, value: impl Fn(usize, usize) -> i16) -> Vec<i16> {
    let parameters = OpusParameters::from_fmtp(fmtp);
    let source = AudioSource::new(channels as i64, i64::from(rate)).expect("a source");
    let packets: Arc<Mutex<Vec<EncodedFrame>>> = Arc::default();
    let output = packets.clone();
    let _sender = AudioSender::start(source.track(), channels, &parameters, None, move |frame| {
        output.lock().expect("a lock").push(frame);
    })
    .expect("a sender");
    let frames = rate as usize * 2;
    let samples: Vec<i16> =
        (0..frames).flat_map(|i| (0..channels).map(move |c| (i, c))).map(|(i, c)| value(i, c)).collect();
    for chunk in samples.chunks(chunk * channels) {
        source.push(chunk, channels, None).expect("taken");
    }
    let start = Instant::now();
    let decoded = parameters.channels(channels);
    let mut buffer = ReceiveBuffer::new(OpusPackets::new(decoded).expect("a decoder"));
    let mut packets = packets.lock().expect("a lock").drain(..).collect::<Vec<_>>().into_iter();
    let mut out = Vec::new();
    for tick in 0..200 {
        let now = start + Duration::from_millis(tick * 10);
        if tick % 2 == 0
            && let Some(frame) = packets.next()
        {
            buffer.push(RtpPacket {
                ssrc: 1,
                payload_type: 109,
                sequence: tick / 2,
                timestamp: frame.timestamp,
                marker: frame.marker,
                payload: frame.payloads[0].clone(),
                arrival: now,
                retransmitted: false,
            });
        }
        out.extend(buffer.pull(now).into_iter().flatten());
    }
    out
}

/// Amplitude and phase of the sine of `frequency` in `samples` and the share of energy that is something else, by
/// least squares against sine, cosine and a constant.
fn fit(samples: &[f64], frequency: f64) -> (f64, f64, f64) {
    let n = samples.len() as f64;
    let basis = |index: usize| (TAU * frequency * index as f64 / 48_000.0).sin_cos();
    let mean = samples.iter().sum::<f64>() / n;
    let (mut ss, mut sc, mut cc, mut xs, mut xc) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let (sin, cos) = basis(index);
        (ss, sc, cc) = (ss + sin * sin, sc + sin * cos, cc + cos * cos);
        (xs, xc) = (xs + (sample - mean) * sin, xc + (sample - mean) * cos);
    }
    let determinant = ss * cc - sc * sc;
    let (a, b) = ((xs * cc - xc * sc) / determinant, (xc * ss - xs * sc) / determinant);
    let rest = samples.iter().enumerate().map(|(index, sample)| {
        let (sin, cos) = basis(index);
        (sample - mean - a * sin - b * cos).powi(2)
    });
    let noise = rest.sum::<f64>() / n;
    (a.hypot(b), b.atan2(a), noise / ((a * a + b * b) / 2.0))
}

/// Frequency in Hz over the last second of `out` and the worst signal to noise ratio in dB of any 100 ms of it.
fn analyse(out: &[i16], channels: usize, channel: usize, about: f64) -> (f64, f64) {
    let own: Vec<f64> = out.iter().skip(channel).step_by(channels).map(|sample| f64::from(*sample)).collect();
    let last = &own[own.len() - 48_000..];
    // The phase turns from one 100 ms to the next by the expected frequency and the difference to it.
    let phases: Vec<f64> = last.chunks(4800).map(|part| fit(part, about).1).collect();
    let turns =
        phases.windows(2).map(|pair| (pair[1] - pair[0] - TAU * about * 0.1 + TAU / 2.0).rem_euclid(TAU) - TAU / 2.0);
    let frequency = about + turns.sum::<f64>() / (phases.len() - 1) as f64 / TAU * 10.0;
    let worst = last.chunks(4800).map(|part| fit(part, frequency).2).fold(0.0, f64::max);
    (frequency, -10.0 * worst.log10())
}

const RATES: [u32; 11] = [8000, 11_025, 12_345, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000];

fn check_sines(rates: &[u32], channels: &[usize], fmtp: &str, least_db: f64) {
    for (&rate, &channels) in rates.iter().flat_map(|rate| channels.iter().map(move |channels| (rate, channels))) {
        for frequency in [100.0, 317.0, 997.0, 2500.0, 5500.0, 7000.0] {
            if frequency > f64::from(rate) * 0.43 {
                continue;
            }
            // 333 samples: no multiple of anything.
            let out = transmit(rate, channels, fmtp, 333, |index, _| {
                ((TAU * frequency * index as f64 / f64::from(rate)).sin() * 10_000.0) as i16
            });
            let (heard, quality) = analyse(&out, 1, 0, frequency);
            let what = format!("{frequency} Hz of {channels} channels at {rate} Hz");
            assert!((heard / frequency - 1.0).abs() < 0.000_5, "{what} is heard as {heard:.3} Hz");
            assert!(quality >= least_db, "{what} is heard at {quality:.1} dB");
        }
    }
}

#[test]
fn every_rate_keeps_pitch_and_quality() {
    check_sines(&RATES, &[1, 2], "useinbandfec=1;maxaveragebitrate=64000", 30.0);
}

#[test]
fn every_layout_keeps_pitch_and_quality() {
    check_sines(&[11_025, 16_000, 48_000], &[3, 4, 5, 6, 7, 8], "useinbandfec=1;maxaveragebitrate=64000", 30.0);
}

#[test]
fn the_usual_bit_rate_keeps_pitch() {
    // 32 kbit/s is made for voices; Opus itself is at 26 dB for some sines then.
    check_sines(&[8000, 44_100], &[1], "useinbandfec=1", 25.0);
}

#[test]
fn stereo_stays_stereo_if_the_receiver_wants_it() {
    let tone = |index: usize, channel: usize| {
        ((TAU * 440.0 * (channel + 1) as f64 * index as f64 / 44_100.0).sin() * 8000.0) as i16
    };
    let out = transmit(44_100, 2, "stereo=1;useinbandfec=1", 441, tone);
    for (channel, frequency) in [(0, 440.0), (1, 880.0)] {
        let (heard, quality) = analyse(&out, 2, channel, frequency);
        assert!((heard / frequency - 1.0).abs() < 0.000_5 && quality > 25.0, "{heard:.2} Hz at {quality:.1} dB");
    }
    let mono = transmit(44_100, 2, "useinbandfec=1", 441, tone);
    assert_eq!(mono.len() * 2, out.len());
}
