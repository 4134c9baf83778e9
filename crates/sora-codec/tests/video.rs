//! Encode, decode, compare: pictures.

use sora_codec::{
    BufferPool, CodecError, CodecRegistry, EncodedPicture, I420Buffer, Implementation, OpenH264, OpenH264Error,
    ScalabilityMode, VideoCodecPreference, VideoCodecType, VideoEncoderConfig,
};

/// The OpenH264 library that `cargo xtask openh264` builds, or the one that SORA_OPENH264 names.
fn openh264() -> OpenH264 {
    let built = concat!(env!("CARGO_TARGET_TMPDIR"), "/../openh264/libopenh264.so");
    let path = std::env::var("SORA_OPENH264").unwrap_or_else(|_| built.to_owned());
    OpenH264::open(&path).unwrap_or_else(|error| panic!("run `cargo xtask openh264` first: {error}"))
}

fn registry() -> CodecRegistry {
    let mut registry = CodecRegistry::default();
    registry.add_openh264(&openh264());
    registry
}

fn picture(pool: &BufferPool, width: u32, height: u32, number: usize) -> I420Buffer {
    let mut picture = pool.take(width, height).expect("a buffer");
    let (luma, chroma) = (picture.luma_stride(), picture.chroma_stride());
    let [y, u, v] = picture.planes_mut();
    let wave = |x: usize, y: usize, n: usize| {
        let phase = (x + n * 3) as f64 * 0.05 + y as f64 * 0.03;
        (128.0 + 80.0 * phase.sin()) as u8
    };
    y.iter_mut().enumerate().for_each(|(i, p)| *p = wave(i % luma, i / luma, number));
    u.iter_mut().enumerate().for_each(|(i, p)| *p = wave(i % chroma, i / chroma, number + 40));
    v.iter_mut().enumerate().for_each(|(i, p)| *p = wave(i % chroma, i / chroma, number + 90));
    picture
}

fn psnr(a: &I420Buffer, b: &I420Buffer) -> f64 {
    // One may lack the last row or column of the other.
    let (width, height) = (a.width().min(b.width()) as usize, a.height().min(b.height()) as usize);
    let (stride, stride_b) = (a.luma_stride(), b.luma_stride());
    let (a, b) = (a.planes()[0], b.planes()[0]);
    let mut sum = 0.0;
    for row in 0..height {
        for x in 0..width {
            sum += (f64::from(a[row * stride + x]) - f64::from(b[row * stride_b + x])).powi(2);
        }
    }
    10.0 * (255.0 * 255.0 * (width * height) as f64 / sum.max(1.0)).log10()
}

const CODECS: [VideoCodecType; 4] =
    [VideoCodecType::Vp8, VideoCodecType::Vp9, VideoCodecType::Av1, VideoCodecType::H264];

fn random(seed: &mut u32) -> u32 {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    *seed >> 8
}

#[test]
fn pictures_survive_in_their_exact_size() {
    let (registry, pool) = (registry(), BufferPool::default());
    for codec in CODECS {
        for (width, height) in [(321, 241), (640, 360), (2, 2), (1, 1), (16, 16), (1280, 720), (1920, 1080)] {
            let config = VideoEncoderConfig { bitrate_bps: 8_000_000, threads: 2, ..Default::default() };
            let mut encoder = registry.encoder(codec, config).expect("an encoder");
            let mut decoder = registry.decoder(codec, 1).expect("a decoder");
            // 4:2:0 pictures of H.264 have even sides; the library begins at 16 pixels.
            let even = codec == VideoCodecType::H264;
            if even && width < 16 {
                let error = encoder.encode(&picture(&pool, width, height, 0), false).expect_err("too small");
                assert!(error.to_string().contains("at least 16x16"), "{error}");
                continue;
            }
            let expected = if even { (width & !1, height & !1) } else { (width, height) };
            for number in 0..5 {
                let sent = picture(&pool, width, height, number);
                let encoded = encoder.encode(&sent, false).expect("encoded").expect("not dropped");
                assert_eq!(encoded.key_frame, number == 0);
                assert_eq!((encoded.width, encoded.height), expected);
                let got = decoder.decode(&encoded.data).expect("decoded").expect("shown");
                assert_eq!((got.width(), got.height()), expected, "{codec}");
                if width > 100 {
                    let quality = psnr(&sent, &got);
                    assert!(quality > 32.0, "{codec} {width}x{height}: {quality:.1} dB");
                }
            }
        }
    }
}

