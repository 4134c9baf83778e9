//! Which pictures a decoder has, and which it needs: what decides whether a stream with temporal layers goes on behind
//! a gap.

use std::collections::VecDeque;

use crate::{Vp8Descriptor, Vp9Descriptor, Vp9GroupPicture};

/// Pictures that P_DIFF (7 bits) can reach back.
const REACH: u64 = 127;
/// More lost packets than this could hide a whole round of the shortest picture ID.
const MAX_MISSING: u64 = 63;
/// The highest temporal layer there can be.
const ALL_LAYERS: u8 = 7;

/// What the descriptor of a layer frame says about other pictures.
#[derive(Debug, Clone)]
pub(super) enum Dependency {
    Vp8(Vp8Descriptor),
    Vp9(Vp9Descriptor),
}

impl Dependency {
    /// Enough to tell what depends on what.
    pub(super) const fn has_layers(&self) -> bool {
        match self {
            Self::Vp8(d) => d.temporal_id.is_some() && d.tl0_pic_idx.is_some(),
            Self::Vp9(d) if d.flexible => d.picture_id.is_some(),
            Self::Vp9(d) => d.temporal_id.is_some() && d.tl0_pic_idx.is_some(),
        }
    }

    const fn temporal_id(&self) -> u8 {
        let id = match self {
            Self::Vp8(d) => d.temporal_id,
            Self::Vp9(d) => d.temporal_id,
        };
        match id {
            Some(id) => id,
            None => 0,
        }
    }

    const fn tl0_pic_idx(&self) -> Option<u8> {
        match self {
            Self::Vp8(d) => d.tl0_pic_idx,
            Self::Vp9(d) => d.tl0_pic_idx,
        }
    }

    const fn picture_id(&self) -> Option<u16> {
        match self {
            Self::Vp8(d) => d.picture_id,
            Self::Vp9(d) => d.picture_id,
        }
    }
}

/// What to do with a whole picture behind a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Everything that it depends on has been handed out.
    Decodable,
    /// It may depend on something lost, but nothing of the base layer depends on it.
    Droppable,
    /// The base layer is broken, or it cannot be known that it is not.
    Lost,
}

/// The pictures handed out since the last key frame.
#[derive(Debug, Default)]
pub(super) struct References {
    /// Something is missing since the key frame.
    holes: bool,
    /// The highest temporal layer that misses nothing.
    intact: u8,
    /// Packets lost and pictures dropped since the last picture handed out.
    missing: u64,
    tl0_pic_idx: Option<u8>,
    /// Picture ID of the last picture handed out: as it came, and counted on without wrapping.
    last: Option<(u16, u64)>,
    /// Counted picture IDs of those handed out, at most [`REACH`] back.
    decoded: VecDeque<u64>,
    /// The picture group of VP9 and the counted picture ID of its first picture.
    group: Option<(Vec<Vp9GroupPicture>, u64)>,
}

impl References {
    /// Packets are lost that began at the end of a picture.
    pub(super) const fn lose(&mut self, packets: u64) {
        self.holes = true;
        self.intact = 0;
        self.missing = self.missing.saturating_add(packets);
    }

    /// A picture is not handed out.
    pub(super) const fn drop_picture(&mut self) {
        self.missing = self.missing.saturating_add(1);
    }

    /// True if something is missing since the last key frame.
    pub(super) const fn has_holes(&self) -> bool {
        self.holes
    }

