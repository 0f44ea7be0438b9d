"""The service's side of enrolment, for tests of the agent: signs what it is asked for, over real HTTP."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import msgspec

from broker.contract.enrolment import Broker, Credentials, Enrolment, Renewal, RenewalRequest
from broker.contract.envelope import open_sealed
from broker.contract.jws import PublicKey
from broker.contract.keys import key_id, load_public, public_pem
from broker.mosquitto.ports import LOOPBACK
from session_service.pki import folder
from session_service.pki.authority import pem_of
from tests.support.agent_world import COMMAND_KEY
from tests.support.cell import Cell

Change = Callable[[dict[str, Any]], dict[str, Any]]


class StubService:
    """Answers `/v1/enrolments` and `/v1/enrolments/renewals` with certificates of a cell.

    Attributes:
        bodies: what was asked, in order.
        keys: the idempotency keys of that.
        refusal: status and problem with which to answer instead.
        change: made to each answer, for services that lie.
        report_key: of the device, by which renewals are verified.
    """

    def __init__(self, cell: Cell, broker_port: int = 8883, *, tls: ssl.SSLContext | None = None) -> None:
        self.bodies: list[bytes] = []
        self.keys: list[str] = []
        self.refusal: tuple[int, bytes] | None = None
        self.change: Change = lambda answer: answer
        self.report_key: PublicKey | None = None
        self._cell = cell
        self._broker_port = broker_port
        self._server = ThreadingHTTPServer((LOOPBACK, 0), self._handler())
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"{self._scheme}://{LOOPBACK}:{self._server.server_address[1]}"

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        if self.refusal is not None:
            return self.refusal
        if path == "/v1/enrolments":
            enrolment = msgspec.json.decode(body, type=Enrolment)
            self.report_key = load_public(enrolment.report_key_pem)
            csr, device = enrolment.csr_pem, enrolment.device_id
        else:
            asked = msgspec.json.decode(body, type=RenewalRequest)
            renewal = open_sealed(asked.renewal.encode(), Renewal, lambda _: self.report_key)
            csr, device = renewal.csr_pem, renewal.device
        signer = folder.load(self._cell.pki)
        credentials = Credentials(
            device_id=device,
            certificate_pem=pem_of(signer.issue_device(csr, device, self._cell.now_ms())),
            ca_pem=signer.ca_pem,
            broker=Broker(host=LOOPBACK, port=self._broker_port),
            command_keys={key_id(COMMAND_KEY.public_key()): public_pem(COMMAND_KEY.public_key())},
        )
        return 201, msgspec.json.encode(self.change(msgspec.to_builtins(credentials)))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                stub.bodies.append(body)
                stub.keys.append(self.headers["Idempotency-Key"])
                status, answer = stub.answer(self.path, body)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", answer.decode())
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_words: object) -> None:
                """Say nothing."""

        return Handler
