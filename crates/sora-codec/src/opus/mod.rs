//! Opus (RFC 6716), with the format parameters of RFC 7587.

mod ffi;

use crate::CodecError;

/// What an Opus `a=fmtp` line asks of a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusParameters {
    /// The receiver prefers stereo.
    pub stereo: bool,
    /// The receiver can use in-band redundancy.
    pub in_band_fec: bool,
    /// The receiver prefers discontinuous transmission.
    pub dtx: bool,
    /// Bits per second not to exceed on average.
    pub max_average_bitrate: Option<u32>,
    /// Hz above which sending is useless to the receiver.
    pub max_playback_rate: Option<u32>,
    /// The receiver prefers a constant bit rate.
    pub constant_bitrate: bool,
    /// Milliseconds of sound the receiver wants in a packet.
    pub packet_time_ms: Option<u32>,
    /// Milliseconds a packet must have at least.
    pub min_packet_time_ms: Option<u32>,
}

/// Milliseconds that one Opus frame can have and a packet is made of.
const PACKET_TIMES_MS: [u32; 4] = [10, 20, 40, 60];

impl Default for OpusParameters {
    fn default() -> Self {
        Self {
            stereo: false,
            in_band_fec: true,
            dtx: false,
            max_average_bitrate: None,
            max_playback_rate: None,
            constant_bitrate: false,
            packet_time_ms: None,
            min_packet_time_ms: None,
        }
    }
}

impl OpusParameters {
    /// Reads an fmtp value such as `minptime=10;useinbandfec=1`. What cannot be read keeps its default of RFC 7587.
    #[must_use]
    pub fn from_fmtp(fmtp: &str) -> Self {
        let mut parameters = Self { in_band_fec: false, ..Self::default() };
        for (key, value) in fmtp.split(';').filter_map(|pair| pair.trim().split_once('=')) {
            let flag = value.trim() == "1";
            match key.trim() {
                "stereo" => parameters.stereo = flag,
                "useinbandfec" => parameters.in_band_fec = flag,
                "usedtx" => parameters.dtx = flag,
                "cbr" => parameters.constant_bitrate = flag,
                "maxaveragebitrate" => parameters.max_average_bitrate = value.trim().parse().ok(),
                "maxplaybackrate" => parameters.max_playback_rate = value.trim().parse().ok(),
                "ptime" => parameters.packet_time_ms = value.trim().parse().ok(),
                "minptime" => parameters.min_packet_time_ms = value.trim().parse().ok(),
                _ => {}
            }
        }
        parameters
    }

    /// Channels to send: two if the receiver prefers it and there are two to send.
    #[must_use]
    pub fn channels(&self, source_channels: usize) -> usize {
        if self.stereo && source_channels >= 2 { 2 } else { 1 }
    }

    /// Bits per second for this many channels: what was asked for, else the reference's choice, which depends on how
    /// much of the sound the receiver can play.
    #[must_use]
    pub fn bitrate(&self, channels: usize) -> u32 {
        let per_channel = match self.max_playback_rate {
            Some(..=8_000) => 12_000,
            Some(..=16_000) => 20_000,
            _ => 32_000,
        };
        self.max_average_bitrate.unwrap_or(per_channel * channels as u32).clamp(6_000, 510_000)
    }

    /// Samples per channel at 48 kHz in a packet: 10, 20 (the usual), 40 or 60 ms, the next that is long enough.
    #[must_use]
    pub fn packet_samples(&self) -> usize {
        let wanted = self.packet_time_ms.unwrap_or(20).max(self.min_packet_time_ms.unwrap_or(0));
        let longest = PACKET_TIMES_MS[PACKET_TIMES_MS.len() - 1];
        PACKET_TIMES_MS.into_iter().find(|time| *time >= wanted).unwrap_or(longest) as usize * 48
    }
}

/// An Opus encoder for interleaved `i16`.
pub struct OpusEncoder {
    encoder: ffi::Encoder,
    channels: usize,
    sample_rate: u32,
}

impl std::fmt::Debug for OpusEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpusEncoder").field("channels", &self.channels).finish_non_exhaustive()
    }
}

impl OpusEncoder {
    /// An encoder for one or two channels at 48 kHz.
    ///
    /// # Errors
    /// [`CodecError`] if the channel count is not 1 or 2 or the library refuses.
    pub fn new(channels: usize, parameters: &OpusParameters) -> Result<Self, CodecError> {
        Self::with_sample_rate(48_000, channels, parameters)
    }

