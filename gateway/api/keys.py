"""Optional API keys: who may ask, how often, and who may manage.

The file that ``api_keys_file`` names holds the hashes of keys, never a key::

    keys:
      - {name: team-a, hash: "sha256:<64 hex digits>", rate: 100, burst: 200}
      - {name: operations, hash: "sha256:<64 hex digits>", admin: true}

``gateway key new`` makes a key and its entry.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import msgspec
import yaml
from msgspec import Meta

from gateway.errors import ConfigError, Forbidden, RateLimited, Unauthorized
from gateway.logs import logger

#: What is longer is not looked at; a key made by ``gateway key new`` has 43 characters.
MAX_SENT_KEY_CHARS = 512

Positive = Annotated[float, Meta(gt=0, le=1e9)]


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of the file.

    ``rate`` is in requests per second, None for no limit; ``burst`` is how many may come at once
    after a quiet time, one second's worth if left out.
    """

    name: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
    hash: Annotated[str, Meta(pattern=r"\Asha256:[0-9A-Fa-f]{64}\Z")]
    rate: Positive | None = None
    burst: Annotated[float, Meta(ge=1, le=1e9)] | None = None
    admin: bool = False

    def __post_init__(self) -> None:
        if self.burst is not None and self.rate is None:
            raise ValueError("burst says nothing without rate")

    def __repr__(self) -> str:
        return f"Key({self.name!r}, rate={self.rate}, burst={self.burst}, admin={self.admin})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in ("name", "rate", "burst", "admin")]

    @property
    def digest(self) -> bytes:
        """The 32 bytes of the hash."""
        return bytes.fromhex(self.hash.partition(":")[2])


class _File(msgspec.Struct, forbid_unknown_fields=True):
    keys: list[Key]


class _Bucket:
    """A token bucket: holds ``burst`` requests at most, and gains ``rate`` a second."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = burst
        self.filled_at = now

    def take(self, now: float) -> float:
        """Take one token and return 0, or return the seconds until there is one."""
        gained = (now - self.filled_at) * self.rate
        self.filled_at = now
        self.tokens = min(self.tokens + gained, self.burst)
        if self.tokens < 1:
            return (1 - self.tokens) / self.rate
        self.tokens -= 1
        return 0.0


class KeyRing:
    """The keys of one file, and what is left of each key's rate in this process.

    Several workers each have a ring of their own, so a key's rate holds per worker. ``clock`` gives
    seconds that never go back.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._entries: list[tuple[bytes, Key]] = []
        self._buckets: dict[str, _Bucket] = {}
        #: Keys that were found once, by digest: never longer than the ring.
        self._known: dict[bytes, Key] = {}
        self._signature = _signature(path)
        self._use(read(path))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The ring of a file; raises :class:`ConfigError` with the reason, never with a hash."""
        return cls(path)

    def __repr__(self) -> str:
        return f"KeyRing({str(self._path)!r}, {len(self._entries)} keys)"

    def authenticate(self, headers: Mapping[str, str]) -> Key:
        """The key a request was sent with; raises :class:`Unauthorized`.

        It stands in ``Authorization: Bearer``, else in ``X-API-Key``.
        """
        sent = _sent_key(headers)
        if not sent:
            raise Unauthorized(sent=False)
        if len(sent) > MAX_SENT_KEY_CHARS:
            raise Unauthorized(sent=True)
        digest = _digest(sent)
        found = self._known.get(digest)
        if found is None:
            # Every entry is compared, and each in constant time: how long it takes says nothing of
            # which entry, or how much of one, was right.
            for expected, key in self._entries:
                if hmac.compare_digest(expected, digest):
                    found = key
            if found is None:
                raise Unauthorized(sent=True)
            self._known[digest] = found
        return found

    def take(self, key: Key) -> None:
        """Count one request; raises :class:`RateLimited` where the key has sent too many."""
        bucket = self._buckets.get(key.name)
        if bucket is None:
            return
        wait_s = bucket.take(self._clock())
        if wait_s:
            raise RateLimited(key.name, bucket.rate, wait_s)

    def give_back(self, key: Key) -> None:
        """Undo a :meth:`take`: the request will be counted when it comes by another way."""
        bucket = self._buckets.get(key.name)
        if bucket is not None:
            bucket.tokens += 1

    def refresh(self) -> bool:
        """Read the file again if it has changed; returns whether its keys are in force now.

        Where it cannot be used, the reason is logged once and the keys stay as they are. A key
        that stays by name keeps what is left of its rate.
        """
        signature = _signature(self._path)
        if signature == self._signature:
            return False
        self._signature = signature
        try:
            keys = read(self._path)
        except ConfigError as error:
            logger.error("the API keys stay as they are: %s", error.detail)
            return False
        self._use(keys)
        logger.info("the API keys were read again: %d", len(keys))
        return True

    def _use(self, keys: list[Key]) -> None:
        now = self._clock()
        buckets = {}
        for key in keys:
            if key.rate is None:
                continue
            bucket = _Bucket(key.rate, key.burst or max(key.rate, 1.0), now)
            if (old := self._buckets.get(key.name)) is not None:
                bucket.tokens, bucket.filled_at = old.tokens, old.filled_at
            buckets[key.name] = bucket
        self._entries = [(key.digest, key) for key in keys]
        self._buckets = buckets
        self._known = {}


def require_admin(key: Key) -> None:
    """Raise :class:`Forbidden` unless the key may manage the gateway."""
    if not key.admin:
        raise Forbidden(f"API key {key.name} may not manage the gateway; it is not an admin's")


def hash_of(key: str) -> str:
    """A key's hash as the file holds it."""
    return f"sha256:{_digest(key).hex()}"


def read(path: Path) -> list[Key]:
    """The entries of a file; raises :class:`ConfigError` with the reason, never with a hash."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path}: {reason}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse(text: str) -> list[Key]:
    """The entries of a file's text; raises ValueError with the reason, never with a hash."""
    try:
        keys = msgspec.convert(yaml.safe_load(text), _File).keys
    except (yaml.YAMLError, RecursionError) as error:
        # PyYAML's own words quote the line, and so would quote a hash.
        mark = getattr(error, "problem_mark", None)
        where = f" from line {mark.line + 1} on" if mark is not None else ""
        raise ValueError(f"it is not YAML{where}") from None
    seen: set[str | bytes] = set()
    for index, key in enumerate(keys):
        for what, value in (("name", key.name), ("hash", key.digest)):
            if value in seen:
                raise ValueError(f"keys[{index}]: another key has the same {what}")
            seen.add(value)
    return keys


def _digest(key: str) -> bytes:
    """SHA-256, without salt or stretching.

    Those protect what people choose from being guessed out of its hash. A key of 256 random bits
    is in no dictionary, and 2^255 tries are out of reach at any speed; so the check can be fast.
    """
    # aiohttp gives bytes that are not UTF-8 as surrogates.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _sent_key(headers: Mapping[str, str]) -> str:
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":  # https://www.rfc-editor.org/rfc/rfc9110#section-11.1
        return credentials.strip()
    return headers.get("X-API-Key", "").strip()


def _signature(path: Path) -> tuple[int, int, int] | None:
    """What differs once the file was written or replaced; None where there is no file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
