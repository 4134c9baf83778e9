//! Encode, decode, compare.

use sora_codec::{
    BufferPool, CodecError, CodecRegistry, I420Buffer, OpusDecoder, OpusEncoder, OpusParameters, VideoCodecType,
    VideoEncoderConfig,
};

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
    let (width, height) = (a.width() as usize, a.height() as usize);
    let stride = a.luma_stride();
    let (a, b) = (a.planes()[0], b.planes()[0]);
    let mut sum = 0.0;
    for row in 0..height {
        for x in 0..width {
            sum += (f64::from(a[row * stride + x]) - f64::from(b[row * stride + x])).powi(2);
        }
    }
    10.0 * (255.0 * 255.0 * (width * height) as f64 / sum.max(1.0)).log10()
}

fn codecs() -> [VideoCodecType; 2] {
    [VideoCodecType::Vp8, VideoCodecType::Vp9]
}

#[test]
fn pictures_survive_in_their_exact_size() {
    let (registry, pool) = (CodecRegistry::default(), BufferPool::default());
    for codec in codecs() {
        for (width, height) in [(321, 241), (640, 360), (2, 2), (1, 1), (1280, 720)] {
            let config = VideoEncoderConfig { bitrate_bps: 2_000_000, threads: 2, ..Default::default() };
            let mut encoder = registry.encoder(codec, config).expect("an encoder");
            let mut decoder = registry.decoder(codec, 1).expect("a decoder");
            for number in 0..5 {
                let sent = picture(&pool, width, height, number);
                let encoded = encoder.encode(&sent, false).expect("encoded").expect("not dropped");
                assert_eq!(encoded.key_frame, number == 0);
                let got = decoder.decode(&encoded.data).expect("decoded").expect("shown");
                assert_eq!((got.width(), got.height()), (width, height));
                if width > 100 {
                    let quality = psnr(&sent, &got);
                    assert!(quality > 32.0, "{codec} {width}x{height}: {quality:.1} dB");
                }
            }
        }
    }
}

#[test]
fn size_bitrate_and_key_frames_change_in_any_order_without_a_failed_frame() {
    let (registry, pool) = (CodecRegistry::default(), BufferPool::default());
    for codec in codecs() {
        let mut encoder = registry.encoder(codec, VideoEncoderConfig::default()).expect("an encoder");
        let mut decoder = registry.decoder(codec, 1).expect("a decoder");
        let mut seed = 5_u32;
        let mut size = (320, 180);
        for number in 0..200 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let changed = seed >> 28 == 0;
            if changed {
                size = (16 + (seed >> 8) % 400, 16 + (seed >> 16) % 300);
            }
            if (seed >> 24) & 7 == 0 {
                encoder.set_rates(u64::from(30 + seed % 3000) * 1000, 5 + seed % 60).expect("rates");
            }
            let key = (seed >> 20) & 15 == 0;
            let sent = picture(&pool, size.0, size.1, number);
            let encoded = encoder.encode(&sent, key).expect("encoded").expect("not dropped");
            assert!(encoded.key_frame || !(key || number == 0));
            let got = decoder.decode(&encoded.data).expect("decoded").expect("shown");
            assert_eq!((got.width(), got.height()), size);
        }
    }
}

