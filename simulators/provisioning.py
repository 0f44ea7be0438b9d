"""The workshop: registers devices with the service, as an operator does, and makes their folders."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from broker.contract.keys import new_report_key, private_pem, public_pem
from broker.contract.messages import Position
from broker.mosquitto.passwords import new_password
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
    """Register devices and their labels with the service at ``url``; make their folders below ``root``.

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
    key = new_report_key()
    made = _post(
        client,
        "/v1/ops/devices",
        kind=wish.kind,
        number=wish.number,
        report_key_pem=public_pem(key.public_key()),
        site=wish.site,
        lat=wish.position.lat,
        lon=wish.position.lon,
    )
    label = _post(client, f"/v1/ops/devices/{made['device_id']}/labels")
    device = folders.Device(
        id=made["device_id"],
        kind=wish.kind,
        number=wish.number,
        password=new_password(),
        label=label["text"],
        position=wish.position,
        command_keys=made["command_keys"],
    )
    folders.write_device(root, device, private_pem(key))
    return device


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
