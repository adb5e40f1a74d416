//! Large buffers that a thread uses again and again: every step of a training needs the same shapes, and fresh pages from
//! the operating system cost more than most of the arithmetic that fills them.

use std::cell::RefCell;

use burn::backend::flex::FlexTensor;
use burn::tensor::DType;

/// Buffers of one thread, and what has been asked of them.
#[derive(Default)]
struct Store {
    free: Vec<Vec<f32>>,
    fresh: usize,
}

/// Most free buffers that a thread keeps; the smallest is let go beyond that.
const MOST_FREE: usize = 256;

/// The fewest numbers that make a buffer worth keeping: a page of memory.
const LEAST: usize = 1024;

thread_local! {
    static STORE: RefCell<Store> = RefCell::default();
}

/// A buffer of `len` numbers that hold anything: whoever takes one writes all of it.
pub(in crate::train) fn take(len: usize) -> Vec<f32> {
    STORE.with_borrow_mut(|store| {
        // The last one given is the likeliest still in cache. One that is up to twice as large will do: the last rows of a
        // prediction are fewer than the others, in each fold by another number, and must not leave buffers of their own.
        let free = &store.free;
        let same = free.iter().rposition(|buffer| buffer.len() == len);
        let fits = |buffer: &Vec<f32>| (len..=2 * len).contains(&buffer.capacity());
        if let Some(place) = same.or_else(|| free.iter().rposition(fits)) {
            let mut buffer = store.free.remove(place);
            buffer.resize(len, 0.0);
            return buffer;
        }
        store.fresh += usize::from(len >= LEAST);
        vec![0.0; len]
    })
}

/// Gives a buffer back. Small ones are let go: the allocator is good at them.
pub(in crate::train) fn give(buffer: Vec<f32>) {
    if buffer.capacity() < LEAST {
        return;
    }
    STORE.with_borrow_mut(|store| {
        store.free.push(buffer);
        if store.free.len() > MOST_FREE
            && let Some((smallest, _)) = store.free.iter().enumerate().min_by_key(|(_, buffer)| buffer.len())
        {
            store.free.remove(smallest);
        }
    });
}

/// Gives a tensor's buffer back, unless someone else still holds the tensor.
pub(in crate::train) fn give_tensor(tensor: FlexTensor) {
    if tensor.is_unique()
        && tensor.is_contiguous()
        && tensor.dtype() == DType::F32
        && let Ok(buffer) = tensor.into_data().into_vec::<f32>()
    {
        give(buffer);
    }
}

/// How many buffers this thread has had to ask the allocator for.
#[cfg(test)]
pub(in crate::train) fn fresh() -> usize {
    STORE.with_borrow(|store| store.fresh)
}
