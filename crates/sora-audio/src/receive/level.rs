//! How much sound is kept waiting, and whether that is too much or too little.

use std::time::Instant;

use super::delay_target::DelayTarget;
use super::loss::Loss;
use super::{FRAME, ms};

/// Kept on top of what the histogram asks for.
const MARGIN: i64 = ms(3);
/// From this share of losses on it pays to wait for the packet that has the redundancy.
const LOSSY: f32 = 0.01;
/// A measured level this far from the running one is the new one.
const JUMP: f32 = ms(40) as f32;
/// Frames of 10 ms between two changes.
const REST: u32 = 5;

/// When a packet is needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    /// Samples until the frame it begins in is pulled; negative if that was before.
    pub(super) slack: i64,
    /// Where in the frame it begins.
    pub(super) offset: i64,
}

/// What to do about the level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stretch {
    /// Take out at most so many samples where the sound is at least so much like itself.
    Shorten { at_most: usize, threshold: f32 },
    /// Put in at most so many.
    Lengthen { at_most: usize, threshold: f32 },
}

/// The delay between the fastest packet's arrival and its playing: measured with each packet, compared to the target.
#[derive(Debug)]
pub(super) struct Level {
    delay: DelayTarget,
    loss: Loss,
    current: Option<f32>,
    /// Samples of a frame that are played before the first of a packet in the same frame.
    offset: i64,
    rest: u32,
    /// The extra delay that makes redundancy usable, if packets have any.
    redundancy: i64,
}

impl Level {
    pub(super) fn new() -> Self {
        Self { delay: DelayTarget::new(), loss: Loss::default(), current: None, offset: 0, rest: 0, redundancy: 0 }
    }

    pub(super) fn restart(&mut self) {
        self.delay.restart();
        self.current = None;
    }

    /// A packet came; `due` is `None` while nothing is played.
    pub(super) fn arrived(&mut self, arrival: Instant, sequence: u64, time: i64, due: Option<Due>) {
        self.loss.observe(sequence);
        let behind = self.delay.observe(arrival, time);
        let Some(Due { slack, offset }) = due else { return };
        self.offset = offset;
        let measured = (slack + behind) as f32;
        let current = self.current.get_or_insert(measured);
        let difference = measured - *current;
        *current += if difference.abs() > JUMP { difference } else { difference / 8.0 };
    }

    /// Packets have redundancy for the `samples` before them.
    pub(super) fn redundancy(&mut self, samples: i64) {
        self.redundancy = samples;
    }

    /// Samples between a packet's earliest arrival and its playing that are worth having.
    pub(super) fn target(&self) -> i64 {
        let redundancy = if self.loss.share() > LOSSY { self.redundancy } else { 0 };
        self.delay.samples() + redundancy + MARGIN
    }

    /// True if `samples` less would still be enough.
    pub(super) fn can_spare(&self, samples: i64) -> bool {
        self.current.is_some_and(|current| current as i64 - samples >= self.target())
    }

    /// Playing has moved on by so many samples more (less: negative) than time. Whole frames are pulled, so packets are
    /// due earlier by whole frames.
    pub(super) fn played_ahead(&mut self, samples: i64) {
        let frame = FRAME as i64;
        self.rest = REST;
        if let Some(current) = &mut self.current {
            *current += ((self.offset - samples).div_euclid(frame) * frame) as f32;
        }
        self.offset = (self.offset - samples).rem_euclid(frame);
    }

    /// What to do in this frame.
    pub(super) fn decide(&mut self) -> Option<Stretch> {
        self.rest = self.rest.saturating_sub(1);
        let current = self.current? as i64;
        let target = self.target();
        let low = target - (target / 8).max(ms(4));
        let high = target + (target / 4).max(ms(7));
        let frame = FRAME as i64;
        let room = |samples: i64| usize::try_from(samples).unwrap_or(0);
        let spare = |least: i64| room(self.offset + (current - least).div_euclid(frame) * frame);
        if current > high * 2 + ms(100) {
            Some(Stretch::Shorten { at_most: spare(target), threshold: 0.5 })
        } else if self.rest > 0 {
            None
        } else if current > high {
            Some(Stretch::Shorten { at_most: spare(low), threshold: 0.9 })
        } else if current < low {
            let frames = (high - current).div_euclid(frame) + 1;
            Some(Stretch::Lengthen { at_most: room(frames * frame - self.offset - 1), threshold: 0.9 })
        } else {
            None
        }
    }
}
