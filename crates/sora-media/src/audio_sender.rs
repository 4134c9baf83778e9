use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sora_audio::{Resampler, remix};
use sora_codec::{CodecError, OpusEncoder, OpusParameters};
use sora_rtp::{EncodedFrame, packetize_opus};

use crate::AudioFrame;
use crate::level::AudioLevel;
use crate::track::{Attachment, Consumer, Track};
use crate::transform::{
    AudioFrameMetadata, FrameDirection, FrameMetadata, FrameStream, TransformableFrame, Transformer, Way,
};

/// Sound that comes so much later than what came before would end did not continue it: there was a pause.
const PAUSE: Duration = Duration::from_millis(200);
/// Loss in percent to protect against even if the server reports none: it only sees our way to it, not the ones from
/// it to the receivers.
const LEAST_EXPECTED_LOSS: u8 = 5;

/// Counters of an [`AudioSender`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AudioSenderStats {
    /// Opus frames made.
    pub frames_encoded: u64,
    /// Samples per channel taken in, at 48 kHz.
    pub samples: u64,
    /// How loud the source is.
    pub level: AudioLevel,
}

/// Sees the packets on their way out.
#[derive(Debug, Clone)]
pub struct AudioSenderTransform {
    /// What sees them.
    pub transformer: Transformer,
    /// The stream they belong to.
    pub stream: FrameStream,
}

type Output = Box<dyn FnMut(EncodedFrame) + Send>;

/// What goes on behind the encoder.
struct Outgoing {
    /// Shared with the frames that programs have not forwarded yet.
    output: Arc<Mutex<Output>>,
    transform: Option<AudioSenderTransform>,
}

impl Outgoing {
    fn send(&self, packet: Vec<u8>, timestamp: u32, talk_spurt: bool) {
        let (data, way) = (Bytes::from(packet), Box::new(Sending { output: self.output.clone(), talk_spurt }));
        match &self.transform {
            None => way.forward(data, timestamp),
            Some(AudioSenderTransform { transformer, stream }) => {
                let metadata = FrameMetadata::Audio(AudioFrameMetadata::default());
                let stream = (*stream, FrameDirection::Sender);
                transformer.0.transform(TransformableFrame::new((data, timestamp), stream, metadata, *way));
            }
        }
    }
}

/// The way of a packet that is to be sent.
struct Sending {
    output: Arc<Mutex<Output>>,
    talk_spurt: bool,
}

impl Way for Sending {
    fn forward(self: Box<Self>, data: Bytes, rtp_timestamp: u32) {
        let packet = packetize_opus(data, rtp_timestamp, self.talk_spurt);
        (self.output.lock().unwrap_or_else(PoisonError::into_inner))(packet);
    }
}

/// Where the last frame ended: by our clock, and by the program's time if it gives one.
#[derive(Debug, Clone, Copy)]
struct End {
    at: Instant,
    capture_ms: Option<i64>,
}

struct State {
    encoder: OpusEncoder,
    parameters: OpusParameters,
    expected_loss: u8,
    /// Samples per channel at 48 kHz in a packet.
    packet_samples: usize,
    /// The rate it converts from, and it.
    resampler: Option<(u32, Resampler)>,
    pending: Vec<i16>,
    timestamp: u32,
    end: Option<End>,
    /// Nothing is sent: what comes next begins a talk spurt.
    silent: bool,
    /// The encoder has said that there is nothing to send, and so have we.
    discontinued: bool,
    outgoing: Outgoing,
    stats: AudioSenderStats,
}

/// Encodes a track's sound to Opus packets, in the thread that delivers it.
pub struct AudioSender {
    state: Arc<Sender>,
    _attachment: Attachment,
}

impl std::fmt::Debug for AudioSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioSender").finish_non_exhaustive()
    }
}

struct Sender(Mutex<State>);

