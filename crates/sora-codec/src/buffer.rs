use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::{CodecError, MAX_PIXELS};

/// Buffers a pool keeps for reuse; more are freed.
const KEPT: usize = 8;

struct Shelf(Mutex<Vec<Vec<u8>>>);

impl Shelf {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands out picture memory and takes it back, so that a steady stream of pictures allocates nothing.
#[derive(Clone)]
pub struct BufferPool(Arc<Shelf>);

impl Default for BufferPool {
    fn default() -> Self {
        Self(Arc::new(Shelf(Mutex::new(Vec::new()))))
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool").field("kept", &self.0.lock().len()).finish()
    }
}

impl BufferPool {
    /// A picture of the given size with undefined (but initialised) content.
    ///
    /// # Errors
    /// [`CodecError::PictureSize`] if a side is zero or above 16383, or there are more than [`MAX_PIXELS`] pixels.
    pub fn take(&self, width: u32, height: u32) -> Result<I420Buffer, CodecError> {
        let valid = (1..=16_383).contains(&width) && (1..=16_383).contains(&height);
        if !valid || u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(CodecError::PictureSize { width: width.into(), height: height.into() });
        }
        let layout = Layout::new(width, height);
        let mut data = self.0.lock().pop().unwrap_or_default();
        data.resize(layout.len(), 0);
        Ok(I420Buffer { width, height, layout, data, home: Arc::downgrade(&self.0) })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    luma_stride: usize,
    chroma_stride: usize,
    luma_len: usize,
    chroma_len: usize,
}

impl Layout {
    fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        // Rows begin on cache lines, which the codecs' vector code likes.
        let luma_stride = width.next_multiple_of(64);
        let chroma_stride = width.div_ceil(2).next_multiple_of(64);
        Self {
            luma_stride,
            chroma_stride,
            luma_len: luma_stride * height,
            chroma_len: chroma_stride * height.div_ceil(2),
        }
    }

    fn len(self) -> usize {
        self.luma_len + 2 * self.chroma_len
    }
}

/// A picture in planar 4:2:0, 8 bit. Odd sizes round the chroma planes up. Its memory goes back to its pool.
pub struct I420Buffer {
    width: u32,
    height: u32,
    layout: Layout,
    data: Vec<u8>,
    home: Weak<Shelf>,
}

impl fmt::Debug for I420Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("I420Buffer").field("width", &self.width).field("height", &self.height).finish_non_exhaustive()
    }
}

impl I420Buffer {
    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Bytes from one luma row to the next.
    #[must_use]
    pub fn luma_stride(&self) -> usize {
        self.layout.luma_stride
    }

    /// Bytes from one chroma row to the next.
    #[must_use]
    pub fn chroma_stride(&self) -> usize {
        self.layout.chroma_stride
    }

    /// The planes Y, U, V.
    #[must_use]
    pub fn planes(&self) -> [&[u8]; 3] {
        let (y, chroma) = self.data.split_at(self.layout.luma_len);
        let (u, v) = chroma.split_at(self.layout.chroma_len);
        [y, u, v]
    }

    /// The planes Y, U, V for writing.
    pub fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let (y, chroma) = self.data.split_at_mut(self.layout.luma_len);
        let (u, v) = chroma.split_at_mut(self.layout.chroma_len);
        [y, u, v]
    }

    /// Makes the picture black.
    pub fn fill_black(&mut self) {
        let [y, u, v] = self.planes_mut();
        y.fill(16);
        u.fill(128);
        v.fill(128);
    }
}

impl Drop for I420Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            let mut shelf = home.lock();
            if shelf.len() < KEPT {
                shelf.push(std::mem::take(&mut self.data));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_to_the_pool_and_odd_sizes_round_chroma_up() {
        let pool = BufferPool::default();
        let buffer = pool.take(321, 241).expect("a buffer");
        assert_eq!(buffer.chroma_stride(), 192);
        assert_eq!(buffer.planes()[1].len(), 192 * 121);
        let address = buffer.planes()[0].as_ptr();
        drop(buffer);
        assert_eq!(pool.take(321, 241).expect("a buffer").planes()[0].as_ptr(), address);
    }

    #[test]
    fn impossible_sizes_are_errors() {
        let pool = BufferPool::default();
        for (width, height) in [(0, 1), (1, 0), (16_384, 1), (16_383, 16_383)] {
            assert!(matches!(pool.take(width, height), Err(CodecError::PictureSize { .. })));
        }
    }
}
