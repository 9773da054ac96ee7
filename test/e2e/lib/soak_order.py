"""Where and when lines came out of order in a soak: the connection, the time, and the events before it."""

import bisect
import collections

SHOWN = 4      # of the lines out of order
BEFORE_S = 20  # events this long before one are printed with it


class Arrivals:
    """When a receiver's messages arrived, as precisely as look() is called often. For a receiver without connections: nothing."""

    def __init__(self, peer):
        self._peer = peer
        self._looks = collections.defaultdict(list)  # by connection: (messages, time)

    def look(self, now):
        for i, messages in enumerate(getattr(self._peer, "message_lists", list)()):
            looks = self._looks[i]
            if not looks or looks[-1][0] < len(messages):
                looks.append((len(messages), now))

    def where(self, at):
        """(connection, index of its message, time) of message <at> of all, or None."""
        for i, messages in enumerate(getattr(self._peer, "message_lists", list)()):
            if at < len(messages):
                looks = self._looks[i]
                k = bisect.bisect_right(looks, at, key=lambda look: look[0])
                return i, at, looks[k][1] if k < len(looks) else None
            at -= len(messages)
        return None


class Events:
    """What happened when, and the size of the daemon's log then."""

    def __init__(self):
        self.all = []  # (time, text, size of the log)

    def add(self, now, text, log_size):
        self.all.append((now, text, log_size))

    def before(self, now):
        return [e for e in self.all if now - BEFORE_S <= e[0] <= now]

    def log_about(self, log, now):
        """The part of the daemon's log from these events to the first one after them."""
        sizes = [size for _, _, size in self.before(now)]
        after = [size for t, _, size in self.all if t > now]
        return log[sizes[0] if sizes else 0:after[0] if after else len(log)]


def explain(drain, report, arrivals, events, log):
    """Lines to print: each break in the order, where it was, what happened before, what the daemon logged about that drain."""
    said = []
    for at, stream, text in report.breaks()[:SHOWN]:
        said.append(f"  out of order: {stream}: {text}")
        place = arrivals.where(at)
        if not place or place[2] is None:
            continue
        connection, n, now = place
        said.append(f"    connection {connection}, its message {n}, at {now:.2f} s; before that:")
        said += [f"    {t:8.2f} s  {what}" for t, what, _ in events.before(now)]
        said += [f"      {line}" for line in events.log_about(log, now).splitlines() if drain.mine(line)][-12:]
    return said
