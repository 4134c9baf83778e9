//! Copying pictures out of codec libraries.
#![allow(unsafe_code)]

use crate::{BufferPool, CodecError, I420Buffer};

/// A decoded picture in a library's memory: rows of 8 bit samples, or of 16 bit words in the machine's byte order.
pub(crate) struct ForeignPicture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Planes Y, U, V; null chroma planes mean grey.
    pub(crate) planes: [*const u8; 3],
    /// Bytes from one row to the next, per plane.
    pub(crate) strides: [isize; 3],
    /// Bits per sample: 8, or more for 16 bit words.
    pub(crate) bit_depth: u32,
}

impl ForeignPicture {
    /// Copies the picture into memory of the pool, brought down to 8 bits per sample.
    ///
    /// # Safety
    /// Each plane that is not null has `height` rows (chroma: half, rounded up) of `width` samples (chroma: half,
    /// rounded up), `strides` bytes apart, that stay valid and unchanged during the call.
    pub(crate) unsafe fn copy_to(&self, pool: &BufferPool) -> Result<I420Buffer, CodecError> {
        let mut picture = pool.take(self.width, self.height)?;
        let strides = [picture.luma_stride(), picture.chroma_stride(), picture.chroma_stride()];
        let (width, height) = (self.width as usize, self.height as usize);
        let half = (width.div_ceil(2), height.div_ceil(2));
        let sizes = [(width, height), half, half];
        for (index, target) in picture.planes_mut().into_iter().enumerate() {
            let (row_len, rows) = sizes[index];
            let source = self.planes[index];
            if source.is_null() {
                target.fill(128);
                continue;
            }
            for (row, target) in target.chunks_exact_mut(strides[index]).take(rows).enumerate() {
                // SAFETY: the caller promises `rows` rows that are `strides[index]` bytes apart.
                let from = unsafe { source.offset(row as isize * self.strides[index]) };
                if self.bit_depth > 8 {
                    // SAFETY: the caller promises `row_len` words here; libraries align rows of words.
                    let words = unsafe { std::slice::from_raw_parts(from.cast::<u16>(), row_len) };
                    let shift = self.bit_depth - 8;
                    target.iter_mut().zip(words).for_each(|(to, word)| *to = (word >> shift) as u8);
                } else {
                    // SAFETY: the caller promises `row_len` bytes here.
                    target[..row_len].copy_from_slice(unsafe { std::slice::from_raw_parts(from, row_len) });
                }
            }
        }
        Ok(picture)
    }
}
