use crate::fft::Fft;
use crate::math::dot;
use crate::pitch::{BUFFER, FRAME, LAGS, MAX_PERIOD};

/// Points of the transform that correlates: frame and lags fit without folding over.
const POINTS: usize = 512;
/// All of these are at 12 kHz.
const HALF_BUFFER: usize = BUFFER / 2;
const HALF_FRAME: usize = FRAME / 2;
const HALF_LAGS: usize = LAGS / 2;
const HALF_PERIOD: usize = MAX_PERIOD / 2;

/// A lag, with the square of its correlation as a fraction of its energy.
#[derive(Clone, Copy)]
struct Candidate {
    lag: usize,
    squared: f32,
    energy: f32,
}

impl Candidate {
    fn beats(&self, other: &Self) -> bool {
        self.squared * other.energy > other.squared * self.energy
    }
}

/// The first search, on every second sample.
pub(crate) struct CoarseSearch {
    frame: Fft,
    lags: Fft,
}

impl CoarseSearch {
    pub(crate) fn new() -> Self {
        Self { frame: Fft::new(POINTS), lags: Fft::new(POINTS) }
    }

    /// The two best inverted lags at 24 kHz.
    pub(crate) fn find(&mut self, residual: &[f32; BUFFER]) -> [usize; 2] {
        let mut halved = [0.0; HALF_BUFFER];
        for (half, pair) in halved.iter_mut().zip(residual.as_chunks::<2>().0) {
            *half = pair[0];
        }
        let correlations = self.correlate(&halved);
        best_two(&halved, correlations).map(|lag| 2 * lag)
    }

    /// The newest frame against the frames at all inverted lags: a convolution with it reversed.
    fn correlate(&mut self, halved: &[f32; HALF_BUFFER]) -> &[f32] {
        let input = self.frame.input();
        for (to, from) in input.iter_mut().zip(halved[HALF_PERIOD..].iter().rev()) {
            *to = *from;
        }
        input[HALF_FRAME..].fill(0.0);
        self.frame.forward();
        let input = self.lags.input();
        let used = HALF_FRAME + HALF_LAGS;
        input[..used].copy_from_slice(&halved[..used]);
        input[used..].fill(0.0);
        self.lags.forward();
        let product = self.lags.spectrum_mut().iter_mut().zip(self.frame.spectrum());
        product.for_each(|(lags, frame)| *lags = *lags * frame / POINTS as f32);
        &self.lags.inverse()[HALF_FRAME - 1..][..HALF_LAGS]
    }
}

fn best_two(halved: &[f32; HALF_BUFFER], correlations: &[f32]) -> [usize; 2] {
    let none = |lag| Candidate { lag, squared: -1.0, energy: 0.0 };
    let (mut best, mut second) = (none(0), none(1));
    // One sample more than a frame, as the network was trained.
    let mut energy = 1.0 + dot(&halved[..=HALF_FRAME], &halved[..=HALF_FRAME]);
    for (lag, correlation) in correlations.iter().enumerate() {
        if *correlation > 0.0 {
            let candidate = Candidate { lag, squared: correlation * correlation, energy };
            if candidate.beats(&best) {
                (best, second) = (candidate, best);
            } else if candidate.beats(&second) {
                second = candidate;
            }
        }
        let (leaving, entering) = (halved[lag], halved[lag + HALF_FRAME]);
        energy = (energy - leaving * leaving + entering * entering).max(0.0);
    }
    [best.lag, second.lag]
}
