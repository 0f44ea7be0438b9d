"""The workshop: registers devices with the service, as an operator does, enrols them, and makes their folders."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key

from broker.contract.enrolment import Credentials
from broker.contract.keys import new_report_key, private_pem, public_pem
from broker.contract.messages import Position
from device_agent import certificates
from simulators import folders
from simulators.errors import ProvisioningError

AT_ONCE: Final = 8  # requests on their way; the service commits in groups, so more of them cost it little
TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Wish:
    """A device to make: ``number`` is printed on it and must be new, ``site`` names the place for people."""

    kind: str
    number: int
    position: Position
    site: str = ""


def provision(url: str, operator_token: str, wishes: Iterable[Wish], root: Path) -> list[folders.Device]:
    """Register devices and their labels with the service at ``url``, and enrol them; make their folders in ``root``.

    Raises:
        ProvisioningError: the service refused one.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    headers = {"Authorization": f"Bearer {operator_token}"}
    with (
        httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S) as client,
        ThreadPoolExecutor(AT_ONCE, thread_name_prefix="workshop") as threads,
    ):
        return list(threads.map(lambda wish: _make(client, wish, root), wishes))


def _make(client: httpx.Client, wish: Wish, root: Path) -> folders.Device:
    made = _post(
        client,
        "/v1/ops/devices",
        kind=wish.kind,
        number=wish.number,
        site=wish.site,
        lat=wish.position.lat,
        lon=wish.position.lon,
    )
    label = _post(client, f"/v1/ops/devices/{made['device_id']}/labels")
    report_key, tls_key = new_report_key(), generate_private_key(SECP256R1())
    enrolled = _enrol(client, made["device_id"], made["claim"], report_key, tls_key)
    device = folders.Device(
        id=made["device_id"],
        kind=wish.kind,
        number=wish.number,
        label=label["text"],
        position=wish.position,
        command_keys=enrolled.command_keys,
        config_revision=enrolled.config_revision,
    )
    certified = folders.Certified(private_pem(tls_key), enrolled.certificate_pem, enrolled.ca_pem)
    folders.write_device(root, device, private_pem(report_key), certified)
    return device


def _enrol(
    client: httpx.Client,
    device_id: str,
    claim: str,
    report_key: EllipticCurvePrivateKey,
    tls_key: EllipticCurvePrivateKey,
) -> Credentials:
    """Do what `unlatch-agent enrol` does; a thousand processes of it would take minutes."""
    answer = _post(
        client,
        "/v1/enrolments",
        device_id=device_id,
        claim=claim,
        csr_pem=certificates.request(tls_key, device_id),
        report_key_pem=public_pem(report_key.public_key()),
    )
    return msgspec.convert(answer, Credentials)


def _post(client: httpx.Client, path: str, **body: object) -> dict[str, Any]:
    try:
        answer = client.post(path, json=body)
    except httpx.HTTPError as error:
        msg = f"POST {path} had no answer: {error!r}; is the service still there? See its log"
        raise ProvisioningError(msg) from error
    if not answer.is_success:
        msg = f"POST {path} was answered {answer.status_code}: {answer.text}"
        raise ProvisioningError(msg)
    content: dict[str, Any] = answer.json()
    return content
