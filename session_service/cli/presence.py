"""`unlatch presence`: what a device's Start asks for."""

from __future__ import annotations

from argparse import Namespace

from sqlalchemy import Connection

from session_service.cli.common import Commands, actor, add_command, add_group, read, say, settings_of, write
from session_service.cli.devices import find
from session_service.devices.service import By
from session_service.presence.display import totp
from session_service.presence.model import Confirm, Distance, PresencePolicy
from session_service.presence.service import Presence
from session_service.secrets import load_secrets
from session_service.settings import Settings, clock_of


def add_to(commands: Commands) -> None:
    """Add the commands."""
    summary = "what a device's Start asks for: its number, a position, a code"
    group = add_group(commands, "presence", summary=summary, example="unlatch presence show 17")
    show = add_command(
        group, "show", _show, summary="show what a device's Start asks for", example="unlatch presence show 17"
    )
    change = add_command(
        group,
        "set",
        _set,
        summary="set what a device's Start asks for",
        example='unlatch presence set 17 --confirm-number in_doubt --distance if_known --reason "a busy rack"',
    )
    change.add_argument("--confirm-number", choices=[str(when) for when in Confirm], help="the number printed on it")
    change.add_argument("--distance", choices=[str(when) for when in Distance], help="the phone's position")
    change.add_argument("--display-code", choices=["on", "off"], help="the code on its display")
    secret = add_command(
        group,
        "secret",
        _secret,
        summary="give a device's display a new secret and show it once, to be put into the device",
        example='unlatch presence secret 17 --reason "a new display"',
    )
    for parser in (show, change, secret):
        parser.add_argument("device", metavar="DEVICE", help="its number or id")
    for parser in (change, secret):
        parser.add_argument("--reason", required=True)


def _presence(settings: Settings) -> Presence:
    return Presence(settings, load_secrets(settings.secrets_dir).token_secret)


def _by(settings: Settings, arguments: Namespace) -> By:
    return By(actor(), arguments.reason, clock_of(settings).now_ms())


def _show(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    rules = _presence(settings)
    _say(read(settings, lambda c: rules.policy(c, find(c, arguments.device).id)))
    return 0


def _set(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    rules, by = _presence(settings), _by(settings, arguments)

    def work(connection: Connection) -> PresencePolicy:
        device_id = find(connection, arguments.device).id
        policy = rules.policy(connection, device_id)
        policy.confirm_number = Confirm(arguments.confirm_number or policy.confirm_number)
        policy.distance = Distance(arguments.distance or policy.distance)
        policy.display_code = policy.display_code if arguments.display_code is None else arguments.display_code == "on"
        return rules.set_policy(connection, device_id, policy, by)

    _say(write(settings, work))
    return 0


def _secret(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    rules, by = _presence(settings), _by(settings, arguments)

    def work(connection: Connection) -> tuple[str, int]:
        device_id = find(connection, arguments.device).id
        return device_id, rules.new_secret(connection, device_id, by)

    device_id, version = write(settings, work)
    secret = rules.secret(device_id, version)
    say(totp(secret).provisioning_uri(name=device_id, issuer_name=settings.brand))
    return 0


def _say(policy: PresencePolicy) -> None:
    code = "on" if policy.display_code else "off"
    say(f"confirm-number {policy.confirm_number}  distance {policy.distance}  display-code {code}")
