"""Where a key lies on a token, as a URI (RFC 7512)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from device_agent.errors import SignerError

EXAMPLE: Final = (
    "pkcs11:token=unlatch;object=report-key?module-path=/usr/lib/module.so&pin-source=file:/etc/unlatch/pin"
)
_PATH: Final = frozenset({"token", "object", "type"})
_QUERY: Final = frozenset({"module-path", "pin-source"})
_NAME: Final = re.compile(r"[a-z-]{1,20}")
_SEPARATOR: Final = re.compile(r"[:;?&]")


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """The parts that we need.

    Attributes:
        module: the PKCS#11 library that knows the token.
        token: the token's label.
        name: the key pair's label.
        pin_file: holds the PIN; nobody else may read it.
    """

    module: Path
    token: str
    name: str
    pin_file: Path


def parse(uri: str) -> Pkcs11Uri:
    """Take a URI apart.

    Raises:
        SignerError: a part is missing, unknown, or twice there.
    """
    scheme, colon, rest = uri.partition(":")
    if scheme != "pkcs11" or not colon:
        raise _wrong(uri, "it does not begin with pkcs11:")
    path, _, query = rest.partition("?")
    parts = _pairs(uri, path, ";", _PATH) | _pairs(uri, query, "&", _QUERY)
    if parts.get("type", "private") != "private":
        raise _wrong(uri, "type is private: it is the private key that signs")
    missing = {"token", "object", "module-path", "pin-source"} - parts.keys()
    if missing:
        raise _wrong(uri, f"it lacks {', '.join(sorted(missing))}")
    pin_file = Path(parts["pin-source"].removeprefix("file:"))
    module = Path(parts["module-path"])
    if not (pin_file.is_absolute() and module.is_absolute()):
        raise _wrong(uri, "module-path and pin-source are absolute paths of files")
    return Pkcs11Uri(module, parts["token"], parts["object"], pin_file)


def _pairs(uri: str, text: str, separator: str, known: frozenset[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for pair in filter(None, text.split(separator)):
        name, equals, value = pair.partition("=")
        if name == "pin-value":
            raise _wrong(
                uri, "a PIN in a settings file is no secret: put it into a file of its own, pin-source=file:/..."
            )
        if name not in known or not equals or name in pairs:
            # Never the value, which may be a PIN under a mistyped name.
            shown = name if equals and _NAME.fullmatch(name) else "a part"
            raise _wrong(uri, f"{shown} is unknown, incomplete or there twice")
        pairs[name] = unquote(value)
        if "\0" in pairs[name]:
            raise _wrong(uri, f"{name} has a %00 in it, which no name of a file or key has")
    return pairs


def _wrong(uri: str, problem: str) -> SignerError:
    # The rest may hold a PIN, also before the question mark, where that was forgotten.
    shown = ";".join(part for part in _SEPARATOR.split(uri) if part.startswith(("token=", "object=")))
    return SignerError(f"pkcs11:{shown}: {problem}; an example: {EXAMPLE}")
