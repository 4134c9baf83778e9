//! `RnnVad` against the recorded outputs of `sora_sdk` 2025.4.0.

mod support;

use sora_vad::RnnVad;
use support::Recording;

/// How far a clip is from what was recorded.
struct Difference {
    frames: usize,
    sum: f64,
    max: f32,
    /// Frames on another side of a threshold that programs use.
    decisions: usize,
}

fn compare(recording: &Recording) -> Difference {
    let mut vad = RnnVad::new();
    let mut difference = Difference { frames: 0, sum: 0.0, max: 0.0, decisions: 0 };
    assert_eq!(recording.frames().count(), recording.recorded.len(), "{}", recording.name);
    for (frame, expected) in recording.frames().zip(&recording.recorded) {
        let got = vad.analyze(frame, recording.rate, recording.channels).expect("a frame");
        assert!((0.0..=1.0).contains(&got));
        difference.frames += 1;
        difference.sum += f64::from((got - expected).abs());
        difference.max = difference.max.max((got - expected).abs());
        difference.decisions += [0.5, 0.95].iter().filter(|limit| (got > **limit) != (*expected > **limit)).count();
    }
    difference
}

#[test]
fn probabilities_are_those_of_the_original() {
    let (mut frames, mut sum) = (0, 0.0);
    for recording in support::all() {
        let difference = compare(&recording);
        let mean = difference.sum / difference.frames as f64;
        println!(
            "{}: {} frames, mean {mean:.2e}, max {:.2e}, {} decisions differ",
            recording.name, difference.frames, difference.max, difference.decisions
        );
        assert_eq!(difference.decisions, 0, "{}", recording.name);
        assert!(mean <= 1e-5 && difference.max <= 0.06, "{}: mean {mean}, max {}", recording.name, difference.max);
        frames += difference.frames;
        sum += difference.sum;
    }
    let mean = sum / frames as f64;
    println!("all: {frames} frames, mean {mean:.2e}");
    assert!(frames >= 6 * 2400 && mean <= 1e-5, "{frames} frames, mean {mean}");
}
