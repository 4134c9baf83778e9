//! Memory that a program names by its address.
#![allow(unsafe_code)]

/// What is wrong with an address or a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("expected the address of 16-bit samples in data, got {0}")]
    Address(i128),
    #[error("expected an even address of 16-bit samples in data, got {0:#x}")]
    Alignment(usize),
    #[error("expected samples_per_channel of 0 or more, got {0}")]
    Count(i128),
    #[error("samples_per_channel is more than memory can hold: {0}")]
    TooMany(i128),
}

/// Copies `count` samples per channel from `address`.
///
/// # Safety
/// If the arguments pass the checks, `count * channels` initialised 16-bit samples have to be at the address, and
/// nobody may write to them meanwhile. Only the caller of the Python method can see to that.
pub(crate) unsafe fn copy_samples(address: i128, count: i128, channels: usize) -> Result<Vec<i16>, AddressError> {
    let place = usize::try_from(address).ok().filter(|place| *place != 0).ok_or(AddressError::Address(address))?;
    if !place.is_multiple_of(align_of::<i16>()) {
        return Err(AddressError::Alignment(place));
    }
    let samples = usize::try_from(count).map_err(|_| AddressError::Count(count))?;
    let total = samples.checked_mul(channels).ok_or(AddressError::TooMany(count))?;
    let bytes = total.checked_mul(size_of::<i16>()).filter(|bytes| isize::try_from(*bytes).is_ok());
    if bytes.and_then(|bytes| place.checked_add(bytes)).is_none() {
        return Err(AddressError::TooMany(count));
    }
    let pointer = std::ptr::with_exposed_provenance::<i16>(place);
    // SAFETY: the address is neither null nor odd and the size fits the address space; the caller promises that there
    // are initialised samples that nobody changes.
    Ok(unsafe { std::slice::from_raw_parts(pointer, total) }.to_vec())
}
