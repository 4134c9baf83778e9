//! Speech through Opus, a lossy and uneven network and the receive buffer, faster than real time.
//!
//! `audio-network RATE SPEECH OUT`: SPEECH is mono 16-bit PCM of RATE Hz. Writes OUT/sent.16k and for each network
//! OUT/NAME.16k, PCM at 16 kHz, and prints a line of JSON for each.
#![allow(clippy::expect_used)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sora_audio::{Framer, ReceiveBuffer, Resampler};
use sora_codec::{OpusEncoder, OpusParameters};
use sora_media::OpusPackets;
use sora_rtp::RtpPacket;

/// A network, and what the sender knows of it.
struct Network {
    name: &'static str,
    loss: f64,
    /// Mean packets lost in a row.
    burst: f64,
    /// Mean of the exponentially distributed delay in ms.
    jitter_ms: f64,
    redundancy: bool,
}

const fn network(name: &'static str, loss: f64, burst: f64, jitter_ms: f64, redundancy: bool) -> Network {
    Network { name, loss, burst, jitter_ms, redundancy }
}

const NETWORKS: [Network; 9] = [
    network("clean", 0.0, 1.0, 0.0, true),
    network("loss-5", 0.05, 1.0, 0.5, true),
    network("loss-10", 0.1, 1.0, 0.5, true),
    network("loss-10-without-fec", 0.1, 1.0, 0.5, false),
    network("loss-10-in-bursts", 0.1, 2.5, 0.5, true),
    network("jitter-10", 0.0, 1.0, 10.0, true),
    network("jitter-20", 0.0, 1.0, 20.0, true),
    network("jitter-60", 0.0, 1.0, 60.0, true),
    network("jitter-20-loss-5", 0.05, 1.0, 20.0, true),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next =
        |name: &str| arguments.next().unwrap_or_else(|| panic!("usage: audio-network RATE SPEECH OUT: no {name}"));
    let rate: u32 = next("RATE").parse().expect("RATE in Hz");
    let speech = std::fs::read(next("SPEECH")).expect("SPEECH can be read");
    let out = PathBuf::from(next("OUT"));
    let speech: Vec<i16> = speech.as_chunks::<2>().0.iter().map(|bytes| i16::from_le_bytes(*bytes)).collect();
    let speech = Resampler::new(rate, 48_000, 1).process(&speech);
    write(&out.join("sent.16k"), &speech);
    for network in &NETWORKS {
        let (heard, line) = transmit(&speech, network);
        write(&out.join(format!("{}.16k", network.name)), &heard);
        println!("{line}");
    }
}

fn write(path: &std::path::Path, samples: &[i16]) {
    let samples = Resampler::new(48_000, 16_000, 1).process(samples);
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    std::fs::write(path, bytes).expect("OUT can be written to");
}

fn packets(speech: &[i16], network: &Network) -> Vec<Bytes> {
    let parameters = OpusParameters { in_band_fec: network.redundancy, ..OpusParameters::default() };
    let mut encoder = OpusEncoder::new(1, &parameters).expect("an encoder");
    // What the sender would learn from receiver reports, and at least what it expects anyway.
    encoder.set_expected_loss(((network.loss * 100.0) as u8).max(5)).expect("a loss");
    let mut pending = Vec::new();
    let mut framer = Framer::new(48_000, 1).expect("a format");
    framer.push(speech, |frame| pending.extend_from_slice(frame));
    pending.as_chunks::<960>().0.iter().map(|frame| Bytes::from(encoder.encode(frame).expect("encodes"))).collect()
}

fn transmit(speech: &[i16], network: &Network) -> (Vec<i16>, String) {
    let mut random = StdRng::seed_from_u64(20);
    let start = Instant::now();
    let mut losing = false;
    let mut arrivals = Vec::new();
    let packets = packets(speech, network);
    let count = packets.len();
    for (number, payload) in packets.into_iter().enumerate() {
        // Gilbert's model: the mean length of a burst and the mean loss give both probabilities.
        let (stay, enter) = (1.0 - 1.0 / network.burst, network.loss / (1.0 - network.loss) / network.burst);
        losing = random.random_bool(if losing { stay } else { enter });
        let delay = -network.jitter_ms * (1.0 - random.random::<f64>()).ln();
        if losing {
            continue;
        }
        let arrival = start + Duration::from_secs_f64(((number + 1) as f64 * 20.0 + 3.0 + delay) / 1000.0);
        arrivals.push(RtpPacket {
            ssrc: 1,
            payload_type: 109,
            sequence: number as u64,
            timestamp: number as u32 * 960,
            marker: false,
            payload,
            arrival,
            retransmitted: false,
        });
    }
    arrivals.sort_by_key(|packet| packet.arrival);
    let mut arrivals = arrivals.into_iter().peekable();
    let mut buffer = ReceiveBuffer::new(OpusPackets::new(1).expect("a decoder"));
    let mut heard = Vec::new();
    let began = Instant::now();
    for pull in 1..=count as u64 * 2 {
        let now = start + Duration::from_millis(pull * 10);
        while let Some(packet) = arrivals.next_if(|packet| packet.arrival <= now) {
            buffer.push(packet);
        }
        heard.extend(buffer.pull(now).unwrap_or_else(|| vec![0; 480]));
    }
    let stats = buffer.stats();
    let frames = stats.total_samples.max(1) as f64;
    let line = format!(
        r#"{{"network": "{}", "waits_ms": {:.1}, "target_ms": {:.1}, "concealed": {:.4}, "recovered": {}, "late": {}, "removed_ms": {:.0}, "inserted_ms": {:.0}, "us_per_frame": {:.1}}}"#,
        network.name,
        stats.delay_sum as f64 / frames / 48.0,
        stats.target_delay_sum as f64 / frames / 48.0,
        stats.concealed_samples as f64 / frames,
        stats.recovered_packets,
        stats.packets_discarded,
        stats.removed_samples as f64 / 48.0,
        stats.inserted_samples as f64 / 48.0,
        began.elapsed().as_secs_f64() * 1e6 * 480.0 / frames,
    );
    (heard, line)
}
