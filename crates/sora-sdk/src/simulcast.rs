//! What the server wants of simulcast, as layers to encode.

use std::str::FromStr;

use sora_media::{LayerScale, ScalabilityMode, VideoLayerConfig};
use sora_peer::SimulcastRid;
use sora_signaling::message::{Encoding, EncodingSize};

/// The layers of an m-line, lowest first, with what the offer message says of them. None for a single stream.
pub(crate) fn layers(rids: &[SimulcastRid], encodings: &[Encoding]) -> Vec<VideoLayerConfig> {
    let count = rids.len();
    let layer = |(index, wanted): (usize, &SimulcastRid)| {
        // Each layer has half the sides of the one above, if nothing else is said.
        let mut layer = VideoLayerConfig {
            rid: Some(wanted.rid.as_str().into()),
            active: wanted.active,
            scale: LayerScale::Divide(2_f64.powi((count - 1 - index) as i32)),
            ..VideoLayerConfig::default()
        };
        if let Some(encoding) = encodings.iter().find(|encoding| encoding.rid == wanted.rid) {
            apply(&mut layer, encoding);
        }
        layer
    };
    rids.iter().enumerate().map(layer).collect()
}

fn apply(layer: &mut VideoLayerConfig, encoding: &Encoding) {
    let bits = |rate: Option<f64>| rate.filter(|rate| rate.is_finite() && *rate > 0.0).map(|rate| rate as u64);
    layer.active &= encoding.active.unwrap_or(true);
    layer.max_bitrate_bps = bits(encoding.max_bitrate);
    layer.min_bitrate_bps = bits(encoding.min_bitrate);
    layer.max_frame_rate = encoding.max_framerate.filter(|rate| rate.is_finite() && *rate > 0.0);
    match (encoding.scale_resolution_down_to, encoding.scale_resolution_down_by) {
        (Some(EncodingSize { max_width, max_height }), _) if max_width >= 1.0 && max_height >= 1.0 => {
            layer.scale = LayerScale::Fit { max_width: max_width as u32, max_height: max_height as u32 };
        }
        (_, Some(divisor)) if divisor.is_finite() && divisor >= 1.0 => layer.scale = LayerScale::Divide(divisor),
        _ => {}
    }
    if let Some(text) = &encoding.scalability_mode {
        match ScalabilityMode::from_str(text) {
            Ok(mode) => layer.scalability = mode,
            Err(error) => tracing::warn!(%error, rid = encoding.rid, "scalabilityMode is not used"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rids() -> Vec<SimulcastRid> {
        [("r0", true), ("r1", true), ("r2", false)]
            .map(|(rid, active)| SimulcastRid { rid: rid.to_owned(), active })
            .to_vec()
    }

    fn encodings(value: serde_json::Value) -> Vec<Encoding> {
        serde_json::from_value(value).expect("encodings")
    }

    #[test]
    fn each_layer_has_half_the_sides_of_the_one_above() {
        let layers = layers(&rids(), &[]);
        let sizes: Vec<_> = layers.iter().map(|layer| layer.size(1280, 720)).collect();
        assert_eq!(sizes, [(320, 180), (640, 360), (1280, 720)]);
        assert_eq!(layers.iter().map(|layer| layer.active).collect::<Vec<_>>(), [true, true, false]);
        assert!(super::layers(&[], &encodings(json!([{ "rid": "r0" }]))).is_empty());
    }

    #[test]
    fn what_the_offer_says_goes_first_and_nonsense_is_left_out() {
        let layers = layers(
            &rids(),
            &encodings(json!([
                { "rid": "r0", "active": false, "maxBitrate": 100_000, "minBitrate": 50_000.5, "maxFramerate": 10,
                  "scaleResolutionDownBy": 3.0, "scalabilityMode": "L1T3" },
                { "rid": "r1", "scaleResolutionDownTo": { "maxWidth": 400, "maxHeight": 400 }, "scaleResolutionDownBy": 2 },
                { "rid": "r2", "maxBitrate": -1, "maxFramerate": 0, "scaleResolutionDownBy": 0.1, "scalabilityMode": "X" },
                { "rid": "r7" },
            ])),
        );
        assert!(!layers[0].active);
        assert_eq!((layers[0].max_bitrate_bps, layers[0].min_bitrate_bps), (Some(100_000), Some(50_000)));
        assert_eq!((layers[0].max_frame_rate, layers[0].size(1280, 720)), (Some(10.0), (426, 240)));
        assert_eq!(layers[0].scalability.to_string(), "L1T3");
        assert_eq!(layers[1].size(1280, 720), (400, 225));
        assert_eq!(layers[2].max_bitrate_bps, None);
        assert_eq!((layers[2].max_frame_rate, layers[2].size(1280, 720)), (None, (1280, 720)));
        assert_eq!(layers[2].scalability, ScalabilityMode::default());
        assert_eq!(layers.len(), 3);
    }
}
