//! The detectors behind features.
#![cfg(any(feature = "earshot", feature = "webrtc-vad"))]

mod support;

use sora_vad::VadError;
use support::Recording;

/// Share of the frames that are speech.
fn share(recording: &Recording, mut is_speech: impl FnMut(&[i16], i64, i64) -> bool) -> f64 {
    let speech = recording.frames().filter(|frame| is_speech(frame, recording.rate, recording.channels)).count();
    speech as f64 / recording.recorded.len() as f64
}

#[cfg(feature = "earshot")]
#[test]
fn earshot_hears_speech_and_no_tone() {
    for recording in support::all() {
        let mut vad = sora_vad::EarshotVad::new();
        let speech = share(&recording, |frame, rate, channels| {
            let score = vad.analyze(frame, rate, channels).expect("a frame");
            assert!((0.0..=1.0).contains(&score));
            score > 0.7
        });
        println!("{}: {speech:.2}", recording.name);
        let expected = if recording.name.starts_with("ns_") { 0.0..0.35 } else { 0.35..0.9 };
        assert!(expected.contains(&speech), "{}: {speech}", recording.name);
    }
    let short = VadError::TooShort { expected: 160, got: 10 };
    assert_eq!(sora_vad::EarshotVad::new().analyze(&[0; 10], 16_000, 1), Err(short));
}

#[cfg(feature = "webrtc-vad")]
#[test]
fn the_old_detector_is_stricter_with_each_mode() {
    use sora_vad::{WebRtcMode, WebRtcVad};
    for recording in support::all() {
        let modes = [WebRtcMode::Quality, WebRtcMode::LowBitrate, WebRtcMode::Aggressive, WebRtcMode::VeryAggressive];
        let shares = modes.map(|mode| {
            let mut vad = WebRtcVad::new(mode);
            share(&recording, |frame, rate, channels| vad.analyze(frame, rate, channels).expect("a frame"))
        });
        println!("{}: {shares:.2?}", recording.name);
        assert!(shares.is_sorted_by(|a, b| a >= b) && shares[0] > 0.3, "{}: {shares:?}", recording.name);
    }
    let mut vad = WebRtcVad::default();
    assert!((0..100).all(|_| vad.analyze(&[0; 480], 48_000, 1) == Ok(false)));
    assert_eq!(vad.analyze(&[0; 480], 48_000, 0), Err(VadError::Channels(0)));
}
