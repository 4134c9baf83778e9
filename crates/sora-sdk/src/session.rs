//! The media side of one connection: what the network task tells becomes tracks, and sources become packets.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;
use sora_media::{
    AudioReceiver, AudioSender, AudioSenderTransform, CodecRegistry, DegradationPreference, FrameStream,
    OpusParameters, Track, TrackKind, Transformer, VideoCodecType, VideoReceiver, VideoSender, VideoSenderConfig,
};
use sora_peer::{MediaKind, RtpPacket, TransceiverId, TransceiverInfo};
use sora_signaling::message::{Encoding, Offer};
use sora_signaling::{ErrorCode, Event};
use sora_transport::client::{ClientHandler, FrameSender, KeyFrameRequester, SenderBinding};

use crate::SentTrack;
use crate::codecs::high_bit_depth;
use crate::config::ConnectionConfig;
use crate::dispatcher::{ConnectionEvent, Dispatcher};
use crate::pipelines::{Receiver, Sender, extend};
use crate::simulcast;

/// What video must leave to sound, in bits per second.
const AUDIO_SHARE: u64 = 64_000;

struct Received {
    track: Track,
    mid: String,
    receiver: Receiver,
}

pub(crate) struct MediaSession {
    pub(crate) dispatcher: Dispatcher,
    pub(crate) registry: Arc<CodecRegistry>,
    pub(crate) audio_source: Option<SentTrack>,
    pub(crate) video_source: Option<SentTrack>,
    pub(crate) audio_transformer: Option<Transformer>,
    pub(crate) video_transformer: Option<Transformer>,
    pub(crate) video_bitrate_bps: Option<u64>,
    pub(crate) start_bitrate_bps: u64,
    pub(crate) frames: FrameSender,
    pub(crate) key_frames: KeyFrameRequester,
    pub(crate) degradation_preference: DegradationPreference,
    pub(crate) screen_content: bool,
    encodings: Vec<Encoding>,
    bound: Vec<(TransceiverId, TrackKind)>,
    senders: HashMap<TransceiverId, (String, Sender)>,
    received: HashMap<TransceiverId, Received>,
}

impl MediaSession {
    pub(crate) fn new(
        config: &ConnectionConfig,
        dispatcher: Dispatcher,
        registry: Arc<CodecRegistry>,
        start_bitrate_bps: u64,
        frames: FrameSender,
        key_frames: KeyFrameRequester,
    ) -> Self {
        Self {
            dispatcher,
            registry,
            audio_source: config.audio_source.clone(),
            video_source: config.video_source.clone(),
            audio_transformer: config.audio_transformer.clone(),
            video_transformer: config.video_transformer.clone(),
            video_bitrate_bps: config.video_bitrate_bps(),
            start_bitrate_bps,
            frames,
            key_frames,
            degradation_preference: config.degradation_preference,
            screen_content: config.screen_content,
            encodings: Vec::new(),
            bound: Vec::new(),
            senders: HashMap::new(),
            received: HashMap::new(),
        }
    }

    fn warn(&self, text: String) {
        tracing::warn!("{text}");
    }

    fn start_sender(&mut self, info: &TransceiverInfo, kind: TrackKind) {
        let Some(codec) = info.codecs.first().filter(|_| info.remote_receives) else { return };
        let (id, payload_type, frames) = (info.id, codec.payload_type, self.frames.clone());
        let sender = match kind {
            TrackKind::Audio => {
                let Some(source) = &self.audio_source else { return };
                let parameters = OpusParameters::from_fmtp(&codec.fmtp);
                let ssrc = info.sent_ssrcs.first().copied().unwrap_or_default();
                let stream = FrameStream { ssrc, payload_type, mime_type: "audio/opus" };
                let transform = self.audio_transformer.clone();
                let transform = transform.map(|transformer| AudioSenderTransform { transformer, stream });
                AudioSender::start(source.track(), source.channels(), &parameters, transform, move |frame| {
                    // Lost sound is concealed by the receiver; there is nothing to do about it here.
                    let _ = frames.send(id, payload_type, frame);
                })
                .map(Sender::Audio)
            }
            TrackKind::Video => {
                let Some(source) = &self.video_source else { return };
                let Ok(codec_type) = VideoCodecType::from_str(&codec.name) else { return };
                let limits = [self.video_bitrate_bps, info.bandwidth_bps];
                let config = VideoSenderConfig {
                    codec: codec_type,
                    high_bit_depth: high_bit_depth(codec),
                    max_bitrate_bps: limits.into_iter().flatten().min(),
                    start_bitrate_bps: self.start_bitrate_bps,
                    threads: std::thread::available_parallelism().map_or(1, |n| (n.get() as u32).min(2)),
                    screen_content: self.screen_content,
                    layers: simulcast::layers(&info.wanted_rids, &self.encodings),
                    degradation_preference: self.degradation_preference,
                    transformer: self.video_transformer.clone(),
                    payload_type,
                    ssrcs: info.sent_ssrcs.clone(),
                };
                VideoSender::start(source.track(), &self.registry, &config, move |frame| {
                    frames.send(id, payload_type, frame)
                })
                .map(Sender::Video)
            }
        };
        match sender {
            Ok(sender) => drop(self.senders.insert(id, (info.mid.clone(), sender))),
            Err(error) => self.warn(format!("{kind} is not sent: {error}")),
        }
    }

