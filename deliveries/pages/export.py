"""Gives what the history's filters find as a file: CSV, or a JSON object on each line.

Rows are read in batches, each in a transaction of its own that is over before anything is sent: who
reads slowly holds no connection's snapshot. But a thread is held until the last row is taken, by
whoever stops reading for as long as that connection lives: neither granian (2.8) nor waitress has a
timeout for sending. So exports have places of their own, two in each process and one for a project,
and nobody waits for one: six of eight threads are never an export's. A proxy in front that buffers
answers, as nginx does unless told otherwise, takes the rows at once and lets go of stopped readers.
Written to a file first, an export would hold its thread as long while it is sent, and a disk, too.
"""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries.models import Delivery
from deliveries.pages.deliveries import HistoryPage
from deliveries.pages.list_query import deliveries_wanted
from subscriptions.ids import to_public
from subscriptions.pages.project_page import slow_down
from subscriptions.rest.cursor_pages import limited_time
from subscriptions.rest.problems import Problem

ROWS_AT_MOST: Final = 100_000
"""Some 30 MB."""

BATCH_ROWS: Final = 1000

LONGEST_SECONDS: Final = 300.0
"""From the first row to the last one, however slowly they are read."""

AT_ONCE: Final = 2
"""Of one process, which has eight threads, half of them for `costly_requests`."""

_WAIT_SECONDS: Final = 10
"""What who finds no place is told to wait: most exports are over by then."""

_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r")
"""Spreadsheets take a cell that begins so for a formula."""

_COLUMNS: Final = ("id", "event", "event_type", "subscription", "subscription_url", "test",
                   "status", "end_reason", "attempt_count", "last_outcome", "last_status_code",
                   "created_at", "finished_at", "redelivered_at")  # fmt: skip
"""Named as in the API."""

_Row = Mapping[str, Any]


class Places:
    """Who exports in this process just now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[int] = set()

    def take(self, project_id: int) -> bool:
        """Take a place for the project; say whether it had none yet and one was free."""
        with self._lock:
            is_free = len(self._taken) < AT_ONCE and project_id not in self._taken
            if is_free:
                self._taken.add(project_id)
        return is_free

    def give_back(self, project_id: int) -> None:
        """Free the project's place."""
        with self._lock:
            self._taken.discard(project_id)


places: Final = Places()


class Held:
    """What is sent, with the place that it holds until the server closes it, sent or not."""

    def __init__(self, content: Iterator[bytes], project_id: int) -> None:
        self._content = content
        self._project_id: int | None = project_id

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return next(self._content)

    def close(self) -> None:
        """Give the place back; closed again, it takes nobody else's."""
        project_id, self._project_id = self._project_id, None
        if project_id is not None:
            places.give_back(project_id)


class ExportPage(HistoryPage):
    """`deliveries/export`: `?format=csv` or `jsonl`, with the filters of the list."""

    def get(self, request: HttpRequest, **_path: str) -> HttpResponseBase:  # type: ignore[override]  # a stream
        """Begin to send the file; if it cannot be, lead back to the list and say why."""
        if self.query.errors:
            return self._back()  # which shows what is wrong
        if not places.take(self.project.pk):
            return slow_down(request, _WAIT_SECONDS)
        response: HttpResponseBase | None = None
        try:
            response = self._export(request)
        finally:
            if not isinstance(response, StreamingHttpResponse):
                places.give_back(self.project.pk)
        return response

    def _export(self, request: HttpRequest) -> HttpResponseBase:
        name = "jsonl" if request.GET.get("format") == "jsonl" else "csv"
        deliveries, errors = deliveries_wanted(
            self.project, self.query, subscriptions=self.subscriptions_ever, among=self.among
        )
        if errors:
            return self._back()  # which shows what is wrong
        try:
            first = read_batch(deliveries, None)
        except Problem:
            messages.error(request, _("Finding these took too long: narrow the time."))
            return self._back()
        urls = dict(self.subscriptions_ever.values_list("id", "url"))
        rows = (_row(each, urls) for each in all_rows(deliveries, first))
        content, content_type = _FORMATS[name]
        filename = f"deliveries-{self.project.slug}-{timezone.now():%Y%m%d-%H%M%S}.{name}"
        return StreamingHttpResponse(
            Held(content(rows), self.project.pk),
            content_type=content_type,
            headers={
                "Content-Disposition": f'attachment; filename="{filename}"',
                "X-Content-Type-Options": "nosniff",
            },
        )

    def _back(self) -> HttpResponse:
        response = redirect("deliveries-page", self.project.slug)
        response["Location"] += self.query.address()
        return response


def read_batch(
    deliveries: QuerySet[Delivery], before: UUID | None, *, limit: int = BATCH_ROWS
) -> list[Delivery]:
    """Read the next rows, newest first; raises a `Problem` if it takes too long."""
    older = deliveries if before is None else deliveries.filter(id__lt=before)
    with limited_time():
        return list(older.order_by("-id")[:limit])


def all_rows(deliveries: QuerySet[Delivery], first: list[Delivery]) -> Iterator[Delivery | None]:
    """Yield the first batch and those that follow it; at last `None` where it had to end early."""
    stop_at = time.monotonic() + LONGEST_SECONDS
    batch, left = first, ROWS_AT_MOST
    while batch:
        yield from batch[:left]
        left -= len(batch)
        if len(batch) < BATCH_ROWS:
            return
        if left <= 0 or time.monotonic() > stop_at:
            yield None
            return
        try:
            batch = read_batch(deliveries, batch[-1].id)
        except Problem:
            yield None
            return


def _row(delivery: Delivery | None, urls: Mapping[UUID, str]) -> _Row | None:
    if delivery is None:
        return None
    return {
        "id": to_public("dlv", delivery.id),
        "event": to_public("evt", delivery.event_id),
        "event_type": delivery.event_type,
        "subscription": to_public("sub", delivery.subscription_id),
        "subscription_url": urls.get(delivery.subscription_id),
        "test": delivery.is_test,
        "status": delivery.status,
        "end_reason": delivery.end_reason or None,
        "attempt_count": delivery.attempt_count,
        "last_outcome": delivery.last_outcome or None,
        "last_status_code": delivery.last_status_code,
        "created_at": _written(delivery.created_at),
        "finished_at": _written(delivery.finished_at),
        "redelivered_at": _written(delivery.redelivered_at),
    }


def as_csv(rows: Iterable[_Row | None]) -> Iterator[bytes]:
    """Write a table with a head; every cell is safe for spreadsheets."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(_COLUMNS)
    for number, row in enumerate(rows, start=1):
        writer.writerow([_ENDED_EARLY] if row is None else [cell(row[name]) for name in _COLUMNS])
        if number % BATCH_ROWS == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def as_json_lines(rows: Iterable[_Row | None]) -> Iterator[bytes]:
    """Write an object on each line."""
    for row in rows:
        written = {"error": _ENDED_EARLY} if row is None else row
        yield (json.dumps(written, ensure_ascii=False) + "\n").encode()


def cell(value: object) -> str:
    """Write a value for CSV: a text that a spreadsheet would take for a formula gets a quote."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if text.startswith(_DANGEROUS) else text


_ENDED_EARLY: Final = "The export ends here, with more to come: narrow the filters."

_FORMATS: Final[dict[str, tuple[Callable[[Iterable[_Row | None]], Iterator[bytes]], str]]] = {
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "jsonl": (as_json_lines, "application/x-ndjson"),
}


def _taken(buffer: io.StringIO) -> bytes:
    written = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return written


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
