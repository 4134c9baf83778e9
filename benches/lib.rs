//! What the benchmarks measure with: pictures that look and move like a camera's.

use sora_codec::{BufferPool, CodecError, CodecRegistry, I420Buffer, OpenH264};

/// Bits per second that a picture size is measured with.
pub const SIZES: [(u32, u32, u64); 3] = [(640, 360, 700_000), (1280, 720, 1_500_000), (1920, 1080, 3_000_000)];

/// The codecs at hand, with OpenH264 if `SORA_OPENH264` names a library.
#[must_use]
pub fn registry() -> CodecRegistry {
    let mut registry = CodecRegistry::default();
    if let Some(library) = std::env::var("SORA_OPENH264").ok().and_then(|path| OpenH264::open(&path).ok()) {
        registry.add_openh264(&library);
    }
    registry
}

/// A textured wall with a soft shape that sways in front of it, and the noise of a sensor.
///
/// # Errors
/// [`CodecError`] for impossible sizes.
pub fn picture(pool: &BufferPool, width: u32, height: u32, number: usize) -> Result<I420Buffer, CodecError> {
    let mut picture = pool.take(width, height)?;
    let strides = [picture.luma_stride(), picture.chroma_stride(), picture.chroma_stride()];
    let sway = (number as f32 * 0.12).sin() * 0.08;
    let mut seed = (number as u32).wrapping_mul(2_654_435_761).wrapping_add(1);
    for (index, (plane, stride)) in picture.planes_mut().into_iter().zip(strides).enumerate() {
        let rows = plane.len() / stride;
        for (row, line) in plane.chunks_exact_mut(stride).enumerate() {
            let y = row as f32 / rows as f32 - 0.5;
            for (column, sample) in line.iter_mut().enumerate() {
                let x = column as f32 / stride as f32 - 0.5;
                let wall = (x * 41.0).sin() * (y * 29.0).cos() * 18.0 + (x * 173.0 + y * 97.0).sin() * 7.0;
                let (dx, dy) = (x - sway, y - 0.1);
                let inside = 1.0 / (1.0 + (((dx * dx * 6.0 + dy * dy * 2.5) - 0.25) * 60.0).exp());
                let shape = 60.0 + (dx * 67.0).sin() * (dy * 53.0).sin() * 14.0;
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = if index == 0 { (seed >> 29) as f32 - 3.5 } else { 0.0 };
                let strength = if index == 0 { 1.0 } else { 0.25 };
                *sample = (128.0 + (wall * (1.0 - inside) + shape * inside) * strength + noise) as u8;
            }
        }
    }
    Ok(picture)
}
