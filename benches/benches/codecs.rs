//! Encoding and decoding, per codec and size, on one thread.
#![allow(missing_docs, reason = "the macros make undocumented functions")]

use criterion::{Criterion, criterion_group, criterion_main};
use sora_benches::{SIZES, picture, registry};
use sora_codec::{BufferPool, VideoCodecType, VideoEncoderConfig};

const PICTURES: usize = 60;

fn codecs(c: &mut Criterion) {
    let (registry, pool) = (registry(), BufferPool::default());
    for codec in VideoCodecType::ALL.into_iter().filter(|codec| registry.encodes(*codec)) {
        for (width, height, bitrate_bps) in SIZES {
            let config = VideoEncoderConfig { bitrate_bps, ..Default::default() };
            let mut encoder = registry.encoder(codec, config).expect("an encoder");
            let pictures: Vec<_> =
                (0..PICTURES).map(|n| picture(&pool, width, height, n).expect("a picture")).collect();
            // There and back, so that the last picture is followed by one like it.
            let mut order = (0..PICTURES).chain((0..PICTURES).rev()).cycle();
            let stream: Vec<_> = order
                .by_ref()
                .take(2 * PICTURES)
                .filter_map(|n| encoder.encode(&pictures[n], false).expect("encoded"))
                .collect();
            c.bench_function(&format!("encode {codec} {width}x{height}"), |b| {
                b.iter(|| encoder.encode(&pictures[order.next().expect("endless")], false).expect("encoded"));
            });
            let mut decoder = registry.decoder(codec, 1).expect("a decoder");
            let mut packets = stream.iter().cycle();
            c.bench_function(&format!("decode {codec} {width}x{height}"), |b| {
                b.iter(|| decoder.decode(&packets.next().expect("a stream").data).expect("decoded"));
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = codecs
}
criterion_main!(benches);
