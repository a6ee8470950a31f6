//! The routes, as `gloaming-api` lists them. A handler says who asks, whether they may, does it, and answers.

mod account;
pub(crate) mod invite;
mod keyring;
mod library;
mod object;
mod people;
mod playback;
pub(crate) mod recovery;
mod registration;
mod room;
mod session;
mod share;
mod video;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::header,
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::get,
};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, client, cross_origin, error::ApiError, health, observe, page};

/// Bodies of most routes: far more than any of them needs.
const BODY: usize = 256 * 1024;

#[derive(OpenApi)]
#[openapi(info(
    title = "Gloaming",
    description = "A home for private video whose server holds only ciphertext. Every body is JSON; bytes are \
                   base64url without padding. Sign in for a cookie (browser) or a bearer token (command line)."
))]
struct Document;

/// Every route under `/v1`, and its description.
fn api() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(account::server))
        .routes(routes!(registration::start))
        .routes(routes!(registration::finish))
        .routes(routes!(session::start, session::list))
        .routes(routes!(session::finish))
        .routes(routes!(session::end_current))
        .routes(routes!(session::end))
        .routes(routes!(account::info))
        .routes(routes!(account::start_password))
        .routes(routes!(account::finish_password))
        .routes(routes!(recovery::start))
        .routes(routes!(recovery::open))
        .routes(routes!(recovery::finish))
        .routes(routes!(invite::create, invite::list))
        .routes(routes!(invite::delete))
        .routes(routes!(keyring::get, keyring::replace))
        .merge(
            OpenApiRouter::new().routes(routes!(library::feed, library::write)).layer(library::body_limit()),
        )
        .routes(routes!(video::begin, video::open, video::delete))
        .routes(routes!(video::list))
        .merge(OpenApiRouter::new().routes(routes!(video::commit)).layer(video::commit_body_limit()))
        .routes(routes!(video::trash))
        .routes(routes!(video::restore))
        .routes(routes!(object::reserve, object::list))
        .routes(routes!(object::renew))
        .routes(routes!(object::urls, playback::urls))
        .merge(OpenApiRouter::new().routes(routes!(share::create, share::list)).layer(share::body_limit()))
        .routes(routes!(share::open))
        .routes(routes!(share::set_policy))
        .routes(routes!(share::revoke))
        .routes(routes!(share::grants))
        .routes(routes!(share::plays))
        .routes(routes!(people::set_identity))
        .routes(routes!(people::person))
        .routes(routes!(people::received))
        .routes(routes!(people::open))
        .routes(routes!(people::urls))
        .routes(routes!(playback::start))
        .routes(routes!(playback::refresh))
        .routes(routes!(playback::key))
        .routes(routes!(playback::report))
        .routes(routes!(room::create, room::list))
        .routes(routes!(room::open, room::end))
        .routes(routes!(room::change_door))
        .routes(routes!(room::socket))
        .routes(routes!(description))
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", responses((status = 200, description = "OpenAPI 3.1")))]
async fn description() -> ([(header::HeaderName, &'static str); 1], &'static str) {
    static TEXT: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| openapi().to_json().expect("a description is plain data"));
    ([(header::CONTENT_TYPE, "application/json")], &TEXT)
}

/// The OpenAPI document of every route under `/v1`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    api().split_for_parts().1
}

pub(crate) fn router(app: App) -> Router {
    health::recorder();
    let (routes, _) = api().split_for_parts();
    let ours = routes
        .method_not_allowed_fallback(async || {
            ApiError::bad_request("This address does not take that method.")
        })
        .layer(DefaultBodyLimit::max(BODY))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(page::serve)
        .layer(from_fn_with_state(app.clone(), cross_origin::refuse))
        .with_state(app.clone());
    // A signed URL is leave enough for an object, whoever's page asks.
    ours.merge(app.blobs.disk_routes()).layer(from_fn_with_state(app, around))
}

/// What is around every answer. One layer, because each is cloned and boxed anew for every request.
async fn around(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let client = client::identify(&app.config, &request);
    let https = client.https;
    let is_api = request.uri().path().starts_with("/v1/");
    request.extensions_mut().insert(client);
    let mut response = observe::observe(request, next).await;
    page::put_headers(&mut response, is_api, https);
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::collections::BTreeSet;

    use super::*;

    fn described() -> BTreeSet<(String, String)> {
        let document = serde_json::to_value(openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let methods = |(path, item): (&String, &serde_json::Value)| {
            let path = path.clone();
            item.as_object()
                .unwrap()
                .keys()
                .map(move |m| (m.to_uppercase(), path.clone()))
                .collect::<Vec<_>>()
        };
        paths.iter().flat_map(methods).collect()
    }

    /// Routes as the tables of `gloaming-api` list them: `METHOD /v1/…` in the first column.
    fn promised() -> BTreeSet<(String, String)> {
        let tables = [
            include_str!("../../../api/src/account.rs"),
            include_str!("../../../api/src/keyring.rs"),
            include_str!("../../../api/src/library.rs"),
            include_str!("../../../api/src/video.rs"),
            include_str!("../../../api/src/share.rs"),
            include_str!("../../../api/src/playback.rs"),
            include_str!("../../../api/src/people.rs"),
            include_str!("../../../api/src/room.rs"),
        ];
        let mut routes = BTreeSet::from([("GET".into(), "/v1/openapi.json".into())]);
        for line in tables.iter().flat_map(|table| table.lines()).filter(|line| line.starts_with("//! | `")) {
            let mut before = String::new();
            for code in line.split('|').nth(1).unwrap().split('`').skip(1).step_by(2) {
                match code.split_once(' ') {
                    Some((method, path)) => {
                        before = path.split('?').next().unwrap().to_owned();
                        routes.insert((method.to_owned(), before.clone()));
                    }
                    // "POST /v1/videos/{id}/trash`, `…/restore" is the same with another end.
                    None => {
                        let end = code.strip_prefix('…').unwrap();
                        let stem = before.rsplit_once('/').unwrap().0;
                        routes.insert(("POST".into(), format!("{stem}{end}")));
                    }
                }
            }
        }
        routes
    }

    #[test]
    fn every_route_of_the_wire_is_in_the_description_and_no_other() {
        let (promised, described) = (promised(), described());
        assert!(promised.len() > 25, "the tables are read");
        assert_eq!(promised, described);
    }

    #[test]
    fn every_route_there_is_has_a_description() {
        // axum names its routes only in its debug output.
        let text = format!("{:?}", api().split_for_parts().0);
        let there: BTreeSet<&str> = text.split('"').filter(|part| part.starts_with("/v1/")).collect();
        assert!(there.len() > 20, "axum still names its routes: {text}");
        let described: BTreeSet<String> = described().into_iter().map(|(_, path)| path).collect();
        assert_eq!(there, described.iter().map(String::as_str).collect());
        // And nothing under /v1 is added past the description.
        let source = include_str!("mod.rs").split("#[cfg(test)]").next().unwrap();
        assert!(!source.contains("route(\"/v1"));
    }

    #[test]
    fn every_route_says_how_it_fails() {
        let document = serde_json::to_value(openapi()).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let fails = operation["responses"].as_object().unwrap().contains_key("default");
                assert!(fails || path == "/v1/openapi.json", "{method} {path}");
            }
        }
    }
}
