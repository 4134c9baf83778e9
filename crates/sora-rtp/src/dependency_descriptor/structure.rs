//! The template dependency structure (AV1 RTP specification appendix A.4).

use super::bits::{BitReader, BitWriter};
use super::{
    DecodeTargetIndication, DependencyDescriptor, DependencyError, FrameDependencies, MAX_DECODE_TARGETS,
    MAX_SPATIAL_LAYERS, MAX_TEMPLATES, MAX_TEMPORAL_LAYERS,
};

/// next_layer_idc: how the layer of a template differs from that of the one before.
const SAME_LAYER: u32 = 0;
const NEXT_TEMPORAL_LAYER: u32 = 1;
const NEXT_SPATIAL_LAYER: u32 = 2;
const NO_MORE_TEMPLATES: u32 = 3;

/// What a frame is if it says nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FrameDependencyTemplate {
    /// Spatial layer.
    pub spatial_id: u8,
    /// Temporal layer.
    pub temporal_id: u8,
    /// What the frame is to each decode target.
    pub dtis: Vec<DecodeTargetIndication>,
    /// How many frames before it each frame stands that it refers to (1 to 16).
    pub fdiffs: Vec<u8>,
    /// For each chain, how many frames before it the last frame of the chain stands (0 to 15).
    pub chain_fdiffs: Vec<u8>,
}

impl FrameDependencyTemplate {
    pub(super) fn fdiffs(&self) -> Vec<u16> {
        self.fdiffs.iter().map(|fdiff| u16::from(*fdiff)).collect()
    }

    /// The dependencies of a frame that is just like this template.
    #[must_use]
    pub fn frame(&self) -> FrameDependencies {
        FrameDependencies {
            spatial_id: self.spatial_id,
            temporal_id: self.temporal_id,
            dtis: self.dtis.clone(),
            fdiffs: self.fdiffs(),
            chain_fdiffs: self.chain_fdiffs.clone(),
        }
    }
}

/// The templates of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DependencyStructure {
    /// ID of the first template (six bits).
    pub template_id_offset: u8,
    /// How many decode targets there are (1 to 32).
    pub decode_targets: usize,
    /// The chain that protects each decode target; empty without chains.
    pub protected_by: Vec<u8>,
    /// The templates, in order of their layers.
    pub templates: Vec<FrameDependencyTemplate>,
    /// Width and height of each spatial layer; empty if not told.
    pub resolutions: Vec<(u32, u32)>,
}

impl DependencyStructure {
    /// One layer: a key frame, and pictures that refer to the one before.
    #[must_use]
    pub fn l1t1() -> Self {
        Self::temporal(1, &[(0, "S", &[], 0), (0, "S", &[1], 1)])
    }

    /// Two temporal layers, 0 1.
    #[must_use]
    pub fn l1t2() -> Self {
        Self::temporal(2, &[(0, "SS", &[], 0), (0, "SS", &[2], 2), (1, "-D", &[1], 1)])
    }

    /// Three temporal layers, 0 2 1 2.
    #[must_use]
    pub fn l1t3() -> Self {
        Self::temporal(
            3,
            &[(0, "SSS", &[], 0), (0, "SSS", &[4], 4), (1, "-DS", &[2], 2), (2, "--D", &[1], 1), (2, "--D", &[1], 3)],
        )
    }

    /// One spatial layer, one decode target for each temporal layer, all of them protected by one chain, the base layer.
    fn temporal(layers: u8, templates: &[(u8, &str, &[u8], u8)]) -> Self {
        let indication = |symbol: char| match symbol {
            'D' => DecodeTargetIndication::Discardable,
            'S' => DecodeTargetIndication::Switch,
            'R' => DecodeTargetIndication::Required,
            _ => DecodeTargetIndication::NotPresent,
        };
        let template = |(temporal_id, dtis, fdiffs, chain): &(u8, &str, &[u8], u8)| FrameDependencyTemplate {
            spatial_id: 0,
            temporal_id: *temporal_id,
            dtis: dtis.chars().map(indication).collect(),
            fdiffs: fdiffs.to_vec(),
            chain_fdiffs: vec![*chain],
        };
        Self {
            template_id_offset: 0,
            decode_targets: usize::from(layers),
            protected_by: vec![0; usize::from(layers)],
            templates: templates.iter().map(template).collect(),
            resolutions: Vec::new(),
        }
    }

