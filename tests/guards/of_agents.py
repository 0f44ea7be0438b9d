"""Guards of the envelope, and of the agent: which messages count, and which commands move a lock."""

from __future__ import annotations

from typing import Final

from tests.guards.guard import Guard
from tests.support.planting import Change

JWS: Final = "broker/contract/jws.py"
ENVELOPE: Final = "broker/contract/envelope.py"
AGENT: Final = "device_agent/core/agent.py"
GUARD: Final = "device_agent/core/guard.py"
COMMANDS: Final = "device_agent/core/commands.py"
TRUST: Final = "device_agent/core/trust.py"
DEVICE: Final = "device_agent/device.py"
JOURNAL_FILE: Final = "device_agent/journal_file.py"
JWS_TESTS: Final = "broker/test_jws.py::"
COMMAND_TESTS: Final = "device_agent/core/test_commands.py::"
REPORT_TESTS: Final = "device_agent/core/test_reports.py::"
CONFIGURATION_TESTS: Final = "device_agent/core/test_configuration.py::"

GUARDS: Final = (
    Guard(
        "envelope: EdDSA signature",
        JWS,
        "            key.verify(token.signature, token.signed)\n",
        "            pass\n",
        (JWS_TESTS + "test_a_signature_is_of_one_key_only",),
    ),
    Guard(
        "envelope: ES256 signature",
        JWS,
        "            key.verify(der, token.signed, _ECDSA)\n",
        "            pass\n",
        (JWS_TESTS + "test_a_signature_is_of_one_key_only",),
    ),
    Guard(
        "envelope: the algorithm is the key's",
        ENVELOPE,
        "    if header.alg != jws.algorithm(key):\n",
        "    if False:\n",
        ("broker/test_envelope.py::test_a_header_that_names_another_algorithm_than_the_keys_is_refused",),
    ),
    Guard(
        "envelope: longest message",
        ENVELOPE,
        "    if len(token) > MAX_MESSAGE_BYTES:\n        raise RejectedError(",
        "    if False:\n        raise RejectedError(",
        (REPORT_TESTS + "test_bad_messages_are_counted_logged_once_a_minute_and_have_no_effect",),
    ),
    Guard(
        "agent: signature",
        ENVELOPE,
        "    if not jws.verify(parts, _key_of(parts.header, expected, find_key)):\n",
        "    if not _key_of(parts.header, expected, find_key):\n",
        (COMMAND_TESTS + "test_a_forged_command_is_dropped",),
    ),
    Guard(
        "agent: type of the message",
        ENVELOPE,
        "    if header.typ != expected.TYPE:\n",
        "    if False:\n",
        (REPORT_TESTS + "test_an_acknowledgement_does_not_pass_for_a_command",),
    ),
    Guard(
        "agent: a message for another device",
        AGENT,
        "        if message.device != self._identity.device:\n",
        "        if False:\n",
        (REPORT_TESTS + "test_a_command_for_another_device_or_of_the_future_is_dropped",),
    ),
    Guard(
        "agent: a message of a later version",
        ENVELOPE,
        "if msgspec.json.decode(payload, type=_Versioned).version > VERSION:",
        "if False:",
        (REPORT_TESTS + "test_a_command_for_another_device_or_of_the_future_is_dropped",),
    ),
    Guard(
        "agent: boot id",
        GUARD,
        "if command.boot_id != self._boot_id:",
        "if False:",
        (COMMAND_TESTS + "test_a_command_dated_for_another_boot_is_refused",),
    ),
    Guard(
        "agent: deadline, at the decision",
        GUARD,
        "        if now_ms > command.expires_uptime_ms:\n",
        "        if False:\n",
        (COMMAND_TESTS + "test_a_stale_cancel_is_refused_like_any_other_command",),
    ),
    Guard(
        "agent: deadline, all three looks at the clock",
        GUARD,
        "        if now_ms > command.expires_uptime_ms:\n",
        "        if False:\n",
        (COMMAND_TESTS + "test_a_command_is_good_up_to_its_deadline_and_not_after",),
        (
            Change(
                COMMANDS,
                "        if now_ms > record.expires_uptime_ms:\n            self._end(record, Move.EXPIRED",
                "        if False:\n            self._end(record, Move.EXPIRED",
            ),
            Change(DEVICE, "if self._ports.clock.uptime_ms() > drive.not_after_ms:", "if False:"),
        ),
    ),
    Guard(
        "agent: deadline, after the intent",
        COMMANDS,
        "        if now_ms > record.expires_uptime_ms:\n            self._end(record, Move.EXPIRED",
        "        if False:\n            self._end(record, Move.EXPIRED",
        (COMMAND_TESTS + "test_a_disk_slower_than_the_deadline_drives_nothing",),
    ),
    Guard(
        "agent: deadline, right before the motor",
        DEVICE,
        "if self._ports.clock.uptime_ms() > drive.not_after_ms:",
        "if False:",
        (COMMAND_TESTS + "test_a_program_frozen_right_before_the_motor_drives_nothing",),
    ),
    Guard(
        "agent: deadline of the wall clock",
        GUARD,
        "if unix_s is not None and command.exp is not None and unix_s > command.exp:",
        "if False:",
        (COMMAND_TESTS + "test_exp_counts_only_where_the_wall_clock_is_right",),
    ),
    Guard(
        "agent: duplicate id",
        COMMANDS,
        "        if known is not None:\n            return self._repeat(",
        "        if False:\n            return self._repeat(",
        (COMMAND_TESTS + "test_a_repeat_gets_the_same_report_byte_for_byte_and_moves_nothing",),
    ),
    Guard(
        "agent: duplicate id, over a reboot",
        GUARD,
        "self._records = {record.id: record for record in records}",
        "self._records = {record.id: record for record in list(records)[:0]}",
        (COMMAND_TESTS + "test_a_repeat_after_a_reboot_gets_the_stored_outcome",),
    ),
    Guard(
        "agent: ids are kept while they could be fresh",
        GUARD,
        "        return record.boot_id != self._boot_id or now_ms > record.expires_uptime_ms\n",
        "        return True\n",
        (COMMAND_TESTS + "test_ids_are_forgotten_only_when_they_are_acknowledged_and_stale",),
    ),
    Guard(
        "agent: cancelled before it came",
        COMMANDS,
        "            self._bury(command, command.cancels, now_ms)\n",
        "            pass\n",
        (COMMAND_TESTS + "test_a_cancel_that_comes_first_keeps_the_command_from_ever_moving",),
    ),
    Guard(
        "agent: retained command",
        AGENT,
        "        if event.retained and event.channel is not Channel.CONFIG:\n",
        "        if False:\n",
        (COMMAND_TESTS + "test_a_retained_command_does_nothing",),
    ),
    Guard(
        "agent: what cannot be written down is not done",
        COMMANDS,
        "            self._end(record, Move.INTENT_FAILED, now_ms, Result.REFUSED, Reason.JOURNAL_FAILED)\n",
        "            self.intent_saved(record, now_ms)\n",
        (COMMAND_TESTS + "test_a_full_card_refuses_and_drives_nothing",),
    ),
    Guard(
        "agent: revision of a configuration",
        TRUST,
        "        if config.revision <= self._newest:\n",
        "        if False:\n",
        (CONFIGURATION_TESTS + "test_what_is_no_newer_whole_configuration_for_this_device_changes_nothing",),
    ),
    Guard(
        "agent: a key that is no longer listed",
        TRUST,
        "        self._find = keys.get\n",
        "        before = self._find\n        self._find = lambda key_id: keys.get(key_id) or before(key_id)\n",
        (CONFIGURATION_TESTS + "test_old_and_new_key_count_while_both_are_listed_and_then_only_what_is",),
    ),
    Guard(
        "agent: a configuration counts once it is on the disk",
        TRUST,
        "        self._waiting[config.revision] = keys\n",
        "        self._waiting[config.revision] = keys\n        self._find = keys.get\n",
        (CONFIGURATION_TESTS + "test_it_counts_only_once_it_is_on_the_disk",),
    ),
    Guard(
        "agent: acknowledgements of this journal alone",
        AGENT,
        "        if ack.journal_id == self._journal_id:\n",
        "        if True:\n",
        (REPORT_TESTS + "test_only_a_signed_acknowledgement_for_this_journal_and_device_counts",),
    ),
    Guard(
        "agent: one writer a journal",
        JOURNAL_FILE,
        "        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "        pass\n",
        ("device_agent/test_journal.py::test_its_log_stays_when_it_is_closed_and_others_only_read",),
    ),
    Guard(
        "agent: what is saved is synced",
        JOURNAL_FILE,
        '        self.db.execute(f"PRAGMA synchronous = {synchronous.value}")\n',
        '        self.db.execute("PRAGMA synchronous = NORMAL")\n',
        ("device_agent/test_journal.py::test_it_is_synced_at_every_commit_unless_told_otherwise",),
    ),
    Guard(
        "agent: a configuration that was given up is not taken again",
        TRUST,
        "        self._newest = max(self._newest, snapshot.refused_revision)\n",
        "",
        ("device_agent/test_trial.py::test_one_that_was_refused_is_not_taken_again_and_a_newer_one_is",),
    ),
)
