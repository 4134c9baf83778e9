use webrtc_vad::{SampleRate, Vad, VadMode};

use crate::VadError;
use crate::input::Input;

/// Samples in 10 ms at 16 kHz.
const HOP: usize = 160;

/// How sure [`WebRtcVad`] must be: each step lets less noise pass, and misses more speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WebRtcMode {
    /// Misses the least. Area under the curve 0.728.
    Quality,
    /// 0.757.
    LowBitrate,
    /// 0.781.
    #[default]
    Aggressive,
    /// Lets the least noise pass. 0.784.
    VeryAggressive,
}

struct SendVad(Vad);

// SAFETY: the pointer in it is to one block of memory that it alone owns; libfvad has neither globals that it writes to
// nor anything of a thread, and every call needs the detector exclusively.
#[allow(unsafe_code)]
unsafe impl Send for SendVad {}

/// WebRTC's old detector, by the crate `webrtc-vad`: energy in six bands below 4 kHz against a slowly learnt floor.
/// A cheap gate, not a replacement for [`RnnVad`](crate::RnnVad): hum, music and steady noise pass as speech.
pub struct WebRtcVad {
    input: Input,
    vad: SendVad,
    frame: Vec<i16>,
}

impl WebRtcVad {
    /// A detector that has heard nothing.
    #[must_use]
    pub fn new(mode: WebRtcMode) -> Self {
        let mode = match mode {
            WebRtcMode::Quality => VadMode::Quality,
            WebRtcMode::LowBitrate => VadMode::LowBitrate,
            WebRtcMode::Aggressive => VadMode::Aggressive,
            WebRtcMode::VeryAggressive => VadMode::VeryAggressive,
        };
        let vad = Vad::new_with_rate_and_mode(SampleRate::Rate16kHz, mode);
        Self { input: Input::new(HOP), vad: SendVad(vad), frame: Vec::with_capacity(HOP) }
    }

    /// Whether the frame is speech. Takes what [`RnnVad::analyze`](crate::RnnVad::analyze) does.
    ///
    /// # Errors
    /// [`VadError`] if rate or channel count is out of range or `samples` are less than 10 ms.
    pub fn analyze(&mut self, samples: &[i16], sample_rate: i64, channels: i64) -> Result<bool, VadError> {
        let frame = self.input.convert(samples, sample_rate, channels)?;
        self.frame.clear();
        self.frame.extend(frame.iter().map(|sample| sample.round() as i16));
        // The only error there is would be another length.
        Ok(self.vad.0.is_voice_segment(&self.frame).unwrap_or(false))
    }
}

impl Default for WebRtcVad {
    fn default() -> Self {
        Self::new(WebRtcMode::default())
    }
}

impl std::fmt::Debug for WebRtcVad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebRtcVad").finish_non_exhaustive()
    }
}