    /// An encoder for one or two channels at one of [`SAMPLE_RATES`](Self::SAMPLE_RATES). Sound of a lower rate costs
    /// less than the same at 48 kHz; who receives it does not see the difference.
    ///
    /// # Errors
    /// [`CodecError`] if the rate is none of these, the channel count is not 1 or 2 or the library refuses.
    pub fn with_sample_rate(
        sample_rate: u32,
        channels: usize,
        parameters: &OpusParameters,
    ) -> Result<Self, CodecError> {
        if !(1..=2).contains(&channels) {
            return Err(CodecError::Argument(format!("expected 1 or 2 Opus channels, got {channels}")));
        }
        if !Self::SAMPLE_RATES.contains(&sample_rate) {
            let rates = Self::SAMPLE_RATES;
            return Err(CodecError::Argument(format!("expected an Opus rate of {rates:?} Hz, got {sample_rate}")));
        }
        let mut encoder = ffi::Encoder::new(sample_rate, channels)?;
        encoder.configure(parameters, parameters.bitrate(channels))?;
        Ok(Self { encoder, channels, sample_rate })
    }

    /// Rates in Hz that Opus takes as they are.
    pub const SAMPLE_RATES: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];

    /// Samples per second that it takes.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Channels it takes.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Encodes one frame of 2.5, 5, 10, 20, 40 or 60 ms. One or two bytes mean "nothing to send" (DTX).
    ///
    /// # Errors
    /// [`CodecError`] if the length is none of these.
    pub fn encode(&mut self, samples: &[i16]) -> Result<Vec<u8>, CodecError> {
        let frames = samples.len() / self.channels;
        let shortest = self.sample_rate as usize / 400;
        if !samples.len().is_multiple_of(self.channels) || ![1, 2, 4, 8, 16, 24].iter().any(|n| n * shortest == frames)
        {
            return Err(CodecError::Argument(format!(
                "expected an Opus frame of 2.5, 5, 10, 20, 40 or 60 ms, got {frames} samples per channel at {} Hz",
                self.sample_rate
            )));
        }
        self.encoder.encode(samples, frames)
    }

    /// Tells how much loss to protect against, in percent.
    ///
    /// # Errors
    /// [`CodecError`] if the library refuses.
    pub fn set_expected_loss(&mut self, percent: u8) -> Result<(), CodecError> {
        self.encoder.set_expected_loss(percent.min(100))
    }
}

/// An Opus decoder to 48 kHz interleaved `i16`.
pub struct OpusDecoder {
    decoder: ffi::Decoder,
    channels: usize,
}

impl std::fmt::Debug for OpusDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpusDecoder").field("channels", &self.channels).finish_non_exhaustive()
    }
}

impl OpusDecoder {
    /// A decoder that puts out one or two channels, whatever is sent.
    ///
    /// # Errors
    /// [`CodecError`] if the channel count is not 1 or 2 or the library refuses.
    pub fn new(channels: usize) -> Result<Self, CodecError> {
        if !(1..=2).contains(&channels) {
            return Err(CodecError::Argument(format!("expected 1 or 2 Opus channels, got {channels}")));
        }
        Ok(Self { decoder: ffi::Decoder::new(channels)?, channels })
    }

    /// Channels it puts out.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Decodes a packet.
    ///
    /// # Errors
    /// [`CodecError`] if the packet is broken.
    pub fn decode(&mut self, packet: &[u8]) -> Result<Vec<i16>, CodecError> {
        self.decoder.decode(Some(packet), false, 5760, self.channels)
    }

    /// Rebuilds the lost packet of `samples` per channel from the redundancy in the one after it.
    ///
    /// # Errors
    /// [`CodecError`] if the packet is broken.
    pub fn recover(&mut self, next: &[u8], samples: usize) -> Result<Vec<i16>, CodecError> {
        self.decoder.decode(Some(next), true, samples, self.channels)
    }

    /// Conceals `samples` per channel of missing sound (a multiple of 2.5 ms).
    ///
    /// # Errors
    /// [`CodecError`] if the length is no multiple of 120 samples.
    pub fn conceal(&mut self, samples: usize) -> Result<Vec<i16>, CodecError> {
        self.decoder.decode(None, false, samples, self.channels)
    }

    /// Length of a packet in samples per channel at 48 kHz; `None` if it is broken.
    #[must_use]
    pub fn samples(packet: &[u8]) -> Option<usize> {
        ffi::packet_samples(packet)
    }

    /// True if the packet holds redundancy for the one before it (RFC 6716 section 2.1.7).
    #[must_use]
    pub fn has_redundancy(packet: &[u8]) -> bool {
        ffi::packet_has_redundancy(packet)
    }

    /// True if the packet says that nothing is sent for a while: a table of contents and no frame worth the name.
    #[must_use]
    pub fn is_pause(packet: &[u8]) -> bool {
        packet.len() <= 2
    }

    /// True if the packet was encoded in stereo.
    #[must_use]
    pub fn is_stereo(packet: &[u8]) -> bool {
        // The TOC byte's s bit (RFC 6716 section 3.1).
        packet.first().is_some_and(|toc| toc & 0x04 != 0)
    }
}
