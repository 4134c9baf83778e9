//! Smaller pictures for simulcast layers and for lack of bandwidth or time.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use sora_codec::{BufferPool, CodecError, I420Buffer};

/// Scales pictures down. Halves are taken by a kernel of their own, everything else by area average.
#[derive(Default)]
pub struct Scaler {
    resizer: Resizer,
    pool: BufferPool,
    /// The plane that is being scaled, without gaps between its rows.
    samples: Vec<U8>,
}

impl std::fmt::Debug for Scaler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scaler").finish_non_exhaustive()
    }
}

impl Scaler {
    /// A smaller copy of a picture. Its memory comes from a pool of the scaler's own.
    ///
    /// # Errors
    /// [`CodecError::PictureSize`] if a side is zero or the picture too large.
    pub fn scale(&mut self, from: &I420Buffer, width: u32, height: u32) -> Result<I420Buffer, CodecError> {
        let can_halve = |picture: &I420Buffer| {
            // The chroma planes have to halve evenly as well.
            let fits = |side: u32, wanted: u32| side.is_multiple_of(4) && wanted > 0 && side / 2 >= wanted;
            fits(picture.width(), width) && fits(picture.height(), height)
        };
        let mut halved: Option<I420Buffer> = None;
        while can_halve(halved.as_ref().unwrap_or(from)) {
            halved = Some(self.halved(halved.as_ref().unwrap_or(from))?);
        }
        match halved {
            Some(done) if (done.width(), done.height()) == (width, height) => Ok(done),
            halved => self.resized(halved.as_ref().unwrap_or(from), width, height),
        }
    }

    fn halved(&self, from: &I420Buffer) -> Result<I420Buffer, CodecError> {
        let mut to = self.pool.take(from.width() / 2, from.height() / 2)?;
        let (luma, chroma) = (to.luma_stride(), to.chroma_stride());
        let (width, height) = (to.width() as usize, to.height() as usize);
        let half = (width.div_ceil(2), height.div_ceil(2));
        let sizes = [(from.luma_stride(), luma, width, height), (from.chroma_stride(), chroma, half.0, half.1)];
        for (index, (source, target)) in from.planes().into_iter().zip(to.planes_mut()).enumerate() {
            let (source_stride, target_stride, width, height) = sizes[index.min(1)];
            halve(source, source_stride, target, target_stride, width, height);
        }
        Ok(to)
    }

    fn resized(&mut self, from: &I420Buffer, width: u32, height: u32) -> Result<I420Buffer, CodecError> {
        let mut to = self.pool.take(width, height)?;
        let (luma, chroma) = (to.luma_stride(), to.chroma_stride());
        let half = |side: u32| side.div_ceil(2);
        let sizes = [
            (from.luma_stride(), luma, (from.width(), from.height()), (width, height)),
            (from.chroma_stride(), chroma, (half(from.width()), half(from.height())), (half(width), half(height))),
        ];
        for (index, (source, target)) in from.planes().into_iter().zip(to.planes_mut()).enumerate() {
            let (source_stride, target_stride, from_size, to_size) = sizes[index.min(1)];
            self.resize(source, source_stride, from_size, target, target_stride, to_size)?;
        }
        Ok(to)
    }

    /// One plane.
    fn resize(
        &mut self,
        source: &[u8],
        source_stride: usize,
        (from_width, from_height): (u32, u32),
        target: &mut [u8],
        target_stride: usize,
        (to_width, to_height): (u32, u32),
    ) -> Result<(), CodecError> {
        let failed = |error: &dyn std::fmt::Display| CodecError::Argument(format!("picture not scaled: {error}"));
        self.samples.clear();
        for row in source.chunks_exact(source_stride).take(from_height as usize) {
            self.samples.extend(row[..from_width as usize].iter().map(|sample| U8::new(*sample)));
        }
        let source = TypedImageRef::new(from_width, from_height, &self.samples).map_err(|error| failed(&error))?;
        let mut scaled = TypedImage::<U8>::new(to_width, to_height);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Box));
        self.resizer.resize_typed(&source, &mut scaled, &options).map_err(|error| failed(&error))?;
        let rows = scaled.pixels().chunks_exact(to_width.max(1) as usize);
        for (line, row) in target.chunks_exact_mut(target_stride).zip(rows) {
            line.iter_mut().zip(row).for_each(|(to, from)| *to = from.0);
        }
        Ok(())
    }
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
