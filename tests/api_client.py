"""Calls the REST API as a client in any language would: JSON in, JSON out, a key in the header."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any, cast
from urllib.parse import urlsplit

from django.http import HttpResponseBase
from django.test import Client

from subscriptions.access.api_keys import ALL_SCOPES, OPERATOR_SCOPES, make_key
from subscriptions.models import Project

PROBLEM = "application/problem+json"


class ApiClient:
    """One key of one project; paths are below `/api/v1/projects/{project}` unless absolute."""

    def __init__(self, project: Project, scopes: Collection[str] = ALL_SCOPES) -> None:
        self.project = project
        self.key, self.plain_key = make_key(project, scopes)
        self._client = Client(raise_request_exception=False)

    def get(self, path: str, query: dict[str, Any] | None = None) -> Any:
        return self.call("GET", path, query_params=query)

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.call("POST", path, body, **options)

    def patch(self, path: str, body: Any) -> Any:
        return self.call("PATCH", path, body)

    def delete(self, path: str) -> Any:
        return self.call("DELETE", path)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        content_type: str = "application/json",
        **options: Any,
    ) -> Any:
        """Send a request; a body of bytes goes out as it is, anything else as JSON."""
        is_raw = isinstance(body, bytes) or body is None
        return self._client.generic(
            method,
            path if path.startswith("/") else f"/api/v1/projects/{self.project.slug}/{path}",
            body or b"" if is_raw else json.dumps(body),
            content_type=content_type,
            headers={"Authorization": f"Bearer {self.plain_key}", **(headers or {})},
            **options,
        )

    def follow(self, link: str) -> Any:
        """Get a page by the link in an answer."""
        parts = urlsplit(link)
        return self.get(f"{parts.path}?{parts.query}")


class OperatorClient(ApiClient):
    """An operator's key; relative paths are below the given project's."""

    def __init__(
        self, project: Project | None = None, scopes: Collection[str] = OPERATOR_SCOPES
    ) -> None:
        self.project = project or Project(slug="no-project")
        self.key, self.plain_key = make_key(None, scopes)
        self._client = Client(raise_request_exception=False)


def errors_of(response: HttpResponseBase, status: int) -> dict[str, str]:
    """Check that an answer is a problem document, and return its errors' codes by field."""
    content = b"".join(cast("Iterable[bytes]", response))
    assert response.status_code == status, content
    assert response["Content-Type"] == PROBLEM
    problem = json.loads(content)
    assert set(problem) == {"type", "title", "status", "detail", "errors"}
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"].endswith(".")
    assert all(set(error) == {"field", "code", "message"} for error in problem["errors"])
    return {error["field"]: error["code"] for error in problem["errors"]}