/// One thousand sequences of changes of bit rate, frame rate, size and key frames, with and without temporal layers.
fn a_thousand_sequences(codec: VideoCodecType) {
    let (registry, pool) = (registry(), BufferPool::default());
    let mut seed = 5_u32;
    let smallest = if codec == VideoCodecType::H264 { 16 } else { 1 };
    let side = |most: u32, seed: &mut u32| smallest + random(seed) % most;
    for sequence in 0..1000 {
        let mut scalability = ScalabilityMode::temporal(1 + (random(&mut seed) % 3) as u8);
        let config = VideoEncoderConfig { scalability, threads: 1 + random(&mut seed) % 2, ..Default::default() };
        let mut encoder = registry.encoder(codec, config).expect("an encoder");
        let mut decoder = registry.decoder(codec, 1).expect("a decoder");
        let mut size = (side(140, &mut seed), side(140, &mut seed));
        for number in 0..8 {
            if random(&mut seed).is_multiple_of(4) {
                size = (side(96, &mut seed), side(96, &mut seed));
            }
            if random(&mut seed).is_multiple_of(3) {
                let bitrate = u64::from(random(&mut seed) % 3_000_000);
                encoder.set_rates(bitrate, random(&mut seed) % 120).expect("rates");
            }
            if random(&mut seed).is_multiple_of(6) {
                scalability = ScalabilityMode::temporal(1 + (random(&mut seed) % 3) as u8);
                if codec == VideoCodecType::Vp9 {
                    scalability.spatial_layers = 1 + (random(&mut seed) % 3) as u8;
                }
                encoder.set_scalability(scalability);
            }
            let key = random(&mut seed).is_multiple_of(5);
            let sent = picture(&pool, size.0, size.1, number);
            let encoded = encoder.encode(&sent, key).unwrap_or_else(|e| panic!("{codec} {sequence}/{number}: {e}"));
            // OpenH264 leaves pictures out to keep the rate.
            let Some(encoded) = encoded else {
                assert_eq!(codec, VideoCodecType::H264);
                continue;
            };
            assert!(encoded.key_frame || !(key || number == 0), "{codec} {sequence}/{number}: no key frame");
            assert_eq!(encoded.temporal.map_or(1, |layer| layer.count), scalability.temporal_layers);
            let mut shown = None;
            for frame in layer_frames(&encoded) {
                let got = decoder.decode(frame);
                shown = got.unwrap_or_else(|e| panic!("{codec} {sequence}/{number}: {e}")).or(shown);
            }
            let shown = shown.expect("shown");
            assert_eq!((shown.width(), shown.height()), (encoded.width, encoded.height));
        }
    }
}

/// The frames of a picture's spatial layers, or the only one.
fn layer_frames(picture: &EncodedPicture) -> Vec<&[u8]> {
    if picture.spatial.is_empty() {
        return vec![&picture.data];
    }
    let mut rest = &picture.data[..];
    let frames = picture.spatial.iter().map(|layer| {
        let (frame, after) = rest.split_at(layer.len);
        rest = after;
        frame
    });
    frames.collect()
}

#[test]
fn vp8_takes_any_order_of_changes() {
    a_thousand_sequences(VideoCodecType::Vp8);
}

#[test]
fn vp9_takes_any_order_of_changes() {
    a_thousand_sequences(VideoCodecType::Vp9);
}

#[test]
fn av1_takes_any_order_of_changes() {
    a_thousand_sequences(VideoCodecType::Av1);
}

#[test]
fn h264_takes_any_order_of_changes() {
    a_thousand_sequences(VideoCodecType::H264);
}

