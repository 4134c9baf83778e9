//! Time of one frame of 10 ms, of speech in noise.
#![allow(missing_docs, reason = "the macros make undocumented functions")]

use criterion::{Criterion, criterion_group, criterion_main};
use sora_vad::RnnVad;

/// A recording as frames of 10 ms.
fn frames(name: &str, rate: usize, channels: usize) -> Vec<Vec<i16>> {
    let path = format!("{}/tests/recordings/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut reader = claxon::FlacReader::open(path).expect("a FLAC file");
    let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("a sample") as i16).collect();
    samples.chunks_exact(rate / 100 * channels).map(<[i16]>::to_vec).collect()
}

fn analyze(c: &mut Criterion) {
    for (name, rate, channels) in [
        ("mix_pink_10dB_syn_en.24000.1.flac", 24_000, 1),
        ("fmt_syn_ja.16000.1.flac", 16_000, 1),
        ("fmt_syn_ja.44100.1.flac", 44_100, 1),
        ("fmtL_syn_ja.48000.2.flac", 48_000, 2),
    ] {
        let frames = frames(name, rate, channels);
        let (rate, channels) = (rate as i64, channels as i64);
        let mut next = frames.iter().cycle();
        let mut frame = move || next.next().map(Vec::as_slice).unwrap_or_default();
        let mut vad = RnnVad::new();
        c.bench_function(&format!("rnn {rate} Hz, {channels} channels"), |b| {
            b.iter(|| vad.analyze(frame(), rate, channels));
        });
        #[cfg(feature = "earshot")]
        {
            let mut vad = sora_vad::EarshotVad::new();
            c.bench_function(&format!("earshot {rate} Hz, {channels} channels"), |b| {
                b.iter(|| vad.analyze(frame(), rate, channels));
            });
        }
        #[cfg(feature = "webrtc-vad")]
        {
            let mut vad = sora_vad::WebRtcVad::default();
            c.bench_function(&format!("webrtc {rate} Hz, {channels} channels"), |b| {
                b.iter(|| vad.analyze(frame(), rate, channels));
            });
        }
    }
}

criterion_group!(benches, analyze);
criterion_main!(benches);
