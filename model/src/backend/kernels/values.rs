use std::marker::PhantomData;

/// Values in a device's memory, borrowed.
#[derive(Debug)]
pub(crate) struct Values<'a, T = f32> {
    address: u64,
    len: usize,
    borrowed: PhantomData<&'a [T]>,
}

/// Values in a device's memory, borrowed to be changed.
#[derive(Debug)]
pub(crate) struct ValuesMut<'a, T = f32> {
    address: u64,
    len: usize,
    borrowed: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Values<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Values<'_, T> {}

impl<'a, T> Values<'a, T> {
    /// The `len` values from `address` on.
    ///
    /// # Safety
    /// They are there, and nothing changes them for `'a`.
    #[cfg(feature = "cuda")]
    pub(crate) unsafe fn from_raw(address: u64, len: usize) -> Self {
        Self { address, len, borrowed: PhantomData }
    }

    /// Where the first is.
    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl<'a, T> ValuesMut<'a, T> {
    /// The `len` values from `address` on.
    ///
    /// # Safety
    /// They are there, and nothing else reads or changes them for `'a`.
    #[cfg(feature = "cuda")]
    pub(crate) unsafe fn from_raw(address: u64, len: usize) -> Self {
        Self { address, len, borrowed: PhantomData }
    }

    /// Where the first is.
    pub(crate) fn address(&self) -> u64 {
        self.address
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The same values, to read.
    pub(crate) fn as_values(&self) -> Values<'_, T> {
        Values { address: self.address, len: self.len, borrowed: PhantomData }
    }
}

#[cfg(test)]
impl<'a, T> From<&'a [T]> for Values<'a, T> {
    fn from(values: &'a [T]) -> Self {
        Self { address: values.as_ptr().addr() as u64, len: values.len(), borrowed: PhantomData }
    }
}

#[cfg(test)]
impl<'a, T> From<&'a mut [T]> for ValuesMut<'a, T> {
    fn from(values: &'a mut [T]) -> Self {
        Self { address: values.as_mut_ptr().addr() as u64, len: values.len(), borrowed: PhantomData }
    }
}
