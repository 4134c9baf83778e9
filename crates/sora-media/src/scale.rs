//! Smaller pictures for simulcast layers and for lack of bandwidth or time.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use sora_codec::{BufferPool, CodecError, I420Buffer};

/// Scales pictures down. Halves are taken by a kernel of their own, everything else by area average.
#[derive(Default)]
pub(crate) struct Scaler {
    resizer: Resizer,
    pool: BufferPool,
}

impl Scaler {
    /// # Errors
    /// [`CodecError::PictureSize`] if a side is zero.
    pub(crate) fn scale(&mut self, from: &I420Buffer, width: u32, height: u32) -> Result<I420Buffer, CodecError> {
        let mut to = self.pool.take(width, height)?;
        let (from_luma, from_chroma) = (from.luma_stride(), from.chroma_stride());
        let (luma, chroma) = (to.luma_stride(), to.chroma_stride());
        let half = |side: u32| side.div_ceil(2) as usize;
        let sizes = [
            (from.width() as usize, from.height() as usize, width as usize, height as usize),
            (half(from.width()), half(from.height()), half(width), half(height)),
        ];
        for (index, (source, target)) in from.planes().into_iter().zip(to.planes_mut()).enumerate() {
            let (strides, size) =
                if index == 0 { ((from_luma, luma), sizes[0]) } else { ((from_chroma, chroma), sizes[1]) };
            let (from_width, from_height, to_width, to_height) = size;
            if from_width == 2 * to_width && from_height == 2 * to_height {
                halve(source, strides.0, target, strides.1, to_width, to_height);
            } else {
                self.resize(source, strides.0, target, strides.1, size)?;
            }
        }
        Ok(to)
    }

    fn resize(
        &mut self,
        source: &[u8],
        source_stride: usize,
        target: &mut [u8],
        target_stride: usize,
        (from_width, from_height, to_width, to_height): (usize, usize, usize, usize),
    ) -> Result<(), CodecError> {
        let failed = |error: &dyn std::fmt::Display| CodecError::Argument(format!("picture not scaled: {error}"));
        let source: Vec<U8> = rows(source, source_stride, from_width, from_height).copied().map(U8::new).collect();
        let source =
            TypedImageRef::new(from_width as u32, from_height as u32, &source).map_err(|error| failed(&error))?;
        let mut scaled = TypedImage::<U8>::new(to_width as u32, to_height as u32);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Box));
        self.resizer.resize_typed(&source, &mut scaled, &options).map_err(|error| failed(&error))?;
        for (row, line) in scaled.pixels().chunks_exact(to_width.max(1)).enumerate() {
            let at = row * target_stride;
            target[at..at + to_width].iter_mut().zip(line).for_each(|(to, from)| *to = from.0);
        }
        Ok(())
    }
}

fn rows(plane: &[u8], stride: usize, width: usize, height: usize) -> impl Iterator<Item = &u8> {
    plane.chunks_exact(stride).take(height).flat_map(move |row| &row[..width])
}

/// The average of every four samples.
fn halve(source: &[u8], source_stride: usize, target: &mut [u8], target_stride: usize, width: usize, height: usize) {
    let pairs = source.chunks_exact(2 * source_stride);
    for (pair, line) in pairs.zip(target.chunks_exact_mut(target_stride)).take(height) {
        let (upper, lower) = pair.split_at(source_stride);
        let columns = upper.chunks_exact(2).zip(lower.chunks_exact(2));
        for (to, (upper, lower)) in line[..width].iter_mut().zip(columns) {
            let sum = u16::from(upper[0]) + u16::from(upper[1]) + u16::from(lower[0]) + u16::from(lower[1]);
            *to = ((sum + 2) >> 2) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slope(pool: &BufferPool, width: u32, height: u32) -> I420Buffer {
        let mut picture = pool.take(width, height).expect("a buffer");
        let stride = picture.luma_stride();
        picture.fill_black();
        let luma = &mut picture.planes_mut()[0];
        luma.iter_mut().enumerate().for_each(|(i, p)| *p = ((i % stride) * 200 / width as usize).min(200) as u8);
        picture
    }

    #[test]
    fn every_size_keeps_the_picture_and_no_column_is_lost() {
        let (pool, mut scaler) = (BufferPool::default(), Scaler::default());
        for (width, height) in [(1280, 720), (321, 241), (640, 361), (2, 2)] {
            let picture = slope(&pool, width, height);
            for (to_width, to_height) in
                [(width / 2, height / 2), (width / 3 + 1, height / 3 + 1), (width, height), (1, 1)]
            {
                let scaled = scaler.scale(&picture, to_width, to_height).expect("scaled");
                assert_eq!((scaled.width(), scaled.height()), (to_width, to_height));
                let (stride, rows) = (scaled.luma_stride(), to_height as usize);
                let luma = scaled.planes()[0];
                for (x, expected) in [(0, 0.5), (to_width / 2, f64::from(to_width / 2) + 0.5)] {
                    let expected = expected * 200.0 / f64::from(to_width);
                    let got = f64::from(luma[(rows - 1) * stride + x as usize]);
                    assert!(
                        (got - expected).abs() < 200.0 / f64::from(to_width) + 3.0,
                        "{to_width}x{to_height}: {got} {expected}"
                    );
                }
                assert!(scaled.planes()[1][..to_width.div_ceil(2) as usize].iter().all(|sample| *sample == 128));
            }
        }
        assert!(scaler.scale(&slope(&pool, 16, 16), 0, 1).is_err());
    }
}
