//! Source to sink through encoder, packets and decoder, in one process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use sora_media::{
    AudioReceiver, AudioSender, AudioSink, AudioSource, AudioStreamSink, CodecRegistry, OpusParameters, ReadOutcome,
    SinkError, Track, TrackKind, VideoCodecType, VideoLayerConfig, VideoReceiver, VideoSender, VideoSenderConfig,
    VideoSink, VideoSource,
};
use sora_rtp::{EncodedFrame, RtpPacket};

const DEADLINE: Duration = Duration::from_secs(20);

/// Gives frames the sequence numbers and arrival times a session would.
struct Packets(u64);

impl Packets {
    fn of(&mut self, payload_type: u8, frame: &EncodedFrame) -> Vec<RtpPacket> {
        let last = frame.payloads.len() - 1;
        let packets = frame.payloads.iter().enumerate().map(|(index, payload)| {
            self.0 += 1;
            RtpPacket {
                ssrc: 1,
                payload_type,
                sequence: self.0,
                timestamp: frame.timestamp,
                marker: frame.marker && index == last,
                payload: payload.clone(),
                arrival: Instant::now(),
                retransmitted: false,
            }
        });
        packets.collect()
    }
}

fn picture(width: usize, height: usize, number: usize) -> Vec<u8> {
    (0..width * height)
        .flat_map(|i| {
            let (x, y) = (i % width, i / width);
            let wave = (128.0 + 70.0 * ((x + number * 2) as f64 * 0.04 + y as f64 * 0.03).sin()) as u8;
            [wave, wave / 2 + 60, 255 - wave]
        })
        .collect()
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / sum.max(1.0)).log10()
}

/// A sender and a receiver joined by a channel-free wire.
fn video_path(codec: VideoCodecType, mode: &str) -> (VideoSource, VideoSender, Arc<VideoReceiver>, Track) {
    let source = VideoSource::new();
    let registry = Arc::new(CodecRegistry::default());
    let track = Track::remote(TrackKind::Video, "track".to_owned(), "stream".to_owned());
    let codecs = HashMap::from([(120, codec)]);
    let wanted = Arc::new(AtomicU64::new(0));
    let asked = wanted.clone();
    let receiver = VideoReceiver::start(&track, registry.clone(), codecs, move || {
        asked.fetch_add(1, Ordering::Relaxed);
    });
    let receiver = Arc::new(receiver.expect("a receiver"));
    let wire = receiver.clone();
    let mut packets = Packets(0);
    // The tests give pictures as fast as they come out, which is a frame rate: bits enough for the highest.
    let config = VideoSenderConfig {
        max_bitrate_bps: Some(16_000_000),
        start_bitrate_bps: 16_000_000,
        layers: vec![VideoLayerConfig {
            scalability: mode.parse().expect("a mode"),
            max_bitrate_bps: Some(16_000_000),
            ..VideoLayerConfig::default()
        }],
        ..VideoSenderConfig::new(codec)
    };
    let sender = VideoSender::start(source.track(), &registry, &config, move |frame| {
        // What was asked for before this picture is answered by it if it is a key frame.
        let asked = wanted.swap(0, Ordering::Relaxed) > 0;
        let answered = frame.key_frame || !asked;
        packets.of(120, &frame).into_iter().for_each(|packet| wire.push(packet));
        answered
    });
    (source, sender.expect("a sender"), receiver, track)
}

#[test]
fn pictures_arrive_in_their_size_and_likeness() {
    for codec in [VideoCodecType::Vp8, VideoCodecType::Vp9] {
        for (width, height) in [(321, 241), (640, 360)] {
            let (source, sender, receiver, track) = video_path(codec, "L1T1");
            let (frames, received) = mpsc::channel();
            let sink = VideoSink::new(&track, move |frame| {
                let _ = frames.send(frame);
            });
            let sink = sink.expect("a sink");
            for number in 0..8 {
                let sent = picture(width, height, number);
                let captured = Some(number as i64 * 33_333);
                source.push_bgr(&sent, width as u32, height as u32, width * 3, captured).expect("taken");
                let got = received.recv_timeout(DEADLINE).expect("a picture");
                assert_eq!((got.width(), got.height()), (width as u32, height as u32));
                let mut bgr = vec![0; sent.len()];
                got.write_bgr(&mut bgr).expect("converted");
                let quality = psnr(&sent, &bgr);
                assert!(quality > 30.0, "{codec} {width}x{height}: {quality:.1} dB");
            }
            assert_eq!(sender.stats().layers[0].frames_encoded, 8);
            assert_eq!(sender.stats().layers[0].key_frames_encoded, 1);
            assert_eq!(receiver.stats().frames_decoded, 8);
            drop(sink);
        }
    }
}

