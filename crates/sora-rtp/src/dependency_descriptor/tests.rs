use super::*;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn list<T>(&mut self, count: u64, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..count).map(|_| item(self)).collect()
    }

    fn dtis(&mut self, count: usize) -> Vec<DecodeTargetIndication> {
        self.list(count as u64, |random| DecodeTargetIndication::from_bits(random.below(4) as u32))
    }

    fn structure(&mut self) -> DependencyStructure {
        let decode_targets = 1 + self.below(32) as usize;
        let chains = self.below(decode_targets as u64 + 1);
        let (mut spatial_id, mut temporal_id) = (0, 0);
        let mut templates = Vec::new();
        for _ in 0..=self.below(20) {
            let count = self.below(4);
            templates.push(FrameDependencyTemplate {
                spatial_id,
                temporal_id,
                dtis: self.dtis(decode_targets),
                fdiffs: self.list(count, |random| 1 + random.below(16) as u8),
                chain_fdiffs: self.list(chains, |random| random.below(16) as u8),
            });
            match self.below(3) {
                0 if temporal_id + 1 < MAX_TEMPORAL_LAYERS => temporal_id += 1,
                1 if spatial_id + 1 < MAX_SPATIAL_LAYERS => (spatial_id, temporal_id) = (spatial_id + 1, 0),
                _ => {}
            }
        }
        let layers = u64::from(templates.last().expect("at least one").spatial_id) + 1;
        let size = |random: &mut Self| (1 + random.below(65_536) as u32, 1 + random.below(65_536) as u32);
        DependencyStructure {
            template_id_offset: self.below(64) as u8,
            decode_targets,
            protected_by: if chains == 0 {
                Vec::new()
            } else {
                self.list(decode_targets as u64, |random| random.below(chains) as u8)
            },
            templates,
            resolutions: if self.below(2) == 0 { Vec::new() } else { self.list(layers, size) },
        }
    }

    fn descriptor(&mut self, structure: &DependencyStructure) -> DependencyDescriptor {
        let index = self.below(structure.templates.len() as u64) as usize;
        let mut descriptor = structure.descriptor(index, self.below(65_536) as u16).expect("a template");
        (descriptor.start_of_frame, descriptor.end_of_frame) = (self.below(2) == 0, self.below(2) == 0);
        if self.below(2) == 0 {
            descriptor.frame.dtis = self.dtis(structure.decode_targets);
        }
        if self.below(2) == 0 {
            let count = self.below(5);
            descriptor.frame.fdiffs = self.list(count, |random| 1 + (random.below(4096) >> random.below(12)) as u16);
        }
        if self.below(2) == 0 {
            descriptor.frame.chain_fdiffs = self.list(structure.chains() as u64, |random| random.below(256) as u8);
        }
        if self.below(2) == 0 {
            descriptor.active_decode_targets = Some(self.below(1 << structure.decode_targets) as u32);
        }
        descriptor
    }
}

#[test]
fn what_is_written_reads_back() {
    for seed in 1..2000 {
        let mut random = Random(seed * 0x9e37_79b9);
        let structure = random.structure();
        for attached in [true, false] {
            let mut descriptor = random.descriptor(&structure);
            descriptor.structure = attached.then(|| structure.clone());
            let known = (!attached).then_some(&structure);
            let bytes = descriptor.write(known).expect("sound");
            assert_eq!(DependencyDescriptor::parse(&bytes, known), Ok(descriptor), "seed {seed}");
            // Zeros behind are padding.
            if bytes.len() > MANDATORY_LEN {
                let padded = [&bytes[..], &[0, 0]].concat();
                assert!(DependencyDescriptor::parse(&padded, known).is_ok());
                for length in 0..MANDATORY_LEN {
                    assert_eq!(
                        DependencyDescriptor::parse(&bytes[..length], known),
                        Err(DependencyError::Truncated(length))
                    );
                }
            }
        }
    }
}

#[test]
fn a_damaged_one_is_read_or_refused_but_what_is_read_can_be_written() {
    let mut random = Random(77);
    for _ in 0..3000 {
        let structure = random.structure();
        let mut descriptor = random.descriptor(&structure);
        descriptor.structure = Some(structure);
        let mut bytes = descriptor.write(None).expect("sound");
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
        }
        bytes.truncate(1 + random.below(bytes.len() as u64) as usize);
        if let Ok(read) = DependencyDescriptor::parse(&bytes, None) {
            let written = read.write(None).expect("what was read");
            assert_eq!(DependencyDescriptor::parse(&written, None), Ok(read));
        }
    }
}