    /// How many chains there are.
    #[must_use]
    pub fn chains(&self) -> usize {
        self.templates.first().map_or(0, |template| template.chain_fdiffs.len())
    }

    /// The template with an ID (six bits).
    #[must_use]
    pub fn template(&self, template_id: u8) -> Option<&FrameDependencyTemplate> {
        self.templates.get(usize::from(template_id.wrapping_sub(self.template_id_offset) & 0x3f))
    }

    /// Spatial and temporal layer of a decode target: the highest that has part in it (appendix A.4).
    #[must_use]
    pub fn layers_of(&self, decode_target: usize) -> (u8, u8) {
        let part = |template: &&FrameDependencyTemplate| {
            template.dtis.get(decode_target).is_some_and(|dti| *dti != DecodeTargetIndication::NotPresent)
        };
        let parts = || self.templates.iter().filter(part);
        let spatial = parts().map(|template| template.spatial_id).max().unwrap_or(0);
        (spatial, parts().map(|template| template.temporal_id).max().unwrap_or(0))
    }

    /// A frame just like one of the templates, as a packet that is the whole frame.
    ///
    /// # Errors
    /// [`DependencyError::UnknownTemplate`] if there is none with this index.
    pub fn descriptor(&self, index: usize, frame_number: u16) -> Result<DependencyDescriptor, DependencyError> {
        let template = self.templates.get(index).filter(|_| index < MAX_TEMPLATES);
        let template = template.ok_or(DependencyError::UnknownTemplate(index.min(0xff) as u8))?;
        Ok(DependencyDescriptor {
            start_of_frame: true,
            end_of_frame: true,
            frame_number,
            template_id: self.template_id_offset.wrapping_add(index as u8) & 0x3f,
            structure: None,
            active_decode_targets: None,
            frame: template.frame(),
        })
    }

    /// Everything fits its bits.
    pub(super) fn check(&self) -> Result<(), DependencyError> {
        let chains = self.chains();
        let protected = if chains == 0 { 0 } else { self.decode_targets };
        let spatial_layers = self.templates.last().map_or(0, |template| usize::from(template.spatial_id) + 1);
        let steps = || self.templates.windows(2).map(|pair| step(&pair[0], &pair[1]));
        let first = self.templates.first().map(|first| (first.spatial_id, first.temporal_id));
        let all = |sound: &dyn Fn(&FrameDependencyTemplate) -> bool| self.templates.iter().all(sound);
        let rules = [
            (self.template_id_offset < 0x40, "template offset"),
            ((1..=MAX_DECODE_TARGETS).contains(&self.decode_targets), "decode targets"),
            (self.templates.len() <= MAX_TEMPLATES, "templates"),
            (first == Some((0, 0)) && steps().all(|step| step.is_some()), "layers"),
            (all(&|t| t.spatial_id < MAX_SPATIAL_LAYERS && t.temporal_id < MAX_TEMPORAL_LAYERS), "layers"),
            (all(&|t| t.dtis.len() == self.decode_targets), "decode target indications"),
            (all(&|t| t.fdiffs.iter().all(|fdiff| (1..=16).contains(fdiff))), "frame differences"),
            (all(&|t| t.chain_fdiffs.len() == chains && t.chain_fdiffs.iter().all(|f| *f < 16)), "chain differences"),
            (chains <= self.decode_targets && self.protected_by.len() == protected, "chains"),
            (self.protected_by.iter().all(|chain| usize::from(*chain) < chains), "chains"),
            (self.resolutions.is_empty() || self.resolutions.len() == spatial_layers, "resolutions"),
            (self.resolutions.iter().all(|(w, h)| (1..=65_536).contains(w) && (1..=65_536).contains(h)), "resolutions"),
        ];
        rules.iter().find(|(sound, _)| !sound).map_or(Ok(()), |(_, what)| Err(DependencyError::OutOfRange(what)))
    }

