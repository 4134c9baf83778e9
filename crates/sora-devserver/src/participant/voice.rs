use sora_codec::{CodecError, OpusDecoder};

/// Louder than this is a voice: the root mean square of 184 is -45 dB below full scale. Rooms are quieter, speech at
/// arm's length is louder.
const VOICE_MEAN_SQUARE: i64 = 184 * 184;
/// A click is shorter than this many packets, usually of 20 ms.
const VOICE_PACKETS: u8 = 3;
/// With discontinuous transmission silence is sent as packets of one or two bytes (RFC 6716 section 3.4).
const SILENCE_BYTES: usize = 2;

/// Tells whether somebody speaks, from the Opus packets they send.
#[derive(Debug)]
pub(super) struct VoiceActivity {
    decoder: OpusDecoder,
    loud_packets: u8,
}

impl VoiceActivity {
    pub(super) fn new() -> Result<Self, CodecError> {
        Ok(Self { decoder: OpusDecoder::new(1)?, loud_packets: 0 })
    }

    /// Takes the next packet; true while there is a voice. Packets that cannot be decoded (encrypted by the
    /// application, for example) are silence.
    pub(super) fn hear(&mut self, packet: &[u8]) -> bool {
        let is_loud =
            packet.len() > SILENCE_BYTES && self.decoder.decode(packet).is_ok_and(|samples| is_loud(&samples));
        self.loud_packets = if is_loud { self.loud_packets.saturating_add(1) } else { 0 };
        self.loud_packets >= VOICE_PACKETS
    }
}

fn is_loud(samples: &[i16]) -> bool {
    let energy: i64 = samples.iter().map(|sample| i64::from(*sample).pow(2)).sum();
    !samples.is_empty() && energy / samples.len() as i64 > VOICE_MEAN_SQUARE
}

#[cfg(test)]
mod tests {
    use super::*;
    use sora_codec::{OpusEncoder, OpusParameters};

    /// Packets of 20 ms of a tone with this amplitude.
    fn tone(amplitude: f64, packets: usize) -> Vec<Vec<u8>> {
        let mut encoder = OpusEncoder::new(1, &OpusParameters::default()).expect("an encoder");
        let sample = |n: usize| (amplitude * (n as f64 * 0.06).sin()) as i16;
        (0..packets)
            .map(|packet| {
                let samples: Vec<i16> = (packet * 960..(packet + 1) * 960).map(sample).collect();
                encoder.encode(&samples).expect("a packet")
            })
            .collect()
    }

    #[test]
    fn a_voice_is_heard_after_a_moment_and_ends_with_silence() {
        let mut voice = VoiceActivity::new().expect("a decoder");
        assert!(!tone(0.0, 20).iter().any(|packet| voice.hear(packet)), "silence");
        assert!(!tone(60.0, 20).iter().any(|packet| voice.hear(packet)), "a quiet room");
        let heard: Vec<bool> = tone(8000.0, 20).iter().map(|packet| voice.hear(packet)).collect();
        assert!(!heard[0] && !heard[1] && heard[5..].iter().all(|heard| *heard), "{heard:?}");
        assert!(!voice.hear(&[0xf8]), "discontinuous transmission");
        assert!(!voice.hear(b""));
    }

    #[test]
    fn packets_that_are_no_opus_are_silence() {
        let mut voice = VoiceActivity::new().expect("a decoder");
        for length in 0..200_u8 {
            voice.hear(&vec![0xff; usize::from(length)]);
            assert!(!voice.hear(&[0xff, length, 0x3f]));
        }
    }
}
