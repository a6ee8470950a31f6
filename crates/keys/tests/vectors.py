#!/usr/bin/env python3
"""Writes vectors.json: what every construction of this crate must make and must refuse.

Written against the drawings in the crate's modules, with Python's `cryptography` instead of our code, so that the
file is a second opinion and not an echo. The vectors are frozen: run this to add one, and look at the difference.

Each vector has a `name`, a `kind`, its inputs, and what they must give: `output`, or `sealed` from the fixed
`entropy`. All bytes are hex, and ids are their sixteen bytes. Each of its `negatives` replaces some inputs (or the
sealed bytes), and opening must then fail with the `error` named there.
"""
import base64
import hashlib
import hmac as hmac_module
import json
import pathlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ACCOUNT, VIDEO, TRACK, RECORD = (bytes([n]) * 16 for n in (0xA1, 0xA2, 0xA3, 0xA4))
NONCE = bytes(range(12))


def u32(n):
    return n.to_bytes(4, "big")


def u64(n):
    return n.to_bytes(8, "big")


def secret(n):
    return hashlib.sha256(b"gloaming test secret %d" % n).digest()


def context(label, *fields):
    out = b"gloaming/v1/" + label.encode()
    for field in fields:
        field = u64(field) if isinstance(field, int) else field
        out += u32(len(field)) + field
    return out


def hmac(key, message):
    return hmac_module.new(key, message, hashlib.sha256).digest()


def hkdf(ikm, info, salt=bytes(32)):
    return hmac(hmac(salt, ikm), info + b"\x01")


def gcm(key, aad, text, nonce=NONCE):
    return nonce + AESGCM(key).encrypt(nonce, text, aad)


def ed25519(seed):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def cbor(value):
    def head(major, n):
        if n < 24:
            return bytes([major << 5 | n])
        return bytes([major << 5 | 24, n]) if n < 256 else bytes([major << 5 | 25]) + n.to_bytes(2, "big")

    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value)) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())


def flip(sealed, at, bit=0):
    bent = bytearray(sealed)
    bent[at] ^= 1 << bit
    return bytes(bent)


def negatives(changes, sealed, header):
    """`changes`: (name, {input: value}). Adds what is wrong with the bytes of anything sealed."""
    bytes_wrong = [
        ("nothing at all", b"", "malformed"),
        ("format version 0", b"\x00" + sealed[1:], "malformed"),
        ("a format of the future", b"\x02" + sealed[1:], "too_new"),
        ("the header and no more", sealed[:header], "rejected"),
        ("a byte missing at the end", sealed[:-1], "rejected"),
        ("a byte added at the end", sealed + b"\x00", "rejected"),
        ("a bit of the nonce", flip(sealed, header), "rejected"),
        ("a bit of the ciphertext", flip(sealed, header + 12), "rejected"),
        ("a bit of the tag", flip(sealed, len(sealed) - 1, 7), "rejected"),
    ]
    return [{"name": name, "error": "rejected", **change} for name, change in changes] + [
        {"name": name, "error": error, "sealed": bent} for name, bent, error in bytes_wrong
    ]


vectors = []


def vector(name, kind, inputs, output, wrong=()):
    vectors.append({"name": name, "kind": kind, **inputs, **output, "negatives": list(wrong)})


# Keys out of keys.
view, grant, seed = secret(1), secret(2), secret(3)
share = hkdf(grant, context("segment-share", VIDEO, TRACK, 7))
salt = hkdf(view, context("segment-salt", VIDEO))
segment_key = hkdf(share, context("segment-key", VIDEO, TRACK, 7), salt)
place = {"video": VIDEO, "track": TRACK, "index": 7}
vector("a segment's share", "segment_share", {"grant_share": grant, **place}, {"output": share})
vector("a video's view salt", "view_salt", {"view_share": view, "video": VIDEO}, {"output": salt})
vector(
    "a segment's key", "segment_key", {"view_share": view, "grant_share": grant, **place}, {"output": segment_key}
)
for role in ("index", "card", "poster"):
    vector(
        f"the key of a video's {role}",
        "object_key",
        {"role": role, "view_share": view, "video": VIDEO, "version": 3},
        {"output": hkdf(view, context(f"{role}-key", VIDEO, 3))},
    )
vector(
    "the id of a video's record",
    "record_id",
    {"key": secret(4), "record_kind": "video", "subject": VIDEO},
    {"output": hmac(secret(4), context("record-id", b"video", VIDEO))[:16]},
)
export_key, phrase = secret(5) + secret(6), secret(7)
for method, ikm in (("password", export_key), ("recovery", phrase), ("passkey", secret(8))):
    vector(f"what a {method} unlocks with", "kek", {"method": method, "ikm": ikm}, {"output": hkdf(ikm, context(f"kek-{method}"))})
recovery, recovery_public = ed25519(hkdf(phrase, context("recovery-sign")))
vector(
    "a reset signed by the phrase",
    "recovery_signature",
    {"phrase": phrase, "account": ACCOUNT, "challenge": secret(9)},
    {"public_key": recovery_public, "sealed": recovery.sign(context("recovery-reset", ACCOUNT, secret(9)))},
)

