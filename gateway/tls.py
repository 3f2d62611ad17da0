"""TLS for the gateway's clients: https://docs.python.org/3/library/ssl.html."""

from __future__ import annotations

import ssl

from gateway.config import Settings
from gateway.errors import ConfigError


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with the settings' certificate; None where they name none.

    The files are read once: a new certificate needs a restart. Raises :class:`ConfigError` where
    they cannot be used.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if not certificate and not key:
        return None
    if not certificate or not key:
        missing = "tls_key" if certificate else "tls_certificate"
        raise ConfigError(f"{missing}: a certificate and its key go together")
    for name, path in (("tls_certificate", certificate), ("tls_key", key)):
        try:
            open(path, "rb").close()
        except OSError as error:
            raise ConfigError(f"{name}: {path}: {error.strerror}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, _no_passphrase)
    except (ssl.SSLError, _Encrypted) as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else "it needs a passphrase"
        raise ConfigError(
            f"tls_certificate, tls_key: {certificate} and {key} are not a PEM certificate "
            f"and its key: {reason or 'they cannot be read'}"
        ) from None
    return context


class _Encrypted(Exception):
    pass


def _no_passphrase() -> str:
    # Without this, OpenSSL would ask on the terminal.
    raise _Encrypted
