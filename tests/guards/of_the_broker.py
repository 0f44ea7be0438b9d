"""Guards of the broker: its door, and its access list."""

from __future__ import annotations

from typing import Final

from tests.guards.guard import Guard
from tests.support.planting import Change

CONF: Final = "broker/mosquitto/mosquitto.conf"
ACL: Final = "broker/mosquitto/acl"
FILES: Final = "broker/mosquitto/files.py"
ACCESS: Final = "broker/mosquitto/access.py"
TLS_TESTS: Final = "broker/test_mosquitto_tls.py::"
ACCESS_TESTS: Final = "broker/test_mosquitto_access.py::"

HEARS: Final = ACCESS_TESTS + "test_a_device_hears_nothing_that_is_not_for_it"
SAYS: Final = ACCESS_TESTS + "test_what_a_device_may_not_say_reaches_nobody"
OTHER: Final = "BBBBBBBBBB"


def _hears(channel: str) -> Guard:
    return Guard(
        f"broker: a device hears its own {channel} alone",
        ACL,
        f"pattern read u1/%u/{channel}",
        f"pattern read u1/+/{channel}",
        (f"{HEARS}[u1/{OTHER}/{channel}]",),
    )


def _says(channel: str) -> Guard:
    return Guard(
        f"broker: a device says its own {channel} alone",
        ACL,
        f"pattern write u1/%u/{channel}",
        f"pattern write u1/+/{channel}",
        (f"{SAYS}[u1/{OTHER}/{channel}]",),
    )


GUARDS: Final = (
    *map(_hears, ("cmd", "rak", "cfg")),
    *map(_says, ("rpt", "hb", "up")),
    Guard(
        "broker: a device says no commands",
        ACL,
        "pattern read u1/%u/cmd",
        "pattern readwrite u1/%u/cmd",
        (ACCESS_TESTS + "test_a_device_cannot_say_its_own_commands_to_itself",),
    ),
    Guard(
        "broker: a device does not hear what devices say",
        ACL,
        "pattern write u1/%u/rpt",
        "pattern readwrite u1/+/rpt",
        (HEARS + "[u1/+/rpt]",),
    ),
    Guard(
        "broker: a device's will is about itself",
        ACL,
        "pattern write u1/%u/up",
        "pattern write u1/+/up",
        (ACCESS_TESTS + "test_a_will_on_a_foreign_presence_does_not",),
    ),
    Guard(
        "broker: the service keeps to its topics",
        ACL,
        "topic read u1/+/rpt",
        "topic readwrite #",
        (ACCESS_TESTS + "test_the_service_keeps_to_the_contract_too",),
    ),
    Guard(  # by itself nobody is let in at all: what is required is what the name is taken from
        "broker: require_certificate",
        CONF,
        "require_certificate true",
        "require_certificate false",
        (TLS_TESTS + "test_refused_is[no_certificate]",),
    ),
    Guard(
        "broker: require_certificate, and that nobody is nameless",
        CONF,
        "require_certificate true",
        "require_certificate false",
        (TLS_TESTS + "test_refused_is[no_certificate]",),
        (Change(CONF, "allow_anonymous false", "allow_anonymous true"),),
    ),
    Guard("broker: crlfile", CONF, "crlfile $crl\n", "", (TLS_TESTS + "test_refused_is[revoked]",)),
    Guard("broker: tls_version", CONF, "tls_version tlsv1.3\n", "", (TLS_TESTS + "test_refused_is[without_tls_1_3]",)),
    Guard(
        "broker: use_identity_as_username",
        CONF,
        "use_identity_as_username true\n",
        "",
        ("broker/test_mosquitto_files.py::test_the_door_takes_certificates_alone",),
    ),
    Guard(
        "broker: use_username_as_clientid",
        CONF,
        "use_username_as_clientid true\n",
        "",
        (ACCESS_TESTS + "test_a_foreign_client_id_eats_nobodys_messages",),
    ),
    Guard(
        "broker: longest packet",
        CONF,
        "max_packet_size $max_packet_bytes\n",
        "",
        (ACCESS_TESTS + "test_a_packet_beyond_the_bound_costs_the_connection",),
    ),
    Guard(
        "broker: denied device",
        FILES,
        '_replace(directory / ACL, _resource("acl") + _instances() + denials)',
        '_replace(directory / ACL, _resource("acl") + _instances())',
        (TLS_TESTS + "test_a_revoked_device_may_say_and_hear_nothing_though_its_certificate_is_not_on_the_list",),
    ),
    Guard(
        "broker: the connection of a revoked device ends",
        ACCESS,
        "            cut(self._directory, device)\n",
        "            pass\n",
        (TLS_TESTS + "test_a_revoked_device_is_out_by_itself_within_ten_seconds_while_connected",),
    ),
)
