"""What the API says of device identity: ``broker.contract.enrolment``, as pydantic checks and documents it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from broker.contract import topics
from broker.contract.enrolment import MAX_PEM_CHARS
from broker.contract.messages import MAX_MESSAGE_BYTES
from session_service.pki.claims import TYPED_CHARS
from session_service.pki.model import DeviceCertificate
from session_service.pki.service import Application, application
from session_service.secrets import Secrets
from session_service.settings import Settings

DeviceId = Annotated[str, Field(pattern=f"^{topics.DEVICE_ID.pattern}$")]
Pem = Annotated[str, Field(min_length=1, max_length=MAX_PEM_CHARS, pattern=r"^[\n\r -~]*$")]


class EnrolmentIn(BaseModel):
    """A new device's application: the claim code from its registration, and the public halves of its two keys."""

    model_config = ConfigDict(extra="forbid")

    device_id: DeviceId
    claim: str = Field(min_length=1, max_length=TYPED_CHARS, pattern=r"^[ -~]*$")
    csr_pem: Pem = Field(description="certificate signing request (PKCS#10) of the TLS key, P-256")
    report_key_pem: Pem = Field(description="public P-256 key that signs reports")

    def application(self) -> Application:
        """Return it as the service takes it.

        Raises:
            SigningRequestError, ReportKeyError: as ``service.application``.
        """
        return application(self.device_id, self.claim, self.csr_pem, self.report_key_pem)


class RenewalIn(BaseModel):
    """A request for a new certificate, as a JWS that the device has signed with its report key (ES256)."""

    model_config = ConfigDict(extra="forbid")

    device_id: DeviceId
    renewal: str = Field(min_length=1, max_length=MAX_MESSAGE_BYTES, pattern=r"^[A-Za-z0-9._-]*$")


class BrokerOut(BaseModel):
    """Where devices reach the broker."""

    host: str
    port: int


class CredentialsOut(BaseModel):
    """What a device needs to connect and to know its service. ``command_keys`` are public keys by key id."""

    device_id: str
    certificate_pem: str
    ca_pem: str
    broker: BrokerOut
    command_keys: dict[str, str]
    config_revision: int = 0

    @classmethod
    def of(
        cls,
        certificate: DeviceCertificate,
        ca_pem: str,
        settings: Settings,
        secrets: Secrets,
        *,
        config_revision: int = 0,
    ) -> Self:
        """Return what a device is told with its certificate."""
        host = settings.device_broker_host or settings.broker_host
        port = settings.device_broker_port or settings.broker_port
        return cls(
            device_id=certificate.device_id,
            certificate_pem=certificate.pem,
            ca_pem=ca_pem,
            broker=BrokerOut(host=host, port=port),
            command_keys=command_keys(secrets),
            config_revision=config_revision,
        )


def command_keys(secrets: Secrets) -> dict[str, str]:
    """Return the public keys of the orders that a device may obey, by key id."""
    return dict(secrets.command_keys.listed)
