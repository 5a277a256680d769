//! A client per bucket, one for all web servers, and the meaning of their errors.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpErrorKind};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::{ClientOptions, HeaderValue, ObjectStore, RetryConfig};
use url::{Position, Url};

use super::Cause;
use super::cloud::Cloud;
use super::location::{Location, Place};
use super::wire::{self, Refusal, Wire};

/// No server that answers at all needs longer for a connection.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

/// Endpoints and credentials by the names of their environment variables.
#[derive(Clone, Default)]
pub(crate) struct Settings(Vec<(String, String)>);

impl Settings {
    /// Those that this process was started with.
    pub(crate) fn from_env() -> Settings {
        let known = |name: &str| Cloud::ALL.iter().any(|cloud| name.starts_with(cloud.variables()));
        env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| known(name))
            .collect()
    }

    /// A cloud's, with names in lower case as object_store has them.
    fn of(&self, cloud: Cloud) -> impl Iterator<Item = (String, &str)> {
        let settings = self.0.iter().filter(move |(name, _)| name.starts_with(cloud.variables()));
        settings.map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }

    /// Whether the user names an endpoint without TLS.
    fn allow_http(&self, cloud: Cloud) -> bool {
        let is_endpoint = |name: &str| name.contains("endpoint") && !name.contains("metadata");
        self.of(cloud).any(|(name, value)| is_endpoint(&name) && value.starts_with("http://"))
    }
}

impl FromIterator<(String, String)> for Settings {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(settings: T) -> Settings {
        Settings(settings.into_iter().collect())
    }
}

/// The names only: the values are secrets.
impl Debug for Settings {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// The clients that were needed so far. Not to be shown: object_store shows their keys.
pub(super) struct Clients {
    settings: Settings,
    timeout: Duration,
    buckets: Mutex<HashMap<(Cloud, String), Arc<dyn ObjectStore>>>,
    /// By user and password, and by whether there must be TLS.
    web: Mutex<HashMap<(Option<String>, bool), HttpClient>>,
}

/// Of a builder that is like the others, but has no trait with them.
macro_rules! build {
    ($builder:ty, $bucket_name:ident, $cloud:expr, $bucket:expr, $clients:expr) => {{
        let options = $clients.options().with_allow_http($clients.settings.allow_http($cloud));
        let builder = <$builder>::new()
            .with_client_options(options)
            .with_retry(never())
            .with_http_connector(Wire::default());
        let builder =
            $clients.settings.of($cloud).fold(builder, |builder, (name, value)| match name.parse() {
                Ok(name) => builder.with_config(name, value),
                Err(_) => builder,
            });
        builder.$bucket_name($bucket).build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
    }};
}

impl Clients {
    /// Clients that wait at most `timeout` for the next byte.
    pub(super) fn new(settings: Settings, timeout: Duration) -> Clients {
        // Whoever has chosen one for this process before is not overruled.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Clients { settings, timeout, buckets: Mutex::default(), web: Mutex::default() }
    }

    /// The client for a location's bucket or host.
    pub(super) fn of(&self, location: &Location) -> Result<Arc<dyn ObjectStore>, Cause> {
        let store = match &location.place {
            Place::Bucket { cloud, bucket, .. } => self.bucket(*cloud, bucket),
            Place::Web(url) => self.web(url),
        };
        // What is wrong with the settings is said by the innermost error, which repeats no key.
        store.map_err(|error| Cause::BadUrl(root(&error)))
    }

    fn bucket(&self, cloud: Cloud, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = buckets.get(&(cloud, bucket.to_owned())) {
            return Ok(store.clone());
        }
        let store = match cloud {
            Cloud::S3 => build!(AmazonS3Builder, with_bucket_name, cloud, bucket, self),
            Cloud::Google => build!(GoogleCloudStorageBuilder, with_bucket_name, cloud, bucket, self),
            Cloud::Azure => build!(MicrosoftAzureBuilder, with_container_name, cloud, bucket, self),
        }?;
        buckets.insert((cloud, bucket.to_owned()), store.clone());
        Ok(store)
    }

