"""The web server inside `manage.py up`: waitress in a thread, ended without dropping an answer.

Called by `embedded`. It must not know which application it serves. In production granian serves.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import waitress
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask, Task, WSGITask
from waitress.utilities import RequestEntityTooLarge

_THREADS = 8
"""Requests answered at once: some may wait for a test's result while others go on."""

_CONNECTIONS = 200
"""Open at once; the pump's requests to receivers need file descriptors of the same process."""

_LOOK_SECONDS = 0.01
"""How often stopping looks whether the last answer has gone out."""


class PortUnavailable(Exception):
    """The port cannot be listened on; `str()` is a sentence for whoever started the program."""


class WebServer:
    """Listens from the start, answers from `start` on, ends with `stop`."""

    def __init__(self, application: Any, *, host: str, port: int, body_limit_bytes: int) -> None:
        """Begin to listen, so that a port in use is found before anything else happens.

        A body that is announced as longer than the limit is not read: the application sees it
        empty, with its `Content-Length`, and refuses it. Raises `PortUnavailable`.
        """
        try:
            listening = socket.create_server((host, port))
        except OSError as error:
            raise PortUnavailable(_why(error, port)) from error
        self._server = waitress.create_server(
            application,
            sockets=[listening],
            threads=_THREADS,
            connection_limit=_CONNECTIONS,
            max_request_body_size=body_limit_bytes + 1,  # waitress refuses what has as many
            asyncore_use_poll=True,  # select() fails beyond 1024 descriptors of the process
            ident=None,
        )
        self._server.channel_class = _Channel
        self._thread = threading.Thread(target=self._server.run, name="web", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Say whether the thread that reads and writes the sockets is running."""
        return self._thread.is_alive()

    def stop(self, *, timeout_seconds: float) -> bool:
        """Accept nothing more, let what is under way be answered; return whether all of it was."""
        self._in_loop(self._stop_listening)
        give_up_at = time.monotonic() + timeout_seconds
        while self._is_busy() and time.monotonic() < give_up_at:
            time.sleep(_LOOK_SECONDS)
        self._server.task_dispatcher.set_thread_count(0)
        # The rest ends with the process: were the server's pipe closed here, a thread that answers
        # late would write to whatever file has its number by then.
        return not self._is_busy()

    def _in_loop(self, action: Callable[[], None]) -> None:
        """Do it on the server's own thread: sockets are not closed under a poll that has them."""
        self._server.trigger.pull_trigger(action)

    def _stop_listening(self) -> None:
        # Not the server's own `close`: that also closes the way by which threads hand over answers.
        wasyncore.dispatcher.close(self._server)

    def _is_busy(self) -> bool:
        return any(
            channel.requests or channel.total_outbufs_len
            for channel in list(self._server.active_channels.values())
        )


def _task_of_refused(channel: HTTPChannel, request: HTTPRequestParser) -> Task:
    """Let the application say in its own words that a body is too long; waitress says the rest."""
    if not isinstance(request.error, RequestEntityTooLarge) or not request.content_length:
        return ErrorTask(channel, request)
    task = WSGITask(channel, request)
    task.set_close_on_finish()  # what follows on this connection is the body
    return task


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection."""

    error_task_class = staticmethod(_task_of_refused)

    def send_continue(self) -> None:
        """Ask for the body, unless the request is refused without it."""
        if self.request.error is None:
            super().send_continue()


def _why(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use: end what listens there, or set PORT to another number."
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights than you have: set PORT to a number from 1024 on."
    return f"Port {port} cannot be listened on ({error.strerror}): set PORT to another number."
