use std::fmt;

/// What a manifest points at. One naming for exported files, the loopback server and the page's virtual scheme, all
/// relative to where the manifest is:
///
/// ```text
/// manifest.mpd   master.m3u8   <track>/playlist.m3u8   <track>/init.mp4   <track>/<segment>.m4s
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The DASH manifest.
    Manifest,
    /// The HLS master playlist.
    Master,
    /// A track's HLS playlist.
    Playlist(u16),
    /// A track's init segment.
    Init(u16),
    /// A segment of a track.
    Segment(u16, u32),
}

impl Part {
    /// What a relative URI means. One spelling only: no leading zeros, dots or escapes, so that nothing outside a
    /// video can be spelled.
    pub fn resolve(uri: &str) -> Option<Part> {
        let part = match uri {
            "manifest.mpd" => Part::Manifest,
            "master.m3u8" => Part::Master,
            _ => {
                let (track, file) = uri.split_once('/')?;
                let track = track.parse().ok()?;
                match file {
                    "playlist.m3u8" => Part::Playlist(track),
                    "init.mp4" => Part::Init(track),
                    _ => Part::Segment(track, file.strip_suffix(".m4s")?.parse().ok()?),
                }
            }
        };
        (part.to_string() == uri).then_some(part)
    }

    /// The media type to serve it as.
    pub fn media_type(self) -> &'static str {
        match self {
            Part::Manifest => "application/dash+xml",
            Part::Master | Part::Playlist(_) => "application/vnd.apple.mpegurl",
            Part::Init(_) | Part::Segment(..) => "video/mp4",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Manifest => f.write_str("manifest.mpd"),
            Part::Master => f.write_str("master.m3u8"),
            Part::Playlist(track) => write!(f, "{track}/playlist.m3u8"),
            Part::Init(track) => write!(f, "{track}/init.mp4"),
            Part::Segment(track, segment) => write!(f, "{track}/{segment}.m4s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_part_reads_back_from_its_own_uri() {
        for part in
            [Part::Manifest, Part::Master, Part::Playlist(0), Part::Init(65535), Part::Segment(3, u32::MAX)]
        {
            assert_eq!(Part::resolve(&part.to_string()), Some(part));
        }
    }

    #[test]
    fn a_uri_has_one_spelling_and_stays_inside_its_video() {
        for uri in [
            "",
            "/",
            "00/init.mp4",
            "+1/init.mp4",
            "1/+2.m4s",
            "1/02.m4s",
            "../1/2.m4s",
            "1/../2.m4s",
            "1//2.m4s",
            "1/2.m4s?x",
            "1/2.M4S",
            "65536/init.mp4",
            "1/4294967296.m4s",
            "1/-1.m4s",
            "%31/2.m4s",
            "/1/2.m4s",
            "1/2.m4s/",
        ] {
            assert_eq!(Part::resolve(uri), None, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn whatever_resolves_is_spelled_like_that(uri in "[0-9a-z./+%-]{0,20}") {
            if let Some(part) = Part::resolve(&uri) {
                prop_assert_eq!(part.to_string(), uri);
            }
        }
    }
}
