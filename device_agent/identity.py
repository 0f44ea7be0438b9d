"""The device's TLS certificate and key, and the pair that takes their place.

A renewal writes ``KEY.new`` first, then ``CERT.new``. When both are complete they are put in the places of the old
ones, the key first. Two files cannot be renamed at once, but a crash in between is seen and mended: what is left
then is ``CERT.new`` alone, and it belongs to the key that stands there already.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from device_agent.errors import AgentError
from device_agent.files import sync_folder


@dataclass(frozen=True, slots=True)
class Identity:
    """Where certificate and key are."""

    cert_file: Path
    key_file: Path

    @property
    def new_cert_file(self) -> Path:
        """Where a renewal puts its certificate."""
        return self.cert_file.with_name(f"{self.cert_file.name}.new")

    @property
    def new_key_file(self) -> Path:
        """Where a renewal puts its key, before it asks for the certificate."""
        return self.key_file.with_name(f"{self.key_file.name}.new")

    @property
    def renewed(self) -> bool:
        """Whether a new certificate waits to be used."""
        return self.new_cert_file.exists()

    def settle(self) -> None:
        """Put a complete new pair in the places of the old one, or finish doing so.

        Raises:
            OSError: it cannot be done.
        """
        if not self.renewed:
            return
        if self.new_key_file.exists():
            self.new_key_file.replace(self.key_file)
            sync_folder(self.key_file.parent)
        self.new_cert_file.replace(self.cert_file)
        sync_folder(self.cert_file.parent)


def new_context(ca_file: Path) -> ssl.SSLContext:
    """Return TLS 1.3 for a client that trusts one authority and checks the host's name.

    Raises:
        AgentError: the authority's certificate cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which demands a certificate and checks the name in it
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:
        msg = f"cannot use {ca_file} as the broker's authority ({error}); check broker.ca_file, or enrol again"
        raise AgentError(msg) from error
    return context


def present(context: ssl.SSLContext, identity: Identity) -> None:
    """Present the device's certificate from the next connection on; a renewed one if there is one.

    Raises:
        AgentError: certificate or key cannot be used; the context still presents the former ones.
    """
    try:
        identity.settle()
        context.load_cert_chain(identity.cert_file, identity.key_file)
    except OSError as error:
        msg = (
            f"cannot use {identity.cert_file} with {identity.key_file} ({error});"
            " check broker.cert_file and broker.key_file, or enrol again"
        )
        raise AgentError(msg) from error
