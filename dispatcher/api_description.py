"""What the API's OpenAPI description says of itself, for drf-spectacular.

Read by `settings`; the rest is made from the code (`subscriptions.openapi`). Nothing here may come
from the environment: the description is the same wherever it is made.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from deliveries.version import VERSION

_IN_WORDS: Final = """\
Sends events to their subscribers as signed webhooks, and keeps the history.

- Bodies are UTF-8 JSON objects with a `Content-Length`. Nothing is converted or ignored: unknown
  members, duplicate keys and wrong types are errors.
- Ids carry a prefix and sort by time. Times are RFC 3339 in UTC.
- Lists are newest first; `next` and `previous` are the URLs of the neighbouring pages.
- Every error is a problem document (RFC 9457); `errors` name the fields, with stable codes.
- What belongs to another project is not found.
"""

API_DESCRIPTION: Final[dict[str, Any]] = {
    "OAS_VERSION": "3.1.1",
    "TITLE": "Webhook dispatcher",
    "VERSION": VERSION,
    "DESCRIPTION": _IN_WORDS,
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "SERVERS": [{"url": "/", "description": "This installation"}],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SORT_OPERATION_PARAMETERS": False,
    "POSTPROCESSING_HOOKS": ["subscriptions.openapi.schema.add_shared"],
    "ENABLE_DJANGO_DEPLOY_CHECK": False,  # `make check` does it
}

SWAGGER_UI_FOLDER: Final = Path(
    str(files("drf_spectacular_sidecar") / "static/drf_spectacular_sidecar/swagger-ui-dist")
)
"""Only this of the package: it is no app, so that its other viewer is not collected."""
