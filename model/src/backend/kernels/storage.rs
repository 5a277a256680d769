//! Finds the address of a dfdx CUDA tensor's values. Its storage is private, but its `Debug` output begins with the
//! pointer.

use std::fmt::{self, Debug, Write};

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Storage {
    /// The tensor's number, which its clones share.
    pub(crate) id: u64,
    /// The device address of the first value.
    pub(crate) address: u64,
    /// How many values are stored.
    pub(crate) len: usize,
}

impl Storage {
    /// Reads `Tensor { id: UniqueId(5), data: CachableCudaSlice { data: CudaSlice { cu_device_ptr: 93, len: 7, ...`, and
    /// stops the writer as soon as it has the three numbers.
    ///
    /// # Panics
    /// If `tensor` looks otherwise: dfdx or cudarc has changed.
    pub(crate) fn of(tensor: &impl Debug) -> Self {
        let mut reader = Reader::default();
        // The reader refuses more once it has what it wants: that error is no failure.
        let _ = write!(reader, "{tensor:?}");
        reader.found().unwrap_or_else(|| panic!("no CUDA storage in `{}`", reader.text))
    }
}

/// The text so far.
#[derive(Default)]
struct Reader {
    text: String,
}

impl Reader {
    fn found(&self) -> Option<Storage> {
        let number = |name: &str| {
            let rest = &self.text[self.text.find(name)? + name.len()..];
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            rest[..end].parse().ok()
        };
        let (id, address) = (number("id: UniqueId(")?, number("data: CudaSlice { cu_device_ptr: ")?);
        Some(Storage { id, address, len: number(", len: ")? as usize })
    }
}

impl Write for Reader {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        /// The numbers come within so many bytes.
        const LONGEST: usize = 256;
        self.text.push_str(part);
        if self.text.len() > LONGEST || part.starts_with(", ") && self.found().is_some() {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The published types' names and fields, in their order.
    #[derive(Debug)]
    #[expect(dead_code, reason = "for what Debug writes")]
    struct Tensor {
        id: UniqueId,
        data: std::sync::Arc<CachableCudaSlice>,
        shape: (usize,),
        device: Endless,
    }
    #[derive(Debug)]
    #[expect(dead_code, reason = "for what Debug writes")]
    struct UniqueId(usize);
    #[derive(Debug)]
    #[expect(dead_code, reason = "for what Debug writes")]
    struct CachableCudaSlice {
        data: CudaSlice,
    }
    #[derive(Debug)]
    #[expect(dead_code, reason = "for what Debug writes")]
    struct CudaSlice {
        cu_device_ptr: u64,
        len: usize,
        device: Endless,
    }
    struct Endless;

    impl Debug for Endless {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("more was written than is read")
        }
    }

    #[test]
    fn numbers_are_read_and_no_more_is_written() {
        let data = CudaSlice { cu_device_ptr: 139_872_345_980_928, len: 9408, device: Endless };
        let data = std::sync::Arc::new(CachableCudaSlice { data });
        let tensor = Tensor { id: UniqueId(17), data, shape: (9408,), device: Endless };
        let expected = Storage { id: 17, address: 139_872_345_980_928, len: 9408 };
        assert_eq!(Storage::of(&tensor), expected);
    }

    #[test]
    #[should_panic(expected = "no CUDA storage in `Tensor { id: 3 }`")]
    fn another_layout_is_refused() {
        #[derive(Debug)]
        #[expect(dead_code, reason = "for what Debug writes")]
        struct Tensor {
            id: usize,
        }
        Storage::of(&Tensor { id: 3 });
    }
}
