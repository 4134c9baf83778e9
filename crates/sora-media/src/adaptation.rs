//! What gives way when the machine or the network is too slow: the size of the pictures or their number.

use std::time::Duration;

/// What is kept when there is not enough time or bandwidth (W3C `RTCDegradationPreference`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DegradationPreference {
    /// Nothing is given up on purpose. Pictures that come too fast are left out all the same.
    Disabled,
    /// Pictures get smaller.
    #[default]
    MaintainFramerate,
    /// Pictures get fewer.
    MaintainResolution,
    /// Both in turn.
    Balanced,
}

/// Why pictures are smaller or fewer than they came (W3C `RTCQualityLimitationReason`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QualityLimitation {
    /// They are not.
    #[default]
    None,
    /// Encoding takes too long.
    Cpu,
    /// There is too little bandwidth.
    Bandwidth,
}

impl QualityLimitation {
    /// `none`, `cpu` or `bandwidth`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Cpu => "cpu",
            Self::Bandwidth => "bandwidth",
        }
    }
}

/// Size and number of the pictures that are encoded, as parts of what comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    /// Each side, in eighths.
    side: u32,
    /// Of so many pictures one is encoded.
    one_of: u32,
}

const SMALLER: [u32; 5] = [8, 6, 4, 3, 2];
const FEWER: [u32; 3] = [1, 2, 3];
/// Encoding may take this part of the time between two pictures.
const BUSY: f64 = 0.85;
const IDLE: f64 = 0.45;
/// Bits per pixel below which pictures get smaller, and above which (at the larger size) they grow again.
const FEW_BITS: f64 = 0.012;
const ENOUGH_BITS: f64 = 0.02;
const DOWN_AFTER: Duration = Duration::from_secs(2);
const UP_AFTER: Duration = Duration::from_secs(5);
/// Sides do not go below this.
const SMALLEST_SIDE: u32 = 120;

/// Watches how encoding goes and says what to encode.
#[derive(Debug)]
pub(crate) struct Adaptation {
    preference: DegradationPreference,
    /// Steps taken, with the reason of each.
    steps: Vec<QualityLimitation>,
    /// Part of the time between pictures that encoding takes, smoothed.
    usage: f64,
    bad_for: Duration,
    good_for: Duration,
    /// How long it has to go well before something is taken back; grows each time that was wrong.
    patience: Duration,
    counter: u32,
}

/// What a picture cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observation {
    /// Time since the last picture that came in.
    pub(crate) interval: Duration,
    /// Time that encoding took.
    pub(crate) encoding: Duration,
    /// Bits per second at hand for what is sent, if they are fewer than its size deserves.
    pub(crate) scarce_bps: Option<u64>,
    /// Width of the picture that would be sent of what came.
    pub(crate) width: u32,
    /// Its height.
    pub(crate) height: u32,
    /// Pictures per second that would be sent of those that come.
    pub(crate) frame_rate: u32,
}

impl Adaptation {
    pub(crate) fn new(preference: DegradationPreference) -> Self {
        Self {
            preference,
            steps: Vec::new(),
            usage: 0.0,
            bad_for: Duration::ZERO,
            good_for: Duration::ZERO,
            patience: UP_AFTER,
            counter: 0,
        }
    }

    fn step(&self, taken: usize) -> Step {
        let (smaller, fewer) = match self.preference {
            DegradationPreference::Disabled => (0, 0),
            DegradationPreference::MaintainFramerate => (taken, 0),
            DegradationPreference::MaintainResolution => (0, taken),
            DegradationPreference::Balanced => (taken.div_ceil(2), taken / 2),
        };
        Step { side: SMALLER[smaller.min(SMALLER.len() - 1)], one_of: FEWER[fewer.min(FEWER.len() - 1)] }
    }

    fn most_steps(&self) -> usize {
        match self.preference {
            DegradationPreference::Disabled => 0,
            DegradationPreference::MaintainFramerate => SMALLER.len() - 1,
            DegradationPreference::MaintainResolution => FEWER.len() - 1,
            DegradationPreference::Balanced => 2 * (FEWER.len() - 1),
        }
    }

    /// The size to encode a picture in.
    pub(crate) fn size(&self, width: u32, height: u32) -> (u32, u32) {
        Self::scaled(self.step(self.steps.len()), width, height)
    }

    fn scaled(step: Step, width: u32, height: u32) -> (u32, u32) {
        // Even sides, so that chroma halves evenly and no codec has to cut anything.
        let part = |side: u32| if step.side == 8 { side } else { (side * step.side / 8).max(1).next_multiple_of(2) };
        (part(width).min(width), part(height).min(height))
    }

    /// True if the next picture is to be encoded.
    pub(crate) fn wants_picture(&mut self) -> bool {
        self.counter = self.counter.wrapping_add(1);
        self.counter.is_multiple_of(self.step(self.steps.len()).one_of)
    }

    /// Pictures per second that are encoded of a source's.
    pub(crate) fn frame_rate(&self, source: u32) -> u32 {
        (source / self.step(self.steps.len()).one_of.max(1)).max(1)
    }

    /// Why pictures are smaller or fewer than they came.
    pub(crate) fn limitation(&self) -> QualityLimitation {
        self.steps.last().copied().unwrap_or_default()
    }