# The account key, wrapped.
kek, account_key = hkdf(export_key, context("kek-password")), secret(10)
sealed = b"\x01" + gcm(kek, context("account-key", 1, b"password", ACCOUNT, 2), account_key)
vector(
    "an account key wrapped for a password",
    "account_key",
    {"kek": kek, "method": "password", "account": ACCOUNT, "version": 2, "entropy": NONCE},
    {"plaintext": account_key, "sealed": sealed},
    negatives(
        [
            ("another password", {"kek": secret(99)}),
            ("another method", {"method": "recovery"}),
            ("another account", {"account": VIDEO}),
            ("an earlier wrap", {"version": 1}),
            ("the role of a keyring", {"sealed": b"\x01" + gcm(kek, context("keyring", 1, b"password", ACCOUNT, 2), account_key)}),
        ],
        sealed,
        1,
    ),
)

# A keyring: its keys are made from entropy in the order drawn here, then the nonce.
made = [secret(n) for n in range(20, 25)]
content, metadata, x_wing, identity, record_ids = made
keyring = {
    "version": 1,
    "content": [{"generation": 1, "key": content}],
    "metadata": [{"generation": 1, "key": metadata}],
    "x_wing": x_wing,
    "ed25519": identity,
    "record_ids": record_ids,
}
keyring_key = hkdf(account_key, context("keyring-key", ACCOUNT))
keyring_aad = context("keyring", 1, ACCOUNT, 1)
sealed = b"\x01" + gcm(keyring_key, keyring_aad, cbor(keyring))


def as_keyring(**changes):
    return b"\x01" + gcm(keyring_key, keyring_aad, cbor({**keyring, **changes}))


vector(
    "a first keyring",
    "keyring",
    {"account_key": account_key, "account": ACCOUNT, "version": 1, "entropy": b"".join(made) + NONCE},
    {"plaintext": cbor(keyring), "sealed": sealed},
    negatives(
        [
            ("another account key", {"account_key": secret(99)}),
            ("another account", {"account": VIDEO}),
            ("an old keyring under a new number", {"version": 2}),
        ],
        sealed,
        1,
    )
    + [
        {"name": "two versions that disagree", "error": "malformed", "sealed": as_keyring(version=2)},
        {"name": "a field of the future", "error": "malformed", "sealed": as_keyring(newer=1)},
        {"name": "no content key", "error": "malformed", "sealed": as_keyring(content=[])},
        {"name": "a key of 31 bytes", "error": "malformed", "sealed": as_keyring(x_wing=x_wing[1:])},
        {
            "name": "a generation twice",
            "error": "malformed",
            "sealed": as_keyring(metadata=[{"generation": 1, "key": metadata}] * 2),
        },
    ],
)

# A video's secret.
GENERATION = 5
video_key = hkdf(content, context("video", GENERATION, VIDEO))
header = b"\x01" + u32(GENERATION)
sealed = header + gcm(video_key, context("video-secret", 1, ACCOUNT, VIDEO, GENERATION), view + grant + seed)
vector(
    "a video's secret",
    "video_secret",
    {"content_key": content, "generation": GENERATION, "account": ACCOUNT, "video": VIDEO, "entropy": NONCE},
    {"plaintext": view + grant + seed, "sealed": sealed},
    negatives(
        [
            ("another content key", {"content_key": secret(99)}),
            ("another account", {"account": VIDEO}),
            ("another video", {"video": ACCOUNT}),
            ("another generation in the header", {"sealed": b"\x01" + u32(6) + sealed[5:]}),
            ("the role of a record", {"sealed": header + gcm(video_key, context("record", 1, ACCOUNT, VIDEO, GENERATION), view + grant + seed)}),
        ],
        sealed,
        5,
    )
    + [{"name": "half a header", "error": "malformed", "sealed": sealed[:3]}],
)
body = VIDEO + view + grant + seed
line = "gloaming-video-key-1:" + base64.urlsafe_b64encode(body + hashlib.sha256(body).digest()[:4]).decode().rstrip("=")
vector(
    "a key file",
    "key_file",
    {"video": VIDEO, "plaintext": view + grant + seed},
    {"text": line},
    [
        {"name": "nothing at all", "error": "malformed", "text": ""},
        {"name": "another kind of file", "error": "malformed", "text": line.replace("video", "audio")},
        {"name": "a format of the future", "error": "too_new", "text": line.replace("key-1", "key-2")},
        {"name": "format version 0", "error": "malformed", "text": line.replace("key-1", "key-0")},
        {"name": "a slip of the hand", "error": "malformed", "text": line[:40] + ("A" if line[40] != "A" else "B") + line[41:]},
        {"name": "cut short", "error": "malformed", "text": line[:-4]},
        {"name": "padded", "error": "malformed", "text": line + "="},
    ],
)

