"""The record oracle: numbered lines with a checksum are written, and the received messages are compared with them.

A message is `lt <stream> <seq> <len> <crc32> <padding>`: <len> is the size of the padding, <crc32> (8 hex digits) covers
"<stream> <seq> <len> <padding>". Each stream counts from 0. The checker takes the messages of one drain in the order in
which they were received and accounts for every line:

  lost      written, never received            corrupt   right shape, wrong checksum (docs/faults.md)
  dup       received again, as part of a       reorder   received after a later line of its stream had been received,
            contiguous rewind (I2)                       or a rewind that is not contiguous (I2)
  gap       a hole that was filled later (part of reorder) or never (lost); kept as ranges for the message
  foreign   not one of our lines (gap records, the daemon's own messages): kept apart, for the test to check
  refused   lines that the receiver refused, according to gap records

I1 is `written = distinct + lost`, where the test says how many lost lines were declared and how many are still pending.
Cost: a few microseconds per line, and memory only for the holes, so a million lines are no problem.
"""

import base64
import bisect
import json
import os
import re
import zlib

from .wait import wait_for

_BLOCK = (b"the quick brown fox jumps over the lazy dog 0123456789 ABCDEFGHIJKLMNOPQRSTUVWXYZ "
          b"{\"k\":\"v\"} [a] <b> & c=d; ' ") * 64
_PERIOD = 113  # prime, so that neighbouring lines differ
_LINE = re.compile(rb"(?:^|[ \xbf])lt ([^ ]+) (\d+) (\d+) ([0-9a-f]{8}) ", re.DOTALL)
_REFUSED = re.compile(rb"logtrain: (\d+) lines? with \d+ bytes were lost: the receiver refuses them")
_SHOW = 12


