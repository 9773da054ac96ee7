"""Waiting. No test sleeps for a guessed time: it waits for a condition, with a deadline.

wait_for() polls about every 10 ms, with long deadlines, since a busy machine is no fault. stays() is the opposite: something must
*not* change for a while, which only time can show. Pacer spreads work over time for writers; its waits end at once when it is
stopped."""

import threading
import time

POLL_S = 0.01
PATIENCE_S = 90  # no deadline is shorter: one that is met costs nothing


class Timeout(AssertionError):
    """A condition did not come true in time: a test failure, hence an AssertionError."""


def _text(what):
    return what() if callable(what) else what


def wait_for(cond, timeout, what):
    """Polls until cond() is true and returns its value. <what> (text, or a callable that returns it) names it in the failure.
    <timeout> is in seconds, at least PATIENCE_S."""
    timeout = max(timeout, PATIENCE_S)
    deadline = time.monotonic() + timeout
    while True:
        value = cond()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Timeout(f"after {timeout:g} s still waiting for {_text(what)}")
        time.sleep(POLL_S)


def stays(cond, seconds, what):
    """Asserts that cond() stays true for <seconds>."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not cond():
            raise AssertionError(f"did not stay so for {seconds:g} s: {_text(what)}")
        time.sleep(POLL_S)


class Pacer:
    """Lets a thread do <rate> units per second: due() says how many are due now, and waits when none is."""

    def __init__(self, rate, stop=None):
        self.rate = rate
        self.stopped = stop or threading.Event()
        self._start = time.monotonic()
        self._done = 0

    def due(self, most):
        """Units due now (1..most); 0 once stopped."""
        while not self.stopped.is_set():
            if not self.rate:
                return most
            n = int((time.monotonic() - self._start) * self.rate) - self._done
            if n > 0:
                n = min(n, most)
                self._done += n
                return n
            self.stopped.wait(min(1 / self.rate, 0.02))
        return 0
