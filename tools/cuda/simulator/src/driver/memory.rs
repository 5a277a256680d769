//! Allocations and copies.

use std::alloc::Layout;

use super::{Handle, INVALID_VALUE, OUT_OF_MEMORY, SUCCESS, cuStreamSynchronize};
use crate::memory::{Address, Fault};
use crate::{Status, call};

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Status {
    call("cuMemGetInfo", |driver| {
        (*free, *total) = driver.memory.info();
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAlloc_v2(address: *mut Address, bytes: usize) -> Status {
    call("cuMemAlloc", |driver| {
        if bytes == 0 {
            return Ok(INVALID_VALUE);
        }
        let Some(found) = driver.memory.reserve(bytes) else { return Ok(OUT_OF_MEMORY) };
        driver.memory.begin(found);
        *address = found;
        Ok(SUCCESS)
    })
}

/// Waits for all work, as the driver does.
#[unsafe(no_mangle)]
extern "C" fn cuMemFree_v2(address: Address) -> Status {
    call("cuMemFree", |driver| {
        driver.wait_for_all("cuMemFree")?;
        driver.memory.release(address)?;
        driver.memory.end(address)?;
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemAllocAsync(address: *mut Address, bytes: usize, stream: Handle) -> Status {
    call("cuMemAllocAsync", |driver| {
        // As pools do, and dfdx counts on: its first act on a device is to ask for nothing.
        if bytes == 0 {
            *address = 0;
            return Ok(SUCCESS);
        }
        let Some(found) = driver.memory.reserve(bytes) else { return Ok(OUT_OF_MEMORY) };
        *address = found;
        driver.ask(stream, move |memory| {
            memory.begin(found);
            Ok(())
        })?;
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeAsync(address: Address, stream: Handle) -> Status {
    call("cuMemFreeAsync", |driver| {
        if address == 0 {
            return Ok(SUCCESS);
        }
        driver.memory.release(address)?;
        driver.ask(stream, move |memory| memory.end(address))?;
        Ok(SUCCESS)
    })
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes.max(1), 4096).expect("memory of the host is no larger than addresses")
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemHostAlloc(address: *mut *mut u8, bytes: usize, _flags: u32) -> Status {
    call("cuMemHostAlloc", |driver| {
        *address = std::alloc::alloc(layout(bytes));
        driver.pinned.insert(*address as usize, bytes);
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemFreeHost(address: *mut u8) -> Status {
    call("cuMemFreeHost", |driver| {
        let Some(bytes) = driver.pinned.remove(&(address as usize)) else {
            return Fault::new("this memory is not pinned");
        };
        address.write_bytes(0xff, bytes);
        Ok(SUCCESS)
    })
}

/// The driver stages so many bytes of memory that is not pinned; for more, it may wait for the stream.
const LARGEST_STAGED: usize = 64 << 10;

/// The driver reads pinned memory when the copy is made, so that it must be the same until then; other memory at once.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    to: Address,
    from: *const u8,
    bytes: usize,
    stream: Handle,
) -> Status {
    call("cuMemcpyHtoDAsync", |driver| {
        let values = std::slice::from_raw_parts(from, bytes).to_vec();
        let pinned = driver.is_pinned(from as usize, bytes)?.then_some(from as usize);
        if pinned.is_none() && bytes > LARGEST_STAGED {
            driver.waits.waited("cuMemcpyHtoD");
        }
        driver.ask(stream, move |memory| match pinned {
            Some(pinned) if std::slice::from_raw_parts(pinned as *const u8, bytes) != values => {
                Fault::new("pinned memory was changed before it was copied")
            }
            _ => memory.write(to, &values),
        })?;
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyHtoD_v2(to: Address, from: *const u8, bytes: usize) -> Status {
    cuMemcpyHtoDAsync_v2(to, from, bytes, 0);
    cuStreamSynchronize(0)
}

/// Waits for the copy, as the driver does for memory that is not pinned, which is all that simsiam copies to.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoHAsync_v2(
    to: *mut u8,
    from: Address,
    bytes: usize,
    stream: Handle,
) -> Status {
    call("cuMemcpyDtoHAsync", |driver| {
        if driver.is_pinned(to as usize, bytes)? {
            return Fault::new("copies to pinned memory are not simulated");
        }
        driver.wait("cuMemcpyDtoH", stream)?;
        to.copy_from_nonoverlapping(driver.memory.bytes(from, bytes)?.as_ptr(), bytes);
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuMemcpyDtoH_v2(to: *mut u8, from: Address, bytes: usize) -> Status {
    cuMemcpyDtoHAsync_v2(to, from, bytes, 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoDAsync_v2(to: Address, from: Address, bytes: usize, stream: Handle) -> Status {
    call("cuMemcpyDtoDAsync", |driver| {
        driver.ask(stream, move |memory| {
            let values = memory.bytes(from, bytes)?.to_vec();
            memory.write(to, &values)
        })?;
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoD_v2(to: Address, from: Address, bytes: usize) -> Status {
    cuMemcpyDtoDAsync_v2(to, from, bytes, 0)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8Async(to: Address, value: u8, bytes: usize, stream: Handle) -> Status {
    call("cuMemsetD8Async", |driver| {
        driver.ask(stream, move |memory| memory.write(to, &vec![value; bytes]))?;
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemsetD8_v2(to: Address, value: u8, bytes: usize) -> Status {
    cuMemsetD8Async(to, value, bytes, 0)
}
