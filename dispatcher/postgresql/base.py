"""Django's PostgreSQL backend; it looks at a kept connection before it is used, and asks nothing.

Django's own asks `SELECT 1` in each request: a round trip, for what the socket tells as well. A
server that ended, or was told to drop the connection, has said so there.
"""

from __future__ import annotations

import select

from django.db.backends.postgresql import base
from psycopg.pq import ConnStatus, TransactionStatus

_USABLE = {TransactionStatus.IDLE, TransactionStatus.INTRANS}


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection whose health costs two microseconds."""

    def is_usable(self) -> bool:
        """Say whether a statement can be sent: no error is open, nothing waits to be read."""
        if self.connection is None:
            return False
        session = self.connection.pgconn
        if session.status != ConnStatus.OK or session.transaction_status not in _USABLE:
            return False
        socket = select.poll()
        socket.register(session.socket, select.POLLIN)
        return not socket.poll(0)
