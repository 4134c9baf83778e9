//! `RnnVad` against the recorded outputs of `sora_sdk` 2025.4.0.

mod support;

use sora_vad::RnnVad;

/// How far probabilities are from what was recorded.
#[derive(Default)]
struct Difference {
    frames: usize,
    sum: f64,
    max: f32,
    /// Frames on another side of a threshold that programs use.
    decisions: usize,
}

impl Difference {
    fn add(&mut self, got: f32, expected: f32) {
        assert!((0.0..=1.0).contains(&got));
        let difference = (got - expected).abs();
        self.frames += 1;
        self.sum += f64::from(difference);
        self.max = self.max.max(difference);
        self.decisions += [0.5, 0.95].iter().filter(|limit| (got > **limit) != (expected > **limit)).count();
    }

    fn mean(&self) -> f64 {
        self.sum / self.frames as f64
    }

    /// The processor decides between periods that repeat equally well, so single frames may differ more.
    fn check(&self, name: &str) {
        let Self { frames, max, decisions, .. } = self;
        println!("{name}: {frames} frames, mean {:.2e}, max {max:.2e}, {decisions} decisions differ", self.mean());
        assert_eq!(*decisions, 0, "{name}");
        assert!(self.mean() <= 1e-5 && *max <= 0.06, "{name}: mean {:e}, max {max:e}", self.mean());
    }
}

#[test]
fn probabilities_are_those_of_the_original() {
    let mut all = Difference::default();
    for recording in support::all() {
        let (mut vad, mut difference) = (RnnVad::new(), Difference::default());
        assert_eq!(recording.frames().count(), recording.recorded.len(), "{}", recording.name);
        for (frame, expected) in recording.frames().zip(&recording.recorded) {
            let got = vad.analyze(frame, recording.rate, recording.channels).expect("a frame");
            difference.add(got, *expected);
            all.add(got, *expected);
        }
        difference.check(&recording.name);
    }
    assert!(all.frames >= 6 * 2400);
    all.check("all");
}

/// Another rate and layout every 400 ms, made from one clip without any arithmetic that could round.
#[test]
fn probabilities_are_those_of_the_original_when_the_format_changes() {
    const FORMATS: [(usize, usize); 11] = [
        (24_000, 1),
        (48_000, 2),
        (16_000, 1),
        (48_000, 2),
        (24_000, 1),
        (22_050, 1),
        (8_000, 3),
        (44_100, 2),
        (24_000, 2),
        (11_025, 5),
        (96_000, 1),
    ];
    let clip = support::speech();
    let recorded = support::recorded("changing_formats");
    let (mut vad, mut difference) = (RnnVad::new(), Difference::default());
    for (i, (frame, expected)) in clip.frames().zip(&recorded).enumerate() {
        let (rate, channels) = FORMATS[i / 40 % FORMATS.len()];
        let size = rate / 100;
        let sample = |k: usize| frame[k * frame.len() / size];
        let samples: Vec<i16> = (0..size).flat_map(|k| (0..channels).map(move |c| sample(k) >> c)).collect();
        difference.add(vad.analyze(&samples, rate as i64, channels as i64).expect("a frame"), *expected);
    }
    assert_eq!(difference.frames, 2200);
    difference.check("changing formats");
}
