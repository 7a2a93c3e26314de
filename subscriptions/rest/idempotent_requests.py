"""Lets a request be repeated safely: with one `Idempotency-Key`, one effect and one answer.

Around the handlers of the API that create or trigger something. Key, effect and answer are one
transaction, so that no crash leaves one without the others. A refused request has no effect and
keeps no key. Events keep keys of their own (`deliveries.publishing`), which cost less and hold
longer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar, cast

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.utils.cache import add_never_cache_headers
from rest_framework.request import Request
from rest_framework.response import Response

from subscriptions.access.audit_log import Action, Target, record
from subscriptions.idempotency_key import (
    HEADER,
    REFUSAL,
    REPLAYED_HEADER,
    is_idempotency_key,
)
from subscriptions.models import IdempotentRequest
from subscriptions.openapi.operations import describe_idempotency
from subscriptions.repeated_requests import claim
from subscriptions.rest.exact_json import ExactJSONRenderer, members_of
from subscriptions.rest.problems import content_too_large, field_problem
from subscriptions.secrets.encryption import decrypt, encrypt

_Handler = TypeVar("_Handler", bound=Callable[..., Response])


class SecretResponse(Response):
    """An answer that shows a secret: it is not cached, and who gets it again is written down."""

    def __init__(self, data: Any, *, of: Target, **rest: Any) -> None:
        super().__init__(data, **rest)
        self.of = of
        add_never_cache_headers(self)


def idempotent(handler: _Handler) -> _Handler:
    """Answer a repeated request with the first one's answer; without a key, just call the handler.

    Requests at once with one key wait for each other. A handler must not wait for what others do
    with what it stored: nobody sees that before it returns.
    """

    @wraps(handler)
    def answer(view: Any, request: Request, **ids: str) -> Response:
        key = _key_of(request)
        if key is None:
            return handler(view, request, **ids)
        digest = _digest_of(request)
        with transaction.atomic():
            row = claim(getattr(view, "project", None), key, digest)
            if row.content_digest != digest:
                message = f"The idempotency key '{key}' was used with other content."
                raise field_problem(HTTPStatus.CONFLICT, HEADER, "conflict", message)
            if row.status_code is not None:
                return _replay(row, row.status_code)
            response = handler(view, request, **ids)
            _keep(row, response)
        return response

    describe_idempotency(answer)
    return cast("_Handler", answer)


def _key_of(request: Request) -> str | None:
    key: str | None = request.headers.get(HEADER)
    if key is not None and not is_idempotency_key(key):
        raise field_problem(HTTPStatus.BAD_REQUEST, HEADER, "invalid", REFUSAL)
    return key


def _digest_of(request: Request) -> str:
    head = f"{request.method} {request.get_full_path()}\n".encode()
    return hashlib.sha256(head + _body_of(request)).hexdigest()


def _body_of(request: Request) -> bytes:
    """Return the body as it came, which the handler can still read."""
    try:
        return request._request.body
    except RequestDataTooBig:  # Django's own limit; a batch, read as bytes, may be longer
        if isinstance(request.data, bytes):
            return request.data
        raise content_too_large(settings.DATA_UPLOAD_MAX_MEMORY_SIZE) from None


def _keep(row: IdempotentRequest, response: Response) -> None:
    body = ExactJSONRenderer().render(response.data).decode()
    answer = {"headers": dict(response.items()), "body": body}
    if isinstance(response, SecretResponse):
        answer["secret_of"] = asdict(response.of)
    row.status_code = response.status_code
    row.answer = encrypt(json.dumps(answer))  # some answers hold a secret
    row.save(update_fields=["status_code", "answer"])


def _replay(row: IdempotentRequest, status: int) -> Response:
    answer = json.loads(decrypt(row.answer))
    if "secret_of" in answer:
        record(Action.SECRET_REVEALED, Target(**answer["secret_of"]))
    headers = {**answer["headers"], REPLAYED_HEADER: "true"}
    body = members_of(answer["body"]) if answer["body"] else None
    return Response(body, status=status, headers=headers)
