"""`unlatch pki`: the cell's certificate authority, and the certificates of its broker and its service."""

from __future__ import annotations

from argparse import Namespace

from broker.contract.topics import INSTANCES_MAX, service_user
from session_service.cli.common import Commands, add_command, add_group, read, say, settings_of
from session_service.clock import rfc3339
from session_service.errors import SetupError
from session_service.pki import authority, service
from session_service.pki import folder as files
from session_service.settings import Settings, clock_of


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = add_group(commands, "pki", summary="make and show the cell's certificates", example="unlatch pki init")
    init = add_command(
        group,
        "init",
        _init,
        summary="make the certificates that are missing in UNLATCH_SECRETS_DIR/pki, and renew those near their end",
        example="unlatch pki init --host broker.example.org --host 192.0.2.7",
    )
    init.add_argument(
        "--host",
        dest="hosts",  # 'host' is where the service listens
        metavar="HOST",
        action="append",
        default=[],
        help="name or address at which the broker is reached, once for each; localhost and 127.0.0.1 if none is given",
    )
    init.add_argument(
        "--instances",
        metavar="N",
        type=int,
        choices=range(INSTANCES_MAX + 1),
        default=0,
        help=f"certificates for so many instances of the service as well, {INSTANCES_MAX} at the most",
    )
    add_command(group, "show", _show, summary="show the certificates and when they end", example="unlatch pki show")
    add_command(
        group,
        "crl",
        _crl,
        summary="write the list of revoked certificates, and that of revoked devices, anew for the broker",
        example="unlatch pki crl",
    )


def has_authority(settings: Settings) -> bool:
    """Return whether the installation has an authority, and so somebody to tell who is out."""
    return files.key_path_of(files.folder_of(settings.secrets_dir), files.CA).exists()


def publish(settings: Settings) -> str:
    """Write who is out for the broker; return what to tell the person who asked."""
    folder = files.folder_of(settings.secrets_dir)
    now_ms = clock_of(settings).now_ms()
    signer = files.load(folder)
    revoked, denied = read(settings, lambda c: service.who_is_out(c, now_ms))
    try:
        written = files.publish(folder, signer, revoked, denied, now_ms)
    except OSError as error:
        msg = f"The lists for the broker cannot be written ({error}). Correct that, then: unlatch pki crl"
        raise SetupError(msg) from error
    paths = " and ".join(map(str, written))
    return f"{len(revoked)} certificates and {len(denied)} devices are out: {paths}"


def _crl(arguments: Namespace) -> int:
    say(publish(settings_of(arguments)))
    return 0


def _init(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    folder = files.folder_of(settings.secrets_dir)
    try:
        written = files.init(folder, arguments.hosts, clock_of(settings).now_ms(), arguments.instances)
    except (OSError, ValueError) as error:
        msg = f"The certificates cannot be made ({error}). Correct --host, or UNLATCH_SECRETS_DIR"
        raise SetupError(msg) from error
    for path in written:
        say(f"made {path}")
    if not written:
        say(f"Nothing is missing in {folder}.")
    return 0


def _show(arguments: Namespace) -> int:
    folder = files.folder_of(settings_of(arguments).secrets_dir)
    names = map(service_user, range(1, INSTANCES_MAX + 1))
    instances = [name for name in names if files.path_of(folder, name).exists()]
    for name in (files.CA, files.BROKER, files.SERVICE, *instances):
        certificate = files.identity(folder, name).certificate
        end = rfc3339(authority.milliseconds(certificate.not_valid_after_utc))
        hosts = f"  for {', '.join(authority.hosts_of(certificate))}" if name == files.BROKER else ""
        subject = certificate.subject.rfc4514_string()
        say(f"{name:<9}  {subject:<24}  until {end}  serial {certificate.serial_number:x}{hosts}")
    return 0
