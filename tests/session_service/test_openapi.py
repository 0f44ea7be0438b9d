"""What /openapi.json says of the service, for programs that are made from it."""

from __future__ import annotations

import pytest

from tests.support.attacks import Operation, document, operations

WITHOUT_KEY = {"/v1/payments/sandbox/webhooks"}  # a provider's message has an id of its own
POSTS = [operation for operation in operations() if operation.method == "POST"]


def named(operation: Operation) -> str:
    return operation.name


@pytest.mark.parametrize("operation", [post for post in POSTS if post.path not in WITHOUT_KEY], ids=named)
def test_every_post_takes_an_idempotency_key(operation: Operation) -> None:
    assert "Idempotency-Key" in {parameter["name"] for parameter in operation.parameters_in("header")}


@pytest.mark.parametrize("operation", operations(), ids=named)
def test_every_operation_declares_its_problems(operation: Operation) -> None:
    responses = document()["paths"][operation.path][operation.method.lower()]["responses"]

    assert "application/problem+json" in responses["4XX"]["content"]


@pytest.mark.parametrize("operation", [o for o in operations() if o.body is not None], ids=named)
def test_every_body_refuses_fields_that_it_does_not_know(operation: Operation) -> None:
    assert operation.body is not None
    assert operation.body["additionalProperties"] is False


@pytest.mark.parametrize("operation", operations(), ids=named)
def test_every_number_and_text_that_is_taken_has_a_bound(operation: Operation) -> None:
    body = operation.body or {}
    fields = {**body.get("properties", {}), **{p["name"]: p["schema"] for p in operation.parameters_in("query")}}

    for name, field in fields.items():
        kind = field.get("type")
        if kind in {"integer", "number"}:
            assert {"minimum", "maximum"} <= field.keys(), name
        elif kind == "string" and "enum" not in field and "const" not in field:
            assert "maxLength" in field or "pattern" in field, name


def test_ids_of_operations_are_unique() -> None:
    ids = [item["operationId"] for methods in document()["paths"].values() for item in methods.values()]

    assert len(ids) == len(set(ids))
