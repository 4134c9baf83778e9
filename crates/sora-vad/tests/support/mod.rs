//! Recordings and what `sora_sdk` 2025.4.0 made of them.
#![allow(dead_code, reason = "not every test file uses all of it")]

use std::path::{Path, PathBuf};

/// A clip with the recorded probability of each 10 ms.
pub(crate) struct Recording {
    pub(crate) name: String,
    pub(crate) samples: Vec<i16>,
    pub(crate) rate: i64,
    pub(crate) channels: i64,
    pub(crate) recorded: Vec<f32>,
}

impl Recording {
    /// Reads NAME.flac and NAME.f32.
    pub(crate) fn read(flac: &Path) -> Self {
        let mut reader = claxon::FlacReader::open(flac).expect("a FLAC file");
        let info = reader.streaminfo();
        let samples = reader.samples().map(|sample| sample.expect("a sample") as i16).collect();
        let recorded = probabilities(&flac.with_extension("f32"));
        let name = flac.file_stem().expect("a name").to_string_lossy().into_owned();
        Self { name, samples, rate: info.sample_rate.into(), channels: info.channels.into(), recorded }
    }

    /// Interleaved frames of 10 ms.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &[i16]> {
        self.samples.chunks_exact((self.rate / 100 * self.channels) as usize)
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

fn probabilities(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).expect("recorded probabilities");
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Clean speech at 24 kHz.
pub(crate) fn speech() -> Recording {
    Recording::read(&folder().join("clean_syn_ja.24000.1.flac"))
}

/// Probabilities recorded from sound that a test makes.
pub(crate) fn recorded(name: &str) -> Vec<f32> {
    probabilities(&folder().join(name).with_extension("f32"))
}

/// The recordings of this crate, and those in the folder that `SORA_VAD_RECORDINGS` names.
pub(crate) fn all() -> Vec<Recording> {
    let more = std::env::var_os("SORA_VAD_RECORDINGS").map(PathBuf::from);
    let entries =
        [Some(folder()), more].into_iter().flatten().flat_map(|folder| std::fs::read_dir(folder).expect("folder"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "flac"));
    files.sort_by_key(|path| path.file_name().map(std::ffi::OsStr::to_owned));
    files.dedup_by_key(|path| path.file_name().map(std::ffi::OsStr::to_owned));
    files.iter().map(|path| Recording::read(path)).collect()
}
