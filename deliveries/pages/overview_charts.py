"""Makes the overview's charts, and the table that says the same, from a project's figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from deliveries.figures.stats import Bucket, Stats, Tally
from deliveries.pages.charts import Bar, Line, line, round_top, stacked_bars


@dataclass(frozen=True, slots=True)
class Row:
    """One stretch of time: a bar of the charts, a row of the table."""

    start: datetime
    per_minute: float
    tally: Tally
    bar: Bar

    @property
    def unfinished(self) -> int:
        """What has neither succeeded nor failed: it waits, is under way, or was cancelled."""
        return self.tally.deliveries - self.tally.succeeded - self.tally.failed


@dataclass(frozen=True, slots=True)
class Charts:
    """What the page draws, all over the same time."""

    rows: list[Row]
    """Oldest first."""
    top_per_minute: float
    """Where the axis of the bars ends."""
    success: Line
    """0 to 100 %."""
    latency: list[Line]
    top_ms: float


def charts_of(stats: Stats, width: timedelta) -> Charts:
    """Draw the figures; their buckets are of this width."""
    buckets = stats.buckets
    minutes = [_minutes(bucket, stats, width) for bucket in buckets]
    series = {
        "ok": [
            bucket.tally.succeeded / each for bucket, each in zip(buckets, minutes, strict=True)
        ],
        "fail": [bucket.tally.failed / each for bucket, each in zip(buckets, minutes, strict=True)],
        "rest": [_rest(bucket.tally) / each for bucket, each in zip(buckets, minutes, strict=True)],
    }
    totals = [sum(column) for column in zip(*series.values(), strict=True)]
    top = round_top(max(totals, default=0))
    slowest = max((b.tally.latency.p99_ms for b in buckets if b.tally.latency), default=0)
    top_ms = round_top(slowest)
    return Charts(
        rows=[
            Row(bucket.start, per_minute, bucket.tally, bar)
            for bucket, per_minute, bar in zip(
                buckets, totals, stacked_bars(series, top), strict=True
            )
        ],
        top_per_minute=top,
        success=line("ok", [bucket.tally.success_rate for bucket in buckets], 1.0),
        latency=[
            line(name, [_latency(bucket, f"{name}_ms") for bucket in buckets], top_ms)
            for name in ("p99", "p95", "p50")
        ],
        top_ms=top_ms,
    )


def _minutes(bucket: Bucket, stats: Stats, width: timedelta) -> float:
    """Return how long a bucket is; the interval may cut the first and the last short."""
    start, end = max(bucket.start, stats.since), min(bucket.start + width, stats.until)
    # A part of a minute is no rate: what was made in the last second is not sixty times as much.
    return max(1.0, (end - start).total_seconds() / 60)


def _rest(tally: Tally) -> int:
    return tally.deliveries - tally.succeeded - tally.failed


def _latency(bucket: Bucket, name: str) -> float | None:
    return None if bucket.tally.latency is None else float(getattr(bucket.tally.latency, name))
