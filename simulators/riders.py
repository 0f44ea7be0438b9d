"""A rider: somebody with a phone, a camera and a hand, who knows the HTTP API and nothing else."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import msgspec

from simulators.errors import ApiError, NoAnswerError, RideError
from simulators.http import Answer, Client, Request

WAIT_S: Final = 10  # how long a request for a session waits for the lock: what a rider's patience is
TIMEOUT_S: Final = 40.0  # for any answer; above the longest wait that the API allows
TRIES: Final = 4  # times that a rider presses the same button when no answer comes
TRY_AGAIN_S: Final = 0.5
LATER: Final = frozenset({502, 503, 504})  # nothing has happened; the same request is welcome again
ENDED: Final = frozenset({"closed", "not_unlocked", "refused"})
UNDER_WAY: Final = frozenset({"requested", "held", "unlocking"})

Json = dict[str, Any]


class Api:
    """The service and the payers' pages, as phones reach them. Use it as an asynchronous context manager."""

    def __init__(self, *urls: str) -> None:
        """Take the addresses of the service's instances: each request goes to the next, and so does each try of it."""
        self._urls = urls
        self._turns = itertools.count()
        self._client = Client(TIMEOUT_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.__aexit__(*error)

    async def get(self, path: str, token: str) -> Json:
        """Return the answer.

        Raises:
            ApiError: the service said no.
            NoAnswerError: it said nothing.
        """
        return await self._ask(Request("GET", path, _bearer(token)))

    async def post(
        self, path: str, token: str = "", content: object = None, *, wait_s: int = 0, seen: str = ""
    ) -> Json:
        """Post JSON once, however often it takes: the same Idempotency-Key goes with every try.

        ``seen`` is the version of what it is done to.

        Raises:
            ApiError: the service said no.
            NoAnswerError: it said nothing, several times.
        """
        headers = {**_bearer(token), **_once(), "Content-Type": "application/json"}
        if wait_s:
            headers["Prefer"] = f"wait={wait_s}"
        if seen:
            headers["If-Match"] = f'"{seen}"'
        return await self._ask(Request("POST", path, headers, msgspec.json.encode(content or {})))

    async def post_photo(self, path: str, token: str, photo: bytes) -> Json:
        """Post a photograph as a form does; see ``post``."""
        boundary = secrets.token_hex(16)
        headers = {**_bearer(token), **_once(), "Content-Type": f"multipart/form-data; boundary={boundary}"}
        part = 'Content-Disposition: form-data; name="photo"; filename="label.jpg"\r\nContent-Type: image/jpeg'
        body = f"--{boundary}\r\n{part}\r\n\r\n".encode() + photo + f"\r\n--{boundary}--\r\n".encode()
        return await self._ask(Request("POST", path, headers, body))

    async def pay(self, pay_url: str) -> None:
        """Press Pay on the provider's page.

        Raises:
            ApiError: the provider said no.
            NoAnswerError: it said nothing.
        """
        await self._ask(Request("POST", f"{pay_url}/pay"))

    async def events(self, path: str, token: str, *, after: int = 0) -> AsyncGenerator[Json, None]:
        """Yield the snapshots of a stream of server-sent events past the one with id ``after``, until it ends.

        Raises:
            ApiError: the service said no.
            NoAnswerError: the stream broke off.
        """
        headers = {**_bearer(token), "Accept": "text/event-stream", "Last-Event-ID": str(after)}
        request = self._placed(Request("GET", path, headers), next(self._turns))
        async with self._client.stream(request) as (answer, pieces):
            if not answer.ok:
                answer.body = b"".join([piece async for piece in pieces])
                raise _refusal(request, answer)
            async for line in _lines(pieces):
                if line.startswith(b"data:"):
                    yield msgspec.json.decode(line.removeprefix(b"data:"))

    async def _ask(self, request: Request) -> Json:
        answer = await self._answered(request)
        if not answer.ok:
            raise _refusal(request, answer)
        content: Json = msgspec.json.decode(answer.body) if answer.body else {}
        return content

    async def _answered(self, request: Request) -> Answer:
        """Send a request until it is answered by more than a word that somebody behind the service is not there."""
        turn = next(self._turns)
        for attempt in range(TRIES - 1):
            try:
                answer = await self._client.send(self._placed(request, turn + attempt))
            except NoAnswerError:
                pass
            else:
                if answer.status not in LATER:
                    return answer
            await asyncio.sleep(TRY_AGAIN_S)
        return await self._client.send(self._placed(request, turn + TRIES - 1))

    def _placed(self, request: Request, turn: int) -> Request:
        """Return a request for a path of the service as one to the instance whose turn it is."""
        if not request.url.startswith("/"):
            return request
        return replace(request, url=self._urls[turn % len(self._urls)] + request.url)


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line


@dataclass(frozen=True, slots=True)
class Scanned:
    """What came of pointing the camera at a label: ``offer`` is the API's answer."""

    offer: Json
    photos: int
    photos_decoded: int


@dataclass(frozen=True, slots=True)
class Rider:
    """One guest; ``token`` proves who they are."""

    api: Api
    token: str

    @classmethod
    async def join(cls, api: Api) -> Rider:
        """Become a guest: nothing to fill in."""
        return cls(api, (await api.post("/v1/riders"))["token"])

    async def scan(self, photographs: AsyncIterator[bytes], text: str) -> Scanned:
        """Send photographs of a label until one is read, at last the text that any camera app shows.

        Raises:
            ApiError: the label opens nothing.
        """
        photos = 0
        async for photo in photographs:
            photos += 1
            try:
                offer = await self.api.post_photo("/v1/scans", self.token, photo)
            except ApiError as error:
                if error.type != "no-label-in-photo":
                    raise
            else:
                return Scanned(offer, photos, 1)
        return Scanned(await self.api.post("/v1/scans", self.token, {"text": text}), photos, 0)

    async def top_up(self, amount_minor: int) -> None:
        """Pay into the wallet, and wait until the money is there.

        Raises:
            ApiError: the service or the provider said no.
            RideError: the payment failed.
        """
        wish = await self.api.post("/v1/wallet/top-ups", self.token, {"amount_minor": amount_minor})
        await self.api.pay(wish["pay_url"])
        path = f"/v1/wallet/top-ups/{wish['id']}"
        for _ in range(TRIES * 10):
            status = (await self.api.get(path, self.token))["status"]
            if status == "paid":
                return
            if status == "failed":
                break
            await asyncio.sleep(TRY_AGAIN_S)
        msg = f"the payment of {amount_minor} is {status}"
        raise RideError(msg)

    async def start(self, label: str) -> Json:
        """Press Start; return the session when the unlock, or its failure, is known.

        Raises:
            ApiError: the service refused.
        """
        session = await self.api.post("/v1/sessions", self.token, {"label": label}, wait_s=WAIT_S)
        if session["state"] in UNDER_WAY:
            return await self.follow(session, lambda seen: seen["state"] not in UNDER_WAY)
        return session

    async def finish(self, session_id: str) -> Json:
        """Press Finish; return the session when the lock has answered.

        Raises:
            ApiError: the service refused.
        """
        return await self.api.post(f"/v1/sessions/{session_id}/finish", self.token, wait_s=WAIT_S)

    async def follow(self, session: Json, until: Callable[[Json], bool]) -> Json:
        """Watch what happens to a session, as last seen, until it satisfies ``until``, and return it as it is then.

        Raises:
            ApiError: there is no such session.
        """
        if until(session):
            return session
        path, seen = f"/v1/sessions/{session['id']}/events", session["version"]
        while True:
            try:
                async with aclosing(self.api.events(path, self.token, after=seen)) as snapshots:
                    async for snapshot in snapshots:
                        if until(snapshot):
                            return snapshot
                        seen = snapshot["version"]
            except NoAnswerError:
                pass  # the stream broke; it goes on after what was seen
            await asyncio.sleep(TRY_AGAIN_S)

    async def receipt(self, session_id: str) -> Json:
        """Return the receipt.

        Raises:
            ApiError: there is no such session.
        """
        return await self.api.get(f"/v1/sessions/{session_id}/receipt", self.token)


def is_ended(session: Json) -> bool:
    """Return whether a session has come to its end."""
    return session["state"] in ENDED


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _once() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_urlsafe(18)}


def _refusal(request: Request, answer: Answer) -> ApiError:
    try:
        content = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        content = None
    problem = content if isinstance(content, dict) else {"detail": repr(answer.body[:200])}
    return ApiError(f"{request.method} {request.url}", answer.status, problem)