#[test]
fn pictures_of_higher_temporal_layers_can_be_left_out() {
    let (registry, pool) = (registry(), BufferPool::default());
    for codec in CODECS {
        for layers in [2, 3] {
            for kept in 0..layers {
                let config = VideoEncoderConfig {
                    bitrate_bps: 800_000,
                    scalability: ScalabilityMode::temporal(layers),
                    ..Default::default()
                };
                let mut encoder = registry.encoder(codec, config).expect("an encoder");
                let mut decoder = registry.decoder(codec, 1).expect("a decoder");
                let mut shown = 0;
                for number in 0..16 {
                    let sent = picture(&pool, 320, 180, number);
                    let encoded = encoder.encode(&sent, false).expect("encoded").expect("not dropped");
                    let layer = encoded.temporal.expect("a layer");
                    if layer.id > kept {
                        continue;
                    }
                    let got = decoder.decode(&encoded.data).expect("decoded").expect("shown");
                    let quality = psnr(&sent, &got);
                    assert!(quality > 30.0, "{codec} L1T{layers} up to {kept}, {number}: {quality:.1} dB");
                    shown += 1;
                }
                assert_eq!(shown, 16 >> (layers - 1 - kept), "{codec} L1T{layers} up to {kept}");
            }
        }
    }
}

#[test]
fn vp9_pictures_have_the_spatial_layers_asked_for() {
    let (registry, pool) = (registry(), BufferPool::default());
    for mode in ["L2T1", "L3T1", "L3T3", "L2T1_KEY", "L3T3_KEY"] {
        let scalability: ScalabilityMode = mode.parse().expect("a mode");
        let config = VideoEncoderConfig { bitrate_bps: 2_000_000, scalability, ..Default::default() };
        let mut encoder = registry.encoder(VideoCodecType::Vp9, config).expect("an encoder");
        for number in 0..12 {
            let sent = picture(&pool, 640, 360, number);
            let encoded = encoder.encode(&sent, number == 7).expect("encoded").expect("not dropped");
            assert_eq!(encoded.key_frame, number == 0 || number == 7, "{mode} {number}");
            let sizes: Vec<_> = encoded.spatial.iter().map(|layer| (layer.width, layer.height)).collect();
            let expected = [(160, 90), (320, 180), (640, 360)];
            assert_eq!(sizes, expected[3 - usize::from(scalability.spatial_layers)..], "{mode} {number}");
            assert_eq!(encoded.spatial.iter().map(|layer| layer.len).sum::<usize>(), encoded.data.len());
            let predicted: Vec<_> = encoded.spatial.iter().map(|layer| layer.inter_layer).collect();
            let upper = encoded.key_frame || !scalability.key_frames_only;
            assert!(!predicted[0] && predicted[1..].iter().all(|one| *one == upper), "{mode} {number}");
        }
    }
    // Three layers do not fit a small picture.
    let config = VideoEncoderConfig { scalability: "L3T1".parse().expect("a mode"), ..Default::default() };
    let mut encoder = registry.encoder(VideoCodecType::Vp9, config).expect("an encoder");
    let encoded = encoder.encode(&picture(&pool, 100, 60, 0), false).expect("encoded").expect("not dropped");
    assert!(encoded.spatial.is_empty());
}

#[test]
fn the_layers_of_a_vp9_picture_decode_one_after_another() {
    let (registry, pool) = (registry(), BufferPool::default());
    let config = VideoEncoderConfig {
        bitrate_bps: 2_000_000,
        scalability: "L3T3".parse().expect("a mode"),
        ..Default::default()
    };
    let mut encoder = registry.encoder(VideoCodecType::Vp9, config).expect("an encoder");
    let mut decoder = registry.decoder(VideoCodecType::Vp9, 1).expect("a decoder");
    for number in 0..12 {
        let sent = picture(&pool, 640, 360, number);
        let encoded = encoder.encode(&sent, false).expect("encoded").expect("not dropped");
        let mut shown = None;
        for frame in layer_frames(&encoded) {
            shown = decoder.decode(frame).expect("decoded").or(shown);
        }
        let shown = shown.expect("shown");
        assert_eq!((shown.width(), shown.height()), (640, 360));
        assert!(psnr(&sent, &shown) > 30.0, "{number}: {:.1}", psnr(&sent, &shown));
    }
}

