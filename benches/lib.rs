//! What the benchmarks measure with: pictures that move like a camera's.

use sora_codec::{BufferPool, CodecError, I420Buffer};

/// A textured picture that pans with its number.
///
/// # Errors
/// [`CodecError`] for impossible sizes.
pub fn picture(pool: &BufferPool, width: u32, height: u32, number: usize) -> Result<I420Buffer, CodecError> {
    let mut picture = pool.take(width, height)?;
    let strides = [picture.luma_stride(), picture.chroma_stride(), picture.chroma_stride()];
    for (plane, stride) in picture.planes_mut().into_iter().zip(strides) {
        for (index, pixel) in plane.iter_mut().enumerate() {
            let (x, y) = (index % stride + number * 2, index / stride + number);
            let wave = ((x * x / 97) ^ (y * y / 61)) as u8 / 4 + ((x + y) as u8) / 2;
            *pixel = wave.wrapping_add(40);
        }
    }
    Ok(picture)
}
