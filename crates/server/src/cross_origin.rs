//! Requests that another site's page makes with our cookie are refused: Fetch Metadata, with `Origin` where a browser
//! does not send it. The rule of Go 1.25's `http.CrossOriginProtection`, and stricter in one point: a cookie with
//! neither header is refused too, because every browser we support sends one of them with an unsafe method.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{app::App, client::Client, error::ApiError, extract};

pub(crate) async fn refuse(State(app): State<App>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let client = request.extensions().get::<Client>().expect("identified before");
    if safe || may_ask(&app, client, request.headers()) {
        next.run(request).await
    } else {
        ApiError::cross_origin().into_response()
    }
}

/// Whether it is our own page that asks, or a program.
pub(crate) fn may_ask(app: &App, client: &Client, headers: &HeaderMap) -> bool {
    let public = app.config.public_url.as_ref().map(|url| url.origin().ascii_serialization());
    is_ours(headers, &client.host, public.as_deref())
}

fn is_ours(headers: &HeaderMap, host: &str, public: Option<&str>) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let Ok(origin) = origin.to_str() else { return false };
        // The scheme is not compared: behind a proxy that ends TLS, ours is not the browser's.
        let origin_host = origin.split_once("://").map(|(_, host)| host);
        return public == Some(origin) || (!host.is_empty() && origin_host == Some(host));
    }
    headers.contains_key(header::AUTHORIZATION) || !extract::has_cookie(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers.iter().map(|(n, v)| (n.parse().expect("name"), v.parse().expect("value")));
        is_ours(&headers.collect(), "video.example.org", Some("https://films.example.org"))
    }

    #[test]
    fn only_our_own_page_and_programs_may_write() {
        assert!(ours(&[("sec-fetch-site", "same-origin")]));
        assert!(ours(&[("sec-fetch-site", "none")]));
        assert!(ours(&[("origin", "https://video.example.org")]));
        assert!(ours(&[("origin", "https://films.example.org")]));
        assert!(ours(&[]), "a command line");
        assert!(ours(&[("authorization", "Bearer x"), ("cookie", "gloaming=x")]));

        assert!(!ours(&[("sec-fetch-site", "cross-site")]));
        assert!(!ours(&[("sec-fetch-site", "same-site")]), "a neighbour under the same domain");
        assert!(!ours(&[("sec-fetch-site", "cross-site"), ("origin", "https://video.example.org")]));
        assert!(!ours(&[("origin", "https://evil.example")]));
        assert!(!ours(&[("origin", "null")]));
        assert!(!ours(&[("origin", "https://video.example.org.evil.example")]));
        assert!(!ours(&[("origin", "https://video.example.org:444")]));
        assert!(!ours(&[("cookie", "a=b; __Host-gloaming=x")]), "a browser that says nothing of itself");
    }
}