def padding(seq, size):
    at = seq % _PERIOD
    if at + size <= len(_BLOCK):
        return _BLOCK[at:at + size]
    return (_BLOCK * (size // len(_BLOCK) + 2))[at:at + size]


def make(stream, seq, size, noise=False):
    """Message <seq> of <stream>, about <size> bytes long (never shorter than its head). <noise>: hardly compressible."""
    name = stream.encode()
    n = max(0, size - len(name) - 26 - len(str(seq)))
    pad = base64.b64encode(os.urandom(n))[:n] if noise else padding(seq, n)
    head = b"%s %d %d " % (name, seq, len(pad))
    return b"lt %s%08x %s" % (head, zlib.crc32(pad, zlib.crc32(head)), pad)


class Source:
    """The lines of one stream. <size> is a number of bytes or a function of the sequence number."""

    def __init__(self, name, size=200, noise=False):
        assert " " not in name
        self.name = name
        self.size = size
        self.noise = noise
        self.written = 0

    def next(self):
        seq = self.written
        self.written += 1
        return make(self.name, seq, self.size(seq) if callable(self.size) else self.size, self.noise)

    def take(self, n):
        return [self.next() for _ in range(n)]


class Account:
    """What one drain received of one stream. Counts do not depend on the order of add(); reorder needs the order of arrival."""

    def __init__(self, name, gone=()):
        self.name = name
        self.gone = gone     # lines that their node no longer has: a rewind leaves them out too
        self.high = -1       # highest sequence number seen
        self.last = -1       # the one before it
        self.distinct = 0
        self.dup = 0
        self.reorder = 0
        self.corrupt = 0
        self.rewinds = 0
        self.shortened = 0   # rewinds that did not lead back to where they began, because the lines in between were gone by then
        self.notes = []
        self.breaks = []     # the first ones out of order: the number of the message, and what is wrong with its place
        self._from = []      # holes below high: starts and ends (exclusive), sorted, disjoint
        self._to = []

    def _note(self, text):
        if len(self.notes) < _SHOW:
            self.notes.append(text)

    def _break(self, at, text):
        self.reorder += 1
        if len(self.breaks) < _SHOW:
            self.breaks.append((at, text))

    def _broken_off(self, last, seq, at):
        if self._hole(last + 1, self.high + 1):  # as far as the left-out lines still exist
            self.shortened += 1
        else:
            self._break(at, f"rewind broken off at {last}, next {seq}, after {self.high} was the highest")

    def add(self, seq, at=None):
        """<at>: the number of the message among all."""
        last, self.last = self.last, seq
        if seq > self.high:
            if seq > self.high + 1:
                self._from.append(self.high + 1)
                self._to.append(seq)
            if last != self.high:  # a rewind must lead back up to where it began
                self._broken_off(last, seq, at)
            self.high = seq
            self.distinct += 1
            return
        if self._fill(seq):
            self.distinct += 1
            self._break(at, f"{seq} came for the first time after {self.high}")
            return
        self.dup += 1
        if seq == last + 1 or (seq > last and self._hole(last + 1, seq)):
            return
        if seq <= last:
            self.rewinds += 1
            self._note(f"rewind from {last} to {seq}")
        else:
            self._break(at, f"rewind jumps from {last} to {seq}, {self.high} is the highest")

    def _fill(self, seq):
        """Takes <seq> out of the holes; False when it is in none, so was seen before."""
        i = bisect.bisect_right(self._from, seq) - 1
        if i < 0 or seq >= self._to[i]:
            return False
        lo, hi = self._from[i], self._to[i]
        parts = [(a, b) for a, b in ((lo, seq), (seq + 1, hi)) if a < b]
        self._from[i:i + 1] = [a for a, _ in parts]
        self._to[i:i + 1] = [b for _, b in parts]
        return True

    def _hole(self, first, end):
        """Whether all of [first, end) is one hole, or gone. A rewind over lost lines leaves them out again."""
        i = bisect.bisect_right(self._from, first) - 1
        if i >= 0 and end <= self._to[i]:
            return True
        return bool(self.gone) and all(seq in self.gone or self._hole_at(seq) for seq in range(first, end))

    def _hole_at(self, seq):
        i = bisect.bisect_right(self._from, seq) - 1
        return i >= 0 and seq < self._to[i]

    def missing(self, written):
        """Ranges (first, last) of the lines below <written> that never arrived."""
        holes = [(a, b - 1) for a, b in zip(self._from, self._to)]
        if self.high + 1 < written:
            holes.append((self.high + 1, written - 1))
        return holes


class Report:
    """The result for one drain. Fields are totals over the streams; `accounts` has each stream's own."""

    def __init__(self, accounts, written, corrupt, foreign, refused):
        self.accounts = accounts
        self.written = sum(written.values())
        self.foreign = foreign
        self.refused = refused
        self.corrupt = corrupt
        self.lost_ranges = {n: a.missing(written.get(n, 0)) for n, a in accounts.items()}
        self.lost = sum(b - a + 1 for holes in self.lost_ranges.values() for a, b in holes)
        self.distinct = sum(a.distinct for a in accounts.values())
        self.dup = sum(a.dup for a in accounts.values())
        self.reorder = sum(a.reorder for a in accounts.values())
        self.shortened = sum(a.shortened for a in accounts.values())
        self.invented = [n for n, a in accounts.items() if a.high >= written.get(n, 0)]

    def breaks(self):
        """Lines out of order: (number of the message, stream, what is wrong), in order of arrival."""
        return sorted((at, name, text) for name, a in self.accounts.items() for at, text in a.breaks)

    def __str__(self):
        lines = [f"written {self.written}, distinct {self.distinct}, lost {self.lost}, dup {self.dup}, "
                 f"reorder {self.reorder}, corrupt {len(self.corrupt)}, foreign {len(self.foreign)}"]
        lines += [f"  out of order: {name}, message {at}: {text}" for at, name, text in self.breaks()[:_SHOW]]
        for name, a in self.accounts.items():
            holes = self.lost_ranges[name]
            if holes:
                lines.append(f"  {name}: missing " + ", ".join(f"{x}-{y}" for x, y in holes[:_SHOW]))
            lines += [f"  {name}: {note}" for note in a.notes]
        lines += [f"  corrupt: {m[:160]!r}" for m in self.corrupt[:_SHOW]]
        lines += [f"  foreign: {m[:160]!r}" for m in self.foreign[:_SHOW]]
        return "\n".join(lines)

    def assert_exact(self, dup_max=0, lost=0, pending=0, foreign=0):
        """I1, I2, I3: all lines, in order, intact. <lost> and <pending> are exact numbers of lines that the daemon declared lost,
        or that are still in flight; <foreign> may be None for any number."""
        assert not self.corrupt, f"corrupt lines\n{self}"
        assert not self.invented, f"lines that nobody wrote, of {self.invented}\n{self}"
        assert self.reorder == 0, f"lines out of order\n{self}"
        assert self.lost == lost + pending, f"expected {lost} lost and {pending} pending\n{self}"
        assert self.dup <= dup_max, f"more than {dup_max} duplicates\n{self}"
        assert foreign is None or len(self.foreign) == foreign, f"expected {foreign} foreign messages\n{self}"
        return self


def parse(message):
    """(stream, seq, intact) of one message, whatever precedes it (a syslog header); None when it is not ours."""
    m = _LINE.search(message)
    if not m:
        return None
    name, seq, size, crc = m.groups()
    pad = message[m.end():]
    head = b"%s %s %s " % (name, seq, size)
    intact = len(pad) == int(size) and zlib.crc32(pad, zlib.crc32(head)) == int(crc, 16)
    return name.decode(), int(seq), intact


class Oracle:
    """The lines written in one test; checks what each drain received."""

    def __init__(self):
        self.sources = {}

    def source(self, name, size=200, noise=False):
        assert name not in self.sources
        self.sources[name] = Source(name, size, noise)
        return self.sources[name]

    def written(self, streams=None):
        return {n: s.written for n, s in self.sources.items() if streams is None or n in streams}

    def check(self, messages, streams=None, gone=None):
        """Checks <messages> (bytes, in order of arrival) of one drain that should get <streams> (None: all). <gone>: which lines
        of a stream cannot be read again."""
        written = self.written(streams)
        accounts = {n: Account(n, (gone or {}).get(n, ())) for n in written}
        corrupt, foreign, refused = [], [], 0
        for at, message in enumerate(messages):
            found = parse(message)
            if refusal := _REFUSED.search(message):
                refused += int(refusal[1])
            elif not found:
                foreign.append(message)
            elif not found[2]:
                corrupt.append(message)
            else:
                account = accounts.get(found[0])
                if account is None:  # a line of a stream that this drain should not get
                    account = accounts[found[0]] = Account(found[0])
                account.add(found[1], at)
        return Report(accounts, written, corrupt, foreign, refused)

    def progress(self, peer, streams=None):
        return Progress(self, peer, streams)

    def wait_complete(self, peer, timeout, streams=None):
        """Waits until <peer> has received every line written so far to <streams>, then checks what it has."""
        progress = self.progress(peer, streams)
        wait_for(progress.complete, timeout, progress.text)
        return self.check(peer.messages(), streams)


class Progress:
    """How many of the written lines a receiver has now, without checking order; cheap to call repeatedly."""

    def __init__(self, oracle, peer, streams=None):
        self.oracle = oracle
        self.streams = streams
        self._accounts = {}
        self._cursor = peer.cursor()

    def distinct(self):
        for message in self._cursor.fresh():
            found = parse(message)
            if found and found[2]:
                account = self._accounts.get(found[0])
                if account is None:
                    account = self._accounts[found[0]] = Account(found[0])
                account.add(found[1])
        wanted = self.oracle.sources if self.streams is None else self.streams
        return sum(a.distinct for n, a in self._accounts.items() if n in wanted)

    def duplicates(self):
        return sum(a.dup for a in self._accounts.values())

    def complete(self):
        return self.distinct() >= sum(self.oracle.written(self.streams).values())

    def text(self):
        missing = {n: self._accounts[n].missing(w)[:3] if n in self._accounts else "all"
                   for n, w in self.oracle.written(self.streams).items()}
        missing = {n: m for n, m in missing.items() if m}
        return (f"all of {sum(self.oracle.written(self.streams).values())} lines; {self.distinct()} are there; "
                f"missing {json.dumps(missing)[:600]}")
