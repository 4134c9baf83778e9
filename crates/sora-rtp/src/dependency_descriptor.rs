//! Dependency descriptor, the RTP header extension that tells on which frames a frame depends (AOM "RTP Payload Format
//! For AV1" 1.0, appendix A).
//!
//! A key frame carries a [`DependencyStructure`] with templates; every frame names one of them and says where it
//! differs. A receiver keeps the last structure it got and gives it to [`DependencyDescriptor::parse`].

mod bits;
mod structure;

use bits::{BitReader, BitWriter};
pub use structure::{DependencyStructure, FrameDependencyTemplate};

/// Templates that a structure can have: their IDs have six bits.
pub const MAX_TEMPLATES: usize = 64;
/// Decode targets that a structure can have (dt_cnt_minus_one has five bits).
pub const MAX_DECODE_TARGETS: usize = 32;
/// Spatial layers that a structure can have, as in AV1 itself.
pub const MAX_SPATIAL_LAYERS: u8 = 4;
/// Temporal layers that a structure can have, as in AV1 itself.
pub const MAX_TEMPORAL_LAYERS: u8 = 8;

const MANDATORY_LEN: usize = 3;

/// What a frame is to a decode target (appendix A.4, DTI).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DecodeTargetIndication {
    /// No part of it.
    #[default]
    NotPresent,
    /// Part of it, and no later frame of it depends on this one.
    Discardable,
    /// Part of it, and every later frame of it can be decoded if this one can.
    Switch,
    /// Part of it, and others depend on it.
    Required,
}

impl DecodeTargetIndication {
    const fn from_bits(bits: u32) -> Self {
        match bits & 3 {
            0 => Self::NotPresent,
            1 => Self::Discardable,
            2 => Self::Switch,
            _ => Self::Required,
        }
    }
}

/// A descriptor that cannot be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DependencyError {
    /// It ends too early.
    #[error("dependency descriptor ends after {0} bytes")]
    Truncated(usize),
    /// It refers to templates, and there is no structure with some.
    #[error("dependency descriptor without a template structure")]
    NoStructure,
    /// It names a template that the structure does not have.
    #[error("dependency descriptor names template {0}, which the structure does not have")]
    UnknownTemplate(u8),
    /// More templates or layers than there can be, or numbers of a frame that do not fit those of its structure.
    #[error("dependency descriptor with {0} out of range")]
    OutOfRange(&'static str),
}

/// On what one frame depends (appendix A.4, frame dependency definition).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FrameDependencies {
    /// Spatial layer.
    pub spatial_id: u8,
    /// Temporal layer.
    pub temporal_id: u8,
    /// What the frame is to each decode target.
    pub dtis: Vec<DecodeTargetIndication>,
    /// How many frames before it each frame stands that it refers to (1 to 4096).
    pub fdiffs: Vec<u16>,
    /// For each chain, how many frames before it the last frame of the chain stands; 0 if there is none.
    pub chain_fdiffs: Vec<u8>,
}

/// The header extension of one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyDescriptor {
    /// First packet of a frame.
    pub start_of_frame: bool,
    /// Last packet of a frame.
    pub end_of_frame: bool,
    /// Number of the frame in decode order.
    pub frame_number: u16,
    /// The template that the frame names (six bits), counted from the structure's offset.
    pub template_id: u8,
    /// Templates, in the first packet of a key frame.
    pub structure: Option<DependencyStructure>,
    /// Which decode targets are being sent, lowest bit first, if this packet says so. A new structure alone means all.
    pub active_decode_targets: Option<u32>,
    /// What the template and its changes amount to.
    pub frame: FrameDependencies,
}

/// The five bits behind the mandatory fields.
#[derive(Default)]
struct Flags {
    structure: bool,
    active_decode_targets: bool,
    dtis: bool,
    fdiffs: bool,
    chains: bool,
}

impl DependencyDescriptor {
    /// A frame of a stream with this structure, by the template of its layers from which it differs least, as a packet
    /// that is the whole frame.
    ///
    /// # Errors
    /// [`DependencyError::OutOfRange`] if no template has the frame's layers.
    pub fn new(
        structure: &DependencyStructure,
        frame_number: u16,
        frame: FrameDependencies,
    ) -> Result<Self, DependencyError> {
        let differences = |template: &FrameDependencyTemplate| {
            let flags = Flags::new(&frame, template);
            usize::from(flags.dtis) + usize::from(flags.fdiffs) + usize::from(flags.chains)
        };
        let templates = structure.templates.iter().take(MAX_TEMPLATES).enumerate();
        let (index, _) = templates
            .filter(|(_, template)| {
                template.spatial_id == frame.spatial_id && template.temporal_id == frame.temporal_id
            })
            .min_by_key(|(_, template)| differences(template))
            .ok_or(DependencyError::OutOfRange("layers"))?;
        Ok(Self {
            start_of_frame: true,
            end_of_frame: true,
            frame_number,
            template_id: structure.template_id_offset.wrapping_add(index as u8) & 0x3f,
            structure: None,
            active_decode_targets: None,
            frame,
        })
    }

