use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::{Entropy, UnixMillis};

/// Text that is not one of our ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: ids are written as 8-4-4-4-12 lower-case hexadecimal digits")]
pub struct BadId;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// An id from its sixteen bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// A new random id (UUIDv4).
            pub fn generate(entropy: &mut dyn Entropy) -> Self {
                Self(uuid::Builder::from_random_bytes(entropy.bytes_16()).into_uuid().into_bytes())
            }

            /// A new id that sorts by when it was made (UUIDv7).
            pub fn generate_at(now: UnixMillis, entropy: &mut dyn Entropy) -> Self {
                let random = entropy.bytes_16();
                let tail = std::array::from_fn(|i| random[i]);
                Self(uuid::Builder::from_unix_timestamp_millis(now.0, &tail).into_uuid().into_bytes())
            }

            /// The sixteen bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                // One spelling only: an id that could be written in two ways could be compared in two ways.
                let id = Self(Uuid::try_parse(text).map_err(|_| BadId)?.into_bytes());
                if id.to_string() == text { Ok(id) } else { Err(BadId) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl<'de> de::Visitor<'de> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an id")
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }

                    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<$name, E> {
                        bytes.try_into().map($name).map_err(|_| E::invalid_length(bytes.len(), &"16 bytes"))
                    }
                }
                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(Visitor)
                } else {
                    deserializer.deserialize_bytes(Visitor)
                }
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .format(Some(utoipa::openapi::SchemaFormat::Custom("uuid".into())))
                    .into()
            }
        }
    )*};
}

id! {
    /// One thing somebody uploaded. Minted by its uploader, UUIDv7.
    VideoId;
    /// One elementary stream of a video. Random, never reused: a re-cut stream is another track.
    TrackId;
    /// Somebody with a password and a library.
    AccountId;
    /// One stored object of ciphertext. Minted by the server, never by a client.
    ObjectId;
    /// One sealed row of a library.
    RecordId;
    /// One signed-in device.
    SessionId;
    /// Leave to make an account.
    InviteId;
    /// One way in which others may watch: a loan, a link, an audience. What the server checks a grant against.
    ShareId;
    /// One viewer's playback of one video: a key exchange, and the epochs that follow from it.
    PlaybackId;
    /// A meeting.
    RoomId;
    /// One participant's place in a room. Random, never reused: who reloads the page takes another.
    SeatId;
    /// One generation of a room's group of keys. Random: a room that was empty begins another.
    GroupId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_own_text_and_from_no_other_spelling() {
        let id = VideoId::generate_at(UnixMillis(1_700_000_000_000), &mut |out: &mut [u8]| out.fill(7));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse::<VideoId>(), Err(BadId));
        assert_eq!(id.to_string().replace('-', "").parse::<VideoId>(), Err(BadId));
        assert_eq!("../etc/passwd".parse::<VideoId>(), Err(BadId));
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let mut entropy = |out: &mut [u8]| out.fill(255);
        let early = VideoId::generate_at(UnixMillis(1), &mut entropy);
        let late = VideoId::generate_at(UnixMillis(2), &mut |out: &mut [u8]| out.fill(0));
        assert!(early < late);
    }
}
