use std::fmt;
use std::str::FromStr;

use sora_rtp::TemporalLayer;

/// How a stream is layered, as in W3C Scalable Video Coding (WebRTC-SVC section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ScalabilityMode {
    /// Spatial layers, 1 to 3.
    pub spatial_layers: u8,
    /// Temporal layers, 1 to 3.
    pub temporal_layers: u8,
    /// Spatial layers depend on each other in key frames only (`_KEY`).
    pub key_frames_only: bool,
}

impl Default for ScalabilityMode {
    /// `L1T1`.
    fn default() -> Self {
        Self { spatial_layers: 1, temporal_layers: 1, key_frames_only: false }
    }
}

impl ScalabilityMode {
    /// Temporal layers without spatial ones; more than 3 become 3.
    #[must_use]
    pub fn temporal(layers: u8) -> Self {
        Self { temporal_layers: layers.clamp(1, 3), ..Self::default() }
    }

    /// The temporal layer of the picture with this number, counted from the last key frame on.
    #[must_use]
    pub fn pattern(self, picture: u64) -> Option<TemporalLayer> {
        let (id, switching_up) = match (self.temporal_layers, picture % 4) {
            (2, number) => ((number % 2) as u8, true),
            (3, 0) => (0, true),
            (3, 2) => (1, true),
            (3, 1) => (2, true),
            // Depends on the picture of layer 1 before it, too.
            (3, _) => (2, false),
            _ => return None,
        };
        Some(TemporalLayer { id, count: self.temporal_layers, switching_up })
    }

    /// What a picture of the layer `id` is, if the stream has temporal layers.
    #[cfg(any(feature = "libvpx", feature = "openh264"))]
    pub(crate) fn layer(self, id: u8) -> Option<TemporalLayer> {
        (self.temporal_layers > 1).then_some(TemporalLayer { id, count: self.temporal_layers, switching_up: true })
    }
}

/// Percent of the bit rate that the temporal layers up to and with `id` take together.
#[cfg(any(feature = "libvpx", feature = "libaom"))]
pub(crate) fn bitrate_share(layers: u8, id: u8) -> u64 {
    match (layers, id) {
        (2, 0) => 60,
        (3, 0) => 40,
        (3, 1) => 60,
        _ => 100,
    }
}

impl fmt::Display for ScalabilityMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = if self.key_frames_only { "_KEY" } else { "" };
        write!(f, "L{}T{}{key}", self.spatial_layers, self.temporal_layers)
    }
}

/// A text that names no supported mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a scalability mode of 1 to 3 spatial and temporal layers such as L1T3 or L3T3_KEY, got {0:?}")]
pub struct UnknownScalabilityMode(pub String);

impl FromStr for ScalabilityMode {
    type Err = UnknownScalabilityMode;

    /// Reads `L1T1` to `L3T3` and `L2T1_KEY` to `L3T3_KEY`.
    ///
    /// # Errors
    /// [`UnknownScalabilityMode`] for everything else.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownScalabilityMode(text.to_owned());
        let (layers, key_frames_only) = match text.strip_suffix("_KEY") {
            Some(layers) => (layers, true),
            None => (text, false),
        };
        let [b'L', spatial @ b'1'..=b'3', b'T', temporal @ b'1'..=b'3'] = *layers.as_bytes() else {
            return Err(unknown());
        };
        let mode = Self { spatial_layers: spatial - b'0', temporal_layers: temporal - b'0', key_frames_only };
        if key_frames_only && mode.spatial_layers == 1 { Err(unknown()) } else { Ok(mode) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_and_written() {
        for text in ["L1T1", "L1T3", "L2T1_KEY", "L3T3", "L3T3_KEY"] {
            assert_eq!(text.parse::<ScalabilityMode>().expect("known").to_string(), text);
        }
        for text in ["", "L0T1", "L1T4", "L4T1", "S2T1", "L1T1_KEY", "L2T2h", "L2T2_KEY_SHIFT", "ｌ１Ｔ１"] {
            assert!(text.parse::<ScalabilityMode>().is_err(), "{text}");
        }
    }

    #[test]
    fn layers_follow_their_pattern() {
        let ids = |layers: u8| -> Vec<u8> {
            (0..6).filter_map(|n| Some(ScalabilityMode::temporal(layers).pattern(n)?.id)).collect()
        };
        assert_eq!(ids(1), []);
        assert_eq!(ids(2), [0, 1, 0, 1, 0, 1]);
        assert_eq!(ids(3), [0, 2, 1, 2, 0, 2]);
    }
}
