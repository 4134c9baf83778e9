//! The receive buffer on a virtual clock.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sora_audio::{Playout, ReceiveBuffer};
use sora_codec::{AudioEncoder, OpusEncoder, OpusEncoderConfig, OpusParams};
use sora_rtp::RtpPacket;

fn encoder(loss: u8) -> OpusEncoder {
    let params = OpusParams {
        use_inband_fec: true,
        ..OpusParams::default()
    };
    let mut encoder = OpusEncoder::new(&OpusEncoderConfig::from(&params)).expect("starts");
    encoder.set_expected_packet_loss(loss).expect("accepted");
    encoder
}

fn packets(count: usize, loss: u8, start: Instant) -> Vec<RtpPacket> {
    let mut encoder = encoder(loss);
    (0..count)
        .map(|index| {
            let samples: Vec<i16> = (0..960)
                .map(|i| {
                    let phase = (index * 960 + i) as f32 * 440.0 * std::f32::consts::TAU / 48_000.0;
                    (8000.0 * phase.sin()) as i16
                })
                .collect();
            RtpPacket {
                payload_type: 109,
                sequence: 65_536 + index as u64,
                timestamp: (index as u32).wrapping_mul(960).wrapping_sub(48_000),
                marker: false,
                payload: Bytes::from(encoder.encode(&samples).expect("encodes")),
                arrival: start + Duration::from_millis(20 * index as u64),
                retransmitted: false,
            }
        })
        .collect()
}

/// Plays arrivals against pulls every 10 ms; the packets must be sorted by arrival.
fn play(buffer: &mut ReceiveBuffer, packets: Vec<RtpPacket>, start: Instant, ms: u64) -> Vec<i16> {
    let mut packets = packets.into_iter().peekable();
    let mut output = Vec::new();
    for tick in 0..ms / 10 {
        let now = start + Duration::from_millis(tick * 10 + 3);
        while packets.peek().is_some_and(|packet| packet.arrival <= now) {
            buffer.push(packets.next().expect("peeked"));
        }
        let mut frame = [0i16; 480];
        buffer.pull(now, &mut frame);
        output.extend_from_slice(&frame);
    }
    output
}

fn rms(samples: &[i16]) -> f64 {
    (samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
}

#[test]
fn a_clean_link_conceals_nothing_and_stays_under_30_ms() {
    let start = Instant::now();
    let mut buffer = ReceiveBuffer::new(1).expect("starts");
    let output = play(&mut buffer, packets(500, 0, start), start, 10_000);
    let stats = buffer.stats();
    assert_eq!(stats.concealed_samples, 0);
    let delay = stats.buffer_delay_s / stats.total_samples as f64 * 1000.0;
    assert!(delay <= 30.0, "{delay} ms");
    let level = rms(&output[48_000..]);
    assert!((5200.0..6100.0).contains(&level), "{level}");
}

#[test]
fn reordering_within_the_delay_is_not_heard() {
    let start = Instant::now();
    let mut list = packets(300, 0, start);
    for packet in &mut list {
        packet.arrival += Duration::from_millis(if packet.sequence % 5 == 0 { 35 } else { 5 });
    }
    list.sort_by_key(|packet| packet.arrival);
    let mut buffer = ReceiveBuffer::new(1).expect("starts");
    play(&mut buffer, list, start, 6_000);
    let stats = buffer.stats();
    assert!(stats.concealed_samples < 48_000 / 2, "{stats:?}");
    assert_eq!(stats.packets_received, 300);
}

#[test]
fn losses_are_filled_from_fec_and_the_level_holds() {
    let start = Instant::now();
    let mut list = packets(400, 20, start);
    list.retain(|packet| packet.sequence % 10 != 4);
    for packet in &mut list {
        packet.arrival += Duration::from_millis((packet.sequence * 7919) % 25);
    }
    list.sort_by_key(|packet| packet.arrival);
    let mut buffer = ReceiveBuffer::new(1).expect("starts");
    let output = play(&mut buffer, list, start, 8_000);
    let stats = buffer.stats();
    assert!(stats.fec_samples > 0, "{stats:?}");
    let level = rms(&output[48_000..7 * 48_000]);
    assert!((4800.0..6300.0).contains(&level), "{level}");
}

#[test]
fn a_burst_of_delay_is_worked_off_again() {
    let start = Instant::now();
    let mut list = packets(1500, 0, start);
    for packet in &mut list {
        let index = packet.sequence - 65_536;
        if (100..115).contains(&index) {
            packet.arrival = start + Duration::from_millis(20 * 115);
        }
    }
    let mut buffer = ReceiveBuffer::new(1).expect("starts");
    play(&mut buffer, list, start, 30_000);
    let stats = buffer.stats();
    assert!(stats.removed_samples > 4_800, "{stats:?}");
    assert!(stats.current_delay_ms < 60.0, "{stats:?}");
}

#[test]
fn clock_drift_in_both_directions_stays_bounded() {
    for drift in [-300i64, 300] {
        let start = Instant::now();
        let mut list = packets(3000, 0, start);
        for packet in &mut list {
            let index = (packet.sequence - 65_536) as i64;
            packet.arrival =
                start + Duration::from_micros((index * (20_000 + drift * 20 / 1000)) as u64);
        }
        let mut buffer = ReceiveBuffer::new(1).expect("starts");
        play(&mut buffer, list, start, 59_000);
        let stats = buffer.stats();
        assert!(stats.current_delay_ms < 60.0, "{drift}: {stats:?}");
        assert!(stats.concealed_samples < 48_000, "{drift}: {stats:?}");
    }
}

#[test]
fn floods_nonsense_and_jumps_stay_bounded() {
    let start = Instant::now();
    let mut buffer = ReceiveBuffer::new(2).expect("starts");
    let mut random = 0x1234_5678_9abc_def1u64;
    let mut frame = [0i16; 960];
    for round in 0..20_000u64 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        buffer.push(RtpPacket {
            payload_type: 109,
            sequence: if round % 3 == 0 {
                round
            } else {
                random % 30_000
            },
            timestamp: if round % 50 == 0 {
                random as u32
            } else {
                round as u32 * 960
            },
            marker: false,
            payload: Bytes::copy_from_slice(&random.to_be_bytes()[..(random % 9) as usize]),
            arrival: start + Duration::from_millis(round),
            retransmitted: false,
        });
        if round % 10 == 0 {
            buffer.pull(start + Duration::from_millis(round), &mut frame);
        }
    }
    assert!(buffer.stats().current_delay_ms <= 1200.0);
}

#[test]
fn silence_before_the_first_packet_and_long_after_the_last() {
    let start = Instant::now();
    let mut buffer = ReceiveBuffer::new(1).expect("starts");
    let mut frame = [1i16; 480];
    assert_eq!(buffer.pull(start, &mut frame), Playout::Silence);
    assert_eq!(frame, [0; 480]);
    let output = play(&mut buffer, packets(20, 0, start), start, 2_000);
    assert!(output[48_000..].iter().all(|&sample| sample == 0));
}
