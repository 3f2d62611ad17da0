"""API keys: what the file may hold, who is let in, how often, and that no hash is shown."""

from __future__ import annotations

import hmac
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from gateway.api import keys
from gateway.api.keys import KeyRing, hash_of, require_admin
from gateway.errors import ConfigError, Forbidden, RateLimited, Unauthorized

KEY_A, KEY_B = "key-of-team-a", "key-of-team-b"
A: dict[str, Any] = {"name": "team-a", "hash": hash_of(KEY_A), "rate": 2, "burst": 3}
B: dict[str, Any] = {"name": "team-b", "hash": hash_of(KEY_B), "admin": True}


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def write(path: Path, *entries: dict[str, Any]) -> Path:
    """Replace the file, as an editor that writes atomically does."""
    new = path.with_suffix(".new")
    new.write_text(yaml.safe_dump({"keys": list(entries)}))
    os.replace(new, path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "keys.yaml", A, B)


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"Authorization": f"Bearer {KEY_A}"}, "team-a"),
        ({"Authorization": f"bearer  {KEY_B} "}, "team-b"),
        ({"X-API-Key": KEY_B}, "team-b"),
        ({"Authorization": "Basic dTpw", "X-API-Key": KEY_B}, "team-b"),
    ],
)
def test_a_known_key_is_let_in(path: Path, headers: dict[str, str], name: str) -> None:
    ring = KeyRing.load(path)
    assert [ring.authenticate(headers).name for _ in range(2)] == [name, name]


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="gateway"'),
        ({"Authorization": "Bearer "}, 'Bearer realm="gateway"'),
        ({"Authorization": f"Basic {KEY_A}"}, 'Bearer realm="gateway"'),
        ({"X-API-Key": "wrong"}, 'Bearer realm="gateway", error="invalid_token"'),
        ({"X-API-Key": hash_of(KEY_A)}, 'Bearer realm="gateway", error="invalid_token"'),
        ({"X-API-Key": "\udcff"}, 'Bearer realm="gateway", error="invalid_token"'),
        # A wrong key is not made good by another.
        (
            {"Authorization": "Bearer wrong", "X-API-Key": KEY_A},
            'Bearer realm="gateway", error="invalid_token"',
        ),
    ],
)
def test_anyone_else_is_not(path: Path, headers: dict[str, str], challenge: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        KeyRing.load(path).authenticate(headers)
    assert caught.value.status == caught.value.problem()["status"] == 401
    assert caught.value.headers == {"WWW-Authenticate": challenge}


def test_no_text_but_the_key_is_let_in(path: Path) -> None:
    ring = KeyRing.load(path)

    @given(st.text(max_size=600))
    def check(sent: str) -> None:
        with pytest.raises(Unauthorized):
            ring.authenticate({"X-API-Key": sent})

    check()


def test_a_key_too_long_is_not_looked_at(tmp_path: Path) -> None:
    longest = "k" * keys.MAX_SENT_KEY_CHARS
    entries = [A | {"hash": hash_of(longest)}, B | {"hash": hash_of(longest + "k")}]
    ring = KeyRing.load(write(tmp_path / "keys.yaml", *entries))
    assert ring.authenticate({"X-API-Key": longest}).name == "team-a"
    with pytest.raises(Unauthorized):
        ring.authenticate({"X-API-Key": longest + "k"})


def test_every_entry_is_compared_wherever_the_right_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [{"name": f"k{i}", "hash": hash_of(f"key {i}")} for i in range(10)]
    ring = KeyRing.load(write(tmp_path / "keys.yaml", *entries))
    compared: list[bytes] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append(a)
        return hmac.compare_digest(a, b)

    monkeypatch.setattr(keys, "hmac", type("Counted", (), {"compare_digest": compare}))
    for sent in ("key 0", "key 9"):
        compared.clear()
        ring.authenticate({"X-API-Key": sent})
        assert len(set(compared)) == 10
    compared.clear()
    with pytest.raises(Unauthorized):
        ring.authenticate({"X-API-Key": "key 10"})
    assert len(set(compared)) == 10


def test_a_rate_is_kept(path: Path) -> None:
    clock = Clock()
    ring = KeyRing(path, clock)
    limited, unlimited = (ring.authenticate({"X-API-Key": key}) for key in (KEY_A, KEY_B))
    for _ in range(3):
        ring.take(limited)
    with pytest.raises(RateLimited) as caught:
        ring.take(limited)
    assert caught.value.status == 429
    assert caught.value.headers == {"Retry-After": "1"}
    for _ in range(1000):
        ring.take(unlimited)
    clock.now = 0.5
    ring.take(limited)
    with pytest.raises(RateLimited):
        ring.take(limited)
    clock.now = 1000  # a long rest gives the burst and no more
    assert allowed(ring, KEY_A, 10) == 3


def test_retry_after_says_when(tmp_path: Path) -> None:
    entry = {"name": "slow", "hash": hash_of(KEY_A), "rate": 0.1}
    ring = KeyRing(write(tmp_path / "keys.yaml", entry), Clock())
    assert allowed(ring, KEY_A, 1) == 1
    with pytest.raises(RateLimited) as caught:
        ring.take(ring.authenticate({"X-API-Key": KEY_A}))
    assert caught.value.headers == {"Retry-After": "10"}


def allowed(ring: KeyRing, key: str, times: int) -> int:
    count = 0
    for _ in range(times):
        try:
            ring.take(ring.authenticate({"X-API-Key": key}))
        except RateLimited:
            continue
        count += 1
    return count


def test_only_an_admin_may_manage(path: Path) -> None:
    ring = KeyRing.load(path)
    require_admin(ring.authenticate({"X-API-Key": KEY_B}))
    with pytest.raises(Forbidden) as caught:
        require_admin(ring.authenticate({"X-API-Key": KEY_A}))
    assert caught.value.status == 403


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        ("", "object"),
        ("keys: 3", "keys"),
        ("keys: [{name: a", "it is not YAML from line 1"),
        ("[" * 2000, "it is not YAML"),
        ({"keys": [A | {"hash": KEY_A}]}, "keys[0].hash"),
        ({"keys": [A | {"hash": "sha256:" + "a" * 63}]}, "keys[0].hash"),
        ({"keys": [A | {"hash": "sha256:" + "a" * 64 + "\n"}]}, "keys[0].hash"),
        ({"keys": [A | {"hash": "md5:" + "a" * 64}]}, "keys[0].hash"),
        ({"keys": [A | {"name": "a b"}]}, "keys[0].name"),
        ({"keys": [A | {"rate": 0}]}, "keys[0].rate"),
        ({"keys": [A | {"rate": float("nan")}]}, "keys[0].rate"),
        ({"keys": [A | {"burst": 0.5}]}, "keys[0].burst"),
        ({"keys": [B | {"burst": 5}]}, "without rate"),
        ({"keys": [A | {"limit": 5}]}, "limit"),
        ({"keys": [A, B | {"name": "team-a"}]}, "keys[1]: another key has the same name"),
        (
            {"keys": [A, B | {"hash": A["hash"].upper().replace("SHA", "sha")}]},
            "keys[1]: another key has the same hash",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, content: str | Mapping[str, Any] | None, reason: str
) -> None:
    path = tmp_path / "keys.yaml"
    if content is not None:
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(ConfigError) as caught:
        KeyRing.load(path)
    assert reason in caught.value.detail
    assert KEY_A not in caught.value.detail


def test_nothing_shows_a_hash(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ring = KeyRing.load(path)
    key = ring.authenticate({"X-API-Key": KEY_A})
    shown = [repr(ring), str(ring), repr(key), str(key), pretty_repr(key), pretty_repr([ring])]
    digits = A["hash"].removeprefix("sha256:")
    path.write_text(f"keys:\n  - {{name: team-a, hash: {digits}: {digits}\n")
    ring.refresh()
    with pytest.raises(ConfigError) as caught:
        KeyRing.load(path)
    shown += [caplog.text, str(caught.value), str(caught.value.__context__)]
    assert "team-a" in repr(key)
    assert all(digits not in text for text in shown)


def test_a_change_is_followed_and_keeps_what_is_left_of_a_rate(path: Path) -> None:
    ring = KeyRing(path, Clock())
    assert not ring.refresh()
    assert allowed(ring, KEY_A, 2) == 2
    write(path, A | {"burst": 4}, {"name": "team-c", "hash": hash_of("c"), "rate": 1})
    assert ring.refresh()
    assert not ring.refresh()
    assert allowed(ring, KEY_A, 10) == 1
    assert allowed(ring, "c", 10) == 1
    with pytest.raises(Unauthorized):
        ring.authenticate({"X-API-Key": KEY_B})


def test_a_broken_edit_keeps_the_old_keys_and_is_logged_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ring = KeyRing.load(path)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            write(path, A | {"hash": "sha256:zz"})
            assert not ring.refresh()
            assert not ring.refresh()
            path.unlink()
            assert not ring.refresh()
            assert not ring.refresh()
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 6
    assert "keys[0].hash" in caplog.text
    assert ring.authenticate({"X-API-Key": KEY_B}).admin
    write(path, A)
    assert ring.refresh()
    with pytest.raises(Unauthorized):
        ring.authenticate({"X-API-Key": KEY_B})
