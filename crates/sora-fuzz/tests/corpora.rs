//! Every target over its corpus, as it is and changed in small ways by a seeded generator.

use std::path::Path;

/// Changed inputs per file.
const VARIANTS: usize = 500;

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }
}

/// One to eight bytes changed, cut out, doubled or put in.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len() + 1);
        match random.below(5) {
            0 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 => bytes.truncate(at),
            3 if bytes.len() < 1 << 16 => bytes.extend_from_within(at..),
            _ => bytes.insert(at, random.below(256) as u8),
        }
    }
}

#[test]
fn no_target_falls_over_its_corpus_or_anything_near_it() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, target) in sora_fuzz::TARGETS {
        let mut files: Vec<_> = std::fs::read_dir(corpora.join(name))
            .expect("every target has a corpus")
            .map(|entry| entry.expect("readable").path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{name} has no corpus");
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for file in files {
            let seed = std::fs::read(&file).expect("readable");
            target(&seed);
            for _ in 0..VARIANTS {
                let mut bytes = seed.clone();
                mutate(&mut random, &mut bytes);
                target(&bytes);
            }
        }
    }
}
