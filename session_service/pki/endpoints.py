"""How devices get their certificates: /v1/enrolments. Nobody is signed in here: a claim or a signature speaks."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Response
from sqlalchemy import Connection

from session_service.context import Context, InContext
from session_service.errors import SetupError
from session_service.idempotency import Answer, OnceOf, answer_of, answer_once
from session_service.keys import service as configurations
from session_service.pki import folder as files
from session_service.pki import repository, service
from session_service.pki.authority import Authority
from session_service.pki.errors import NoAuthorityError, WrongClaimError
from session_service.pki.model import DeviceCertificate
from session_service.pki.schemas import CredentialsOut, EnrolmentIn, RenewalIn

router = APIRouter(tags=["device identity"])


@router.post("/v1/enrolments", status_code=201, response_model=CredentialsOut)
async def enrol(context: InContext, named: OnceOf, wish: EnrolmentIn) -> Response:
    """Let a device in that shows its claim code. A wrong code costs one of five tries."""
    signer, now_ms, application = authority(context), context.clock.now_ms(), wish.application()
    secret = context.secrets.token_secret

    def work(connection: Connection) -> Answer:
        made = service.enrol(connection, signer, secret, application, now_ms)
        ring = context.secrets.command_keys.ring
        revision = configurations.provision(connection, wish.device_id, ring, now_ms)
        return _answer(context, signer, made, revision)

    def unit(connection: Connection) -> Answer | WrongClaimError:
        repository.lock_device(connection, wish.device_id)  # tries are counted one after the other
        try:
            with connection.begin_nested():
                return answer_of(connection, named, now_ms, work)
        except WrongClaimError as wrong:
            service.count_wrong(connection, wish.device_id)
            return wrong  # raised only when the count has been committed

    outcome = await context.database.write(unit)
    if isinstance(outcome, WrongClaimError):
        raise outcome
    return outcome.response()


@router.post("/v1/enrolments/renewals", status_code=201, response_model=CredentialsOut)
async def renew(context: InContext, named: OnceOf, wish: RenewalIn) -> Response:
    """Give a device its next certificate; the present one stays good until its end."""
    signer, now_ms = authority(context), context.clock.now_ms()

    def work(connection: Connection) -> Answer:
        return _answer(context, signer, service.renew(connection, signer, wish.device_id, wish.renewal, now_ms))

    return await answer_once(context.database, named, now_ms, work)


def authority(context: Context) -> Authority:
    """Return the cell's authority.

    Raises:
        NoAuthorityError: the installation has none.
    """
    folder = files.folder_of(context.settings.secrets_dir)
    try:
        return _authority(folder, files.key_path_of(folder, files.CA).stat().st_mtime_ns)
    except (OSError, SetupError) as error:
        msg = "The operator makes the cell's authority on the service's machine: unlatch pki init."
        raise NoAuthorityError(msg) from error


@lru_cache(maxsize=8)
def _authority(folder: Path, _changed_ns: int) -> Authority:
    return files.load(folder)


def _answer(context: Context, signer: Authority, made: DeviceCertificate, config_revision: int = 0) -> Answer:
    told = CredentialsOut.of(made, signer.ca_pem, context.settings, context.secrets, config_revision=config_revision)
    return Answer.of(201, told)