impl AudioSender {
    /// Starts encoding what the track carries. `source_channels` decides with the receiver's wishes between mono and
    /// stereo. `transform` may change them before `output` takes the packets; neither must block.
    ///
    /// # Errors
    /// [`CodecError`] if the encoder cannot be made.
    pub fn start(
        track: &Track,
        source_channels: usize,
        parameters: &OpusParameters,
        transform: Option<AudioSenderTransform>,
        output: impl FnMut(EncodedFrame) + Send + 'static,
    ) -> Result<Self, CodecError> {
        let mut encoder = OpusEncoder::new(parameters.channels(source_channels), parameters)?;
        encoder.set_expected_loss(LEAST_EXPECTED_LOSS)?;
        let state = Arc::new(Sender(Mutex::new(State {
            encoder,
            parameters: *parameters,
            expected_loss: LEAST_EXPECTED_LOSS,
            packet_samples: parameters.packet_samples(),
            resampler: None,
            pending: Vec::new(),
            timestamp: rand::random(),
            end: None,
            silent: true,
            discontinued: false,
            outgoing: Outgoing { output: Arc::new(Mutex::new(Box::new(output))), transform },
            stats: AudioSenderStats::default(),
        })));
        let attachment = track.attach(state.clone());
        Ok(Self { state, _attachment: attachment })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the receiver's report that this share (0 to 1) of the packets got lost: the more, the more redundancy.
    pub fn loss_reported(&self, fraction: f32) {
        let percent = (fraction.clamp(0.0, 1.0) * 100.0).round() as u8;
        let mut state = self.state();
        state.expected_loss = percent.max(LEAST_EXPECTED_LOSS);
        let percent = state.expected_loss;
        if let Err(error) = state.encoder.set_expected_loss(percent) {
            tracing::warn!(%error, "the encoder was not told of the loss");
        }
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> AudioSenderStats {
        self.state().stats
    }
}

impl Consumer for Sender {
    fn audio(&self, frame: &AudioFrame) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(frame, Instant::now());
    }
}

impl State {
    fn take(&mut self, frame: &AudioFrame, now: Instant) {
        let length = Duration::from_millis(10);
        self.stats.level.count(&frame.samples, length.as_secs_f64());
        if let Some(pause) = self.pause_before(frame, now) {
            self.skip(pause);
        }
        // Sound that comes faster than it lasts is sent as fast; its time goes on without a gap.
        let begin = self.end.map_or(now, |end| end.at.max(now));
        self.end = Some(End { at: begin + length, capture_ms: frame.absolute_capture_timestamp_ms.map(|ms| ms + 10) });

        if let Err(error) = self.adopt_rate(frame.sample_rate) {
            tracing::warn!(%error, sample_rate = frame.sample_rate, "no encoder for this rate");
        }
        let channels = self.encoder.channels();
        let mixed = remix(&frame.samples, frame.channels, channels);
        let resampler = match &mut self.resampler {
            Some((rate, resampler)) if *rate == frame.sample_rate => resampler,
            slot => {
                let resampler = Resampler::new(frame.sample_rate, self.encoder.sample_rate(), channels);
                &mut slot.insert((frame.sample_rate, resampler)).1
            }
        };
        self.pending.extend(resampler.process(&mixed));
        let size = self.packet_size();
        while self.pending.len() >= size {
            let samples: Vec<i16> = self.pending.drain(..size).collect();
            self.encode(&samples);
        }
    }

    /// Interleaved samples in a packet, at the encoder's rate.
    fn packet_size(&self) -> usize {
        self.packet_samples * self.encoder.sample_rate() as usize / 48_000 * self.encoder.channels()
    }

    /// Lets Opus take sound as it is if it can, at 48 kHz if not.
    fn adopt_rate(&mut self, sample_rate: u32) -> Result<(), CodecError> {
        let wanted = if OpusEncoder::SAMPLE_RATES.contains(&sample_rate) { sample_rate } else { 48_000 };
        if self.encoder.sample_rate() == wanted {
            return Ok(());
        }
        let mut encoder = OpusEncoder::with_sample_rate(wanted, self.encoder.channels(), &self.parameters)?;
        encoder.set_expected_loss(self.expected_loss)?;
        self.send_rest();
        self.encoder = encoder;
        self.resampler = None;
        Ok(())
    }

    /// How long nothing was there before this frame: by the program's time if it gives it, else by ours.
    fn pause_before(&self, frame: &AudioFrame, now: Instant) -> Option<Duration> {
        let end = self.end?;
        let pause = match (end.capture_ms, frame.absolute_capture_timestamp_ms) {
            (Some(before), Some(this)) => Duration::from_millis(u64::try_from(this.saturating_sub(before)).ok()?),
            _ => now.saturating_duration_since(end.at),
        };
        (pause > PAUSE).then_some(pause)
    }

    /// Sends what is left of before a pause and lets the RTP time go on as the sampling clock did (RFC 3550 section
    /// 5.1), so that receivers neither take the pause for delay nor lose the video's pace.
    fn skip(&mut self, pause: Duration) {
        self.send_rest();
        let packets = pause.as_millis() * 48 / self.packet_samples as u128;
        self.timestamp = self.timestamp.wrapping_add((packets as u32).wrapping_mul(self.packet_samples as u32));
        self.silent = true;
    }

    /// Sends what does not fill a packet, with silence behind it.
    fn send_rest(&mut self) {
        if !self.pending.is_empty() {
            let mut rest = std::mem::take(&mut self.pending);
            rest.resize(self.packet_size(), 0);
            self.encode(&rest);
        }
    }

