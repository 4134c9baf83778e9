use crate::VadError;
use crate::features::{Features, HOP};
use crate::input::Input;
use crate::rnn::Network;

/// Frames after which the network starts anew: 1.5 s.
const RESET_PERIOD: u32 = 150;

/// The voice activity detector of libwebrtc's gain control, the one behind `SoraVAD` of `sora_sdk`.
///
/// It hears 24 kHz; all else is converted first. Every 150 calls the network forgets what it heard, as the original's
/// does, so speech can dip for some 60 ms there. A change of the format starts the converter anew and nothing else.
pub struct RnnVad {
    input: Input,
    features: Features,
    network: Network,
    /// Frames since the network started anew.
    frames: u32,
}

impl RnnVad {
    /// A detector that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { input: Input::new(HOP), features: Features::new(), network: Network::new(), frames: 0 }
    }

    /// The probability, from 0 to 1, that the newest 20 ms are speech. Takes the first 10 ms of interleaved samples,
    /// which are `sample_rate` / 100 of each channel, rounded down; more are ignored. Silence is exactly 0.
    ///
    /// # Errors
    /// [`VadError`] if rate or channel count is out of range or `samples` are less than 10 ms.
    pub fn analyze(&mut self, samples: &[i16], sample_rate: i64, channels: i64) -> Result<f32, VadError> {
        let frame = self.input.convert(samples, sample_rate, channels)?;
        self.frames += 1;
        if self.frames == RESET_PERIOD {
            self.frames = 0;
            self.network.reset();
        }
        let Some(features) = self.features.extract(frame) else {
            self.network.reset();
            return Ok(0.0);
        };
        Ok(self.network.run(&features))
    }
}

impl Default for RnnVad {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for RnnVad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RnnVad").field("frames", &self.frames).finish_non_exhaustive()
    }
}