# What opens with the view share.
for role in ("index", "card", "poster"):
    key = hkdf(view, context(f"{role}-key", VIDEO, 3))
    text = f"the plaintext of a {role}".encode()
    sealed = b"\x01" + gcm(key, context(role, 1, VIDEO, 3), text)
    other = {"index": "card", "card": "poster", "poster": "index"}[role]
    vector(
        f"a sealed {role}",
        "object",
        {"role": role, "key": key, "video": VIDEO, "version": 3, "entropy": NONCE},
        {"plaintext": text, "sealed": sealed},
        negatives(
            [
                ("another key", {"key": secret(99)}),
                (f"taken for a {other}", {"role": other}),
                ("another video", {"video": ACCOUNT}),
                ("an old object under a new number", {"version": 4}),
            ],
            sealed,
            1,
        ),
    )
signer, public = ed25519(seed)
digest = hashlib.sha256(b"an index").digest()
signature = signer.sign(context("index-signature", 1, VIDEO, 3, digest))
vector(
    "a signed index",
    "index_signature",
    {"sign_seed": seed, "public_key": public, "video": VIDEO, "version": 3, "sha256": digest},
    {"sealed": signature},
    [
        {"name": "another signer", "error": "rejected", "public_key": ed25519(secret(99))[1]},
        {"name": "another video", "error": "rejected", "video": ACCOUNT},
        {"name": "an old index under a new number", "error": "rejected", "version": 4},
        {"name": "another index", "error": "rejected", "sha256": secret(99)},
        {"name": "a bit of R", "error": "rejected", "sealed": flip(signature, 0)},
        {"name": "a bit of s", "error": "rejected", "sealed": flip(signature, 32)},
        {"name": "signed for a reset", "error": "rejected", "sealed": signer.sign(context("recovery-reset", ACCOUNT, digest))},
    ],
)

# Fragments.
for number, last, text in ((0, False, b"a key frame"), (3, True, b""), (0xFFFFFFFF, True, bytes(100))):
    sealed = gcm(segment_key, b"\x01" + u32(number) + bytes([last]), text)
    vector(
        f"fragment {number}, {'the last' if last else 'with more to come'}, of {len(text)} bytes",
        "fragment",
        {"key": segment_key, "number": number, "last": last, "entropy": NONCE},
        {"plaintext": text, "sealed": sealed},
        [
            {"name": "another segment", "error": "rejected", "key": secret(99)},
            {"name": "another number", "error": "rejected", "number": number ^ 1},
            {"name": "an end that is none, or none that is one", "error": "rejected", "last": not last},
            {"name": "nothing at all", "error": "rejected", "sealed": b""},
            {"name": "a nonce and half a tag", "error": "rejected", "sealed": sealed[:20]},
            {"name": "a byte missing at the end", "error": "rejected", "sealed": sealed[:-1]},
            {"name": "a bit of the nonce", "error": "rejected", "sealed": flip(sealed, 0)},
            {"name": "a bit of the tag", "error": "rejected", "sealed": flip(sealed, len(sealed) - 1)},
        ],
    )

# Records.
record_key = hkdf(metadata, context("record", GENERATION, RECORD))
record_aad = context("record", 1, ACCOUNT, RECORD, 9, GENERATION)


def as_record(padded):
    return header + gcm(record_key, record_aad, padded)


for text in (b"", b"a title", bytes([0x55]) * 252, bytes([0x55]) * 253):
    padded = u32(len(text)) + text
    padded += bytes(-len(padded) % 256)
    sealed = as_record(padded)
    vector(
        f"a record of {len(text)} bytes",
        "record",
        {
            "metadata_key": metadata,
            "generation": GENERATION,
            "account": ACCOUNT,
            "record": RECORD,
            "version": 9,
            "entropy": NONCE,
        },
        {"plaintext": text, "sealed": sealed},
        negatives(
            [
                ("another metadata key", {"metadata_key": secret(99)}),
                ("another account", {"account": VIDEO}),
                ("another record", {"record": VIDEO}),
                ("an old record under a new number", {"version": 10}),
                ("another generation in the header", {"sealed": b"\x01" + u32(6) + sealed[5:]}),
            ],
            sealed,
            5,
        )
        + [
            {"name": "half a header", "error": "malformed", "sealed": sealed[:4]},
            {"name": "a length beyond the padding", "error": "malformed", "sealed": as_record(u32(len(padded)) + padded[4:])},
            {"name": "the longest length", "error": "malformed", "sealed": as_record(b"\xff" * 4 + padded[4:])},
            {"name": "a step of padding too many", "error": "malformed", "sealed": as_record(padded + bytes(256))},
            {"name": "no padding", "error": "malformed", "sealed": as_record(u32(0))},
            {"name": "no length", "error": "malformed", "sealed": as_record(b"")},
        ]
        + ([{"name": "padding that is not zeros", "error": "malformed", "sealed": as_record(flip(padded, len(padded) - 1))}] if len(text) != 252 else []),
    )


def as_json(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {k: as_json(v) for k, v in value.items()}
    return [as_json(v) for v in value] if isinstance(value, list) else value


path = pathlib.Path(__file__).with_name("vectors.json")
path.write_text(json.dumps(as_json(vectors), indent=1) + "\n")
print(len(vectors), "vectors,", sum(len(v["negatives"]) for v in vectors), "negatives")
