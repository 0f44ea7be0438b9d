"""What a device and the service say to each other over HTTP, before and beside MQTT: certificates (DESIGN 3).

`POST /v1/enrolments` takes an ``Enrolment`` and `POST /v1/enrolments/renewals` a ``RenewalRequest``, both JSON over
TLS; both answer with ``Credentials``.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

from broker.contract.messages import Count, DeviceId, Message

MAX_PEM_CHARS: Final = 2_000
"""Longest request or key in PEM. A P-256 signing request has 450 characters, a renewal must fit into an envelope."""

Pem = Annotated[str, Meta(min_length=1, max_length=MAX_PEM_CHARS)]
Port = Annotated[int, Meta(ge=1, le=65_535)]


class Enrolment(Struct, frozen=True, kw_only=True):
    """A new device's application.

    Attributes:
        claim: the one-time code from its registration.
        csr_pem: signing request (PKCS#10) of the TLS key; its CN is the device id.
        report_key_pem: public half of the key that signs reports.
    """

    device_id: DeviceId
    claim: str
    csr_pem: Pem
    report_key_pem: Pem


class Renewal(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Asks for a new certificate, before the present one ends. Signed with the report key, as reports are.

    It has no date, as a device may not know the time. A repeat is harmless: it only gets a certificate for the same
    TLS key once more.
    """

    TYPE: ClassVar[str] = "unlatch-rnw"

    device: DeviceId
    csr_pem: Pem


class RenewalRequest(Struct, frozen=True, kw_only=True):
    """The body of a renewal; ``device_id`` says whose key to verify ``renewal`` with, a signed ``Renewal``."""

    device_id: DeviceId
    renewal: str


class Broker(Struct, frozen=True, kw_only=True):
    """Where the broker is; the host name is the one in its certificate."""

    host: Annotated[str, Meta(min_length=1)]
    port: Port


class Credentials(Struct, frozen=True, kw_only=True):
    """What a device needs to connect and to know its service.

    Attributes:
        certificate_pem: for the TLS key of the request; CN is the device id.
        ca_pem: the cell's authority, which signed this certificate and the broker's.
        command_keys: the service's public keys by key id.
        config_revision: the revision of the configuration that these keys are. A journal with a configuration of at
            least this revision is newer than they are.
    """

    device_id: DeviceId
    certificate_pem: str
    ca_pem: str
    broker: Broker
    command_keys: dict[str, str]
    config_revision: Count = 0