    fn start_receiver(&self, info: &TransceiverInfo, track: &Track) -> Option<Receiver> {
        let receiver = match track.kind() {
            TrackKind::Audio => {
                let stereo = info.codecs.first().is_some_and(|codec| OpusParameters::from_fmtp(&codec.fmtp).stereo);
                AudioReceiver::start(track, if stereo { 2 } else { 1 }).map(Receiver::Audio)
            }
            TrackKind::Video => {
                let codecs = info
                    .codecs
                    .iter()
                    .filter_map(|codec| Some((codec.payload_type, VideoCodecType::from_str(&codec.name).ok()?)))
                    .collect();
                let (id, key_frames) = (info.id, self.key_frames.clone());
                VideoReceiver::start(track, self.registry.clone(), codecs, move || key_frames.request(id))
                    .map(Receiver::Video)
            }
        };
        match receiver {
            Ok(receiver) => Some(receiver),
            Err(error) => {
                self.warn(format!("{} is not received: {error}", track.kind()));
                None
            }
        }
    }
}

impl ClientHandler for MediaSession {
    fn event(&mut self, event: Event) {
        match event {
            Event::Warning(text) => self.warn(text),
            // Told when everything of this connection is gone.
            Event::Disconnected { code, .. } => {
                // The message may have the URL with a token in it; the program gets it, the log does not.
                if code == ErrorCode::CloseSucceeded {
                    tracing::info!("disconnected");
                } else {
                    tracing::warn!(?code, "the connection failed; on_disconnect tells the reason");
                }
                self.end_media();
                self.dispatcher.push(ConnectionEvent::Signaling(event));
            }
            event => self.dispatcher.push(ConnectionEvent::Signaling(event)),
        }
    }

    fn bind_senders(&mut self, offer: &Offer, transceivers: &[TransceiverInfo]) -> Vec<SenderBinding> {
        let mid = offer.mid.clone().unwrap_or_default();
        self.encodings = offer.encodings.clone().unwrap_or_default();
        let stream_id = sora_media::random_name();
        let mut bindings = Vec::new();
        let sources = [
            (TrackKind::Audio, MediaKind::Audio, mid.audio, self.audio_source.as_ref().map(|s| s.track())),
            (TrackKind::Video, MediaKind::Video, mid.video, self.video_source.as_ref().map(|s| s.track())),
        ];
        for (kind, media_kind, mid, track) in sources {
            let Some(track) = track else { continue };
            let free = |t: &&TransceiverInfo| t.kind == media_kind && t.remote_receives && !t.codecs.is_empty();
            // By the mid the server names; servers that name none get the first m-line of the kind.
            let by_mid = mid.and_then(|mid| transceivers.iter().filter(free).find(|t| t.mid == mid));
            let Some(info) = by_mid.or_else(|| transceivers.iter().find(free)) else {
                tracing::info!(%kind, "the server does not receive this kind; the source is not used");
                continue;
            };
            self.bound.push((info.id, kind));
            bindings.push(SenderBinding {
                transceiver: info.id,
                stream_id: stream_id.clone(),
                track_id: track.id().to_owned(),
                rids: info.wanted_rids.iter().map(|layer| layer.rid.clone()).collect(),
            });
        }
        bindings
    }

