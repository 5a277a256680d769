#[derive(Debug)]
pub(super) struct Index;
pub(super) struct Record {
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) crc32: u32,
    pub(super) label: Option<u32>,
}
impl Index {
    pub(super) fn samples(&self) -> u64 {
        unimplemented!()
    }
    pub(super) fn labelled(&self) -> u64 {
        unimplemented!()
    }
    pub(super) fn contents_hash(&self) -> u64 {
        unimplemented!()
    }
    pub(super) fn record(&self, _position: u64) -> Option<Record> {
        unimplemented!()
    }
    pub(super) fn key(&self, _position: u64) -> Option<&str> {
        unimplemented!()
    }
}
