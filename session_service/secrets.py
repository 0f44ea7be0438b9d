"""The keys of an installation: one file each, in a folder that only the service may read."""

from __future__ import annotations

import secrets as random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.contract import keys
from session_service.clock import CROCKFORD
from session_service.errors import SetupError

COMMAND_KEY: Final = "command-key.pem"
LABEL_KEY: Final = "label-key-{}"  # one file a key id; the last in order is the current one
TOKEN_SECRET: Final = "token-secret"  # noqa: S105 - the file's name
PAYMENT_API_KEY: Final = "payment-api-key"
LABEL_KEY_BYTES: Final = 32  # as long as the hash, RFC 2104 section 3
WEBHOOK_SECRET: Final = "payment-webhook-secret"  # noqa: S105 - the file's name


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What must not be known outside. ``command_key`` signs commands under the name ``command_key_id``.

    ``label_keys`` are the keys of the labels' macs by their ids; the greatest id is the one for new labels.
    """

    command_key: Ed25519PrivateKey
    command_key_id: str
    label_keys: dict[str, bytes]
    token_secret: bytes
    payment_api_key: str
    webhook_secret: str


def make_secrets(folder: Path) -> list[Path]:
    """Write the secrets that ``folder`` lacks, each readable by its owner only; return the new files."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {
        COMMAND_KEY: lambda: keys.private_pem(keys.new_command_key()),
        LABEL_KEY.format("A"): lambda: random.token_hex(32),
        TOKEN_SECRET: lambda: random.token_hex(32),
        PAYMENT_API_KEY: lambda: random.token_urlsafe(32),
        WEBHOOK_SECRET: lambda: random.token_hex(32),
    }
    made = [folder / name for name in wanted if not (folder / name).exists()]
    for path in made:
        path.touch(mode=0o600)
        path.write_text(wanted[path.name]())
    return made


def load_secrets(folder: Path) -> Secrets:
    """Read the secrets.

    Raises:
        SetupError: one is missing or unreadable.
    """
    try:
        command_key = keys.load_private((folder / COMMAND_KEY).read_text())
        labels = {p.name.removeprefix("label-key-"): bytes.fromhex(p.read_text()) for p in folder.glob("label-key-*")}
        rest = {name: (folder / name).read_text().strip() for name in (TOKEN_SECRET, PAYMENT_API_KEY, WEBHOOK_SECRET)}
    except (OSError, ValueError) as error:
        msg = f"A secret is missing or damaged ({error}). Make the missing ones: unlatch secrets"
        raise SetupError(msg) from error
    if not labels or not isinstance(command_key, Ed25519PrivateKey):
        msg = f"{folder} has no label key, or a command key that is not Ed25519. Make new ones: unlatch secrets"
        raise SetupError(msg)
    for name, secret in labels.items():
        if len(name) != 1 or name not in CROCKFORD or len(secret) < LABEL_KEY_BYTES:
            path = folder / LABEL_KEY.format(name)
            msg = f"{path} is no label key: its id is one character of {CROCKFORD}, its content 64 hexadecimal digits."
            raise SetupError(msg)
    return Secrets(
        command_key=command_key,
        command_key_id=keys.key_id(command_key.public_key()),
        label_keys=labels,
        token_secret=bytes.fromhex(rest[TOKEN_SECRET]),
        payment_api_key=rest[PAYMENT_API_KEY],
        webhook_secret=rest[WEBHOOK_SECRET],
    )
