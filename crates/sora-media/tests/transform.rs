//! Encoded frames that a program sees, changes and drops on their way.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sora_media::{
    AudioSender, AudioSenderTransform, AudioSource, CodecRegistry, FrameDirection, FrameMetadata, FrameStream,
    OpusParameters, Track, TrackKind, TransformableFrame, Transformer, TransformerThread, VideoCodecType,
    VideoFrameMetadata, VideoLayerConfig, VideoReceiver, VideoSender, VideoSenderConfig, VideoSink, VideoSource,
};
use sora_rtp::{EncodedFrame, RtpPacket};

const DEADLINE: Duration = Duration::from_secs(20);

fn metadata(frame: &TransformableFrame) -> VideoFrameMetadata {
    match frame.metadata() {
        FrameMetadata::Video(metadata) => metadata,
        FrameMetadata::Audio(_) => panic!("a picture is no sound"),
    }
}

/// Changes everything but the first byte, which VP8 tells key frames by.
fn cipher(mut frame: TransformableFrame) {
    let mut data = frame.data.to_vec();
    data.iter_mut().skip(1).for_each(|byte| *byte ^= 0x5a);
    frame.data = Bytes::from(data);
    frame.forward();
}

fn capture(source: &VideoSource, number: i64) {
    let picture: Vec<u8> = (0..64 * 64 * 3).map(|i| ((i / 3 % 64) * 3 + number as usize) as u8).collect();
    source.push_bgr(&picture, 64, 64, 192, Some(number * 33_333)).expect("taken");
}

type Sender = (VideoSource, VideoSender, mpsc::Receiver<EncodedFrame>);

fn sender(mode: &str, transformer: Transformer) -> Sender {
    sender_of(VideoCodecType::Vp8, mode, transformer)
}

fn sender_of(codec: VideoCodecType, mode: &str, transformer: Transformer) -> Sender {
    let source = VideoSource::new();
    let config = VideoSenderConfig {
        layers: vec![VideoLayerConfig { scalability: mode.parse().expect("a mode"), ..VideoLayerConfig::default() }],
        transformer: Some(transformer),
        payload_type: 120,
        ssrcs: vec![7],
        ..VideoSenderConfig::new(codec)
    };
    let (output, sent) = mpsc::channel();
    let registry = CodecRegistry::default();
    let sender = VideoSender::start(source.track(), &registry, &config, move |frame| output.send(frame).is_ok());
    (source, sender.expect("a sender"), sent)
}

#[test]
fn pictures_are_changed_before_packets_and_changed_back_before_the_decoder() {
    let (source, _sender, sent) = sender("L1T1", Transformer::new(cipher));
    let track = Track::remote(TrackKind::Video, "track".to_owned(), "stream".to_owned());
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    track.set_transformer(Some(Transformer::new(move |frame: TransformableFrame| {
        count.fetch_add(1, Ordering::Relaxed);
        assert_eq!(frame.direction(), FrameDirection::Receiver);
        assert_eq!(frame.stream(), FrameStream { ssrc: 7, payload_type: 120, mime_type: "video/VP8" });
        cipher(frame);
    })));
    let codecs = HashMap::from([(120, VideoCodecType::Vp8)]);
    let receiver = VideoReceiver::start(&track, Arc::new(CodecRegistry::default()), codecs, || {});
    let receiver = receiver.expect("a receiver");
    let (frames, received) = mpsc::channel();
    let _sink = VideoSink::new(&track, move |frame| drop(frames.send(frame))).expect("a sink");
    let mut sequence = 0;
    for number in 0..5 {
        capture(&source, number);
        let packets = sent.recv_timeout(DEADLINE).expect("packets");
        let last = packets.payloads.len() - 1;
        for (index, payload) in packets.payloads.into_iter().enumerate() {
            sequence += 1;
            receiver.push(RtpPacket {
                ssrc: 7,
                payload_type: 120,
                sequence,
                timestamp: packets.timestamp,
                marker: index == last,
                payload,
                arrival: Instant::now(),
                retransmitted: false,
            });
        }
        assert_eq!(received.recv_timeout(DEADLINE).expect("a picture").width(), 64);
    }
    assert_eq!(seen.load(Ordering::Relaxed), 5);
    assert_eq!(receiver.stats().frames_decoded, 5);
}

#[test]
fn after_a_dropped_picture_nothing_goes_out_before_a_key_frame() {
    let dropped = Arc::new(AtomicBool::new(false));
    let done = dropped.clone();
    let (source, _sender, sent) = sender(
        "L1T1",
        Transformer::new(move |frame: TransformableFrame| {
            if metadata(&frame).frame_id == Some(3) { done.store(true, Ordering::Relaxed) } else { frame.forward() }
        }),
    );
    let begin = Instant::now();
    let mut keys = Vec::new();
    let mut number = 0;
    while keys.len() < 4 {
        assert!(begin.elapsed() < DEADLINE, "no key frame: {keys:?}");
        capture(&source, number);
        number += 1;
        let wait = if keys.len() < 2 { DEADLINE } else { Duration::from_millis(20) };
        keys.extend(sent.recv_timeout(wait).map(|frame| frame.key_frame));
    }
    assert!(dropped.load(Ordering::Relaxed));
    assert_eq!(keys, [true, false, true, false]);
}

/// Pictures until so many have come out; true for the key frames among those.
fn key_frames(source: &VideoSource, sent: &mpsc::Receiver<EncodedFrame>, count: usize) -> Vec<bool> {
    let (begin, mut keys, mut number) = (Instant::now(), Vec::new(), 0);
    while keys.len() < count {
        assert!(begin.elapsed() < DEADLINE, "only {} pictures", keys.len());
        capture(source, number);
        number += 1;
        keys.extend(sent.recv_timeout(Duration::from_millis(20)).map(|frame| frame.key_frame));
    }
    keys
}

