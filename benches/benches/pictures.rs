//! Colour conversion and scaling.
#![allow(missing_docs, reason = "the macros make undocumented functions")]

use std::hint::black_box;
use std::sync::mpsc;

use criterion::{Criterion, criterion_group, criterion_main};
use sora_benches::{SIZES, picture};
use sora_codec::BufferPool;
use sora_media::{Scaler, VideoSink, VideoSource};

fn colour(c: &mut Criterion) {
    for (width, height, _) in SIZES {
        let source = VideoSource::new();
        let (frames, received) = mpsc::channel();
        let sink = VideoSink::new(source.track(), move |frame| drop(frames.send(frame)));
        let sink = sink.expect("a sink");
        let bgr: Vec<u8> = (0..width * height * 3).map(|i| (i * 7 % 251) as u8).collect();
        source.push_bgr(&bgr, width, height, width as usize * 3, None).expect("taken");
        let frame = received.recv().expect("a frame");
        drop(sink);
        let mut back = vec![0; bgr.len()];
        c.bench_function(&format!("I420 to BGR {width}x{height}"), |b| {
            b.iter(|| black_box(&frame).write_bgr(&mut back).expect("converted"));
        });
        let _sink = VideoSink::new(source.track(), drop).expect("a sink");
        c.bench_function(&format!("BGR to I420 {width}x{height}"), |b| {
            b.iter(|| source.push_bgr(black_box(&bgr), width, height, width as usize * 3, None).expect("taken"));
        });
    }
}

fn scaling(c: &mut Criterion) {
    let from = picture(&BufferPool::default(), 1280, 720, 0).expect("a picture");
    let mut scaler = Scaler::default();
    for (width, height) in [(640, 360), (320, 180), (960, 540)] {
        c.bench_function(&format!("scale 1280x720 to {width}x{height}"), |b| {
            b.iter(|| scaler.scale(black_box(&from), width, height).expect("scaled"));
        });
    }
}

criterion_group!(benches, colour, scaling);
criterion_main!(benches);
