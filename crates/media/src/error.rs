/// Why a file cannot be taken in, or bytes handed back do not make a movie. One variant per reaction.
///
/// Messages are for people and say what to do; programs match on the variant or on [`code`](MediaError::code).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// Nothing in it.
    #[error("this file is empty; choose another, or copy it here again")]
    Empty,
    /// No container we know of.
    #[error(
        "this does not look like a video or audio file; if it plays elsewhere, convert it to MP4 or MOV first"
    )]
    NotMedia,
    /// A container we know of and cannot read yet.
    #[error(
        "{format} files cannot be read yet; remux it to MP4 first (for example: ffmpeg -i in -c copy out.mp4)"
    )]
    UnsupportedFormat {
        /// The container's name.
        format: &'static str,
    },
    /// A feature of MP4 or QuickTime that cannot be carried over correctly.
    #[error("this file uses {what}, which cannot be read; export it again as a self-contained MP4")]
    UnsupportedFeature {
        /// In a few words.
        what: &'static str,
    },
    /// The file ends before it should.
    #[error(
        "the end of this file is missing (at least {missing} bytes); it was not copied or downloaded completely, so fetch it again"
    )]
    Truncated {
        /// How many bytes, at the least.
        missing: u64,
    },
    /// Media data, but no `moov`: the recording was cut off before its index was written.
    #[error(
        "this recording was never finished: its index is missing; copy it from the camera again, or repair it with a recovery tool"
    )]
    NoIndex,
    /// A movie without a single track.
    #[error("there is no video or audio track in this file")]
    NoTracks,
    /// Tracks, but no sample in any of them.
    #[error("the tracks of this file are empty; it holds no picture and no sound")]
    NoSamples,
    /// Samples that last no time at all.
    #[error("the tracks of this file have no duration, so it cannot be played; export it again")]
    NoDuration,
    /// A contradiction inside the file.
    #[error(
        "this file is damaged near byte {at}: {what}; copy it again, or repair it with a tool such as ffmpeg"
    )]
    Damaged {
        /// In a few words.
        what: &'static str,
        /// About where in the source.
        at: u64,
    },
    /// More of something than any honest file needs.
    #[error("this file holds more {what} than is accepted ({limit}); it may be damaged")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The most that is accepted.
        limit: u64,
    },
    /// One frame too large to be sealed as one message.
    #[error("a single frame of this file is {bytes} bytes long; frames above {limit} bytes cannot be stored")]
    SampleTooLarge {
        /// Its size.
        bytes: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// The caller handed over another range than the one asked for: the file shrank, or a bug.
    #[error("the file changed while it was read; start again")]
    WrongRange,
}

impl MediaError {
    /// A stable name of the variant.
    pub fn code(&self) -> &'static str {
        match self {
            MediaError::Empty => "media_empty",
            MediaError::NotMedia => "media_not_media",
            MediaError::UnsupportedFormat { .. } => "media_unsupported_format",
            MediaError::UnsupportedFeature { .. } => "media_unsupported_feature",
            MediaError::Truncated { .. } => "media_truncated",
            MediaError::NoIndex => "media_no_index",
            MediaError::NoTracks => "media_no_tracks",
            MediaError::NoSamples => "media_no_samples",
            MediaError::NoDuration => "media_no_duration",
            MediaError::Damaged { .. } => "media_damaged",
            MediaError::TooMuch { .. } => "media_too_much",
            MediaError::SampleTooLarge { .. } => "media_sample_too_large",
            MediaError::WrongRange => "media_source_changed",
        }
    }
}
