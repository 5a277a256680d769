//! What nvcc packs code into: machine code and PTX, compressed.

use std::io::Read;

use crate::memory::Fault;

const MAGIC: u32 = 0xba55_ed50;

/// Kinds of parts.
const PTX: u16 = 1;

/// The PTX of a fatbin, or of a text that is PTX already.
///
/// # Safety
/// `image` is what `cuModuleLoadData` may be given: a whole fatbin, or a text with a zero byte behind it.
pub unsafe fn ptx(image: *const u8) -> Result<String, Fault> {
    // SAFETY: either has four bytes.
    if unsafe { image.cast::<u32>().read_unaligned() } != MAGIC {
        // SAFETY: the caller promises the zero byte.
        let text = unsafe { std::ffi::CStr::from_ptr(image.cast()) };
        return text
            .to_str()
            .map(str::to_owned)
            .map_err(|error| Fault(format!("a module is no PTX: {error}")));
    }
    // SAFETY: the header says how long it is, itself and what follows.
    let parts = unsafe {
        let header = usize::from(image.add(6).cast::<u16>().read_unaligned());
        let len = image.add(8).cast::<u64>().read_unaligned() as usize;
        std::slice::from_raw_parts(image.add(header), len)
    };
    of_parts(parts).ok_or_else(|| Fault("a fatbin has no PTX that can be read".into()))
}

fn of_parts(mut parts: &[u8]) -> Option<String> {
    while !parts.is_empty() {
        let kind = u16::from_le_bytes(parts.get(0..2)?.try_into().ok()?);
        let header = u32::from_le_bytes(parts.get(4..8)?.try_into().ok()?) as usize;
        let padded = u64::from_le_bytes(parts.get(8..16)?.try_into().ok()?) as usize;
        let compressed = u32::from_le_bytes(parts.get(16..20)?.try_into().ok()?) as usize;
        let payload = parts.get(header..header + padded)?;
        if kind == PTX {
            return text(if compressed > 0 { payload.get(..compressed)? } else { payload });
        }
        parts = &parts[header + padded..];
    }
    None
}

/// Compressed by Zstandard, or not at all.
fn text(payload: &[u8]) -> Option<String> {
    let mut bytes = Vec::new();
    match payload.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        true => _ = ruzstd::decoding::StreamingDecoder::new(payload).ok()?.read_to_end(&mut bytes).ok()?,
        false => bytes.extend_from_slice(payload),
    }
    let text = String::from_utf8(bytes).ok()?;
    Some(text.trim_end_matches('\0').to_owned())
}
