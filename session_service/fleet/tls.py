"""How the service proves itself to the broker, and the broker to the service: TLS 1.3 with the cell's authority."""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography import x509

from session_service import metrics
from session_service.errors import SetupError
from session_service.settings import Settings


def broker_context(settings: Settings) -> ssl.SSLContext:
    """Return what to connect to the broker with. Make a new one for each connection: then renewed files are used.

    Raises:
        SetupError: a file is missing or damaged.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which demands a certificate and checks the host's name in it
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(settings.broker_ca_file)
        context.load_cert_chain(settings.broker_cert_file, settings.broker_key_file)
    except OSError as error:
        files = f"{settings.broker_ca_file}, {settings.broker_cert_file} and {settings.broker_key_file}"
        msg = f"Cannot use {files} ({error}). Make what is missing: unlatch pki init"
        raise SetupError(msg) from error
    _note_end(settings)
    return context


def _note_end(settings: Settings) -> None:
    """Tell ``/metrics`` until when the certificate is good."""
    try:
        certificate = x509.load_pem_x509_certificate(Path(settings.broker_cert_file).read_bytes())
    except (OSError, ValueError):  # OpenSSL has just read it; it is being replaced, and the next connection looks again
        return
    metrics.CERTIFICATE_EXPIRES.set(certificate.not_valid_after_utc.timestamp())
