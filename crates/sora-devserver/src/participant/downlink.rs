//! One track on its way to one receiver: what of it is forwarded, and when.

use std::time::{Duration, Instant};

use sora_peer::{MediaKind, OutboundRtp, RtpPacket, TransceiverId};

use super::key_frame::starts_key_frame;
use super::layers::{Layers, Switch};
use super::numbering::Numbering;
use crate::channel::{MediaPacket, Publication};
use crate::simulcast::{Request, Rid};

/// A sender that lost the request is asked again after this time.
const KEY_FRAME_PATIENCE: Duration = Duration::from_millis(500);

/// A key frame that the sender is to be asked for: of one layer, or of its only stream.
pub(super) type KeyFrameOf = Option<Rid>;

/// What comes of one packet.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// To be sent to the receiver.
    pub(super) packet: Option<OutboundRtp>,
    /// To be asked of the sender.
    pub(super) key_frame: Option<KeyFrameOf>,
    /// To be told to the receiver.
    pub(super) switch: Option<Switch>,
}

/// One track on its way to this participant, under numbers of its own.
#[derive(Debug)]
pub(super) struct Downlink {
    pub(super) transceiver: TransceiverId,
    pub(super) answered: bool,
    kind: MediaKind,
    /// Of a simulcast sender.
    layers: Option<Layers>,
    numbering: Numbering,
    /// The source of what was forwarded last.
    ssrc: Option<u32>,
    awaits_key_frame: bool,
    asked: Option<(KeyFrameOf, Instant)>,
}

impl Downlink {
    pub(super) fn new(transceiver: TransceiverId, publication: &Publication) -> Self {
        Self {
            transceiver,
            answered: false,
            kind: publication.kind,
            layers: publication.simulcast.then(Layers::new),
            numbering: Numbering::new(publication.codec.clone()),
            ssrc: None,
            awaits_key_frame: false,
            asked: None,
        }
    }

    /// Which key frame helps this receiver's decoder; `None` if it gets nothing that could be asked for.
    pub(super) fn key_frame_of(&self) -> Option<KeyFrameOf> {
        self.layers.as_ref().map_or(Some(None), |layers| layers.current().map(Some))
    }

    /// Takes a packet of the track. Of several layers the receiver gets what it asks for as far as possible; a single
    /// stream it gets whole, unless it is to be withheld.
    pub(super) fn take(&mut self, media: &MediaPacket, request: Request, withheld: bool) -> Taken {
        let mut taken = Taken::default();
        if self.layers.is_some() {
            if !self.is_of_current_layer(media, request, &mut taken) {
                return taken;
            }
        } else if withheld {
            self.pause();
            return taken;
        }
        if self.kind == MediaKind::Video && !self.answered {
            return taken;
        }
        if self.ssrc.replace(media.ssrc).is_some_and(|ssrc| ssrc != media.ssrc) {
            self.pause();
        }
        if !self.is_useless(&media.packet) {
            taken.packet = self.numbering.rewrite(&media.packet, media.report);
        } else if taken.key_frame.is_none() && self.asks_for_key_frame(media.rid, media.packet.arrival) {
            taken.key_frame = Some(media.rid);
        }
        taken
    }

    /// Switches if it is time to. The old layer goes on until the new one begins with a key frame.
    fn is_of_current_layer(&mut self, media: &MediaPacket, request: Request, taken: &mut Taken) -> bool {
        let (Some(layers), Some(rid)) = (&mut self.layers, media.rid) else { return false };
        let now = media.packet.arrival;
        let is_newest = layers.hear(rid, media.ssrc, media.packet.sequence, now);
        layers.request(request);
        if !self.answered {
            return false;
        }
        let target = layers.target(now);
        if target != layers.current() {
            // A picture whose first packet came late has lost the ones that came before it.
            let begins = || is_newest && starts_key_frame(self.numbering.codec_name(), &media.packet.payload);
            if target.is_none() || (target == Some(rid) && begins()) {
                taken.switch = Some(layers.switch(target, now));
                self.restart();
            } else if self.asks_for_key_frame(target, now) {
                taken.key_frame = Some(target);
            }
        }
        self.layers.as_ref().is_some_and(|layers| layers.current() == Some(rid))
    }

    fn restart(&mut self) {
        self.numbering.restart();
        self.ssrc = None;
        self.awaits_key_frame = false;
        self.asked = None;
    }

    /// Nothing goes out until the next packet is forwarded again, with a key frame first.
    fn pause(&mut self) {
        self.numbering.restart();
        self.awaits_key_frame = self.kind == MediaKind::Video;
        self.asked = None;
    }

    /// True for packets of a picture that cannot be shown, as the ones before it were not forwarded.
    fn is_useless(&mut self, packet: &RtpPacket) -> bool {
        if self.awaits_key_frame && starts_key_frame(self.numbering.codec_name(), &packet.payload) {
            self.awaits_key_frame = false;
        }
        self.awaits_key_frame
    }

    /// True if it is time to ask the sender for this key frame, for the first time or again.
    fn asks_for_key_frame(&mut self, of: KeyFrameOf, now: Instant) -> bool {
        let due =
            self.asked.is_none_or(|(asked, at)| asked != of || now.saturating_duration_since(at) >= KEY_FRAME_PATIENCE);
        if due {
            self.asked = Some((of, now));
        }
        due
    }
}
