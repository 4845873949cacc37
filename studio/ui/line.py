"""A waiting line for the one model: first come, first served, and everybody sees how many are ahead.

Gradio has a queue of its own, but its place is shown only by the overlay that hides the live preview, and somebody who
waits in it cannot be stopped by a flag. So every request is let in at once and waits here, saying where it stands.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType
from typing import Self


class Ticket:
    """A place in a line. Use it as a context manager: leaving gives the place up, however the block ends."""

    def __init__(self, line: Line) -> None:
        self._line = line

    @property
    def ahead(self) -> int:
        """How many requests stand before this one, the one being served included."""
        return self._line.ahead(self)

    @property
    def seconds(self) -> float:
        """About how long the requests ahead will take, in seconds, going by the last ones; 0 when none was served."""
        return self.ahead * self._line.usual

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the turn; True when it has come."""
        return self._line.wait(self, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._line.leave(self)


class Line:
    """Who waits for the model. Safe to use from many threads."""

    def __init__(self) -> None:
        self._tickets: deque[Ticket] = deque()
        self._moved = threading.Condition()
        self._begun: float | None = None
        self.usual = 0.0  # seconds a served request takes, a running mean that forgets

    def __len__(self) -> int:
        return len(self._tickets)

    def join(self) -> Ticket:
        """Stand at the end of the line."""
        with self._moved:
            ticket = Ticket(self)
            self._tickets.append(ticket)
            if len(self._tickets) == 1:
                self._begun = time.monotonic()
            return ticket

    def ahead(self, ticket: Ticket) -> int:
        """How many stand before this ticket; 0 as well when it has left."""
        with self._moved:
            return self._tickets.index(ticket) if ticket in self._tickets else 0

    def wait(self, ticket: Ticket, timeout: float) -> bool:
        """Wait up to `timeout` seconds until the ticket is the first; True when it is."""
        with self._moved:
            return self._moved.wait_for(lambda: bool(self._tickets) and self._tickets[0] is ticket, timeout)

    def leave(self, ticket: Ticket) -> None:
        """Give the place up; leaving twice is harmless."""
        with self._moved:
            if ticket not in self._tickets:
                return
            if self._tickets[0] is ticket:
                now = time.monotonic()
                took = now - (self._begun if self._begun is not None else now)
                self.usual = took if self.usual == 0 else 0.7 * self.usual + 0.3 * took
                self._begun = now
            self._tickets.remove(ticket)
            self._moved.notify_all()
