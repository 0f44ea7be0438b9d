"""Bad requests, made from the service's own OpenAPI document: a new operation is attacked without a word about it here.

Each request has one fault. ``certain`` says that nothing with this fault may be accepted; the others may be, if the
operation has a use for them, but may not break anything either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from broker.contract.keys import new_command_key, new_report_key, public_pem
from session_service.app import create_app
from session_service.bodies import BODY_MAX_BYTES
from session_service.secrets import CommandKeys, Secrets
from session_service.settings import Settings

Schema = Mapping[str, Any]

MANY: Final = 5_000  # characters: more than any field takes, and still within the limit of a body
ENDLESS: Final = frozenset({"/v1/sessions/{session_id}/events"})  # good requests to these are not for this test
PUBLIC: Final = frozenset(
    {
        "/v1/ops/sign-ins",
        "/v1/passkeys/sign-ins",
        "/v1/passkeys/sign-ins/options",
        "/v1/riders",
        "/v1/scans",
        "/v1/scans/number",
        "/v1/nearby",
        "/v1/tariffs",
        "/v1/payments/sandbox/webhooks",
        "/v1/enrolments",
        "/v1/enrolments/renewals",
    }
)

HUGE: Final = 10**400  # no float holds it
NUL: Final = "a\0b"  # PostgreSQL's text cannot hold it
SURROGATE: Final = "ab\ud800c"  # half a character: UTF-8 cannot hold it, JSON can write it
LONG: Final = "x" * MANY


class Raw:
    """A piece of JSON that Python would not write."""

    def __init__(self, text: str) -> None:
        self.text = text


NUMBERS: Final = (-1, 0, 1.5, 2**31, 2**63, 2**64, HUGE, -HUGE, 1e308, Raw("NaN"), Raw("-Infinity"), Raw("1e999"))
TEXTS: Final = ("", NUL, SURROGATE, LONG, "\u202e", "null", "1", "' OR 1=1 --")
ALL: Final[tuple[object, ...]] = (*NUMBERS, *TEXTS, None, True, [], {}, [[]], {"a": {}})

PATH_VALUES: Final = (
    "0" * 10, "0" * 26, "x", "-1", "null", "%00", "a%00b", "%FF", "%ED%A0%80", "%F0%9F%98%80", "%D9%A3" * 10,
    "0" * 26 + "%0A", "%2E%2E%2F", "9" * MANY, "%7B%7D", "*",
)  # fmt: skip
FREE_TEXT: Final = frozenset({"action", "site"})  # named as people like, or one of many words: others find nothing
QUERY_VALUES: Final = ("nonsense", "", "-1", "1.5", "1e3", "0x10", "9" * 30, "%00", "%FF", "%D9%A3", "x" * MANY)
KEYS: Final = ("", "short", "x" * 129, "with blank", "ümlaut-und-lang", "tab\tinside")
EVENT_IDS: Final = ("", "-1", "x", "1.5", "9" * 40, "0x1")
PREFERS: Final = ("wait=-1", "wait=x", f"wait={HUGE}", "wait", "=", ",;,", "wait=0.5; respond-async", "ä=ö")
TOKENS: Final = (
    "", "Bearer", "Basic YTpi", "Bearer x", "Bearer op_" + "0" * 32, "Bearer " + "x" * MANY,
    "Bearer \xff\xfe", "Bearer 0.0.0", "Bearer a.b.c.d", f"Bearer {'0' * 26}.{'0' * 16}.{'A' * 43}",
)  # fmt: skip
STRANGE_HEADERS: Final = (
    ("Host", "["), ("Host", ""), ("Host", "a:b:c"), ("Host", "\xff"), ("X-Junk", "x" * 20_000), ("Accept", "nonsense/"),
    ("Cookie", "\xff=\xfe"), ("Range", "x"), ("Expect", "x"),
)  # fmt: skip
CONTENT_TYPES: Final = ("", "text/plain", "application/xml", "application/x-www-form-urlencoded", "nonsense/", "ä")


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    method: str
    path: str
    parameters: tuple[Schema, ...]
    body: Schema | None
    body_required: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def parameters_in(self, place: str) -> list[Schema]:
        return [parameter for parameter in self.parameters if parameter["in"] == place]


@dataclass(frozen=True)
class Attack:
    """One request with one fault. ``path`` is as it goes over the wire; ``headers`` replace the caller's."""

    fault: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    certain: bool = True


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document of the service."""
    key = new_command_key()
    secrets = Secrets(CommandKeys.of(key), {"A": b"a" * 32}, b"t" * 32, "payments", "w" * 32)
    return create_app(Settings(secrets_dir=Path("none")), secrets).openapi()


@cache
def operations() -> tuple[Operation, ...]:
    """Return all operations of the document."""
    return tuple(
        _operation(method, path, item)
        for path, methods in document()["paths"].items()
        for method, item in methods.items()
    )


def _operation(method: str, path: str, item: Schema) -> Operation:
    body = item.get("requestBody", {})
    schema = body.get("content", {}).get("application/json", {}).get("schema")
    return Operation(
        method.upper(),
        path,
        tuple(item.get("parameters", ())),
        _resolved(schema) if schema else None,
        bool(body.get("required")),
    )


def _resolved(schema: Schema) -> Schema:
    """Return a schema without references, and without the branch of an optional one that is ``null``."""
    if "$ref" in schema:
        return _resolved(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    branches = [branch for branch in schema.get("anyOf", ()) if branch.get("type") != "null"]
    if branches:
        return {**_resolved(branches[0]), "nullable": len(branches) < len(schema["anyOf"])}
    if "properties" in schema:
        return {**schema, "properties": {name: _resolved(part) for name, part in schema["properties"].items()}}
    return schema


class Attacker:
    """Makes the attacks. ``ids`` fill paths with what exists; ``values`` fill fields that have a form of their own."""

    def __init__(self, ids: Mapping[str, str], values: Mapping[str, object]) -> None:
        self._ids = ids
        self._values = {"report_key_pem": public_pem(new_report_key().public_key()), **values}

    def attacks(self, operation: Operation) -> Iterator[Attack]:
        """Return all attacks on one operation."""
        good = self.good(operation)
        yield from self._on_path(operation, good)
        yield from _on_query(operation, good)
        yield from _on_headers(operation, good)
        if operation.method == "POST":
            yield from _on_any_body(good)
        if operation.body is not None:
            yield from self._on_fields(operation, good)
            yield from _on_json(operation, good)

    def good(self, operation: Operation) -> Attack:
        """Return a request without a fault, as far as the document tells."""
        path = operation.path
        for parameter in operation.parameters_in("path"):
            path = path.replace(f"{{{parameter['name']}}}", self._ids.get(parameter["name"], "unknown"))
        required = [p for p in operation.parameters_in("query") if p.get("required")]
        query = "&".join(f"{p['name']}={self._ids.get(p['name'], 'unknown')}" for p in required)
        good = Attack("none", operation.method, f"{path}?{query}" if query else path, certain=False)
        return good if operation.body is None else _with_json(good, self._example(operation.body))

    def _example(self, schema: Schema) -> dict[str, Any]:
        names = schema.get("properties", {})
        return {name: self._values.get(name, _value(names[name])) for name in schema.get("required", names)}

    def _on_path(self, operation: Operation, good: Attack) -> Iterator[Attack]:
        for parameter in operation.parameters_in("path"):
            right = self._ids.get(parameter["name"], "unknown")
            for wrong in (*PATH_VALUES, right.lower() + "x"):
                before, _, after = operation.path.partition(f"{{{parameter['name']}}}")
                path = good.path.replace(right, wrong, 1) if right in good.path else before + wrong + after
                yield replace(good, fault=f"path {parameter['name']}={wrong[:20]}", path=path, certain=True)

    def _on_fields(self, operation: Operation, good: Attack) -> Iterator[Attack]:
        schema = operation.body or {}
        example = self._example(schema)
        for name, part in schema.get("properties", {}).items():
            if name in schema.get("required", ()):
                without = {key: value for key, value in example.items() if key != name}
                yield replace(_with_json(good, without), fault=f"no {name}", certain=True)
            for value in ALL:
                fault = f"{name}={_written(value)[:30]}"
                certain = _is_wrong(value, part)
                yield replace(_with_json(good, {**example, name: value}), fault=fault, certain=certain)
        for extra in ("admin", "__proto__", NUL, SURROGATE, "\xff", LONG):
            yield replace(_with_json(good, {**example, extra: 1}), fault=f"extra {extra!r}", certain=True)


def _value(schema: Schema) -> object:
    if "enum" in schema or "const" in schema:
        return schema.get("const", (schema.get("enum") or [None])[0])
    kind = schema.get("type")
    if kind in {"integer", "number"}:
        return schema.get("minimum", 1)
    return {"boolean": False, "array": [], "object": {}}.get(str(kind), "x" * max(3, schema.get("minLength", 0)))


def _is_wrong(value: object, schema: Schema) -> bool:  # noqa: PLR0911 - one answer a kind
    """Say whether no field with this schema may take the value."""
    if value is None:
        return not schema.get("nullable", False)
    kind = schema.get("type")
    if isinstance(value, Raw) or value in (HUGE, -HUGE):
        return True
    if kind == "string":
        wrong_text = value in {NUL, SURROGATE, LONG} if isinstance(value, str) else True
        return wrong_text or ("enum" in schema and value not in schema["enum"])
    if kind == "integer":
        is_int = isinstance(value, int) and not isinstance(value, bool)
        return not is_int or value in {-1, 2**63, 2**64}
    if kind == "number":
        return not isinstance(value, int | float) or isinstance(value, bool)
    if kind == "boolean":
        return not isinstance(value, bool)
    return not isinstance(value, {"array": list, "object": dict}.get(str(kind), object))


def _written(value: object) -> str:
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_written(part)}" for key, part in value.items()) + "}"
    return json.dumps(value)


def _with_json(attack: Attack, body: object) -> Attack:
    return replace(attack, headers={"Content-Type": "application/json"}, content=_written(body).encode())


def _on_query(operation: Operation, good: Attack) -> Iterator[Attack]:
    path = good.path.partition("?")[0]
    for parameter in operation.parameters_in("query"):
        for wrong in QUERY_VALUES:
            name = quote(parameter["name"])
            yield replace(
                good, fault=f"query {name}={wrong[:20]}", path=f"{path}?{name}={wrong}", certain=name not in FREE_TEXT
            )
        if parameter.get("required"):
            yield replace(good, fault=f"no query {parameter['name']}", path=path, certain=True)
            many = "&".join([f"{parameter['name']}={'0' * 10}"] * 1_000)
            yield replace(good, fault=f"1000 times {parameter['name']}", path=f"{path}?{many}", certain=True)
    yield replace(good, fault="strange query", path=f"{path}?%00=%FF&a[]=1&&=&{'y' * MANY}={'x' * MANY}")


def _on_headers(operation: Operation, good: Attack) -> Iterator[Attack]:
    declared = {parameter["name"].lower() for parameter in operation.parameters_in("header")}
    wrong = {
        "idempotency-key": [(value, True) for value in KEYS],
        "last-event-id": [(value, value != "") for value in EVENT_IDS],
        "prefer": [(value, False) for value in PREFERS],
    }
    for name, values in wrong.items():
        for value, certain in values if name in declared else ():
            headers = {**good.headers, name: value}
            yield replace(good, fault=f"{name}: {value[:20]}", headers=headers, certain=certain)
    for token in TOKENS if _is_guarded(operation) else ():
        yield replace(
            good, fault=f"token {token[:20]!r}", headers={**good.headers, "Authorization": token}, certain=True
        )
    for name, value in STRANGE_HEADERS:
        yield replace(good, fault=f"{name} {value[:10]!r}", headers={**good.headers, name: value})


def _is_guarded(operation: Operation) -> bool:
    return operation.path.startswith("/v1/") and operation.path not in PUBLIC


def _on_any_body(good: Attack) -> Iterator[Attack]:
    json_type = {"Content-Type": "application/json"}
    too_long = b'{"a":"' + b"x" * BODY_MAX_BYTES + b'"}'
    yield replace(good, fault="not JSON", headers=json_type, content=b"{", certain=True)
    yield replace(good, fault="over the limit", headers=json_type, content=too_long, certain=True)
    yield replace(good, fault="random", headers=json_type, content=bytes(range(256)), certain=True)
    multipart = {"Content-Type": "multipart/form-data"}
    yield replace(good, fault="multipart without a boundary", headers=multipart, content=b"--x\r\n", certain=True)


def _on_json(operation: Operation, good: Attack) -> Iterator[Attack]:
    body = good.content or b""
    required = operation.body_required
    wrong: list[tuple[str, bytes, bool]] = [
        ("empty", b"", required),
        ("null", b"null", required),
        ("blank", b"  ", True),
        ("list", b"[]", True),
        ("text", b'"x"', True),
        ("number", b"1", True),
        ("huge number", b"9" * MANY, True),
        ("false", b"false", True),
        ("list of it", b"[" + body + b"]", True),
        ("twice", body + body, True),
        ("deep list", b"[" * 30_000 + b"]" * 30_000, True),
        ("deep object", b'{"a":' * 9_000 + b"1" + b"}" * 9_000, True),
        ("cut short", body[:-1], True),
        ("invalid UTF-8", body[:-1] + b',"\xff\xfe":1}', True),
        ("UTF-16", body.decode().encode("utf-16"), False),
        ("byte order mark", b"\xef\xbb\xbf" + body, False),
        ("comment", b"/* */" + body, True),
    ]
    for fault, content, certain in wrong:
        yield replace(good, fault=f"{fault} body", content=content, certain=certain)
    for kind in CONTENT_TYPES:
        yield replace(good, fault=f"body as {kind!r}", headers={"Content-Type": kind}, certain=required)
