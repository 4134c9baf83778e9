//! VP9 superframes: several frames in one piece, with an index behind them (VP9 bitstream specification annex B).

use bytes::{BufMut, Bytes, BytesMut};

const MAX_FRAMES: usize = 8;

/// Puts the layer frames of one picture together. One alone stays as it is; `None` for more frames than a superframe
/// can have, or larger ones.
pub(crate) fn join(mut layers: Vec<Bytes>) -> Option<Bytes> {
    if layers.len() <= 1 {
        return layers.pop();
    }
    // A layer frame may itself be a superframe, with frames that are not shown. They cannot be nested.
    let frames: Vec<Bytes> = layers.into_iter().flat_map(split).collect();
    let largest = frames.iter().map(Bytes::len).max()?;
    let total: usize = frames.iter().map(Bytes::len).sum();
    let width = (usize::BITS - largest.leading_zeros()).div_ceil(8).max(1) as usize;
    if frames.len() > MAX_FRAMES || width > 4 {
        return None;
    }
    let marker = 0xc0 | (width as u8 - 1) << 3 | (frames.len() as u8 - 1);
    let mut out = BytesMut::with_capacity(total + 2 + width * frames.len());
    frames.iter().for_each(|frame| out.put_slice(frame));
    out.put_u8(marker);
    frames.iter().for_each(|frame| out.put_uint_le(frame.len() as u64, width));
    out.put_u8(marker);
    Some(out.freeze())
}

/// The frames of a superframe, or the frame itself.
fn split(mut frame: Bytes) -> Vec<Bytes> {
    let Some(sizes) = index(&frame) else { return vec![frame] };
    sizes.into_iter().filter(|size| *size > 0).map(|size| frame.split_to(size)).collect()
}

/// The sizes in the index of a superframe, if it has one and they fit.
fn index(frame: &[u8]) -> Option<Vec<usize>> {
    let (&marker, _) = frame.split_last()?;
    if marker & 0xe0 != 0xc0 {
        return None;
    }
    let (count, width) = (usize::from(marker & 7) + 1, usize::from(marker >> 3 & 3) + 1);
    let begin = frame.len().checked_sub(2 + count * width)?;
    let (&first, sizes) = frame.get(begin..frame.len() - 1)?.split_first()?;
    if first != marker {
        return None;
    }
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |size, byte| size << 8 | usize::from(*byte));
    let sizes: Vec<usize> = sizes.chunks(width).map(number).collect();
    let total = sizes.iter().try_fold(0_usize, |sum, size| sum.checked_add(*size))?;
    (total > 0 && total <= begin).then_some(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize) -> Bytes {
        (0..length).map(|i| i as u8 & 0x7f).collect()
    }

    #[test]
    fn the_index_gives_the_frames_back() {
        for lengths in [&[1, 2][..], &[255, 3, 1], &[256, 1], &[70_000, 9, 300], &[1; 8]] {
            let frames: Vec<Bytes> = lengths.iter().map(|length| frame(*length)).collect();
            let joined = join(frames.clone()).expect("few enough");
            assert_eq!(split(joined.clone()), frames);
            // A superframe among the layers loses its index.
            if lengths.len() < 8 {
                let all = join(vec![joined, frame(7)]).expect("few enough");
                assert_eq!(index(&all).expect("an index"), [lengths, &[7]].concat());
            }
        }
        assert_eq!(join(vec![frame(1), frame(2)]).expect("two")[..], [0, 0, 1, 0xc1, 1, 2, 0xc1]);
        assert_eq!(join(vec![frame(3)]), Some(frame(3)));
        assert!(join(vec![frame(1); 9]).is_none() && join(Vec::new()).is_none());
    }

    #[test]
    fn what_is_no_index_is_left_alone() {
        for bytes in
            [&[0xc1][..], &[0xc0, 5, 0xc0], &[1, 0xc0, 0, 0xc0], &[1, 2, 0xc1, 2, 1, 0xc1], &[1, 0xc1, 1, 0xc0]]
        {
            assert_eq!(index(bytes), None, "{bytes:?}");
        }
    }
}