    /// Learns what a picture cost.
    pub(crate) fn observe(&mut self, seen: &Observation) {
        // A pause of the source says nothing.
        let interval = seen.interval.min(Duration::from_millis(500)).as_secs_f64();
        if interval <= 0.0 || self.preference == DegradationPreference::Disabled {
            return;
        }
        let now = seen.encoding.as_secs_f64() / interval / f64::from(self.step(self.steps.len()).one_of);
        self.usage += (now - self.usage) * 0.1;
        let reason = if self.usage > BUSY {
            QualityLimitation::Cpu
        } else if self.bits_per_pixel(seen, self.steps.len()) < FEW_BITS {
            QualityLimitation::Bandwidth
        } else {
            QualityLimitation::None
        };
        let interval = Duration::from_secs_f64(interval);
        if reason == QualityLimitation::None {
            self.bad_for = Duration::ZERO;
            self.improve(seen, interval);
        } else {
            self.good_for = Duration::ZERO;
            self.bad_for += interval;
            if self.bad_for >= DOWN_AFTER {
                self.worsen(seen, reason);
            }
        }
    }

    fn worsen(&mut self, seen: &Observation, reason: QualityLimitation) {
        self.bad_for = Duration::ZERO;
        let next = self.step(self.steps.len() + 1);
        let (width, height) = Self::scaled(next, seen.width, seen.height);
        let too_small = next.side < self.step(self.steps.len()).side && width.min(height) < SMALLEST_SIDE;
        if self.steps.len() < self.most_steps() && !too_small {
            self.steps.push(reason);
            self.usage = 0.0;
            // Had it just been improved, that was too early.
            self.patience = (self.patience * 2).min(Duration::from_secs(60));
        }
    }

    fn improve(&mut self, seen: &Observation, interval: Duration) {
        let Some(before) = self.steps.len().checked_sub(1) else { return };
        let enough_time = self.usage < IDLE;
        let enough_bits = self.bits_per_pixel(seen, before) > ENOUGH_BITS;
        if !(enough_time && enough_bits) {
            self.good_for = Duration::ZERO;
            return;
        }
        self.good_for += interval;
        if self.good_for >= self.patience {
            self.good_for = Duration::ZERO;
            self.steps.pop();
        }
    }

    fn bits_per_pixel(&self, seen: &Observation, taken: usize) -> f64 {
        let Some(bitrate_bps) = seen.scarce_bps else { return f64::INFINITY };
        let step = self.step(taken);
        let (width, height) = Self::scaled(step, seen.width, seen.height);
        let pixels = f64::from(width) * f64::from(height) * f64::from(seen.frame_rate.max(1)) / f64::from(step.one_of);
        bitrate_bps as f64 / pixels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(encoding_ms: u64, bitrate_bps: u64) -> Observation {
        Observation {
            interval: Duration::from_millis(33),
            encoding: Duration::from_millis(encoding_ms),
            scarce_bps: Some(bitrate_bps),
            width: 1280,
            height: 720,
            frame_rate: 30,
        }
    }

    fn after(adaptation: &mut Adaptation, seconds: u64, encoding_ms: u64, bitrate_bps: u64) -> (u32, u32) {
        for _ in 0..seconds * 30 {
            adaptation.observe(&seen(encoding_ms, bitrate_bps));
        }
        adaptation.size(1280, 720)
    }

    #[test]
    fn what_goes_well_stays_as_it_is() {
        let mut adaptation = Adaptation::new(DegradationPreference::default());
        assert_eq!(after(&mut adaptation, 30, 20, 800_000), (1280, 720));
        assert_eq!(adaptation.limitation(), QualityLimitation::None);
        assert!((0..10).all(|_| adaptation.wants_picture()));
    }

    #[test]
    fn lack_of_time_makes_pictures_smaller_and_they_grow_again() {
        let mut adaptation = Adaptation::new(DegradationPreference::MaintainFramerate);
        assert_eq!(after(&mut adaptation, 4, 40, 2_500_000), (960, 540));
        assert_eq!(adaptation.limitation(), QualityLimitation::Cpu);
        assert_eq!(after(&mut adaptation, 30, 5, 2_500_000), (1280, 720));
        assert_eq!(adaptation.limitation(), QualityLimitation::None);
    }

    #[test]
    fn lack_of_bandwidth_makes_pictures_smaller_but_not_tiny() {
        let mut adaptation = Adaptation::new(DegradationPreference::MaintainFramerate);
        let (width, height) = after(&mut adaptation, 60, 5, 60_000);
        assert_eq!(adaptation.limitation(), QualityLimitation::Bandwidth);
        assert!(width < 640 && height >= SMALLEST_SIDE, "{width}x{height}");
    }

    #[test]
    fn enough_bandwidth_gives_the_size_back() {
        let mut adaptation = Adaptation::new(DegradationPreference::MaintainFramerate);
        assert_ne!(after(&mut adaptation, 60, 5, 60_000), (1280, 720));
        for _ in 0..200 * 30 {
            adaptation.observe(&Observation { scarce_bps: None, ..seen(5, 0) });
        }
        assert_eq!(adaptation.size(1280, 720), (1280, 720));
    }

    #[test]
    fn the_preference_says_what_gives_way() {
        let mut fewer = Adaptation::new(DegradationPreference::MaintainResolution);
        assert_eq!(after(&mut fewer, 4, 40, 2_500_000), (1280, 720));
        assert_eq!((0..6).filter(|_| fewer.wants_picture()).count(), 3);
        let mut both = Adaptation::new(DegradationPreference::Balanced);
        assert_eq!(after(&mut both, 60, 400, 2_500_000), (640, 360));
        assert_eq!((0..6).filter(|_| both.wants_picture()).count(), 2);
        let mut nothing = Adaptation::new(DegradationPreference::Disabled);
        assert_eq!(after(&mut nothing, 60, 400, 10_000), (1280, 720));
        assert!((0..6).all(|_| nothing.wants_picture()));
    }
}
