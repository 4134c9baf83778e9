//! The AV1 encoder of builds without native code. `cargo test -p sora-codec --features rav1e --test rav1e`.
#![cfg(all(feature = "rav1e", feature = "dav1d"))]

use sora_codec::{BufferPool, CodecRegistry, I420Buffer, Tier, VideoCodecType, VideoEncoderConfig};

fn picture(pool: &BufferPool, width: u32, height: u32, number: usize) -> I420Buffer {
    let mut picture = pool.take(width, height).expect("a buffer");
    let stride = picture.luma_stride();
    picture.fill_black();
    let luma = &mut picture.planes_mut()[0];
    luma.iter_mut().enumerate().for_each(|(i, p)| *p = (40 + (i % stride + number * 2) / 2 % 150) as u8);
    picture
}

#[cfg(not(feature = "libaom"))]
fn encoder(config: VideoEncoderConfig) -> Box<dyn sora_codec::VideoEncoder> {
    CodecRegistry::default().encoder(VideoCodecType::Av1, config).expect("an encoder")
}

#[test]
fn it_is_the_last_choice() {
    let registry = CodecRegistry::default();
    let ranks: Vec<_> = registry
        .capabilities()
        .filter(|c| c.codec == VideoCodecType::Av1 && c.encoder)
        .map(|c| (c.backend, c.tier))
        .collect();
    assert_eq!(ranks.last(), Some(&("rav1e", Tier::Fallback)));
}

#[cfg(not(feature = "libaom"))]
#[test]
fn pictures_come_out_late_but_whole_and_sizes_rates_and_key_frames_change() {
    let pool = BufferPool::default();
    let mut encoder = encoder(VideoEncoderConfig { bitrate_bps: 500_000, ..Default::default() });
    let mut decoder = CodecRegistry::default().decoder(VideoCodecType::Av1, 1).expect("a decoder");
    assert_eq!(encoder.name(), "rav1e");
    let (mut shown, mut keys) = (0, 0);
    for number in 0..40 {
        let (width, height) = if number < 25 { (161, 91) } else { (96, 64) };
        match number {
            10 => encoder.set_rates(520_000, 30).expect("rates"),
            18 => encoder.set_rates(200_000, 15).expect("rates"),
            _ => {}
        }
        let wants_key = (12..15).contains(&number);
        let encoded = encoder.encode(&picture(&pool, width, height, number), wants_key).expect("encoded");
        let Some(encoded) = encoded else { continue };
        keys += usize::from(encoded.key_frame);
        if let Some(got) = decoder.decode(&encoded.data).expect("decoded") {
            assert_eq!((got.width(), got.height()), (width, height));
            shown += 1;
        }
    }
    // Each start anew loses what the encoder held back: at the beginning, the new rate, the new size.
    assert!(shown >= 24, "{shown}");
    assert_eq!(keys, 4, "the first, the one asked for three times, the new rate, the new size");
    assert!(encoder.encode(&picture(&pool, 8, 8, 0), false).is_err());
}
