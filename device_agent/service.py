"""The service's HTTP API as a device uses it: for enrolment and renewal, with the standard library alone."""

from __future__ import annotations

import hashlib
import ssl
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

import msgspec

from broker.contract.enrolment import Credentials
from device_agent.errors import ServiceError
from device_agent.settings import is_loopback

TIMEOUT_S: Final = 30.0  # a mobile network connects within ten, and a busy service answers within ten
MAX_ANSWER_BYTES: Final = 65_536  # certificates, authority and keys have 3 kB
_KEY_CHARS: Final = 32  # 128 bits of SHA-256, in hexadecimal


class Service:
    """The service at one address. HTTPS, with the system's authorities or one of its own; HTTP on this machine only."""

    def __init__(self, url: str, ca_file: Path | None = None) -> None:
        """Prepare; nothing is sent yet.

        Raises:
            ServiceError: the address is none, or would carry secrets in the clear; or ``ca_file`` cannot be read.
        """
        self._url = url.rstrip("/")
        self._opener = _opener(url, ca_file)

    def post(self, path: str, body: msgspec.Struct) -> Credentials:
        """Send a request that is answered with credentials. A repeat with the same body is the same request.

        Raises:
            ServiceError: with what the service said, or that it said nothing.
        """
        content = msgspec.json.encode(body)
        request = Request(  # noqa: S310 - the address was checked to be HTTP
            f"{self._url}{path}",
            data=content,
            headers={
                "Content-Type": "application/json",
                "Idempotency-Key": hashlib.sha256(content).hexdigest()[:_KEY_CHARS],
            },
        )
        try:
            return msgspec.json.decode(self._answer(request), type=Credentials)
        except msgspec.DecodeError as error:
            msg = f"{self._url}: what answers is not Unlatch ({error}); check --service"
            raise ServiceError(msg) from error

    def _answer(self, request: Request) -> bytes:
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                content: bytes = answer.read(MAX_ANSWER_BYTES + 1)
        except HTTPError as error:
            msg = f"{self._url} answered {error.code}: {_reason(error)}"
            raise ServiceError(msg) from error
        except (OSError, HTTPException) as error:
            msg = f"{self._url}: {error}; check the address, the network and, for HTTPS, the authority (--ca)"
            raise ServiceError(msg) from error
        if len(content) > MAX_ANSWER_BYTES:
            msg = f"{self._url}: the answer is too long to be Unlatch's; check --service"
            raise ServiceError(msg)
        return content


class _NoRedirects(HTTPRedirectHandler):
    """A claim is for the address that was given, not for where that sends us."""

    def redirect_request(
        self, _req: Request, _fp: IO[bytes], _code: int, _msg: str, _headers: HTTPMessage, _newurl: str
    ) -> None:
        return None


def _opener(url: str, ca_file: Path | None) -> OpenerDirector:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return build_opener(HTTPSHandler(context=_context(ca_file)), _NoRedirects())
    if parts.scheme == "http" and is_loopback(parts.hostname or ""):
        return build_opener(ProxyHandler({}), _NoRedirects())
    if parts.scheme == "http":
        msg = (
            f"{url}: the claim would travel in the clear; give the https:// address (http:// is for this machine only)"
        )
    else:
        msg = f"{url}: not an address; give one like https://unlatch.example.org"
    raise ServiceError(msg)


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        msg = f"{ca_file}: cannot read the service's authority ({error}); give its certificate in PEM"
        raise ServiceError(msg) from error


def _reason(error: HTTPError) -> str:
    """Return the words of a problem document (RFC 9457), or the status's own."""
    try:
        problem = msgspec.json.decode(error.read(MAX_ANSWER_BYTES), type=dict[str, object])
    except (msgspec.DecodeError, OSError, HTTPException):
        return str(error.reason)
    return " ".join(str(problem[part]).rstrip(".") + "." for part in ("title", "detail") if part in problem)
