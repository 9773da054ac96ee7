"""The receiver of a file:// drain: a folder. It has the methods of lib/peer.py that the oracle asks for."""

import gzip
import json
import re

_ROTATED = re.compile(r"^(?P<stem>.*)-(?P<when>\d{8}T\d{6}Z)-(?P<seq>\d+)\.log(\.gz)?$")


class Everything:
    """All messages each time: they have no order over several files that would stay."""

    def __init__(self, folder):
        self._folder = folder

    def fresh(self):
        return self._folder.messages()


class Folder:
    def __init__(self, path):
        self.path = path
        path.mkdir(exist_ok=True)

    def url(self, more=""):
        return f"file://{self.path}?" + "&".join(filter(None, ["linger=20ms", more]))

    def files(self):
        """All but what is hidden, those of one path in the order in which they were written."""
        def order(path):
            m = _ROTATED.match(path.name)
            stem = m["stem"] if m else path.name.partition(".")[0]
            return str(path.parent), stem, *((0, m["when"], int(m["seq"])) if m else (1, "", 0))
        return sorted((p for p in self.path.rglob("*") if p.is_file() and not p.name.startswith(".")), key=order)

    def rotated(self):
        return [p for p in self.files() if _ROTATED.match(p.name)]

    def open(self):
        return [p for p in self.files() if not _ROTATED.match(p.name)]

    def bytes(self):
        """As it is between two changes: a file may be renamed or compressed while others are read."""
        while True:
            files = self.files()
            try:
                data = [self._content(p) for p in files if p.with_name(p.name + ".gz") not in files]
            except FileNotFoundError:
                continue
            if self.files() == files:
                return b"".join(data)

    @staticmethod
    def _content(path):
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data

    def records(self, torn=False):
        """<torn>: it is being written to, so that a last line may have no end yet."""
        lines = self.bytes().split(b"\n")
        assert torn or lines[-1] == b"", f"a torn line: {lines[-1]!r}"
        return [json.loads(line) for line in lines[:-1]]

    def messages(self):
        return [r["message"].encode() for r in self.records(torn=True)]

    def cursor(self):
        return Everything(self)
