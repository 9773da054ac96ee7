"""Libraries preloaded into the daemon (test/preload): clocks that step, file calls that fail. Each has an `env` to start the
daemon with, and is controlled while the daemon runs."""

import errno
import mmap
import struct

from . import daemon

RULES = 8
_RULE = struct.Struct("=iiii240s")
_CLOCKS = struct.Struct("=qq")
_NTH = struct.Struct("=iii8i")


class Preload:
    """One library and the file that controls it. Tests preload one at a time."""

    def __init__(self, tmp, name, variable, size):
        library = daemon.BIN.parent / "test" / "preload" / f"lt{name}.so"
        assert library.exists(), f"{library} is not there: build it first"
        path = tmp / f"preload-{name}"
        path.write_bytes(bytes(size))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), size)
        self.env = {"LD_PRELOAD": library, variable: path,
                    "ASAN_OPTIONS": daemon.SANITIZER_ENV["ASAN_OPTIONS"] + ":verify_asan_link_order=0"}


class Clock(Preload):
    """The daemon's clocks, offset from ours by a number of seconds."""

    def __init__(self, tmp):
        super().__init__(tmp, "clock", "LT_CLOCK", _CLOCKS.size)
        self.wall = self.mono = 0

    def step(self, wall=0, mono=0):
        """Adds <wall> seconds to the wall clock, <mono> to the monotonic one. Timers notice when the loop next wakes."""
        self.wall += wall
        self.mono += mono
        self.map[:] = _CLOCKS.pack(int(self.wall * 1e9), int(self.mono * 1e9))


class Files(Preload):
    """File calls that fail."""

    KINDS = {"open": 1, "read": 2, "stat": 4, "list": 8, "watch": 16, "instance": 32, "change": 64, "write": 128}

    def __init__(self, tmp):
        super().__init__(tmp, "files", "LT_FILES", RULES * _RULE.size)
        self._used = 0

    def fail(self, kinds, error, match="", after=0):
        """Calls of <kinds> ("open read") on paths that contain <match> fail with <error>, once <after> have passed."""
        assert self._used < RULES
        at = self._used * _RULE.size
        bits = sum(self.KINDS[k] for k in kinds.split())
        rule = _RULE.pack(0, getattr(errno, error), after, 0, str(match).encode())
        self.map[at + 4:at + _RULE.size] = rule[4:]
        self.map[at:at + 4] = struct.pack("=i", bits)  # last: from here on it counts
        self._used += 1

    def hits(self):
        """How many calls have failed since clear()."""
        return sum(_RULE.unpack_from(self.map, i * _RULE.size)[3] for i in range(RULES))

    def clear(self):
        for i in range(RULES):
            self.map[i * _RULE.size:i * _RULE.size + 4] = bytes(4)
        self.map[:] = bytes(len(self.map))
        self._used = 0


class Nth(Preload):
    """The n-th call of a kind fails, once. Not "malloc" in a sanitized build, whose allocator is its own."""

    KINDS = {"malloc": "ENOMEM", "open": "EMFILE", "read": "EIO", "stat": "EIO", "write": "ENOSPC", "poll": "ENOMEM",
             "socket": "EMFILE", "watch": "ENOSPC"}

    def __init__(self, tmp):
        super().__init__(tmp, "nth" if daemon.SANITIZED else "nthmalloc", "LT_NTH", _NTH.size)

    def set(self, kind=None, n=0):
        """From now on, counting from here; None: nothing fails."""
        number = -1 if kind is None else list(self.KINDS).index(kind)
        error = 0 if kind is None else getattr(errno, self.KINDS[kind])
        self.map[:] = _NTH.pack(number, n, error, *[0] * len(self.KINDS))

    def calls(self):
        """The number of calls since set(), by kind."""
        return dict(zip(self.KINDS, _NTH.unpack(self.map)[3:]))
