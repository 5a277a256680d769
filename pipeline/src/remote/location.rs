//! The URL of an object, displayed without secrets.

use std::fmt::{self, Display, Formatter};

use object_store::path::Path;
use url::Url;

use super::cloud::Cloud;
use super::{Cause, RemoteError};

/// An object, or all below a prefix, in a bucket or on a web server. Shown without user names, passwords and queries,
/// in which signatures are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(super) place: Place,
    /// As it was written, without what may be secret.
    shown: String,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// `key` ends in a slash, or is empty, when it is a prefix.
    Bucket {
        cloud: Cloud,
        bucket: String,
        key: String,
    },
    Web(Url),
}

/// Parameters of a URL that say that it is signed, in lower case.
const SIGNATURES: [&str; 4] = ["x-amz-signature", "x-goog-signature", "signature", "sig"];

/// Whether a pattern is of something that is not on this machine.
pub(crate) fn is_remote(pattern: &str) -> bool {
    pattern.split_once("://").is_some_and(|(scheme, _)| {
        let clouds = Cloud::ALL.map(Cloud::scheme);
        clouds.into_iter().chain(["http", "https"]).any(|name| name.eq_ignore_ascii_case(scheme))
    })
}

impl Location {
    /// Understands `s3://`, `gs://`, `az://`, `http://` and `https://`. Of a bucket's objects each character counts as it is
    /// written; elsewhere the rules of URLs hold.
    ///
    /// # Errors
    /// If it is none of these, or has no bucket or host, with what can be shown of it.
    pub(crate) fn parse(text: &str) -> Result<Location, RemoteError> {
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
        match Cloud::ALL.into_iter().find(|cloud| cloud.scheme().eq_ignore_ascii_case(scheme)) {
            Some(cloud) => parse_bucket(text, cloud),
            None => parse_web(text),
        }
        .map_err(|cause| Cause::BadUrl(cause.to_owned()).once(shown(text)))
    }

    /// The place as object_store counts it from the bucket or the host.
    pub(super) fn path(&self) -> Result<Path, Cause> {
        let path = match &self.place {
            Place::Bucket { key, .. } => Path::parse(key),
            Place::Web(url) => Path::from_url_path(url.path()),
        };
        path.map_err(|error| Cause::BadUrl(error.to_string()))
    }

    /// The last part, which may be a pattern, and what is before it.
    pub(super) fn split_name(&self) -> (&str, &str) {
        let path = match &self.place {
            Place::Bucket { key, .. } => key,
            Place::Web(url) => url.path(),
        };
        path.rsplit_once('/').unwrap_or(("", path))
    }

    /// The object with this key in the same bucket.
    pub(super) fn sibling(&self, key: &str) -> Location {
        match &self.place {
            Place::Bucket { cloud, bucket, .. } => Location::in_bucket(*cloud, bucket, key),
            Place::Web(_) => self.clone(),
        }
    }

    /// What tells this object from all others, the same whoever asks for it, and each time. It may hold secrets.
    pub(super) fn identity(&self) -> String {
        let Place::Web(url) = &self.place else { return self.shown.clone() };
        let mut url = url.clone();
        let signs = |name: &str| SIGNATURES.contains(&name.to_ascii_lowercase().as_str());
        if url.query_pairs().any(|(name, _)| signs(&name)) {
            url.set_query(None);
        }
        // A web address has a host, so it can have no user.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.into()
    }

    /// The place of another name in the same folder. What a URL asks besides, such as a signature, is not asked of the other.
    pub(super) fn with_name(&self, name: &str) -> Location {
        match &self.place {
            Place::Bucket { cloud, bucket, key } => {
                let folder = key.rfind('/').map_or("", |slash| &key[..=slash]);
                Location::in_bucket(*cloud, bucket, &format!("{folder}{name}"))
            }
            Place::Web(url) => {
                let mut url = url.clone();
                if let Ok(mut parts) = url.path_segments_mut() {
                    parts.pop().push(name);
                }
                url.set_query(None);
                let shown = shown(url.as_str());
                Location { place: Place::Web(url), shown }
            }
        }
    }

    fn in_bucket(cloud: Cloud, bucket: &str, key: &str) -> Location {
        let place = Place::Bucket { cloud, bucket: bucket.to_owned(), key: key.to_owned() };
        Location { place, shown: format!("{}://{bucket}/{key}", cloud.scheme()) }
    }
}

fn parse_bucket(text: &str, cloud: Cloud) -> Result<Location, &'static str> {
    let (_, rest) = text.split_once("://").unwrap_or_default();
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    match bucket {
        "" => Err("names no bucket"),
        // Nothing of it is shown: some programs take keys there.
        _ if bucket.contains('@') => {
            Err("names a user: credentials and accounts are taken from the environment")
        }
        _ => Ok(Location::in_bucket(cloud, bucket, key)),
    }
}

fn parse_web(text: &str) -> Result<Location, &'static str> {
    let mut url = Url::parse(text).map_err(|_| "not a URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("not a URL of s3, gs, az, http or https");
    }
    url.set_fragment(None);
    let shown = shown(url.as_str());
    Ok(Location { place: Place::Web(url), shown })
}

/// A URL, sound or not, without user, password, query and fragment.
pub(super) fn shown(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let end = rest.find('/').unwrap_or(rest.len());
    let host = rest[..end].rsplit('@').next().unwrap_or_default();
    let path = rest[end..].split(['?', '#']).next().unwrap_or_default();
    let host = host.split(['?', '#']).next().unwrap_or_default();
    if scheme.is_empty() { path.to_owned() } else { format!("{scheme}://{host}{path}") }
}

impl Display for Location {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (text, expected) in [
            (
                "https://me:secret@host:8080/a%20b.tar?X-Amz-Signature=secret#secret",
                "https://host:8080/a%20b.tar",
            ),
            ("http://host?sig=secret", "http://host/"),
            ("s3://bucket/a b?c#d.tar", "s3://bucket/a b?c#d.tar"),
        ] {
            let location = Location::parse(text).unwrap();
            assert_eq!(location.to_string(), expected);
            assert_eq!(format!("{location:?}"), expected);
        }
        for text in
            ["s3://KEY:secret@bucket/a.tar", "http://me:secret@:x/?secret", "ftp://me:secret@h?secret"]
        {
            let error = Location::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn each_signing_is_of_the_same_object() {
        let identity = |text: &str| Location::parse(text).unwrap().identity();
        assert_eq!(identity("https://me:pw@h/a.tar?X-Amz-Date=1&X-Amz-Signature=2"), "https://h/a.tar");
        assert_eq!(identity("https://h/a.tar?file=3"), "https://h/a.tar?file=3");
        assert_eq!(identity("s3://b/a.tar"), "s3://b/a.tar");
    }
}