#[test]
fn layered_streams_arrive_whole() {
    use VideoCodecType::{Av1, Vp8, Vp9};
    let modes = [(Vp8, "L1T2"), (Vp8, "L1T3"), (Vp9, "L1T2"), (Vp9, "L1T3"), (Av1, "L1T2"), (Av1, "L1T3")];
    let spatial = ["L2T1", "L3T1", "L3T3", "L3T3_KEY", "L2T2_KEY"].map(|mode| (Vp9, mode));
    for (codec, mode) in modes.into_iter().chain(spatial) {
        let (source, sender, receiver, track) = video_path(codec, mode);
        let (frames, received) = mpsc::channel();
        let sink = VideoSink::new(&track, move |frame| {
            let _ = frames.send(frame);
        });
        let sink = sink.expect("a sink");
        for number in 0..14 {
            let sent = picture(640, 360, number);
            if number == 6 {
                sender.request_key_frame(None);
            }
            source.push_bgr(&sent, 640, 360, 640 * 3, Some(number as i64 * 33_333)).expect("taken");
            let got = received.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("{codec} {mode}: no picture {number}"));
            assert_eq!((got.width(), got.height()), (640, 360), "{codec} {mode}");
            let mut bgr = vec![0; sent.len()];
            got.write_bgr(&mut bgr).expect("converted");
            let quality = psnr(&sent, &bgr);
            assert!(quality > 26.0, "{codec} {mode} {number}: {quality:.1} dB");
        }
        assert_eq!(receiver.stats().frames_decoded, 14, "{codec} {mode}");
        assert_eq!(sender.stats().layers[0].scalability.to_string(), mode);
        drop(sink);
    }
}

#[test]
fn a_muted_source_sends_black_and_a_muted_track_shows_black() {
    let (source, _sender, _receiver, track) = video_path(VideoCodecType::Vp8, "L1T1");
    let (frames, received) = mpsc::channel();
    let _sink = VideoSink::new(&track, move |frame| {
        let _ = frames.send(frame);
    })
    .expect("a sink");
    let brightest = |white: &[u8]| {
        source.push_bgr(white, 64, 64, 192, None).expect("taken");
        let frame = received.recv_timeout(DEADLINE).expect("a picture");
        let mut bgr = vec![0; 64 * 64 * 3];
        frame.write_bgr(&mut bgr).expect("converted");
        bgr.into_iter().max().unwrap_or(0)
    };
    let white = vec![255; 64 * 64 * 3];
    assert!(brightest(&white) > 200);
    assert!(source.track().set_enabled(false));
    assert!(!source.track().set_enabled(false));
    assert!(brightest(&white) < 40);
    source.track().set_enabled(true);
    assert!(brightest(&white) > 200);
    track.set_enabled(false);
    assert!(brightest(&white) < 40);
}

#[test]
fn a_slow_sink_loses_pictures_and_delays_nobody() {
    let source = VideoSource::new();
    let (fast, seen) = mpsc::channel();
    let _fast = VideoSink::new(source.track(), move |frame| {
        let _ = fast.send(frame.timestamp_us);
    })
    .expect("a sink");
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let slow = VideoSink::new(source.track(), move |_| {
        let _ = gate.lock().map(|gate| gate.recv_timeout(DEADLINE));
    })
    .expect("a sink");
    for number in 0..20 {
        source.push_bgr(&picture(32, 32, number), 32, 32, 96, None).expect("taken");
        seen.recv_timeout(DEADLINE).expect("the fast sink sees every picture");
    }
    assert!(slow.frames_dropped() >= 16);
    drop(release);
}

fn tone(frequency: f64, rate: f64, samples: usize) -> Vec<i16> {
    (0..samples).map(|i| ((i as f64 * frequency * std::f64::consts::TAU / rate).sin() * 8000.0) as i16).collect()
}

/// Frequency by counting zero crossings.
fn frequency(samples: &[i16], rate: f64) -> f64 {
    let crossings = samples.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count();
    crossings as f64 * rate / samples.len() as f64
}

