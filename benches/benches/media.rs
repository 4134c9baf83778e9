//! Colour conversion, encode, decode, packetising and resampling at call sizes. Run with `cargo bench -p sora-benches`.
#![allow(missing_docs, reason = "the macros make undocumented functions")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sora_audio::Resampler;
use sora_benches::picture;
use sora_codec::{BufferPool, CodecRegistry, VideoCodecType, VideoEncoderConfig};
use sora_media::{VideoSink, VideoSource};
use sora_rtp::{DEFAULT_MAX_PAYLOAD, PictureInfo, VideoPacketizer};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;

fn capture(c: &mut Criterion) {
    let source = VideoSource::new();
    let _sink = VideoSink::new(source.track(), drop).expect("a sink");
    let bgr = vec![100_u8; (WIDTH * HEIGHT * 3) as usize];
    c.bench_function("push_bgr 1280x720", |b| {
        b.iter(|| source.push_bgr(black_box(&bgr), WIDTH, HEIGHT, WIDTH as usize * 3, None).expect("taken"));
    });
}

fn codecs(c: &mut Criterion) {
    let (registry, pool) = (CodecRegistry::default(), BufferPool::default());
    for codec in [VideoCodecType::Vp8, VideoCodecType::Vp9] {
        let config = VideoEncoderConfig { bitrate_bps: 2_500_000, ..Default::default() };
        let mut encoder = registry.encoder(codec, config).expect("an encoder");
        let pictures: Vec<_> = (0..30).map(|n| picture(&pool, WIDTH, HEIGHT, n).expect("a picture")).collect();
        let mut number = 0;
        let mut stream = Vec::new();
        c.bench_function(&format!("encode {codec} 1280x720"), |b| {
            b.iter(|| {
                number += 1;
                let encoded = encoder.encode(&pictures[number % 30], false).expect("encoded").expect("not dropped");
                stream.push(encoded.data.clone());
                encoded
            });
        });
        let mut decoder = registry.decoder(codec, 1).expect("a decoder");
        let mut packets = stream.iter().cycle();
        c.bench_function(&format!("decode {codec} 1280x720"), |b| {
            b.iter(|| decoder.decode(packets.next().expect("a stream")).expect("decoded"));
        });
        let mut packetizer = VideoPacketizer::new(codec, DEFAULT_MAX_PAYLOAD);
        let frame = vec![7_u8; 12_000];
        let picture = PictureInfo { width: WIDTH as u16, height: HEIGHT as u16, ..PictureInfo::default() };
        c.bench_function(&format!("packetize {codec} 12 kB"), |b| {
            b.iter(|| packetizer.packetize(black_box(&frame), &picture));
        });
    }
}

fn audio(c: &mut Criterion) {
    let mut resampler = Resampler::new(44_100, 48_000, 2);
    let samples = vec![1000_i16; 882];
    c.bench_function("resample 10 ms 44.1 to 48 kHz stereo", |b| b.iter(|| resampler.process(black_box(&samples))));
}

criterion_group!(benches, capture, codecs, audio);
criterion_main!(benches);