    pub(super) fn read(reader: &mut BitReader<'_>) -> Result<Self, DependencyError> {
        let template_id_offset = reader.bits(6)? as u8;
        let decode_targets = reader.bits(5)? as usize + 1;
        let mut templates = read_layers(reader)?;
        for template in &mut templates {
            template.dtis = reader.dtis(decode_targets)?;
        }
        for template in &mut templates {
            while reader.flag()? {
                template.fdiffs.push(reader.bits(4)? as u8 + 1);
            }
        }
        let protected_by = read_chains(reader, decode_targets, &mut templates)?;
        let mut resolutions = Vec::new();
        if reader.flag()? {
            let highest = templates.last().map_or(0, |template| template.spatial_id);
            for _ in 0..=highest {
                resolutions.push((reader.bits(16)? + 1, reader.bits(16)? + 1));
            }
        }
        Ok(Self { template_id_offset, decode_targets, protected_by, templates, resolutions })
    }

    /// What [`Self::check`] has found sound.
    pub(super) fn write(&self, writer: &mut BitWriter) {
        writer.bits(u32::from(self.template_id_offset), 6);
        writer.bits(self.decode_targets as u32 - 1, 5);
        for pair in self.templates.windows(2) {
            writer.bits(step(&pair[0], &pair[1]).unwrap_or(SAME_LAYER), 2);
        }
        writer.bits(NO_MORE_TEMPLATES, 2);
        self.templates.iter().for_each(|template| writer.dtis(&template.dtis));
        for template in &self.templates {
            for fdiff in &template.fdiffs {
                writer.flag(true);
                writer.bits(u32::from(*fdiff) - 1, 4);
            }
            writer.flag(false);
        }
        let chains = self.chains() as u32;
        writer.non_symmetric(chains, self.decode_targets as u32 + 1);
        if chains > 0 {
            self.protected_by.iter().for_each(|chain| writer.non_symmetric(u32::from(*chain), chains));
            let fdiffs = self.templates.iter().flat_map(|template| &template.chain_fdiffs);
            fdiffs.for_each(|fdiff| writer.bits(u32::from(*fdiff), 4));
        }
        writer.flag(!self.resolutions.is_empty());
        for (width, height) in &self.resolutions {
            writer.bits(width - 1, 16);
            writer.bits(height - 1, 16);
        }
    }
}

/// next_layer_idc between two templates; `None` if they cannot follow each other.
fn step(one: &FrameDependencyTemplate, next: &FrameDependencyTemplate) -> Option<u32> {
    let (spatial, temporal) = (u32::from(one.spatial_id), u32::from(one.temporal_id));
    match (u32::from(next.spatial_id), u32::from(next.temporal_id)) {
        (s, t) if (s, t) == (spatial, temporal) => Some(SAME_LAYER),
        (s, t) if (s, t) == (spatial, temporal + 1) => Some(NEXT_TEMPORAL_LAYER),
        (s, 0) if s == spatial + 1 => Some(NEXT_SPATIAL_LAYER),
        _ => None,
    }
}

fn read_layers(reader: &mut BitReader<'_>) -> Result<Vec<FrameDependencyTemplate>, DependencyError> {
    let (mut spatial_id, mut temporal_id) = (0, 0);
    let mut templates = Vec::new();
    loop {
        if templates.len() == MAX_TEMPLATES {
            return Err(DependencyError::OutOfRange("templates"));
        }
        templates.push(FrameDependencyTemplate { spatial_id, temporal_id, ..FrameDependencyTemplate::default() });
        match reader.bits(2)? {
            SAME_LAYER => {}
            NEXT_TEMPORAL_LAYER => temporal_id += 1,
            NEXT_SPATIAL_LAYER => (spatial_id, temporal_id) = (spatial_id + 1, 0),
            _ => return Ok(templates),
        }
        if spatial_id == MAX_SPATIAL_LAYERS || temporal_id == MAX_TEMPORAL_LAYERS {
            return Err(DependencyError::OutOfRange("layers"));
        }
    }
}

fn read_chains(
    reader: &mut BitReader<'_>,
    decode_targets: usize,
    templates: &mut [FrameDependencyTemplate],
) -> Result<Vec<u8>, DependencyError> {
    let chains = reader.non_symmetric(decode_targets as u32 + 1)?;
    if chains == 0 {
        return Ok(Vec::new());
    }
    let protected_by =
        (0..decode_targets).map(|_| Ok(reader.non_symmetric(chains)? as u8)).collect::<Result<_, DependencyError>>()?;
    for template in templates {
        template.chain_fdiffs =
            (0..chains).map(|_| Ok(reader.bits(4)? as u8)).collect::<Result<_, DependencyError>>()?;
    }
    Ok(protected_by)
}
