use sora_audio::PacketDecoder;
use sora_codec::{CodecError, OpusDecoder};

/// Opus for a [`sora_audio::ReceiveBuffer`].
#[derive(Debug)]
pub struct OpusPackets(OpusDecoder);

impl OpusPackets {
    /// A decoder to one or two channels, whatever is sent.
    ///
    /// # Errors
    /// [`CodecError`] if the channel count is not 1 or 2 or the library refuses.
    pub fn new(channels: usize) -> Result<Self, CodecError> {
        OpusDecoder::new(channels).map(Self)
    }
}

impl PacketDecoder for OpusPackets {
    fn channels(&self) -> usize {
        self.0.channels()
    }

    fn samples(&self, packet: &[u8]) -> usize {
        OpusDecoder::samples(packet).unwrap_or(0)
    }

    fn is_pause(&self, packet: &[u8]) -> bool {
        OpusDecoder::is_pause(packet)
    }

    fn has_redundancy(&self, packet: &[u8]) -> bool {
        OpusDecoder::has_redundancy(packet)
    }

    fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> bool {
        append(self.0.decode(packet), out)
    }

    fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<i16>) -> bool {
        append(self.0.recover(next, samples), out)
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        if !append(self.0.conceal(samples), out) {
            let silence = out.len() + samples * self.0.channels();
            out.resize(silence, 0);
        }
    }
}

fn append(decoded: Result<Vec<i16>, CodecError>, out: &mut Vec<i16>) -> bool {
    match decoded {
        Ok(samples) => {
            out.extend(samples);
            true
        }
        Err(error) => {
            tracing::debug!(%error, "sound not decoded");
            false
        }
    }
}