    /// Reads a header extension. `structure` is the last one that came; one in the extension itself takes its place.
    ///
    /// # Errors
    /// [`DependencyError`] if it cannot be understood without, or at all.
    pub fn parse(data: &[u8], structure: Option<&DependencyStructure>) -> Result<Self, DependencyError> {
        let mut reader = BitReader::new(data);
        let (start_of_frame, end_of_frame) = (reader.flag()?, reader.flag()?);
        let (template_id, frame_number) = (reader.bits(6)? as u8, reader.bits(16)? as u16);
        let flags = if data.len() > MANDATORY_LEN { Flags::read(&mut reader)? } else { Flags::default() };
        let own = if flags.structure { Some(DependencyStructure::read(&mut reader)?) } else { None };
        let structure = own.as_ref().or(structure).ok_or(DependencyError::NoStructure)?;
        structure.check()?;
        let active_decode_targets =
            if flags.active_decode_targets { Some(reader.bits(structure.decode_targets as u32)?) } else { None };
        let template = structure.template(template_id).ok_or(DependencyError::UnknownTemplate(template_id))?;
        let frame = FrameDependencies {
            spatial_id: template.spatial_id,
            temporal_id: template.temporal_id,
            dtis: if flags.dtis { reader.dtis(structure.decode_targets)? } else { template.dtis.clone() },
            fdiffs: if flags.fdiffs { read_fdiffs(&mut reader)? } else { template.fdiffs() },
            chain_fdiffs: if flags.chains {
                (0..structure.chains()).map(|_| Ok(reader.bits(8)? as u8)).collect::<Result<_, _>>()?
            } else {
                template.chain_fdiffs.clone()
            },
        };
        let structure = own;
        Ok(Self { start_of_frame, end_of_frame, frame_number, template_id, structure, active_decode_targets, frame })
    }

    /// Writes the header extension; `structure` is the last one sent, for when there is none in this descriptor.
    ///
    /// # Errors
    /// [`DependencyError`] if the frame does not fit the structure.
    pub fn write(&self, structure: Option<&DependencyStructure>) -> Result<Vec<u8>, DependencyError> {
        let structure = self.structure.as_ref().or(structure).ok_or(DependencyError::NoStructure)?;
        structure.check()?;
        let template = structure
            .template(self.template_id)
            .filter(|_| self.template_id < 0x40)
            .ok_or(DependencyError::UnknownTemplate(self.template_id))?;
        self.check(structure, template)?;
        let mut flags = Flags::new(&self.frame, template);
        flags.structure = self.structure.is_some();
        flags.active_decode_targets = self.active_decode_targets.is_some();
        let mut writer = BitWriter::default();
        writer.flag(self.start_of_frame);
        writer.flag(self.end_of_frame);
        writer.bits(u32::from(self.template_id), 6);
        writer.bits(u32::from(self.frame_number), 16);
        if flags.any() {
            self.write_extended(&flags, structure, &mut writer);
        }
        Ok(writer.finish())
    }

    fn write_extended(&self, flags: &Flags, structure: &DependencyStructure, writer: &mut BitWriter) {
        flags.write(writer);
        if flags.structure {
            structure.write(writer);
        }
        if let Some(mask) = self.active_decode_targets {
            writer.bits(mask, structure.decode_targets as u32);
        }
        if flags.dtis {
            writer.dtis(&self.frame.dtis);
        }
        if flags.fdiffs {
            for fdiff in &self.frame.fdiffs {
                let value = u32::from(*fdiff) - 1;
                let size = (u32::BITS - value.leading_zeros()).div_ceil(4).max(1);
                writer.bits(size, 2);
                writer.bits(value, 4 * size);
            }
            writer.bits(0, 2);
        }
        if flags.chains {
            self.frame.chain_fdiffs.iter().for_each(|fdiff| writer.bits(u32::from(*fdiff), 8));
        }
    }

    fn check(
        &self,
        structure: &DependencyStructure,
        template: &FrameDependencyTemplate,
    ) -> Result<(), DependencyError> {
        let frame = &self.frame;
        let unused = |mask: u32| structure.decode_targets < 32 && mask >> structure.decode_targets != 0;
        let rules = [
            ((frame.spatial_id, frame.temporal_id) == (template.spatial_id, template.temporal_id), "layers"),
            (frame.dtis.len() == structure.decode_targets, "decode target indications"),
            (frame.fdiffs.iter().all(|fdiff| (1..=4096).contains(fdiff)), "frame differences"),
            (frame.chain_fdiffs.len() == structure.chains(), "chain differences"),
            (!self.active_decode_targets.is_some_and(unused), "active decode targets"),
        ];
        rules.iter().find(|(sound, _)| !sound).map_or(Ok(()), |(_, what)| Err(DependencyError::OutOfRange(what)))
    }
}

/// Custom frame differences: each with its size in units of four bits, 0 behind the last.
fn read_fdiffs(reader: &mut BitReader<'_>) -> Result<Vec<u16>, DependencyError> {
    let mut fdiffs = Vec::new();
    loop {
        let size = reader.bits(2)?;
        if size == 0 {
            return Ok(fdiffs);
        }
        fdiffs.push(reader.bits(4 * size)? as u16 + 1);
    }
}

impl Flags {
    /// Where a frame differs from its template.
    fn new(frame: &FrameDependencies, template: &FrameDependencyTemplate) -> Self {
        Self {
            dtis: frame.dtis != template.dtis,
            fdiffs: frame.fdiffs != template.fdiffs(),
            chains: frame.chain_fdiffs != template.chain_fdiffs,
            ..Self::default()
        }
    }

    fn read(reader: &mut BitReader<'_>) -> Result<Self, DependencyError> {
        Ok(Self {
            structure: reader.flag()?,
            active_decode_targets: reader.flag()?,
            dtis: reader.flag()?,
            fdiffs: reader.flag()?,
            chains: reader.flag()?,
        })
    }

    const fn any(&self) -> bool {
        self.structure || self.active_decode_targets || self.dtis || self.fdiffs || self.chains
    }

    fn write(&self, writer: &mut BitWriter) {
        [self.structure, self.active_decode_targets, self.dtis, self.fdiffs, self.chains]
            .into_iter()
            .for_each(|flag| writer.flag(flag));
    }
}

#[cfg(test)]
mod tests;
