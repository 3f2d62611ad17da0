"""The file of the routing policy: followed while the gateway runs, and edited without a gap."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from gateway.config import Settings
from gateway.errors import ConfigError
from gateway.routing import policy_document
from gateway.routing.offers import Offers
from gateway.routing.policy import Policy, parse
from gateway.routing.policy_document import Document

FILE_NAME = "routing.yaml"
#: Seconds an edit waits for another one to finish.
LOCK_TIMEOUT_S = 5.0
#: Looks that leave a file alone because it has just changed again.
_MOST_WAITS = 2
_NEW_FILE_MODE = 0o644

logger = logging.getLogger("gateway")


def policy_path(settings: Settings) -> Path:
    """The policy's file: the setting ``routing_policy``, else ``routing.yaml`` in the repository,
    or beside it where the repository is a plain ``.onnx`` file."""
    if settings.routing_policy:
        return Path(settings.routing_policy)
    repository = Path(settings.repository)
    return (repository.parent if repository.suffix == ".onnx" else repository) / FILE_NAME


class PolicyFile:
    """The policy in force, and the file it comes from.

    ``policy`` is the newest good one, the empty one while there is no file. ``digest`` is a short
    hash of its text, empty while there is no file. ``error`` says why newer content is refused
    while ``policy`` stays, None where nothing is. ``on_change`` is called with each policy that is
    taken over, in the thread that loads it.
    """

    def __init__(
        self,
        path: Path,
        offers: Callable[[], Offers],
        on_change: Callable[[Policy], None] | None = None,
    ) -> None:
        self.path = path
        self.policy = Policy()
        self.digest = ""
        self.error: str | None = None
        self._offers = offers
        self._on_change = on_change
        self._signature: tuple[int, ...] | None = None
        self._refused: tuple[str, str] | None = None

    def load(self) -> None:
        """Read the file now; what cannot be used goes to ``error`` and the policy stays."""
        # Looked at before it is read: what is written in between then differs from it.
        self._signature = self._look()
        digest = ""
        try:
            content = self._read(self.path)
            if content is not None:
                digest = blake2b(content, digest_size=6).hexdigest()
            policy = self._parse(content)
        except ConfigError as error:
            self.error = error.detail
            if self._refused != (digest, error.detail):
                self._refused = digest, error.detail
                fields = {"digest": self.digest, "refused": digest, "reason": error.detail}
                logger.warning("routing policy refused", extra={"fields": fields})
            return
        was, self.error, self._refused = self.error, None, None
        changed = (digest, policy) != (self.digest, self.policy)
        self.policy, self.digest = policy, digest
        if changed or was is not None:
            fields = {"path": str(self.path), "digest": digest}
            logger.info("routing policy in force", extra={"fields": fields})
        if changed and self._on_change is not None:
            self._on_change(policy)

    async def follow(self, interval_s: float = 0.25) -> None:
        """Load the file whenever it has changed, until cancelled.

        It is loaded once two looks in a row have found it the same, so that a file an editor is
        still writing, or has removed to write it anew, is left alone; at the third look in any
        case, so that edits without a pause are followed too. That is within three intervals.
        """
        before, waited = self._signature, 0
        while True:
            await asyncio.sleep(interval_s)
            now = self._look()
            if now == self._signature:
                waited = 0
            elif now == before or waited == _MOST_WAITS:
                waited = 0
                try:
                    self.load()
                except Exception:
                    # An end of following would go unnoticed; this does not.
                    logger.exception("routing policy could not be taken over")
            else:
                waited += 1
            before = now

    def edit(self, change: Callable[[Document], None]) -> Policy:
        """Change the file's document in place, as one step that no other edit can fall into.

        The YAML is written anew: a head comment, the lines at the top that begin with #, is kept,
        other comments are lost. A change that changes nothing leaves the file alone. Raises
        :class:`ConfigError`, the file untouched, where the result is no valid policy or cannot be
        written. Returns the policy written, which is in force here after :meth:`load`. May wait
        for another edit, up to ``LOCK_TIMEOUT_S``, so not for the event loop's thread.
        """
        with self._locked() as target:
            content = self._read(target) or b""
            text = _decode(content)
            try:
                document = policy_document.read(text)
                before = policy_document.write(document)
                change(document)
                after = policy_document.write(document)
            except ConfigError as error:
                raise ConfigError(f"{self.path}: {error.detail}") from error
            if after == before:
                return self._parse(content)
            head = policy_document.head_of(text)
            return self._replace(target, (head + after).encode())

    def write(self, text: str) -> Policy:
        """Replace the whole file by ``text``, comments and all; otherwise as :meth:`edit`."""
        with self._locked() as target:
            return self._replace(target, text.encode("utf-8", "surrogatepass"))

    def _look(self) -> tuple[int, ...]:
        """What differs once the file has changed; symbolic links are followed."""
        try:
            found = os.stat(self.path)
        except OSError as error:
            return (error.errno or 0,)
        # The change time tells of a mode that was mended, and of times that were set back.
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def _read(self, path: Path) -> bytes | None:
        """The file's content, no more than is needed to refuse it; None where there is none."""
        try:
            with path.open("rb") as file:
                return file.read(policy_document.MAX_BYTES + 1)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise ConfigError(f"{self.path}: {error.strerror}") from error

    def _parse(self, content: bytes | None) -> Policy:
        try:
            return parse(_decode(content or b""), self._offers())
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {error.detail}") from error

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        """The file behind symbolic links, while no other edit in its folder can go on.

        The folder is locked, because the file is replaced and may not exist yet.
        """
        target = self.path.resolve()
        try:
            folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise ConfigError(f"{self.path}: {error.strerror}") from error
        try:
            self._lock(folder)
            yield target
        finally:
            os.close(folder)

    def _lock(self, folder: int) -> None:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                return fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise ConfigError(f"{self.path}: another edit does not finish") from error
                time.sleep(0.01)
            except OSError as error:
                raise ConfigError(f"{self.path}: cannot be locked: {error.strerror}") from error

    def _replace(self, target: Path, content: bytes) -> Policy:
        policy = self._parse(content)
        try:
            _replace_file(target, content)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written: {error.strerror}") from error
        return policy


def _decode(content: bytes) -> str:
    """The text; a byte that is not UTF-8 becomes a character that YAML refuses."""
    return content.decode("utf-8", "surrogateescape")


def _replace_file(target: Path, content: bytes) -> None:
    """Replace a file so that every reader, and a crash, sees the old or the new one whole."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            mode = _NEW_FILE_MODE
            with suppress(FileNotFoundError):
                found = target.stat()
                mode = found.st_mode & 0o7777
                # Only root may give files away; others own what they edit.
                with suppress(PermissionError):
                    os.fchown(descriptor, found.st_uid, found.st_gid)
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
