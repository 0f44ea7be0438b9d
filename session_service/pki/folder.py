"""Where an installation keeps its authority and what the broker reads: ``SECRETS_DIR/pki``.

| file | what | who reads it |
| --- | --- | --- |
| ``ca.pem``, ``ca-key.pem`` | the authority | the service; everybody has the certificate |
| ``broker.pem``, ``broker-key.pem`` | the broker's | the broker |
| ``service.pem``, ``service-key.pem`` | the service's, as a client of the broker | the service |
| ``service-1.pem``, ``service-1-key.pem`` | the same, of the first of several instances; and so on | that instance |
| ``crl.pem`` | certificates that count no more | the broker, when it changes |
| ``revoked-devices`` | ids of devices that are out, one a line | who cuts their live connections, when it changes |

A file appears whole or not at all, under its name: readers may watch it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from cryptography import x509

from broker.contract.topics import INSTANCES_MAX, service_user
from session_service.errors import SetupError
from session_service.pki import authority
from session_service.pki.authority import Authority, Identity, Revoked

FOLDER: Final = "pki"
CA: Final = "ca"
BROKER: Final = "broker"
SERVICE: Final = "service"
CRL_FILE: Final = "crl.pem"
DENIED_FILE: Final = "revoked-devices"
REFRESH_MS: Final = 86_400_000  # the list is good for a month: so long may the service stand still
RENEW_BEFORE: Final = 1 / 3  # of its life is left: time to notice that nobody has renewed it


def folder_of(secrets_dir: Path) -> Path:
    """Return the folder of an installation's authority."""
    return secrets_dir / FOLDER


def init(folder: Path, hosts: Sequence[str], now_ms: int, instances: int = 0) -> list[Path]:
    """Make what ``folder`` lacks, and renew what is near its end; an authority is never replaced.

    With ``instances`` (up to ``INSTANCES_MAX``) it has a certificate for each of so many of the service as well.

    Without ``hosts`` the broker keeps the names it has, or gets those of this machine; with others it gets a new
    certificate. Return the files written.

    Raises:
        ValueError: a host is no name and no address.
        SetupError: a file is damaged.
        OSError: the folder cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    written: list[Path] = []
    if not path_of(folder, CA).exists() and not key_path_of(folder, CA).exists():
        written += _keep(folder, CA, Authority.new(now_ms).identity)
    signer = load(folder)
    if (wanted := _wanted_hosts(folder, hosts, now_ms)) is not None:
        written += _keep(folder, BROKER, signer.issue_broker(wanted, now_ms))
    for number in range(INSTANCES_MAX + 1):
        name = service_user(number)
        is_wanted = number <= instances or path_of(folder, name).exists()
        if is_wanted and not _is_good(folder, name, now_ms):
            written += _keep(folder, name, signer.issue_service(now_ms, number))
    if not (folder / CRL_FILE).exists():
        written += publish(folder, signer, [], [], now_ms)
    return written


def load(folder: Path) -> Authority:
    """Read the authority.

    Raises:
        SetupError: it is not there, or damaged.
    """
    return Authority(identity(folder, CA))


def identity(folder: Path, name: str) -> Identity:
    """Read a certificate and its key.

    Raises:
        SetupError: one is missing or damaged.
    """
    try:
        return Identity.of_pem(path_of(folder, name).read_text(), key_path_of(folder, name).read_text())
    except FileNotFoundError as error:
        msg = f"{error.filename} is missing. Put back a copy; where there has never been one: unlatch pki init"
        raise SetupError(msg) from error
    except (OSError, ValueError) as error:
        msg = f"{path_of(folder, name)} or its key cannot be used ({error}). Put back a copy of both"
        raise SetupError(msg) from error


def publish(
    folder: Path, signer: Authority, revoked: Iterable[Revoked], denied: Iterable[str], now_ms: int
) -> list[Path]:
    """Write who is out: the list for OpenSSL, then the devices' ids for whoever cuts their connections.

    The list comes first: a device that is cut off may come back at once, and must be refused then.
    """
    files = [folder / CRL_FILE, folder / DENIED_FILE]
    write(files[0], signer.revocation_list(revoked, now_ms), 0o644)
    write(files[1], "".join(f"{device}\n" for device in denied), 0o644)
    return files


def refresh(
    folder: Path, signer: Authority, revoked: Sequence[Revoked], denied: Sequence[str], now_ms: int
) -> list[Path]:
    """``publish``, if somebody else is out than the files say, or the list is a day old; return what was written."""
    is_current = _published(folder, now_ms) == ({each.serial for each in revoked}, list(denied))
    return [] if is_current else publish(folder, signer, revoked, denied, now_ms)


def _published(folder: Path, now_ms: int) -> tuple[set[int], list[str]] | None:
    """Return who is out according to the files, or ``None`` if they are old, missing or damaged."""
    try:
        crl = x509.load_pem_x509_crl((folder / CRL_FILE).read_bytes())
        denied = (folder / DENIED_FILE).read_text().split()
    except (OSError, ValueError):
        return None
    if authority.milliseconds(crl.last_update_utc) < now_ms - REFRESH_MS:
        return None
    return {entry.serial_number for entry in crl}, denied


def write(path: Path, text: str, mode: int) -> None:
    """Write a file under its name in one go, durably."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def path_of(folder: Path, name: str) -> Path:
    """Return where a certificate is."""
    return folder / f"{name}.pem"


def key_path_of(folder: Path, name: str) -> Path:
    """Return where its key is."""
    return folder / f"{name}-key.pem"


def _keep(folder: Path, name: str, made: Identity) -> list[Path]:
    """Write the key, then the certificate: what has a certificate has its key.

    The broker may have a user of its own, who is in the folder's group.
    """
    write(key_path_of(folder, name), made.key_pem, 0o640 if name == BROKER else 0o600)
    write(path_of(folder, name), made.certificate_pem, 0o644)
    return [path_of(folder, name), key_path_of(folder, name)]


def _wanted_hosts(folder: Path, hosts: Sequence[str], now_ms: int) -> Sequence[str] | None:
    """Return the hosts for which the broker needs a new certificate, or ``None`` if it needs none."""
    if not path_of(folder, BROKER).exists():
        return hosts or authority.LOCAL
    present = authority.hosts_of(identity(folder, BROKER).certificate)
    if hosts and sorted(present) != sorted(set(hosts)):
        return hosts
    return None if _is_good(folder, BROKER, now_ms) else present


def _is_good(folder: Path, name: str, now_ms: int) -> bool:
    if not path_of(folder, name).exists():
        return False
    certificate = identity(folder, name).certificate
    begin, end = (
        authority.milliseconds(at) for at in (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    )
    return end - now_ms > (end - begin) * RENEW_BEFORE