    /// Looks at the layer frames of a whole picture that is no key frame.
    pub(super) fn judge(&self, layers: &[&Dependency]) -> Verdict {
        if !self.holes {
            return Verdict::Decodable;
        }
        let Some(first) = layers.first().filter(|first| first.has_layers()) else { return Verdict::Lost };
        let temporal_id = first.temporal_id();
        let same = |layer: &&Dependency| {
            layer.temporal_id() == temporal_id
                && layer.tl0_pic_idx() == first.tl0_pic_idx()
                && layer.picture_id() == first.picture_id()
        };
        if self.missing > MAX_MISSING || !layers.iter().all(same) {
            return Verdict::Lost;
        }
        if let Some(index) = first.tl0_pic_idx() {
            // TL0PICIDX tells whether all of the base layer is there.
            let expected = self.tl0_pic_idx.map(|last| last.wrapping_add(u8::from(temporal_id == 0)));
            if expected != Some(index) {
                return Verdict::Lost;
            }
            if temporal_id <= self.intact {
                return Verdict::Decodable;
            }
        }
        let known = match first {
            Dependency::Vp8(d) => d.layer_sync,
            Dependency::Vp9(_) => self.has_references(layers),
        };
        match (known, temporal_id) {
            (true, _) => Verdict::Decodable,
            (false, 0) => Verdict::Lost,
            (false, _) => Verdict::Droppable,
        }
    }

    fn has_references(&self, layers: &[&Dependency]) -> bool {
        let Some(id) = layers.first().and_then(|first| self.counted(first.picture_id()?)) else { return false };
        layers.iter().all(|layer| {
            let Dependency::Vp9(d) = layer else { return false };
            if !d.inter_predicted {
                return true;
            }
            let Some(diffs) = (if d.flexible { Some(&d.reference_diffs) } else { self.group_diffs(d, id) }) else {
                return false;
            };
            !diffs.is_empty()
                && diffs.iter().all(|diff| {
                    id.checked_sub(u64::from(*diff))
                        .is_some_and(|reference| self.decoded.binary_search(&reference).is_ok())
                })
        })
    }

    /// P_DIFFs of a picture from its place in the picture group.
    fn group_diffs(&self, descriptor: &Vp9Descriptor, id: u64) -> Option<&Vec<u8>> {
        let (group, start) = self.group.as_ref()?;
        let place = id.checked_sub(*start)?.checked_rem(group.len() as u64)?;
        let picture = group.get(usize::try_from(place).ok()?)?;
        (Some(picture.temporal_id) == descriptor.temporal_id).then_some(&picture.reference_diffs)
    }

    /// A picture ID counted on from the last one; `None` if it is not a little ahead of it.
    fn counted(&self, id: u16) -> Option<u64> {
        let (last, counted) = self.last?;
        let mask = if id > 0x7f || last > 0x7f { 0x7fff } else { 0x7f };
        let ahead = u64::from(id.wrapping_sub(last) & mask);
        (1..=self.missing + 1).contains(&ahead).then_some(counted + ahead)
    }

    /// A picture is handed out.
    pub(super) fn take(&mut self, layers: &[&Dependency], key_frame: bool) {
        if key_frame {
            *self = Self { intact: ALL_LAYERS, ..Self::default() };
        }
        let Some(first) = layers.first() else { return };
        self.count(first.picture_id());
        self.missing = 0;
        self.tl0_pic_idx = first.tl0_pic_idx();
        let temporal_id = first.temporal_id();
        match first {
            Dependency::Vp8(d) => {
                if d.layer_sync && temporal_id == self.intact + 1 {
                    self.intact = temporal_id;
                }
            }
            Dependency::Vp9(d) => {
                // Without TL0PICIDX nothing says that the base layer is whole.
                if d.tl0_pic_idx.is_some() && d.switching_up && temporal_id <= self.intact {
                    self.intact = ALL_LAYERS;
                }
                if let (false, Some((_, counted))) = (d.picture_group.is_empty(), self.last) {
                    self.group = Some((d.picture_group.clone(), counted));
                }
            }
        }
    }

    fn count(&mut self, id: Option<u16>) {
        let counted = match (id, self.last) {
            (Some(id), Some(_)) => self.counted(id),
            (Some(_), None) => Some(0),
            (None, _) => None,
        };
        let (Some(id), Some(counted)) = (id, counted) else {
            // Not numbered one by one: nothing is known about what comes before.
            self.decoded.clear();
            self.group = None;
            self.last = id.map(|id| (id, 0));
            self.decoded.extend(id.map(|_| 0));
            return;
        };
        self.last = Some((id, counted));
        self.decoded.push_back(counted);
        while self.decoded.front().is_some_and(|oldest| oldest + REACH < counted) {
            self.decoded.pop_front();
        }
    }
}
