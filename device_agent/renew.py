"""``unlatch-agent renew``: gets a new certificate for a new key when the present one is due.

The new key is written first, so that a try that was interrupted goes on with it. The pair lies beside the present one
until the agent connects anew (``identity``).
"""

from __future__ import annotations

from typing import Final

from broker.contract.enrolment import Renewal, RenewalRequest
from broker.contract.messages import VERSION
from device_agent import certificates, files
from device_agent.clock import SystemClock
from device_agent.enrolment import make_tls_key
from device_agent.errors import EnrolmentError
from device_agent.identity import Identity
from device_agent.keys import KeySigner, open_report_key
from device_agent.service import Service
from device_agent.settings import LoadedSettings, ServiceSettings

PATH: Final = "/v1/enrolments/renewals"


def renew(settings: LoadedSettings, *, now: bool = False) -> str:
    """Renew if it is due, or ``now``; return for people what was done.

    Raises:
        AgentError: it did not work out; the present certificate stays in use.
    """
    identity, service = settings.identity, settings.values.service
    if identity is None or service is None:
        msg = f"{settings.file}: no certificate to renew; give broker.cert_file, broker.key_file and service.url"
        raise EnrolmentError(msg)
    if identity.renewed:
        return "renewed before; used when the agent connects anew"
    life, unix_s = certificates.life_of(identity.cert_file), SystemClock(settings.values.boot_id).unix_s()
    if not (now or life.due(unix_s)):
        return f"not due: {life.in_words(unix_s)}"
    try:
        return f"renewed: {_renew(settings, identity, service).in_words(unix_s)}"
    except OSError as error:
        msg = f"{identity.cert_file.parent}: {error}; check its owner and the free space"
        raise EnrolmentError(msg) from error


def _renew(settings: LoadedSettings, identity: Identity, service: ServiceSettings) -> certificates.Life:
    device = settings.values.device
    key = make_tls_key(identity.new_key_file)
    renewal = Renewal(version=VERSION, device=device, csr_pem=certificates.request(key, device))
    token = KeySigner(open_report_key(settings)).sign(renewal)
    api = Service(service.url, None if service.ca_file is None else settings.path(service.ca_file))
    credentials = api.post(PATH, RenewalRequest(device_id=device, renewal=token.decode()))
    ca_file = settings.path(settings.values.broker.ca_file or "")
    life = certificates.check(credentials, key, device, ca_file.read_text(encoding="ascii"))
    files.write(identity.new_cert_file, credentials.certificate_pem, files.PUBLIC)
    return life