#[test]
fn sound_arrives_with_its_pitch_and_level() {
    let source = AudioSource::new(2, 16_000).expect("a source");
    let track = Track::remote(TrackKind::Audio, "track".to_owned(), "stream".to_owned());
    let receiver = Arc::new(AudioReceiver::start(&track, 1).expect("a receiver"));
    let (frames, received) = mpsc::channel();
    let _sink = AudioStreamSink::new(&track, 24_000, 1, move |frame| {
        let _ = frames.send(frame);
    })
    .expect("a sink");
    let wire = receiver.clone();
    let mut packets = Packets(0);
    let sender = AudioSender::start(source.track(), 2, &OpusParameters::default(), None, move |frame| {
        packets.of(109, &frame).into_iter().for_each(|packet| wire.push(packet));
    })
    .expect("a sender");
    let sound: Vec<i16> = tone(440.0, 16_000.0, 16_000).iter().flat_map(|s| [*s, *s]).collect();
    for chunk in sound.chunks(333 * 2) {
        source.push(chunk, 2, None).expect("taken");
    }
    let mut got = Vec::new();
    while got.len() < 18_000 {
        let frame = received.recv_timeout(DEADLINE).expect("sound");
        assert_eq!((frame.sample_rate, frame.channels, frame.samples_per_channel()), (24_000, 1, 240));
        got.extend_from_slice(&frame.samples);
    }
    let middle = &got[4_800..16_800];
    assert!((frequency(middle, 24_000.0) - 440.0).abs() < 5.0, "{}", frequency(middle, 24_000.0));
    let level = (middle.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / middle.len() as f64).sqrt();
    assert!((4_500.0..6_800.0).contains(&level), "{level}");
    assert_eq!(sender.stats().frames_encoded, 50);
}

#[test]
fn a_buffering_sink_reads_exactly_or_not_at_all() {
    let source = AudioSource::new(1, 48_000).expect("a source");
    let sink = AudioSink::new(source.track(), -1, 2).expect("a sink");
    assert_eq!(sink.read(0, Duration::ZERO, || true), ReadOutcome::NotEnough);
    source.push(&tone(440.0, 48_000.0, 960), 1, None).expect("taken");
    assert_eq!(sink.read(961, Duration::from_millis(1), || true), ReadOutcome::NotEnough);
    let ReadOutcome::Samples { samples, channels } = sink.read(160, Duration::ZERO, || true) else {
        panic!("160 samples are there")
    };
    assert_eq!((samples.len(), channels), (320, 2));
    let ReadOutcome::Samples { samples, .. } = sink.read(0, Duration::ZERO, || true) else {
        panic!("the rest is there")
    };
    assert_eq!(samples.len(), 1600);
    assert_eq!(sink.read(1, DEADLINE, || false), ReadOutcome::Interrupted);
    for _ in 0..700 {
        source.push(&[1; 480], 1, None).expect("taken");
    }
    let ReadOutcome::Samples { samples, .. } = sink.read(0, Duration::ZERO, || true) else {
        panic!("five seconds are there")
    };
    assert_eq!(samples.len(), 5 * 48_000 * 2);
    assert_eq!(sink.samples_dropped(), 2 * 48_000 * 2);
}

#[test]
fn wrong_kinds_and_formats_are_errors() {
    let (video, audio) = (VideoSource::new(), AudioSource::new(1, 48_000).expect("a source"));
    let kind = VideoSink::new(audio.track(), drop).err();
    assert_eq!(kind, Some(SinkError::Kind { expected: TrackKind::Video, actual: TrackKind::Audio }));
    assert!(AudioStreamSink::new(video.track(), -1, 0, drop).is_err());
    assert_eq!(AudioStreamSink::new(audio.track(), 7, 0, drop).err(), Some(SinkError::Frequency(7)));
    assert_eq!(AudioStreamSink::new(audio.track(), -1, 9, drop).err(), Some(SinkError::Channels(9)));
    assert!(audio.push(&[0; 4], 2, None).is_err());
    assert!(video.push_bgr(&[], 0, 0, 0, None).is_ok());
}

#[test]
fn callbacks_may_drop_their_own_sink_and_everything_goes_in_any_order() {
    for order in 0..6 {
        let (source, sender, receiver, track) = video_path(VideoCodecType::Vp8, "L1T1");
        let slot: Arc<Mutex<Option<VideoSink>>> = Arc::default();
        let inside = slot.clone();
        let (done, told) = mpsc::channel();
        let sink = VideoSink::new(&track, move |_| {
            drop(inside.lock().map(|mut slot| slot.take()));
            let _ = done.send(());
        })
        .expect("a sink");
        if let Ok(mut slot) = slot.lock() {
            *slot = Some(sink);
        }
        source.push_bgr(&picture(64, 64, 1), 64, 64, 192, None).expect("taken");
        told.recv_timeout(DEADLINE).expect("called back");
        let mut parts: Vec<Option<Box<dyn std::any::Any>>> =
            vec![Some(Box::new(source)), Some(Box::new(sender)), Some(Box::new(receiver)), Some(Box::new(track))];
        for step in 0..4 {
            parts[(step * (1 + order % 2 * 2) + order) % 4].take();
        }
    }
}
