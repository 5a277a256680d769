//! What is answered: `/` is the page, `/events` its content when it changes, `/metrics` numbers for Prometheus.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures_util::stream::{Stream, unfold};

use super::access::Access;
use super::prometheus;
use super::watch::Watch;
use crate::report::{Content, Links, Place, page};

/// How often the runs' files are looked at, while somebody looks at a page.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What all requests share.
#[derive(Clone)]
struct Site {
    watch: Arc<Mutex<Watch>>,
    access: Access,
}

/// The server's routes. All of them only read.
pub(super) fn router(watch: Watch, access: Access) -> Router {
    let site = Site { watch: Arc::new(Mutex::new(watch)), access };
    Router::new()
        .route("/", get(live_page))
        .route("/events", get(events))
        .route("/metrics", get(metrics))
        .layer(from_fn_with_state(site.clone(), guard))
        .with_state(site)
}

/// The parameters of a request, `?key=value&key=value`.
pub(super) fn parameters(uri: &Uri) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
}

/// Lets nobody in who has no access, and has no answer kept or taken for something else.
async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let mut response = if site.access.allows(request.uri(), request.headers()) {
        next.run(request).await
    } else {
        (
            StatusCode::FORBIDDEN,
            "no access: the token is missing or wrong, or the address names another host\n",
        )
            .into_response()
    };
    let headers: [(HeaderName, &'static str); 4] = [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn live_page(State(site): State<Site>, uri: Uri) -> Result<Html<String>, Failed> {
    let mut watch = site.watch();
    watch.refresh()?;
    Ok(Html(page(&site.content(&watch, &uri)?, Place::Server)?))
}

async fn events(State(site): State<Site>, uri: Uri) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream = unfold(None, move |sent| {
        let (site, uri) = (site.clone(), uri.clone());
        async move {
            loop {
                match site.changed(&uri, sent) {
                    Ok(Some((version, content))) => {
                        return Some((Ok(Event::default().data(content)), Some(version)));
                    }
                    Ok(None) => tokio::time::sleep(LOOK_EVERY).await,
                    Err(error) => {
                        tracing::warn!("the live page is no longer fed: {error:#}");
                        return None;
                    }
                }
            }
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

async fn metrics(State(site): State<Site>) -> Result<impl IntoResponse, Failed> {
    let mut watch = site.watch();
    watch.refresh()?;
    Ok(([(CONTENT_TYPE, prometheus::CONTENT_TYPE)], prometheus::text(&watch.runs(&[]))))
}

impl Site {
    /// The files are read under this lock, on the server's only thread: they are small, and it has nothing else to do.
    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn content(&self, watch: &Watch, uri: &Uri) -> Result<Content> {
        let names: Vec<String> =
            parameters(uri).filter(|(key, _)| key == "run").map(|(_, name)| name.into_owned()).collect();
        let links = Links::Pages { token: self.access.token() };
        Content::of(&watch.runs(&names), links)
    }

    /// The content in a version that was not sent yet.
    fn changed(&self, uri: &Uri, sent: Option<u64>) -> Result<Option<(u64, String)>> {
        let mut watch = self.watch();
        let version = watch.refresh()?;
        if sent == Some(version) {
            return Ok(None);
        }
        Ok(Some((version, self.content(&watch, uri)?.to_json())))
    }
}

/// An answer that could not be made.
struct Failed(anyhow::Error);

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("{:#}\n", self.0)).into_response()
    }
}