    /// A store for this URL's host and query, which is put together in no time, around a client that is kept.
    fn web(&self, url: &Url) -> object_store::Result<Arc<dyn ObjectStore>> {
        let user = (!url.username().is_empty() || url.password().is_some())
            .then(|| format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default())));
        let allow_http = url.scheme() == "http";
        let mut web = self.web.lock().unwrap_or_else(PoisonError::into_inner);
        let client = match web.get(&(user.clone(), allow_http)) {
            Some(client) => client.clone(),
            None => {
                let authorization = user.as_ref().and_then(|user| basic(user));
                let client = Wire { authorization }.connect(&self.options().with_allow_http(allow_http))?;
                web.insert((user, allow_http), client.clone());
                client
            }
        };
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let host = &url[Position::BeforeHost..Position::BeforePath];
        let base = format!("{}://{host}/{query}", url.scheme());
        let builder = HttpBuilder::new().with_url(base).with_retry(never()).with_http_connector(Made(client));
        Ok(Arc::new(builder.build()?))
    }

    fn options(&self) -> ClientOptions {
        let options = ClientOptions::new().with_timeout_disabled().with_read_timeout(self.timeout);
        options.with_connect_timeout(self.timeout.min(LONGEST_CONNECT))
    }

    /// What an error means to whoever asked for `location`.
    pub(super) fn cause(&self, error: &object_store::Error, location: &Location) -> Cause {
        let cloud = match location.place {
            Place::Bucket { cloud, .. } => Some(cloud),
            Place::Web(_) => None,
        };
        if let Some(refusal) = wire::find::<Refusal>(error) {
            return refused(refusal, cloud);
        }
        match wire::find::<HttpError>(error).map(HttpError::kind) {
            Some(HttpErrorKind::Timeout) => Cause::Silent { seconds: self.timeout.as_secs_f64() },
            Some(_) => Cause::Unreachable(root(error)),
            None => Cause::BadAnswer(root(error)),
        }
    }
}

fn refused(refusal: &Refusal, cloud: Option<Cloud>) -> Cause {
    const WEB_ADVICE: &str = "is the URL's signature or password right, and has it not expired?";
    let (status, code, region) = match refusal {
        Refusal::Status { status, code, region } => (*status, code.clone(), region.clone()),
        Refusal::NoRanges => return Cause::NoRanges,
        Refusal::NoCredentials => {
            return Cause::NoCredentials(cloud.map_or(WEB_ADVICE, Cloud::credentials));
        }
    };
    match (status, code.as_deref()) {
        (404, Some("NoSuchBucket" | "ContainerNotFound")) => Cause::NoBucket,
        (404, _) => Cause::NoObject,
        (412 | 416, _) => Cause::Changed,
        (_, Some("ExpiredToken" | "TokenRefreshRequired")) => Cause::Expired { status },
        (301 | 307, _) | (_, Some("PermanentRedirect" | "AuthorizationHeaderMalformed"))
            if cloud == Some(Cloud::S3) =>
        {
            Cause::WrongRegion { status, region }
        }
        (401 | 403, _) => Cause::Denied { status, code, advice: cloud.map_or(WEB_ADVICE, Cloud::access) },
        _ => Cause::Refused { status, code },
    }
}

/// A client that is there already.
#[derive(Debug)]
struct Made(HttpClient);

impl HttpConnector for Made {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

/// Tries are counted here, not by object_store: so they are the same for each kind of failure.
fn never() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn basic(user: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(user))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn decoded(text: &str) -> String {
    let pair = format!("={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes()).map(|(_, value)| value.into_owned()).collect()
}

/// What an error began with, in its own words: those around it repeat the URL.
fn root(error: &(dyn Error + 'static)) -> String {
    wire::sources(error).last().map(ToString::to_string).unwrap_or_default()
}
