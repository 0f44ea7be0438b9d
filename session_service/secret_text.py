"""Where a secret comes from, and whether it is one.

It comes from the environment, a file that it names, what the service manager hands over, or the secrets' folder.

Nothing here ever repeats a secret, not even a bad one: what it raises names the place and the next step.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from session_service.errors import SetupError

MIN_CHARS: Final = 32  # 128 bits as hexadecimal digits; ours have 64
MIN_DIFFERENT: Final = 8  # of 32 random hexadecimal digits, fewer than this is one chance in ten million
PLACEHOLDERS: Final = ("changeme", "change-me", "change_me", "password", "default", "example", "insecure", "replace")


def place_of(name: str, folder: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the secret ``name`` is: among systemd's credentials, if it is one of them, or else in ``folder``.

    systemd names the folder of what `LoadCredential=` has given to a service (systemd.exec(5), "Credentials").
    """
    given = Path(environment.get("CREDENTIALS_DIRECTORY", "/nonexistent"), name)
    return given if given.exists() else folder / name


def read_secret(name: str, folder: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Return the secret that ``place_of`` has as the file ``name``, unless the environment says otherwise.

    For ``token-secret`` that is ``UNLATCH_TOKEN_SECRET``, the secret itself, or ``UNLATCH_TOKEN_SECRET_FILE``, a path,
    as container platforms mount them. Whoever may look into ``/proc`` sees the former, so a file is better.

    Raises:
        SetupError: there is none, both are set, everybody can read its file, or it is too easy to guess.
        OSError, ValueError: the folder's file cannot be read.
    """
    variable = f"UNLATCH_{name.upper().replace('-', '_')}"
    text, path = environment.get(variable), environment.get(f"{variable}_FILE")
    if text is not None and path is not None:
        msg = f"{variable} and {variable}_FILE are both set. Keep one of them."
        raise SetupError(msg)
    if text is None:
        place = Path(path) if path is not None else place_of(name, folder, environment)
        text, source = _read_file(place, named=path is not None, variable=variable), str(place)
    else:
        source = variable
    return _ensure_good(text.strip(), source)


def ensure_private(path: Path) -> None:
    """See that not everybody on this machine can read a secret's file. A folder is passed over.

    Raises:
        SetupError: everybody can.
        OSError: it is not there.
    """
    mode = path.stat().st_mode
    if stat.S_ISREG(mode) and mode & (stat.S_IROTH | stat.S_IWOTH):
        msg = f"Everybody on this machine can read or change {path}. Take that from them: chmod o= {path}"
        raise SetupError(msg)


def _read_file(path: Path, *, named: bool, variable: str) -> str:
    try:
        ensure_private(path)
        return path.read_text()
    except OSError as error:
        if not named:
            raise
        msg = f"{variable}_FILE names a file that cannot be read ({error}). Correct the path, or make the file."
        raise SetupError(msg) from error


def _ensure_good(secret: str, source: str) -> str:
    is_placeholder = any(word in secret.lower() for word in PLACEHOLDERS)
    if len(secret) < MIN_CHARS or len(set(secret)) < MIN_DIFFERENT or is_placeholder:
        msg = (
            f"The secret in {source} is too easy to guess: it needs {MIN_CHARS} random characters or more. "
            "Make one: openssl rand -hex 32"
        )
        raise SetupError(msg)
    return secret
