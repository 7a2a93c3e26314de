"""Places where the rig lets a process die, or a build be broken: patches of named functions.

Only `tests.faults.worker` and `tests.faults.web` apply them, in their own process and before
anything runs. The product has no hook for them, and reads nothing that could switch them on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any


def _die(*_arguments: Any, **_named: Any) -> Any:
    """End this process as a power cut would: no handler runs, nothing is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


def patch(owner: object, name: str, replacement: object) -> None:
    """Replace what a module or object has by this name; without it the rig would test nothing."""
    assert hasattr(owner, name), f"{owner} no longer has {name}: patch it elsewhere"
    setattr(owner, name, replacement)


def crash_before_recording() -> None:
    """F14: die when a 2xx has arrived and is about to be recorded."""
    from deliveries.sending import ledger
    from deliveries.sending.record import record_results

    def record(results: Sequence[Any], **named: Any) -> Any:
        if any(result.exchange.outcome == "succeeded" for result in results):
            _die()
        return record_results(results, **named)

    patch(ledger, "record_results", record)


def crash_within_recording() -> None:
    """F15: die when the deliveries have moved and their attempts are not yet written."""
    from deliveries.sending import record

    patch(record, "_insert_attempts", _die)


def crash_before_wake_up() -> None:
    """F13: let every thirtieth publisher die when its event is committed and nobody was woken."""
    from deliveries import wake

    wake_a_worker_soon, calls = wake._waker.wake, iter(range(10**9))

    def wake_or_die() -> None:
        if next(calls) % 30 == 29:
            _die()
        wake_a_worker_soon()

    # What each publisher calls: the thread behind it wakes once for all of some milliseconds.
    patch(wake._waker, "wake", wake_or_die)


FAILPOINTS: dict[str, Callable[[], None]] = {
    "crash-before-recording": crash_before_recording,
    "crash-within-recording": crash_within_recording,
    "crash-before-wake-up": crash_before_wake_up,
}
