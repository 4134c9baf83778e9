//! One source, several layers.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use sora_media::{
    CodecRegistry, LayerScale, VideoCodecType, VideoLayerConfig, VideoSender, VideoSenderConfig, VideoSource,
};
use sora_rtp::EncodedFrame;

const DEADLINE: Duration = Duration::from_secs(10);

fn layer(rid: &str, divisor: f64) -> VideoLayerConfig {
    VideoLayerConfig { rid: Some(rid.into()), scale: LayerScale::Divide(divisor), ..VideoLayerConfig::default() }
}

fn three() -> Vec<VideoLayerConfig> {
    vec![layer("r0", 4.0), layer("r1", 2.0), layer("r2", 1.0)]
}

struct Simulcast {
    source: VideoSource,
    sender: VideoSender,
    frames: Receiver<EncodedFrame>,
    number: usize,
}

impl Simulcast {
    fn new(layers: Vec<VideoLayerConfig>, bandwidth_bps: u64) -> Self {
        let source = VideoSource::new();
        let (to, frames) = mpsc::channel();
        let config = VideoSenderConfig {
            start_bitrate_bps: bandwidth_bps,
            layers,
            ..VideoSenderConfig::new(VideoCodecType::Vp8)
        };
        let sender =
            VideoSender::start(source.track(), &CodecRegistry::default(), &config, move |frame| to.send(frame).is_ok());
        Self { source, sender: sender.expect("a sender"), frames, number: 0 }
    }

    /// Sends a picture and waits for `expected` layers of it: which are key frames.
    fn picture(&mut self, expected: usize) -> BTreeMap<String, bool> {
        let (width, height) = (640, 360);
        let bgr: Vec<u8> = (0..width * height * 3).map(|i| ((i / 5 + self.number * 3) % 200) as u8 + 20).collect();
        let time = Some(self.number as i64 * 33_333);
        self.source.push_bgr(&bgr, width as u32, height as u32, width * 3, time).expect("taken");
        self.number += 1;
        let frames = (0..expected).map(|_| self.frames.recv_timeout(DEADLINE).expect("a layer"));
        frames.map(|frame| (frame.rid.as_deref().unwrap_or("none").to_owned(), frame.key_frame)).collect()
    }

    /// Sends pictures until one has key frames, as a request right after a key frame waits a moment. Which layers' are
    /// they?
    fn next_key_frames(&mut self) -> Vec<String> {
        let begin = Instant::now();
        loop {
            let layers = self.picture(3);
            let keys: Vec<String> = layers.into_iter().filter(|(_, key)| *key).map(|(rid, _)| rid).collect();
            if !keys.is_empty() {
                return keys;
            }
            assert!(begin.elapsed() < DEADLINE, "no key frame");
        }
    }
}

fn rids(layers: &[(&str, bool)]) -> BTreeMap<String, bool> {
    layers.iter().map(|(rid, key)| ((*rid).to_owned(), *key)).collect()
}

#[test]
fn every_picture_is_sent_in_each_size_lowest_first() {
    let mut simulcast = Simulcast::new(three(), 3_000_000);
    assert_eq!(simulcast.picture(3), rids(&[("r0", true), ("r1", true), ("r2", true)]));
    assert_eq!(simulcast.picture(3), rids(&[("r0", false), ("r1", false), ("r2", false)]));
    let stats = simulcast.sender.stats();
    assert_eq!(stats.encoder, "SimulcastEncoderAdapter (libvpx, libvpx, libvpx)");
    let sizes: Vec<_> = stats.layers.iter().map(|layer| (layer.width, layer.height)).collect();
    assert_eq!(sizes, [(160, 90), (320, 180), (640, 360)]);
    assert!(
        stats.layers.iter().all(|layer| layer.active && layer.frames_encoded == 2 && layer.key_frames_encoded == 1)
    );
    let total: u64 = stats.layers.iter().map(|layer| layer.target_bitrate_bps).sum();
    assert!(total <= 3_000_000, "{total}");
}

#[test]
fn a_key_frame_is_made_of_the_layer_that_is_asked_for() {
    let mut simulcast = Simulcast::new(three(), 3_000_000);
    simulcast.picture(3);
    simulcast.sender.request_key_frame(Some("r1"));
    assert_eq!(simulcast.next_key_frames(), ["r1"]);
    simulcast.sender.request_key_frame(Some("r9"));
    simulcast.sender.request_key_frame(Some("r2"));
    assert_eq!(simulcast.next_key_frames(), ["r2"]);
    simulcast.sender.request_key_frame(None);
    // The one that has waited longest may begin.
    let mut all = simulcast.next_key_frames();
    while all.len() < 3 {
        all.extend(simulcast.next_key_frames());
    }
    all.sort();
    assert_eq!(all, ["r0", "r1", "r2"]);
}

#[test]
fn high_layers_wait_for_bandwidth_and_come_back_with_a_key_frame() {
    let mut simulcast = Simulcast::new(three(), 3_000_000);
    simulcast.picture(3);
    simulcast.sender.set_bandwidth(100_000);
    assert_eq!(simulcast.picture(1), rids(&[("r0", false)]));
    let stats = simulcast.sender.stats();
    assert_eq!(stats.layers.iter().map(|layer| layer.active).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(stats.layers[2].target_bitrate_bps, 0);
    simulcast.sender.set_bandwidth(3_000_000);
    // Right after their first key frame they wait a moment for the next, and until then for everything.
    let mut keys = simulcast.next_key_frames();
    while keys.len() < 2 {
        keys.extend(simulcast.next_key_frames());
    }
    keys.sort();
    assert_eq!(keys, ["r1", "r2"]);
}

#[test]
fn inactive_layers_are_not_sent_and_slow_ones_seldom() {
    let mut layers = three();
    layers[2].active = false;
    layers[0].max_frame_rate = Some(10.0);
    let mut simulcast = Simulcast::new(layers, 3_000_000);
    let sent: Vec<usize> = (0..9).map(|number| simulcast.picture(if number % 3 == 0 { 2 } else { 1 }).len()).collect();
    assert_eq!(sent, [2, 1, 1, 2, 1, 1, 2, 1, 1]);
    let encoded: Vec<_> = simulcast.sender.stats().layers.iter().map(|layer| layer.frames_encoded).collect();
    assert_eq!(encoded, [3, 9, 0]);
}