    fn track_added(&mut self, info: &TransceiverInfo) {
        let kind = match info.kind {
            MediaKind::Audio => TrackKind::Audio,
            MediaKind::Video => TrackKind::Video,
            MediaKind::Application => return,
        };
        let (stream_id, track_id) = info.remote_msid.clone().unwrap_or_else(|| ("default".to_owned(), String::new()));
        let track_id = if track_id.is_empty() { sora_media::random_name() } else { track_id };
        let track = Track::remote(kind, track_id, stream_id);
        if let Some(receiver) = self.start_receiver(info, &track) {
            self.received.insert(info.id, Received { track: track.clone(), mid: info.mid.clone(), receiver });
        }
        self.dispatcher.push(ConnectionEvent::Track(track));
    }

    fn track_ended(&mut self, transceiver: TransceiverId) {
        self.senders.remove(&transceiver);
        if let Some(received) = self.received.remove(&transceiver) {
            received.track.end();
        }
    }

    fn connected(&mut self, transceivers: &[TransceiverInfo]) {
        for (id, kind) in self.bound.clone() {
            if let Some(info) = transceivers.iter().find(|info| info.id == id)
                && !self.senders.contains_key(&id)
            {
                self.start_sender(info, kind);
            }
        }
    }

    fn rtp(&mut self, transceiver: TransceiverId, packet: RtpPacket) {
        match self.received.get(&transceiver).map(|received| &received.receiver) {
            Some(Receiver::Audio(receiver)) => receiver.push(packet),
            Some(Receiver::Video(receiver)) => receiver.push(packet),
            None => {}
        }
    }

    fn key_frame_requested(&mut self, transceiver: TransceiverId, rid: Option<&str>) {
        if let Some((_, Sender::Video(sender))) = self.senders.get(&transceiver) {
            sender.request_key_frame(rid);
        }
    }

    fn target_bitrate(&mut self, bits_per_second: u64) {
        let share = if self.audio_source.is_some() { AUDIO_SHARE } else { 0 };
        for (_, sender) in self.senders.values() {
            if let Sender::Video(sender) = sender {
                sender.set_bandwidth(bits_per_second.saturating_sub(share));
            }
        }
    }

    fn loss_reported(&mut self, transceiver: TransceiverId, fraction: f32) {
        if let Some((_, Sender::Audio(sender))) = self.senders.get(&transceiver) {
            sender.loss_reported(fraction);
        }
    }

    fn extend_stats(&mut self, stats: &mut Vec<Value>) {
        let timestamp = stats.first().map_or(Value::Null, |stat| stat["timestamp"].clone());
        let mut sources = Vec::new();
        for (mid, sender) in self.senders.values() {
            let track = match sender {
                Sender::Audio(_) => self.audio_source.as_ref(),
                Sender::Video(_) => self.video_source.as_ref(),
            };
            let Some(track) = track.map(SentTrack::track) else { continue };
            sources.push((mid.clone(), sender.media_source(track.id(), &timestamp)));
        }
        for stat in stats.iter_mut() {
            let mid = stat["mid"].as_str().unwrap_or_default().to_owned();
            match stat["type"].as_str() {
                Some("outbound-rtp") => {
                    let rid = stat["rid"].as_str().map(str::to_owned);
                    if let Some((_, sender)) = self.senders.values().find(|(of, _)| *of == mid) {
                        extend(stat, &sender.stats(rid.as_deref()));
                    }
                    if let Some((_, source)) = sources.iter().find(|(of, _)| *of == mid) {
                        stat["mediaSourceId"] = source["id"].clone();
                    }
                }
                Some("inbound-rtp") => {
                    if let Some(received) = self.received.values().find(|received| received.mid == mid) {
                        extend(stat, &received.receiver.stats());
                    }
                }
                _ => {}
            }
        }
        stats.extend(sources.into_iter().map(|(_, source)| source));
    }

    fn finished(&mut self) {
        self.end_media();
        self.dispatcher.finish();
    }
}

impl MediaSession {
    fn end_media(&mut self) {
        self.senders.clear();
        for (_, received) in self.received.drain() {
            received.track.end();
        }
    }
}
