//! What the server answers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Fault;
use super::request::Request;

/// Objects in one page of a list: few, so that there are several.
const PAGE: usize = 3;

/// By path.
pub(super) type Objects = BTreeMap<String, Object>;

/// An object and its tag.
pub(super) struct Object {
    bytes: Arc<Vec<u8>>,
    etag: String,
}

impl Object {
    pub(super) fn new(bytes: Vec<u8>) -> Object {
        let add = |hash: u64, &byte: &u8| hash.wrapping_mul(31).wrapping_add(byte.into());
        let etag = format!("\"{:x}\"", bytes.iter().fold(bytes.len() as u64, add));
        Object { bytes: Arc::new(bytes), etag }
    }
}

/// A status, headers, and a part of some bytes.
pub(super) struct Answer {
    status: u16,
    headers: String,
    bytes: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Answer {
    pub(super) fn to(request: &Request, objects: &Objects, fault: Option<&Fault>) -> Answer {
        match fault {
            Some(Fault::Refuse { status, code }) => return Answer::error(*status, code),
            Some(Fault::NoHead) if request.method == "HEAD" => return Answer::error(403, "AccessDenied"),
            Some(Fault::Elsewhere { region }) => {
                let mut answer = Answer::error(301, "PermanentRedirect");
                answer.headers += &format!("x-amz-bucket-region: {region}\r\n");
                return answer;
            }
            _ => {}
        }
        let bucket = format!("/{}/", request.path.split('/').nth(1).unwrap_or_default());
        if request.query.contains_key("list-type") && objects.keys().any(|path| path.starts_with(&bucket)) {
            return Answer::of(200, list(request, objects, &bucket).into_bytes());
        }
        match objects.get(&request.path) {
            Some(object) => Answer::object(request, object, fault),
            None if objects.keys().any(|path| path.starts_with(&bucket)) => Answer::error(404, "NoSuchKey"),
            None => Answer::error(404, "NoSuchBucket"),
        }
    }

    fn object(request: &Request, object: &Object, fault: Option<&Fault>) -> Answer {
        let etag = match fault {
            Some(Fault::NewVersions) => new_etag(),
            _ => object.etag.clone(),
        };
        let bytes = &object.bytes;
        let mut answer =
            Answer { status: 200, headers: String::new(), bytes: bytes.clone(), range: 0..bytes.len() };
        answer.headers = format!("ETag: {etag}\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n");
        if request.headers.get("if-match").is_some_and(|wanted| *wanted != etag) {
            return Answer::error(412, "PreconditionFailed");
        }
        match (request.range(), fault) {
            (None, _) | (_, Some(Fault::NoRanges)) => answer,
            (Some(range), _) if range.start >= bytes.len() => Answer::error(416, "InvalidRange"),
            (Some(range), fault) => {
                answer.status = 206;
                answer.range = range.start..range.end.min(bytes.len());
                let more = if let Some(Fault::Longer(more)) = fault { *more } else { 0 };
                let (first, last) = (answer.range.start, answer.range.end - 1);
                let total = bytes.len() as u64 + more;
                answer.headers += &format!("Content-Range: bytes {first}-{last}/{total}\r\n");
                answer
            }
        }
    }

    /// As S3 says no. The text holds what must not be shown.
    fn error(status: u16, code: &str) -> Answer {
        let text = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><StringToSign>HIDDEN</StringToSign></Error>"
        );
        Answer::of(status, text.into_bytes())
    }

    fn of(status: u16, body: Vec<u8>) -> Answer {
        let range = 0..body.len();
        Answer { status, headers: String::new(), bytes: Arc::new(body), range }
    }

    pub(super) fn head(&self) -> String {
        let length = self.range.len();
        format!("HTTP/1.1 {} -\r\nContent-Length: {length}\r\n{}\r\n", self.status, self.headers)
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }
}

fn new_etag() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("\"version-{}\"", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A page of ListObjectsV2 with `/` as the delimiter.
fn list(request: &Request, objects: &Objects, bucket: &str) -> String {
    let prefix = request.query.get("prefix").map_or("", String::as_str);
    let after = request.query.get("continuation-token").map_or("", String::as_str);
    let below = objects.iter().filter_map(|(path, object)| Some((path.strip_prefix(bucket)?, object)));
    let below = below.filter(|(key, _)| key.starts_with(prefix));
    let (files, deeper): (Vec<_>, Vec<_>) = below.partition(|(key, _)| !key[prefix.len()..].contains('/'));
    let folder = |key: &str| key[..=prefix.len() + key[prefix.len()..].find('/').unwrap()].to_owned();
    let folders: BTreeSet<String> = deeper.iter().map(|(key, _)| folder(key)).collect();
    let mut xml = String::from("<?xml version=\"1.0\"?><ListBucketResult>");
    let rest: Vec<_> = files.into_iter().filter(|&(key, _)| key > after).collect();
    for (key, object) in rest.iter().take(PAGE) {
        let (size, etag) = (object.bytes.len(), object.etag.replace('"', "&quot;"));
        xml += &format!(
            "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>{etag}</ETag>\
             <LastModified>2015-10-21T07:28:00.000Z</LastModified></Contents>"
        );
    }
    for folder in folders {
        xml += &format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>");
    }
    if let Some((last, _)) = rest.get(PAGE - 1).filter(|_| rest.len() > PAGE) {
        xml += &format!("<NextContinuationToken>{last}</NextContinuationToken>");
    }
    xml + "</ListBucketResult>"
}