#[test]
fn the_temporal_structures_have_their_known_bits() {
    // By hand: mandatory fields, flags, offset 0, one decode target, templates, dtis S S, fdiffs - 1, chain 1, 0 1.
    let mut key = DependencyStructure::l1t1().descriptor(0, 1).expect("a template");
    key.structure = Some(DependencyStructure::l1t1());
    let bits = "1 1 000000 0000000000000001 1 0 0 0 0 000000 00000 00 11 10 10 0 1 0000 0 1 0000 0001 0";
    let mut expected: Vec<u8> = Vec::new();
    for (index, bit) in bits.chars().filter(|c| *c != ' ').enumerate() {
        if index % 8 == 0 {
            expected.push(0);
        }
        expected[index / 8] |= u8::from(bit == '1') << (7 - index % 8);
    }
    assert_eq!(key.write(None), Ok(expected));
    for (structure, targets) in
        [(DependencyStructure::l1t1(), 1), (DependencyStructure::l1t2(), 2), (DependencyStructure::l1t3(), 3)]
    {
        assert_eq!((structure.check(), structure.decode_targets, structure.chains()), (Ok(()), targets, 1));
        assert!((0..targets).all(|target| structure.layers_of(target) == (0, target as u8)));
        for index in 0..structure.templates.len() {
            let descriptor = structure.descriptor(index, 9).expect("a template");
            assert_eq!(descriptor.write(Some(&structure)).map(|bytes| bytes.len()), Ok(MANDATORY_LEN));
            let found = DependencyDescriptor::new(&structure, 9, descriptor.frame.clone()).expect("a template");
            assert_eq!(found, descriptor);
        }
    }
}

/// The chain of a temporal structure is the base layer, and the references are lower or the base layer's own.
#[test]
fn the_temporal_structures_agree_with_their_patterns() {
    let cases: [(DependencyStructure, &[usize]); 3] = [
        (DependencyStructure::l1t1(), &[1]),
        (DependencyStructure::l1t2(), &[2, 1]),
        (DependencyStructure::l1t3(), &[3, 2, 4, 1]),
    ];
    for (structure, pattern) in cases {
        let mut sent = vec![&structure.templates[0]];
        for number in 1..20 {
            let template = &structure.templates[pattern[(number - 1) % pattern.len()]];
            let base = sent.iter().rev().position(|earlier| earlier.temporal_id == 0).expect("the first") + 1;
            assert_eq!(usize::from(template.chain_fdiffs[0]), base, "picture {number}");
            for fdiff in &template.fdiffs {
                let reference = sent[number - usize::from(*fdiff)];
                assert!(reference.temporal_id < template.temporal_id || template.temporal_id == 0);
            }
            sent.push(template);
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let structure = DependencyStructure::l1t2();
    assert_eq!(DependencyDescriptor::parse(&[0x80, 0, 1], None), Err(DependencyError::NoStructure));
    assert_eq!(DependencyDescriptor::parse(&[0x83, 0, 1], Some(&structure)), Err(DependencyError::UnknownTemplate(3)));
    let descriptor = structure.descriptor(1, 1).expect("a template");
    let broken = |change: fn(&mut DependencyDescriptor)| {
        let mut descriptor = descriptor.clone();
        change(&mut descriptor);
        descriptor.write(Some(&structure)).is_err()
    };
    assert!(!broken(|_| {}));
    assert!(broken(|d| d.template_id = 64) && broken(|d| d.template_id = 2) && broken(|d| d.frame.fdiffs = vec![0]));
    assert!(broken(|d| d.frame.fdiffs = vec![4097]) && broken(|d| d.frame.dtis.clear()));
    assert!(broken(|d| d.active_decode_targets = Some(4)) && broken(|d| d.frame.chain_fdiffs = vec![1, 2]));
    let broken = |change: fn(&mut DependencyStructure)| {
        let mut structure = structure.clone();
        change(&mut structure);
        structure.check().is_err() && descriptor.write(Some(&structure)).is_err()
    };
    assert!(broken(|s| s.templates.clear()) && broken(|s| s.decode_targets = 0) && broken(|s| s.decode_targets = 33));
    assert!(broken(|s| s.templates[1].temporal_id = 2) && broken(|s| s.protected_by = vec![0, 1]));
    assert!(broken(|s| s.templates[1].fdiffs = vec![17]) && broken(|s| s.templates[2].chain_fdiffs = vec![16]));
    assert!(broken(|s| s.resolutions = vec![(0, 1)]) && broken(|s| s.template_id_offset = 64));
    assert!(broken(|s| s.templates = vec![s.templates[0].clone(); 65]));
}
