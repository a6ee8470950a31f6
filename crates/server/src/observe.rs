//! One line of log and one count for every request: id, method, route template, status, time. Never the path itself, a
//! query, a header or a body: ids, names and tokens stay out of logs.

use std::{io::IsTerminal, panic::AssertUnwindSafe, time::Instant};

use axum::{
    extract::{MatchedPath, Request},
    http::HeaderValue,
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use tracing::Instrument;
use tracing_subscriber::{EnvFilter, fmt::writer::BoxMakeWriter};

use crate::{
    LogFormat, data_dir,
    error::{ApiError, Fault},
};

/// Sends the log to standard error, filtered by `GLOAMING_LOG_FILTER` (`info` otherwise). Once per process.
pub fn init_logging(format: LogFormat) {
    let filter = EnvFilter::try_from_env("GLOAMING_LOG_FILTER").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    let builder = builder.with_writer(BoxMakeWriter::new(std::io::stderr));
    let builder = builder.with_ansi(std::io::stderr().is_terminal());
    // A second call keeps the first one's settings.
    let _ = match format {
        LogFormat::Pretty => builder.compact().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// The answer to a request, with its id. A handler's panic is an answer too.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let id = hex::encode(data_dir::random::<8>());
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "page".to_owned(), |path| path.as_str().to_owned());
    let begun = Instant::now();
    let span = tracing::info_span!("request", id);
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span).await;
    let mut response = answer.unwrap_or_else(|_| ApiError::internal("a handler panicked").into_response());

    let elapsed = begun.elapsed();
    let status = response.status().as_u16();
    let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    if let Some(Fault(fault)) = response.extensions_mut().remove::<Fault>() {
        tracing::error!(id, %method, route, status, ms, fault, "request failed");
    } else {
        tracing::info!(id, %method, route, status, ms, "request");
    }
    let labels =
        [("method", method.as_str().to_owned()), ("route", route.clone()), ("status", status.to_string())];
    metrics::counter!("gloaming_requests_total", &labels).increment(1);
    metrics::histogram!("gloaming_request_seconds", "route" => route).record(elapsed.as_secs_f64());
    let id = HeaderValue::from_str(&id).expect("hexadecimal digits");
    response.headers_mut().insert("x-request-id", id);
    response
}