#[test]
fn the_bit_rate_follows_a_change_without_a_key_frame() {
    let (registry, pool) = (CodecRegistry::default(), BufferPool::default());
    for codec in codecs() {
        let config = VideoEncoderConfig { bitrate_bps: 1_500_000, ..Default::default() };
        let mut encoder = registry.encoder(codec, config).expect("an encoder");
        let mut noisy = |number: usize| {
            let mut picture = picture(&pool, 640, 360, number);
            let mut seed = number as u32 + 1;
            picture.planes_mut()[0].iter_mut().for_each(|p| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *p = p.wrapping_add((seed >> 28) as u8);
            });
            let encoded = encoder.encode(&picture, false).expect("encoded").expect("not dropped");
            assert_eq!(encoded.key_frame, number == 0);
            if number == 89 {
                encoder.set_rates(300_000, 30).expect("rates");
            }
            encoded.data.len()
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
    let (registry, pool) = (CodecRegistry::default(), BufferPool::default());
    for codec in codecs() {
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

#[test]
fn codecs_without_a_backend_say_so() {
    let registry = CodecRegistry::default();
    for codec in [VideoCodecType::H264, VideoCodecType::Av1, VideoCodecType::H265] {
        assert!(!registry.encodes(codec) && !registry.decodes(codec));
        let error = registry.encoder(codec, VideoEncoderConfig::default()).err();
        assert_eq!(error, Some(CodecError::Unsupported { codec, operation: "encoding" }));
    }
}

fn tone(frequency: f64, samples: usize, channels: usize) -> Vec<i16> {
    (0..samples)
        .flat_map(|i| {
            let value = ((i as f64 * frequency * std::f64::consts::TAU / 48_000.0).sin() * 8000.0) as i16;
            std::iter::repeat_n(value, channels)
        })
        .collect()
}

#[test]
fn opus_carries_mono_and_stereo_and_conceals() {
    for channels in [1, 2] {
        let mut encoder = OpusEncoder::new(channels, &OpusParameters::default()).expect("an encoder");
        let mut decoder = OpusDecoder::new(channels).expect("a decoder");
        let sound = tone(440.0, 48_000, channels);
        let mut energy = 0.0;
        for (number, frame) in sound.chunks_exact(960 * channels).enumerate() {
            let packet = encoder.encode(frame).expect("encoded");
            assert_eq!(OpusDecoder::samples(&packet), Some(960));
            assert_eq!(OpusDecoder::is_stereo(&packet), channels == 2);
            let got = if number == 20 { decoder.conceal(960) } else { decoder.decode(&packet) }.expect("decoded");
            assert_eq!(got.len(), 960 * channels);
            energy += got.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
        }
        let level = (energy / sound.len() as f64).sqrt();
        assert!((4500.0..6500.0).contains(&level), "{level}");
    }
}

#[test]
fn a_lost_opus_packet_is_rebuilt_from_the_next() {
    let parameters = OpusParameters::from_fmtp("minptime=10;useinbandfec=1");
    let mut encoder = OpusEncoder::new(1, &parameters).expect("an encoder");
    encoder.set_expected_loss(20).expect("accepted");
    let mut decoder = OpusDecoder::new(1).expect("a decoder");
    let sound = tone(300.0, 48_000, 1);
    let packets: Vec<Vec<u8>> = sound.chunks_exact(960).map(|f| encoder.encode(f).expect("encoded")).collect();
    for (number, packet) in packets.iter().enumerate() {
        if number == 30 {
            let rebuilt = decoder.recover(&packets[31], 960).expect("rebuilt");
            let level = rebuilt.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / 960.0;
            assert!(level.sqrt() > 2000.0, "{}", level.sqrt());
        } else {
            decoder.decode(packet).expect("decoded");
        }
    }
}

#[test]
fn fmtp_lines_are_read_as_rfc_7587_says() {
    let parameters = OpusParameters::from_fmtp("minptime=10; useinbandfec=1;stereo=1;usedtx=1;maxaveragebitrate=96000");
    assert!(parameters.stereo && parameters.in_band_fec && parameters.dtx);
    assert_eq!(parameters.bitrate(2), 96_000);
    assert_eq!(OpusParameters::from_fmtp("").bitrate(1), 32_000);
    assert_eq!(OpusParameters::from_fmtp("stereo=x;;=;maxaveragebitrate=-1").channels(2), 1);
}

#[test]
fn impossible_opus_arguments_are_errors() {
    assert!(OpusEncoder::new(3, &OpusParameters::default()).is_err());
    assert!(OpusDecoder::new(0).is_err());
    let mut encoder = OpusEncoder::new(2, &OpusParameters::default()).expect("an encoder");
    assert!(encoder.encode(&[0; 961]).is_err());
    assert!(encoder.encode(&[]).is_err());
    assert!(OpusDecoder::new(1).expect("a decoder").decode(&[0xff; 3]).is_err());
}