#[test]
fn vp9_profile_2_carries_ten_bits_and_is_read_as_eight() {
    let (registry, pool) = (registry(), BufferPool::default());
    let config = VideoEncoderConfig { bitrate_bps: 1_500_000, high_bit_depth: true, ..Default::default() };
    let mut encoder = registry.encoder(VideoCodecType::Vp9, config).expect("an encoder");
    let mut decoder = registry.decoder(VideoCodecType::Vp9, 1).expect("a decoder");
    for number in 0..5 {
        let sent = picture(&pool, 321, 241, number);
        let encoded = encoder.encode(&sent, false).expect("encoded").expect("not dropped");
        // The frame marker, then the bits of the profile, low one first (VP9 specification section 6.2).
        assert_eq!(encoded.data[0] >> 4, 0b1001);
        let got = decoder.decode(&encoded.data).expect("decoded").expect("shown");
        assert!(psnr(&sent, &got) > 34.0, "{number}: {:.1}", psnr(&sent, &got));
    }
}

#[test]
fn the_bit_rate_follows_a_change_without_a_key_frame() {
    let (registry, pool) = (registry(), BufferPool::default());
    for codec in CODECS {
        let config = VideoEncoderConfig { bitrate_bps: 1_500_000, ..Default::default() };
        let mut encoder = registry.encoder(codec, config).expect("an encoder");
        let mut noisy = |number: usize| {
            let mut picture = picture(&pool, 640, 360, number);
            let mut seed = number as u32 + 1;
            picture.planes_mut()[0].iter_mut().for_each(|p| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *p = p.wrapping_add((seed >> 28) as u8);
            });
            let encoded = encoder.encode(&picture, false).expect("encoded");
            // OpenH264 leaves pictures out to keep the rate.
            assert!(encoded.is_some() || codec == VideoCodecType::H264);
            assert_eq!(encoded.as_ref().is_some_and(|encoded| encoded.key_frame), number == 0);
            if number == 89 {
                encoder.set_rates(300_000, 30).expect("rates");
            }
            encoded.map_or(0, |encoded| encoded.data.len())
        };
        let sizes: Vec<usize> = (0..210).map(&mut noisy).collect();
        let rate = |frames: &[usize]| frames.iter().sum::<usize>() * 8 * 30 / frames.len();
        let (before, after) = (rate(&sizes[30..90]), rate(&sizes[150..]));
        assert!(before > 900_000 && before < 1_900_000, "{codec}: {before}");
        assert!(after > 150_000 && after < 450_000, "{codec}: {after}");
    }
}

#[test]
fn broken_bitstreams_are_errors() {
    let (registry, pool) = (registry(), BufferPool::default());
    for codec in CODECS {
        let mut encoder = registry.encoder(codec, VideoEncoderConfig::default()).expect("an encoder");
        let mut decoder = registry.decoder(codec, 1).expect("a decoder");
        assert!(decoder.decode(&[]).is_err());
        let mut seed = 9_u32;
        for number in 0..300 {
            let encoded = encoder.encode(&picture(&pool, 160, 120, number), false).expect("encoded").expect("a frame");
            let mut data = encoded.data.to_vec();
            for _ in 0..3 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (seed >> 8) as usize % data.len();
                data[at] ^= (seed >> 3) as u8;
            }
            data.truncate(1 + (seed >> 9) as usize % data.len());
            let _ = decoder.decode(&data);
        }
        // A key frame after all that is decoded again.
        let encoded = encoder.encode(&picture(&pool, 160, 120, 0), true).expect("encoded").expect("a frame");
        assert!(decoder.decode(&encoded.data).expect("decoded").is_some());
    }
}

#[test]
fn a_header_that_asks_for_gigabytes_is_refused() {
    let registry = CodecRegistry::default();
    let mut decoder = registry.decoder(VideoCodecType::Vp8, 1).expect("a decoder");
    // A VP8 key frame header with 16383 x 16383 pixels (RFC 6386 section 9.1).
    let header = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0, 0, 0, 0, 0];
    assert!(matches!(decoder.decode(&header), Err(CodecError::PictureSize { .. })));
}

