//! BGR to and from I420, BT.601 limited range: what OpenCV and the reference use.

use sora_codec::I420Buffer;
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPlanarImage, YuvPlanarImageMut, YuvRange, YuvStandardMatrix, bgr_to_yuv420,
    yuv420_to_bgr,
};

use crate::CaptureError;

/// Rows of `stride` bytes, at least three per pixel, the last one whole too, become a picture of the buffer's size.
pub(crate) fn from_bgr(bgr: &[u8], stride: usize, buffer: &mut I420Buffer) -> Result<(), CaptureError> {
    let (width, height) = (buffer.width(), buffer.height());
    let expected = stride.saturating_mul(height as usize);
    if stride < width as usize * 3 || bgr.len() < expected {
        return Err(CaptureError::Length { expected, actual: bgr.len(), width, height });
    }
    let luma_stride = buffer.luma_stride() as u32;
    let chroma_stride = buffer.chroma_stride() as u32;
    let [y, u, v] = buffer.planes_mut();
    let mut image = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: luma_stride,
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: chroma_stride,
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: chroma_stride,
        width,
        height,
    };
    let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt601);
    bgr_to_yuv420(&mut image, bgr, stride as u32, range, matrix, YuvConversionMode::Balanced)
        .map_err(|_| CaptureError::Length { expected, actual: bgr.len(), width, height })
}

/// A picture becomes rows of BGR without gaps.
pub(crate) fn to_bgr(buffer: &I420Buffer, bgr: &mut [u8]) -> Result<(), CaptureError> {
    let (width, height) = (buffer.width(), buffer.height());
    let expected = width as usize * height as usize * 3;
    let wrong_length = CaptureError::Length { expected, actual: bgr.len(), width, height };
    if bgr.len() != expected {
        return Err(wrong_length);
    }
    let [y, u, v] = buffer.planes();
    let image = YuvPlanarImage {
        y_plane: y,
        y_stride: buffer.luma_stride() as u32,
        u_plane: u,
        u_stride: buffer.chroma_stride() as u32,
        v_plane: v,
        v_stride: buffer.chroma_stride() as u32,
        width,
        height,
    };
    yuv420_to_bgr(&image, bgr, width * 3, YuvRange::Limited, YuvStandardMatrix::Bt601).map_err(|_| wrong_length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sora_codec::BufferPool;

    #[test]
    fn plain_colours_come_back_within_four_steps_at_any_size() {
        let pool = BufferPool::default();
        for (width, height) in [(1, 1), (2, 3), (321, 241), (640, 360)] {
            for colour in [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [12, 200, 90]] {
                let bgr: Vec<u8> = colour.repeat(width as usize * height as usize);
                let mut buffer = pool.take(width, height).expect("a buffer");
                from_bgr(&bgr, width as usize * 3, &mut buffer).expect("converted");
                let mut back = vec![0; bgr.len()];
                to_bgr(&buffer, &mut back).expect("converted");
                let worst = bgr.iter().zip(&back).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(worst <= Some(4), "{colour:?} at {width}x{height}: {worst:?}");
            }
        }
    }

    #[test]
    fn padded_rows_are_read_by_their_stride() {
        let mut buffer = BufferPool::default().take(4, 2).expect("a buffer");
        let mut bgr = vec![255; 40];
        bgr[12..20].fill(0);
        from_bgr(&bgr, 20, &mut buffer).expect("converted");
        let stride = buffer.luma_stride();
        assert!(buffer.planes()[0][..4].iter().chain(&buffer.planes()[0][stride..stride + 4]).all(|y| *y >= 234));
    }

    #[test]
    fn short_memory_is_an_error() {
        let mut buffer = BufferPool::default().take(4, 4).expect("a buffer");
        assert!(from_bgr(&[0; 47], 12, &mut buffer).is_err());
        assert!(from_bgr(&[0; 48], 11, &mut buffer).is_err());
        assert!(to_bgr(&buffer, &mut [0; 47]).is_err());
    }
}
