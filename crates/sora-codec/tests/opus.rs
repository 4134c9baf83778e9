//! Encode, decode, compare: sound.

use sora_codec::{OpusDecoder, OpusEncoder, OpusParameters};

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
fn sound_of_lower_rates_is_taken_as_it_is() {
    for rate in OpusEncoder::SAMPLE_RATES {
        let mut encoder = OpusEncoder::with_sample_rate(rate, 1, &OpusParameters::default()).expect("an encoder");
        assert_eq!(encoder.sample_rate(), rate);
        let mut decoder = OpusDecoder::new(1).expect("a decoder");
        let size = rate as usize / 50;
        let mut heard = Vec::new();
        for number in 0..50 {
            let time = |i: usize| (number * size + i) as f64 / f64::from(rate);
            let frame: Vec<i16> =
                (0..size).map(|i| ((time(i) * 440.0 * std::f64::consts::TAU).sin() * 8000.0) as i16).collect();
            let packet = encoder.encode(&frame).expect("encoded");
            assert_eq!(OpusDecoder::samples(&packet), Some(960), "{rate}");
            heard.extend(decoder.decode(&packet).expect("decoded"));
        }
        let rises = heard[4800..].windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert!((395..=397).contains(&rises), "{rate}: {rises} periods in 0.9 s");
        assert!(encoder.encode(&vec![0; size + 1]).is_err());
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
    assert!(OpusEncoder::with_sample_rate(44_100, 1, &OpusParameters::default()).is_err());
    assert!(OpusDecoder::new(0).is_err());
    let mut encoder = OpusEncoder::new(2, &OpusParameters::default()).expect("an encoder");
    assert!(encoder.encode(&[0; 961]).is_err());
    assert!(encoder.encode(&[]).is_err());
    assert!(OpusDecoder::new(1).expect("a decoder").decode(&[0xff; 3]).is_err());
}