/// Resident memory of this process at its highest, in kilobytes.
#[cfg(target_os = "linux")]
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmPeak")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[cfg(target_os = "linux")]
#[test]
fn a_vp9_header_hidden_behind_a_frame_is_not_followed() {
    let registry = CodecRegistry::default();
    let config = VideoEncoderConfig::default();
    let mut encoder = registry.encoder(VideoCodecType::Vp9, config).expect("an encoder");
    let key_frame =
        encoder.encode(&picture(&BufferPool::default(), 64, 64, 0), true).expect("encoded").expect("a picture").data;
    // A key frame header of profile 0 with 16384 x 16384 pixels (VP9 bitstream specification section 6.2).
    let huge = [0x82, 0x49, 0x83, 0x42, 0x03, 0xff, 0xf3, 0xff, 0xf0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00];
    // Behind a frame that shows an earlier one and is a byte long.
    let behind_a_shown_frame = [&[0x88][..], &huge].concat();
    // Behind an index whose sizes take in the index itself.
    let wrong_index = [&huge[..], &[0xc0, 18, 0xc0]].concat();
    for hidden in [behind_a_shown_frame, wrong_index] {
        let mut decoder = registry.decoder(VideoCodecType::Vp9, 1).expect("a decoder");
        decoder.decode(&key_frame).expect("decoded");
        let before = peak_memory();
        let _ = decoder.decode(&hidden);
        let _ = decoder.decode(&hidden);
        assert!(peak_memory() - before < 100_000, "{} kB more", peak_memory() - before);
    }
}

#[test]
fn codecs_without_a_backend_say_so() {
    let registry = CodecRegistry::default();
    for codec in [VideoCodecType::H264, VideoCodecType::H265] {
        assert!(!registry.encodes(codec) && !registry.decodes(codec));
        let error = registry.encoder(codec, VideoEncoderConfig::default()).err().expect("an error");
        assert!(matches!(error, CodecError::Unsupported { .. }));
        assert!(error.to_string().contains("possible is: VP9, VP8, AV1"), "{error}");
    }
}

#[test]
fn a_library_that_is_no_openh264_is_refused_with_the_reason() {
    let missing = OpenH264::open("/nonexistent/libopenh264.so").expect_err("missing");
    assert!(matches!(&missing, OpenH264Error::Open { path, .. } if path == "/nonexistent/libopenh264.so"));
    let other = OpenH264::open("libc.so.6").expect_err("another library");
    assert!(matches!(other, OpenH264Error::NotOpenH264 { symbol: "WelsCreateSVCEncoder", .. }));
    let text = std::env::temp_dir().join(format!("sora-codec-{}.so", std::process::id()));
    std::fs::write(&text, "not a library").expect("written");
    let wrong = OpenH264::open(&text.to_string_lossy()).expect_err("no library");
    std::fs::remove_file(&text).expect("removed");
    assert!(matches!(wrong, OpenH264Error::Open { .. }));
}

#[test]
fn a_preference_takes_what_it_names_and_nothing_else() {
    let openh264 = openh264();
    assert!(openh264.version().to_string().starts_with("2."));
    let internal = VideoCodecPreference::from_implementation(&registry(), Implementation::Internal);
    let mut both = internal.clone();
    both.merge(&VideoCodecPreference::from_implementation(&registry(), Implementation::CiscoOpenH264));
    assert!(both.has_implementation(Implementation::CiscoOpenH264));
    assert!(!internal.has_implementation(Implementation::CiscoOpenH264));
    let mut only_internal = registry();
    only_internal.restrict(&internal).expect("possible");
    assert!(only_internal.encodes(VideoCodecType::Av1) && !only_internal.encodes(VideoCodecType::H264));
    let mut all = registry();
    all.restrict(&both).expect("possible");
    assert!(all.encodes(VideoCodecType::Vp8) && all.decodes(VideoCodecType::H264));
    let mut one = registry();
    let at = both.find(VideoCodecType::Vp8).expect("there");
    one.restrict(&VideoCodecPreference { codecs: vec![both.codecs[at]] }).expect("possible");
    assert!(one.encodes(VideoCodecType::Vp8) && !one.decodes(VideoCodecType::Vp9));
    let impossible = CodecRegistry::default().restrict(&both).expect_err("no library");
    assert_eq!((impossible.codec, impossible.part), (VideoCodecType::H264, "encoder"));
    both.codecs[at].decoder = Some(Implementation::IntelVpl);
    let impossible = registry().restrict(&both).expect_err("no hardware");
    assert!(impossible.to_string().starts_with("intel_vpl has no VP8 decoder here"), "{impossible}");
}