#[test]
fn the_highest_temporal_layer_can_be_left_out() {
    for (codec, mode) in [
        (VideoCodecType::Vp8, "L1T2"),
        (VideoCodecType::Vp9, "L1T2"),
        (VideoCodecType::Vp9, "L1T3"),
        (VideoCodecType::Av1, "L1T2"),
    ] {
        let highest = if mode == "L1T3" { 2 } else { 1 };
        let (source, _sender, sent) = sender_of(
            codec,
            mode,
            Transformer::new(move |frame: TransformableFrame| {
                if metadata(&frame).temporal_index < highest {
                    frame.forward();
                }
            }),
        );
        let keys = key_frames(&source, &sent, 12);
        assert_eq!(keys.iter().filter(|key| **key).count(), 1, "{codec} {mode}");
    }
}

#[test]
fn pictures_that_are_kept_are_as_good_as_dropped() {
    let kept: Arc<Mutex<Vec<TransformableFrame>>> = Arc::default();
    let keeps = kept.clone();
    let (source, _sender, sent) = sender(
        "L1T1",
        Transformer::new(move |frame: TransformableFrame| match metadata(&frame).frame_id {
            Some(3..=6) => keeps.lock().expect("a lock").push(frame),
            _ => frame.forward(),
        }),
    );
    let keys = key_frames(&source, &sent, 5);
    assert_eq!(keys, [true, false, true, false, false]);
    // Later ones have gone: these are of no use any more, and cost no key frame either.
    kept.lock().expect("a lock").drain(..).for_each(TransformableFrame::forward);
    assert_eq!(key_frames(&source, &sent, 5), [false; 5]);
}

#[test]
fn a_dropped_picture_costs_one_key_frame_however_many_wait_behind_it() {
    let waiting: Arc<Mutex<VecDeque<TransformableFrame>>> = Arc::default();
    let keeps = waiting.clone();
    let (source, sender, sent) = sender(
        "L1T1",
        Transformer::new(move |frame: TransformableFrame| {
            let mut waiting = keeps.lock().expect("a lock");
            waiting.push_back(frame);
            // Twenty pictures of latency, and the fifth gets lost.
            if waiting.len() > 20
                && let Some(oldest) = waiting.pop_front()
                && metadata(&oldest).frame_id != Some(5)
            {
                drop(waiting);
                oldest.forward();
            }
        }),
    );
    key_frames(&source, &sent, 60);
    assert_eq!(sender.stats().layers[0].key_frames_encoded, 2);
    assert!(sender.stats().layers[0].frames_sent >= 60);
}

#[test]
fn spatial_layers_are_left_out_for_a_transformer() {
    let (frames, seen) = mpsc::channel();
    let source = VideoSource::new();
    let config = VideoSenderConfig {
        layers: vec![VideoLayerConfig { scalability: "L3T1".parse().expect("a mode"), ..VideoLayerConfig::default() }],
        transformer: Some(Transformer::new(move |mut frame: TransformableFrame| {
            frame.data = [&frame.data[..], b"tail"].concat().into();
            let _ = frames.send(metadata(&frame).key_frame);
            frame.forward();
        })),
        ..VideoSenderConfig::new(VideoCodecType::Vp9)
    };
    let (output, sent) = mpsc::channel();
    let registry = CodecRegistry::default();
    let _sender = VideoSender::start(source.track(), &registry, &config, move |frame| output.send(frame).is_ok());
    capture(&source, 0);
    assert_eq!(seen.recv_timeout(DEADLINE), Ok(true));
    let payloads = sent.recv_timeout(DEADLINE).expect("packets").payloads;
    assert!(payloads.last().is_some_and(|payload| payload.ends_with(b"tail")));
}

#[test]
fn sound_is_changed_before_packets() {
    let source = AudioSource::new(1, 48_000).expect("a source");
    let stream = FrameStream { ssrc: 9, payload_type: 109, mime_type: "audio/opus" };
    let transformer = Transformer::new(move |mut frame: TransformableFrame| {
        assert_eq!((frame.direction(), frame.stream()), (FrameDirection::Sender, stream));
        frame.data = Bytes::from_static(b"changed");
        frame.rtp_timestamp = 4711;
        frame.forward();
    });
    let (output, sent) = mpsc::channel();
    let transform = Some(AudioSenderTransform { transformer, stream });
    let sender = AudioSender::start(source.track(), 1, &OpusParameters::default(), transform, move |frame| {
        let _ = output.send(frame);
    });
    source.push(&[1000; 960], 1, None).expect("taken");
    let packet = sent.recv_timeout(DEADLINE).expect("a packet");
    assert_eq!((packet.timestamp, &packet.payloads[0][..]), (4711, &b"changed"[..]));
    drop(sender);
}

#[test]
fn a_slow_callback_loses_the_oldest_frames() {
    let (frames, taken) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let thread = TransformerThread::start(2, move |frame: TransformableFrame| {
        let _ = frames.send(metadata(&frame).frame_id);
        let _ = wait.recv();
    });
    let thread = Arc::new(thread.expect("a thread"));
    let (source, _sender, _sent) = sender("L1T1", Transformer(thread.clone()));
    capture(&source, 0);
    assert_eq!(taken.recv_timeout(DEADLINE), Ok(Some(1)));
    let begin = Instant::now();
    let mut number = 1;
    while thread.dropped() < 3 {
        assert!(begin.elapsed() < DEADLINE, "nothing was dropped");
        capture(&source, number);
        number += 1;
    }
    drop(go);
    let next = taken.recv_timeout(DEADLINE).expect("a frame").expect("a number");
    assert!(next >= 5, "{next}");
}
