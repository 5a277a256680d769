//! Requests to servers and their responses, on the way through object_store.
//!
//! An error response becomes a [`Refusal`] here, before object_store turns it into a text with the URL and the
//! response's body, which may contain signatures. It is recovered from the error chain as a value.

use std::error::Error;

use async_trait::async_trait;
use futures_util::StreamExt;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use object_store::{ClientOptions, HeaderValue};

/// More of an answer's explanation is not read, in bytes.
const LONGEST_EXPLANATION: usize = 16 << 10;

/// Where credentials are had from a machine's own cloud.
const CREDENTIAL_PATHS: [&str; 4] =
    ["/latest/api/token", "/latest/meta-data/", "/computeMetadata/", "/metadata/identity/"];

/// An answer that is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The answer's status is no success.
    #[error("the server answered {status}")]
    Status {
        status: u16,
        /// The reason in the cloud's own words, such as `NoSuchBucket`.
        code: Option<String>,
        /// Where the bucket is, of an answer that it is not here.
        region: Option<String>,
    },
    /// The whole object came where a part was asked for.
    #[error("the server does not support range requests")]
    NoRanges,
    /// The machine's own cloud gave no credentials, or there is none.
    #[error("no credentials")]
    NoCredentials,
}

impl From<Refusal> for HttpError {
    fn from(refusal: Refusal) -> HttpError {
        HttpError::new(HttpErrorKind::Unknown, refusal)
    }
}

/// An error, its source, the source's source, and so on.
pub(super) fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The last of an error's sources of this type.
pub(super) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    sources(error).filter_map(|error| error.downcast_ref()).last()
}

/// Makes clients whose refusals are values.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Sent with each request, and marked as sensitive.
    pub(super) authorization: Option<HeaderValue>,
}

impl HttpConnector for Wire {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(WiredClient { client, authorization: self.authorization.clone() }))
    }
}

#[derive(Debug)]
struct WiredClient {
    client: HttpClient,
    authorization: Option<HeaderValue>,
}

#[async_trait]
impl HttpService for WiredClient {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert("authorization", authorization.clone());
        }
        let path = request.uri().path();
        let is_for_credentials = CREDENTIAL_PATHS.iter().any(|start| path.starts_with(start));
        let is_for_part = request.headers().contains_key("range");
        let response = match self.client.execute(request).await {
            Ok(response) if is_for_credentials && !response.status().is_success() => {
                return Err(Refusal::NoCredentials.into());
            }
            Err(_) if is_for_credentials => return Err(Refusal::NoCredentials.into()),
            response => response?,
        };
        match response.status().as_u16() {
            206 => Ok(response),
            200..300 if is_for_part => Err(Refusal::NoRanges.into()),
            200..300 => Ok(response),
            status => Err(refusal(status, response).await.into()),
        }
    }
}

/// Reads why.
async fn refusal(status: u16, response: HttpResponse) -> Refusal {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).and_then(word);
    let (code, region) = (header("x-ms-error-code"), header("x-amz-bucket-region"));
    let mut explanation = Vec::new();
    let mut body = response.into_body().bytes_stream();
    while let Some(Ok(bytes)) = body.next().await
        && explanation.len() < LONGEST_EXPLANATION
    {
        explanation.extend_from_slice(&bytes);
    }
    let explanation = String::from_utf8_lossy(&explanation);
    Refusal::Status {
        status,
        code: code.or_else(|| element(&explanation, "Code")),
        region: region.or_else(|| element(&explanation, "Region")),
    }
}

/// The text of an XML element without attributes.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    word(rest.split_once("</")?.0)
}

/// What is surely the name of something: it is shown.
fn word(text: &str) -> Option<String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (!text.is_empty() && text.len() <= 64 && text.bytes().all(is_name)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_taken_from_an_answer() {
        let xml =
            "<?xml?><Error><Code>AccessDenied</Code><Region>eu-west-1</Region><Key>AKIA SECRET</Key></Error>";
        assert_eq!(element(xml, "Code").as_deref(), Some("AccessDenied"));
        assert_eq!(element(xml, "Region").as_deref(), Some("eu-west-1"));
        assert_eq!(element(xml, "Key"), None);
        assert_eq!(element("<Code>unfinished", "Code"), None);
        assert_eq!(word(&"x".repeat(65)), None);
    }
}
