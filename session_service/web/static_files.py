"""``/static/{digest}/{name}``: scripts, styles and pictures under addresses that change when their content does.

So browsers may keep them for good and never ask again (RFC 8246), and a page never meets a script of another release.
Files come from ``static/``, which is ours, ``vendor/``, which is npm's (``vendor_files.py``), and ``built/``, which
``deploy/setup`` makes of ``dashboard/``. They are read and compressed once, when the service starts; a request only
looks into the table of them, so no path leads out of it.

An address says nothing about where other files are: a script that needs another one gets its address from the page, in
an attribute. A relative ``import`` would look under the hash of the wrong file.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import logging
import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

from session_service.errors import NotFoundError, SetupError
from session_service.web import vendor_files

logger = logging.getLogger(__name__)

STATIC: Final = Path(__file__).parent / "static"
BUILT: Final = Path(__file__).parent / "built"
DASHBOARD: Final = ("dashboard.js", "dashboard.css")
"""What is served of ``built/``."""

DIGEST_CHARS: Final = 16  # of SHA-256 in hex: 64 bits tell releases of a file apart, and need not stop an attacker
ABSENT: Final = "0" * DIGEST_CHARS  # in the address of a file that is not there, which is then not found
FILE_MAX_BYTES: Final = 2_000_000  # twice the largest, the scanner's; all are in memory
FILES_MAX: Final = 200  # ten times what there is
GZIP_LEVEL: Final = 9  # 57 ms for the largest, once
KEPT_S: Final = 31_536_000  # a year, as long as RFC 9111 knows

MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",  # RFC 9239
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",  # browsers compile it while it arrives under this type only
}
PACKED: Final = frozenset({".ico", ".png"})  # gzip gains nothing on them

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, as it is sent.

    Attributes:
        compressed: the same by gzip; ``None`` where that gains nothing.
    """

    address: str
    media_type: str
    content: bytes
    compressed: bytes | None


@router.get("/static/{digest}/{name:path}")
async def static_file(request: Request, digest: str, name: str) -> Response:
    """Send a file. Under a digest that is not its content's it is not found."""
    found = files().get(name)
    if found is None or found.address != _address(digest, name):
        msg = "This file is of another release, or of none. Load the page again: it names the files that there are."
        raise NotFoundError(msg)
    return _sent(found, takes_gzip(request.headers.get("accept-encoding", "")))


def address(name: str) -> str:
    """Return where browsers find a file of ``static/`` (``icons/free.svg``) or ``vendor/`` (``leaflet.js``).

    A vendor file that was not installed has an address too, at which it is not found: the page can do without.

    Raises:
        KeyError: there is no such file; the page is wrong.
    """
    found = files().get(name)
    if found is not None:
        return found.address
    if name in vendor_files.SERVED:
        return _address(ABSENT, name)
    msg = f"no static file is called {name!r}"
    raise KeyError(msg)


@functools.cache
def files() -> dict[str, StaticFile]:
    """Return all files by name. They are read at the first call, which is the service's start.

    Raises:
        SetupError: see ``read``.
    """
    return read(STATIC, vendor_files.VENDOR, BUILT)


def read(static: Path, vendor: Path, built: Path) -> dict[str, StaticFile]:
    """Read the files of the folders; of the last two those that are served. Names that begin with a dot are left out.

    Raises:
        SetupError: a file is too large, of a kind that is not served, or named as one of the others.
    """
    ours = {path.relative_to(static).as_posix(): path for path in sorted(static.rglob("*")) if _counts(path)}
    theirs = {name: vendor / name for name in vendor_files.SERVED if (vendor / name).is_file()}
    made = {name: built / name for name in DASHBOARD if (built / name).is_file()}
    if missing := vendor_files.SERVED.keys() - theirs.keys():
        logger.warning("pages go without %s; install them with make setup", ", ".join(sorted(missing)))
    if twice := ours.keys() & {*vendor_files.SERVED, *DASHBOARD}:
        msg = f"These are vendor or built files' names; rename ours in {static}: {', '.join(sorted(twice))}"
        raise SetupError(msg)
    if len(ours) + len(theirs) + len(made) > FILES_MAX:
        msg = f"{static} has more than the {FILES_MAX} files that are kept in memory; is something there by mistake?"
        raise SetupError(msg)
    return {name: _read(name, path) for name, path in {**ours, **theirs, **made}.items()}


def takes_gzip(accept_encoding: str) -> bool:
    """Return whether a client takes gzip (RFC 9110 section 12.5.3). One that does not say gets the file as it is."""
    for offer in accept_encoding.lower().split(","):
        coding, _, weight = (part.strip() for part in offer.partition(";"))
        if coding in {"gzip", "x-gzip"}:
            return not re.fullmatch(r"q\s*=\s*0(\.0*)?", weight)
    return False


def _sent(file: StaticFile, gzipped: bool) -> Response:  # noqa: FBT001 - the answer to a question about the client
    headers = {"Cache-Control": f"public, max-age={KEPT_S}, immutable", "Content-Type": file.media_type}
    if file.compressed is not None:
        headers["Vary"] = "Accept-Encoding"
        if gzipped:
            return Response(file.compressed, HTTPStatus.OK, {**headers, "Content-Encoding": "gzip"})
    return Response(file.content, HTTPStatus.OK, headers)


def _counts(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _read(name: str, path: Path) -> StaticFile:
    suffix = path.suffix
    if suffix not in MEDIA_TYPES:
        msg = f"{path} is of no kind that is served; these are: {', '.join(MEDIA_TYPES)}"
        raise SetupError(msg)
    if path.stat().st_size > FILE_MAX_BYTES:
        msg = f"{path} has more than the {FILE_MAX_BYTES} bytes that are kept in memory"
        raise SetupError(msg)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:DIGEST_CHARS]
    return StaticFile(_address(digest, name), MEDIA_TYPES[suffix], content, _compressed(content, suffix))


def _compressed(content: bytes, suffix: str) -> bytes | None:
    if suffix in PACKED:
        return None
    compressed = gzip.compress(content, GZIP_LEVEL, mtime=0)
    return compressed if len(compressed) < len(content) else None


def _address(digest: str, name: str) -> str:
    return f"/static/{digest}/{name}"
