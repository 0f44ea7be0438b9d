"""Guards of labels, of presence, and of photographs."""

from __future__ import annotations

from typing import Final

from tests.guards.guard import Guard

TOKEN: Final = "session_service/labels/token.py"
SERVICE: Final = "session_service/labels/service.py"
READER: Final = "session_service/labels/reader.py"
DISPLAY: Final = "session_service/presence/display.py"
PRESENCE: Final = "session_service/presence/service.py"
PRESENCE_SQL: Final = "session_service/presence/repository.py"
TOKEN_TESTS: Final = "session_service/labels/test_token.py::"
SERVICE_TESTS: Final = "session_service/labels/test_service.py::"
READER_TESTS: Final = "session_service/labels/test_reader.py::"
START_TESTS: Final = "session_service/presence/test_start.py::"
DISPLAY_TESTS: Final = "session_service/presence/test_display.py::"

GUARDS: Final = (
    Guard(
        "label: mac",
        TOKEN,
        "return hmac.compare_digest(expected, parts.mac)",
        "return bool(expected)",
        (TOKEN_TESTS + "test_any_altered_character_is_refused", TOKEN_TESTS + "test_a_mac_belongs_to_one_generation"),
    ),
    Guard(
        "label: mac, before the database is asked",
        SERVICE,
        "    if not token.is_ours(parts, keys):\n        raise",
        "    if False:\n        raise",
        (SERVICE_TESTS + "test_what_is_none_of_ours_is_refused_without_the_database",),
    ),
    Guard(
        "label: generation of its row",
        SERVICE,
        " or not token.verify(parts, keys, generation=row.generation)",
        "",
        (SERVICE_TESTS + "test_a_label_of_another_generation_than_its_rows_is_forged",),
    ),
    Guard(
        "label: key of its row",
        SERVICE,
        "if parts.key_id != row.key_id or not token",
        "if not token",
        (SERVICE_TESTS + "test_a_label_under_another_key_than_its_rows_is_forged",),
    ),
    Guard(
        "label: host",
        TOKEN,
        "if parts.host != host.upper():",
        "if False:",
        (TOKEN_TESTS + "test_a_label_of_another_host_is_foreign_and_says_whose_it_is",),
    ),
    Guard(
        "label: host under the mac",
        TOKEN,
        r"unlatch-label-1\n{host}\n{label_id}",
        r"unlatch-label-1\n{label_id}",
        (TOKEN_TESTS + "test_the_host_is_under_the_mac",),
    ),
    Guard(
        "label: revoked",
        SERVICE,
        "    if row.revoked_at_ms is not None:\n        raise RevokedLabelError(REVOKED)\n",
        "",
        (SERVICE_TESTS + "test_a_revoked_label_opens_nothing_and_the_others_go_on",),
    ),
    Guard(
        "label: suspended",
        SERVICE,
        "    if row.suspended_at_ms is not None:\n        raise SuspendedLabelError(SUSPENDED)\n",
        "",
        (SERVICE_TESTS + "test_a_suspended_label_opens_nothing_until_a_technician_has_looked",),
    ),
    Guard(
        "label: a reprint revokes the one before",
        SERVICE,
        "    if not keep_old_until_mounted:\n",
        "    if False:\n",
        (SERVICE_TESTS + "test_a_new_label_revokes_the_one_before_in_the_same_transaction_with_reason_and_audit",),
    ),
    Guard(
        "label: secrets are long enough",
        TOKEN,
        "if len(secret) < SECRET_MIN_BYTES:",
        "if False:",
        (TOKEN_TESTS + "test_unsound_keys_are_refused",),
    ),
    Guard(
        "photograph: pixels",
        READER,
        "if pixels > PHOTO_MAX_PIXELS:",
        "if False:",
        (READER_TESTS + "test_pixels_above_the_limit_are_refused_with_and_without_pillows_warning",),
    ),
    Guard(
        "photograph: bytes",
        READER,
        "if len(data) > PHOTO_MAX_BYTES:",
        "if False:",
        (READER_TESTS + "test_bytes_above_the_limit_are_refused",),
    ),
    Guard(
        "presence: distance",
        PRESENCE,
        "if away is not None and away > tolerance_m:",
        "if False:",
        (START_TESTS + "test_too_far_is_refused_and_says_how_far",),
    ),
    Guard(
        "presence: number on the thing",
        PRESENCE,
        "if not self._wants_number(connection, thing, away) or shown.confirmed_number == thing.number:",
        "if not self._wants_number(connection, thing, away) or shown.confirmed_number is not None:",
        (START_TESTS + "test_the_number_is_asked_for_and_has_to_be_the_things_own",),
    ),
    Guard(
        "presence: code on the display",
        DISPLAY,
        "if hmac.compare_digest(codes.generate_otp(step), code)]",
        "if codes]",
        (DISPLAY_TESTS + "test_a_code_of_two_steps_beside_is_not",),
    ),
    Guard(
        "presence: a display's code is good once",
        DISPLAY,
        "for step in good if step > after_step)",
        "for step in good)",
        (DISPLAY_TESTS + "test_a_code_is_good_once_and_so_are_those_before_it",),
    ),
    Guard(
        "presence: tries of a display's code",
        PRESENCE,
        "        self._limits.take(CODES, thing.device_id)\n",
        "",
        (START_TESTS + "test_guessing_ends_soon_even_with_the_right_code",),
    ),
)
