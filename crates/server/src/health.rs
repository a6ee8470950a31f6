use std::{
    sync::{OnceLock, atomic::Ordering},
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use gloaming_ids::UnixMillis;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::sync::Mutex;

use crate::app::App;

/// The last answer of `/readyz`, so that asking often does not write often.
#[derive(Default)]
pub(crate) struct Readiness(Mutex<Option<(UnixMillis, bool)>>);

const REMEMBERED: Duration = Duration::from_secs(2);

/// The process runs.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The database takes a write, the object store answers, and nobody asked to stop.
pub(crate) async fn readyz(State(app): State<App>) -> (StatusCode, &'static str) {
    if app.draining.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    let now = app.now();
    let mut last = app.readiness.0.lock().await;
    let ready = match *last {
        Some((at, ready)) if now.since(at) < REMEMBERED => ready,
        _ => {
            let database = app.store.probe(now).await;
            let objects = app.blobs.check().await;
            if let Err(error) = &database {
                tracing::error!(%error, "not ready: the database");
            }
            if let Err(error) = &objects {
                tracing::error!(%error, "not ready: the object store");
            }
            database.is_ok() && objects.is_ok()
        }
    };
    *last = Some((now, ready));
    if ready { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}

/// Bounds of the buckets that requests are counted in, so that several servers' can be added up.
const SECONDS: [f64; 14] =
    [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The process's one recorder: it is global in the `metrics` crate, as servers in one process (in tests) share it.
pub(crate) fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full("gloaming_request_seconds".into()), &SECONDS)
            .expect("there are buckets")
            .build_recorder();
        let handle = recorder.handle();
        // Somebody else's recorder is as good; then ours stays empty.
        let _ = metrics::set_global_recorder(recorder);
        handle
    })
}

/// On a listener of its own: counts of requests are nobody's business who merely reaches the page.
pub(crate) fn metrics_router() -> Router {
    Router::new().route("/metrics", get(async || recorder().render()))
}
