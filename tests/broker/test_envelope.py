"""What the envelope refuses though the signature is good."""

from __future__ import annotations

import msgspec
import pytest

from broker.contract import jws
from broker.contract.envelope import RejectedError, Rejection, open_sealed
from broker.contract.keys import new_command_key, new_report_key
from broker.contract.messages import ReportAck

ACK = ReportAck(version=1, device="AAAAAAAAAA", journal_id="journal-000001", acked_through=1)


@pytest.mark.parametrize("key", [new_command_key(), new_report_key()], ids=["EdDSA", "ES256"])
@pytest.mark.parametrize("alg", ["HS256", "ES384", "", "of the key"])
def test_a_header_that_names_another_algorithm_than_the_keys_is_refused(key: jws.PrivateKey, alg: str) -> None:
    """The key alone says how a token is verified, and a token that says otherwise is none of ours (RFC 8725, 3.1)."""
    header = jws.Header(alg if alg != "of the key" else jws.algorithm(key), ReportAck.TYPE, "K1")
    signed = jws._base64url(msgspec.json.encode(header)) + b"." + jws._base64url(msgspec.json.encode(ACK))
    token = signed + b"." + jws._base64url(jws._sign(signed, key))
    if alg == "of the key":
        assert open_sealed(token, ReportAck, lambda _: key.public_key()) == ACK
        return
    with pytest.raises(RejectedError) as caught:
        open_sealed(token, ReportAck, lambda _: key.public_key())
    assert caught.value.reason is Rejection.MALFORMED
