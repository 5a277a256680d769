use std::ops::Range;
#[derive(Debug)]
pub(super) struct Mapping;
impl Mapping {
    pub(super) fn bytes(&self) -> &[u8] {
        unimplemented!()
    }
    pub(super) fn intact_until(&self) -> usize {
        unimplemented!()
    }
    pub(super) fn will_need(&self, _range: Range<usize>) {
        unimplemented!()
    }
}