    fn encode(&mut self, samples: &[i16]) {
        let timestamp = self.timestamp;
        self.timestamp = self.timestamp.wrapping_add(self.packet_samples as u32);
        self.stats.samples += self.packet_samples as u64;
        match self.encoder.encode(samples) {
            // Discontinuous transmission: the first packet without sound tells the receiver, the others are not sent.
            Ok(packet) if packet.len() <= 2 => {
                self.silent = true;
                if !std::mem::replace(&mut self.discontinued, true) {
                    self.outgoing.send(packet, timestamp, false);
                }
            }
            Ok(packet) => {
                self.stats.frames_encoded += 1;
                self.discontinued = false;
                let talk_spurt = std::mem::take(&mut self.silent);
                self.outgoing.send(packet, timestamp, talk_spurt);
            }
            Err(error) => tracing::warn!(%error, "sound not sent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AudioSource;

    type Sent = Arc<Mutex<Vec<EncodedFrame>>>;

    fn sender(fmtp: &str) -> (AudioSource, AudioSender, Sent) {
        let source = AudioSource::new(1, 48_000).expect("a source");
        let sent = Sent::default();
        let output = sent.clone();
        let sender = AudioSender::start(source.track(), 1, &OpusParameters::from_fmtp(fmtp), None, move |frame| {
            output.lock().expect("a lock").push(frame);
        });
        (source, sender.expect("a sender"), sent)
    }

    fn frame(value: i16, timestamp_ms: Option<i64>) -> AudioFrame {
        let samples: Vec<i16> = (0..480).map(|i| if i % 48 < 24 { value } else { -value }).collect();
        AudioFrame {
            samples: samples.into(),
            sample_rate: 48_000,
            channels: 1,
            absolute_capture_timestamp_ms: timestamp_ms,
        }
    }

    fn steps(sent: &Sent) -> Vec<(u32, bool)> {
        let sent = sent.lock().expect("a lock");
        let steps = sent.windows(2).map(|pair| (pair[1].timestamp.wrapping_sub(pair[0].timestamp), pair[1].marker));
        steps.collect()
    }

    #[test]
    fn a_pause_of_the_program_is_one_of_the_rtp_time() {
        let (_source, sender, sent) = sender("useinbandfec=1");
        let start = Instant::now();
        let mut state = sender.state();
        // 30 ms at once, a second of nothing, 40 ms at the pace they last.
        for _ in 0..3 {
            state.take(&frame(5000, None), start);
        }
        for number in 0..4 {
            state.take(&frame(5000, None), start + Duration::from_millis(1030 + number * 10));
        }
        drop(state);
        assert_eq!(steps(&sent), [(960, false), (48_000 + 960, true), (960, false)]);
    }

    #[test]
    fn jumps_in_the_programs_timestamps_count_forward_only() {
        let (_source, sender, sent) = sender("useinbandfec=1");
        let now = Instant::now();
        let mut state = sender.state();
        for time in [0, 10, 20, 30, 1040, 1050, 500, 510] {
            state.take(&frame(5000, Some(time)), now);
        }
        drop(state);
        assert_eq!(steps(&sent), [(960, false), (48_000 + 960, true), (960, false)]);
    }

    #[test]
    fn packets_are_as_long_as_the_receiver_wants() {
        for (fmtp, samples) in
            [("ptime=10", 480), ("ptime=40", 1920), ("minptime=50", 2880), ("", 960), ("ptime=999", 2880)]
        {
            let (_source, sender, sent) = sender(fmtp);
            let now = Instant::now();
            (0..24).for_each(|_| sender.state().take(&frame(5000, None), now));
            assert!(steps(&sent).iter().all(|(step, _)| *step == samples), "{fmtp}: {:?}", steps(&sent));
            assert_eq!(sent.lock().expect("a lock").len(), 24 * 480 / samples as usize, "{fmtp}");
        }
    }

    #[test]
    fn every_rate_advances_the_rtp_time_alike() {
        for rate in [8_000_u32, 11_025, 12_000, 16_000, 24_000, 44_100, 48_000] {
            let (_source, sender, sent) = sender("useinbandfec=1");
            let samples = vec![500; rate as usize / 100 * 2];
            let long = AudioFrame { samples: samples.into(), sample_rate: rate, ..frame(0, None) };
            (0..20).for_each(|_| sender.state().take(&long, Instant::now()));
            let steps = steps(&sent);
            assert!(steps.len() >= 18, "{rate}: {}", steps.len());
            assert!(steps.iter().all(|(step, _)| *step == 960), "{rate}: {steps:?}");
        }
    }

    #[test]
    fn another_rate_in_the_middle_loses_nothing() {
        let (_source, sender, sent) = sender("useinbandfec=1");
        let now = Instant::now();
        for rate in [48_000_u32, 16_000, 48_000] {
            let samples = vec![500; rate as usize / 100];
            let short = AudioFrame { samples: samples.into(), sample_rate: rate, ..frame(0, None) };
            (0..3).for_each(|_| sender.state().take(&short, now));
        }
        assert_eq!(sent.lock().expect("a lock").len(), 5);
        assert_eq!(steps(&sent), [(960, false); 4]);
    }

    #[test]
    fn silence_is_announced_and_then_not_sent() {
        let (_source, sender, sent) = sender("usedtx=1");
        let now = Instant::now();
        (0..100).for_each(|_| sender.state().take(&frame(5000, None), now));
        let speaking = sent.lock().expect("a lock").len();
        (0..300).for_each(|_| sender.state().take(&frame(0, None), now));
        let all = sent.lock().expect("a lock").len();
        let short = sent.lock().expect("a lock").iter().filter(|frame| frame.payloads[0].len() <= 2).count();
        assert_eq!(speaking, 50);
        assert!((1..=12).contains(&short), "{short} announcements");
        assert!(all - speaking < 50, "{} packets of silence", all - speaking);
    }
}
