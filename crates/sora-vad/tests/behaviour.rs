//! What `RnnVad` does at the edges: silence, other formats, impossible calls, hostile sound.

mod support;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sora_vad::{MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, RnnVad, VadError};

#[test]
fn a_send_value_without_lifetime() {
    fn is_send<T: Send + 'static>(_: &T) {}
    is_send(&RnnVad::new());
}

#[test]
fn silence_is_exactly_zero_and_is_forgotten_by_the_network() {
    let recording = support::speech();
    let mut vad = RnnVad::new();
    for frame in recording.frames().take(100) {
        vad.analyze(frame, 24_000, 1).expect("a frame");
    }
    let silence = [0; 240];
    // The newest 20 ms still hold 10 ms of speech.
    vad.analyze(&silence, 24_000, 1).expect("a frame");
    for _ in 0..200 {
        assert_eq!(vad.analyze(&silence, 24_000, 1).expect("a frame").to_bits(), 0.0_f32.to_bits());
    }
    for (rate, channels) in [(48_000, 2), (16_000, 1), (44_100, 1)] {
        let mut vad = RnnVad::new();
        let silence = vec![0; (rate / 100 * channels) as usize];
        assert!((0..200).all(|_| vad.analyze(&silence, rate, channels) == Ok(0.0)));
    }
}

#[test]
fn equal_channels_are_one_channel() {
    let recording = support::speech();
    let (mut mono, mut many) = (RnnVad::new(), RnnVad::new());
    for frame in recording.frames().take(300) {
        let copied: Vec<i16> = frame.iter().flat_map(|sample| [*sample; 5]).collect();
        assert_eq!(mono.analyze(frame, 24_000, 1), many.analyze(&copied, 24_000, 5));
    }
}

#[test]
fn what_follows_the_first_10_ms_is_ignored() {
    let recording = support::speech();
    let (mut exact, mut longer) = (RnnVad::new(), RnnVad::new());
    for frame in recording.frames().take(300) {
        let with_tail = [frame, &[i16::MAX; 333]].concat();
        assert_eq!(exact.analyze(frame, 24_000, 1), longer.analyze(&with_tail, 24_000, 1));
    }
}

#[test]
fn impossible_calls_are_errors_and_leave_the_detector_as_it_was() {
    let recording = support::speech();
    let (mut plain, mut disturbed) = (RnnVad::new(), RnnVad::new());
    let long = vec![1000_i16; 400_000];
    for frame in recording.frames().take(200) {
        for rate in [0, 100, 1_000, 3_999, 384_001, 400_000, -48_000, i64::MIN, i64::MAX] {
            assert_eq!(disturbed.analyze(&long, rate, 1), Err(VadError::SampleRate(rate)));
        }
        for channels in [0, -1, MAX_CHANNELS as i64 + 1, i64::MIN, i64::MAX] {
            assert_eq!(disturbed.analyze(&long, 48_000, channels), Err(VadError::Channels(channels)));
        }
        let short = VadError::TooShort { expected: 960, got: 959 };
        assert_eq!(disturbed.analyze(&long[..959], 48_000, 2), Err(short));
        assert_eq!(disturbed.analyze(&[], 4_000, 1), Err(VadError::TooShort { expected: 40, got: 0 }));
        assert_eq!(plain.analyze(frame, 24_000, 1), disturbed.analyze(frame, 24_000, 1));
    }
    let short = VadError::TooShort { expected: 960, got: 959 };
    assert_eq!(short.to_string(), "expected at least 960 samples, which are 10 ms of all channels, got 959");
}

#[test]
fn hostile_sound_gives_probabilities() {
    type Sound = fn(usize) -> i16;
    let sounds: [(&str, Sound); 9] = [
        ("lowest", |_| i16::MIN),
        ("highest", |_| i16::MAX),
        ("fastest", |i| if i.is_multiple_of(2) { i16::MIN } else { i16::MAX }),
        ("square", |i| if i / 60 % 2 == 0 { i16::MIN } else { i16::MAX }),
        ("one pulse in a second", |i| if i.is_multiple_of(24_000) { i16::MAX } else { 0 }),
        ("one", |_| 1),
        ("smallest steps", |i| (i % 2) as i16),
        ("ramp", |i| i as i16),
        ("half a frame on, half off", |i| if i % 480 < 240 { 0 } else { i16::MIN }),
    ];
    for (name, sound) in sounds {
        for (rate, channels) in [(24_000, 1), (48_000, 2), (44_100, 1), (4_000, 1), (384_000, 1)] {
            let mut vad = RnnVad::new();
            let size = (rate / 100 * channels) as usize;
            for frame in 0..320 {
                let samples: Vec<i16> = (0..size).map(|i| sound(frame * size + i)).collect();
                let got = vad.analyze(&samples, rate, channels).expect("a frame");
                assert!((0.0..=1.0).contains(&got), "{name} at {rate}: {got}");
            }
        }
    }
}

#[test]
fn any_format_at_any_time_gives_probabilities() {
    let mut random = StdRng::seed_from_u64(7);
    let mut vad = RnnVad::new();
    for _ in 0..200 {
        let rate = random.random_range(i64::from(MIN_SAMPLE_RATE)..=i64::from(MAX_SAMPLE_RATE));
        let channels = random.random_range(1..=8);
        let shift = random.random_range(0..16);
        let extra = random.random_range(0..50);
        let size = (rate / 100 * channels) as usize + extra;
        for _ in 0..random.random_range(1..6) {
            let samples: Vec<i16> = (0..size).map(|_| random.random::<i16>() >> shift).collect();
            let got = vad.analyze(&samples, rate, channels).expect("a frame");
            assert!((0.0..=1.0).contains(&got), "{rate} Hz, {channels} channels: {got}");
        }
    }
}
