"""A strict fake of Grafana Loki's push API: it accepts what Loki accepts, stores each entry (stream, time, line) once, and
answers 204."""

import json
import re

from .http_peer import Answer, Http

LINE_MAX = 256 * 1024
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Loki(Http):
    """loki+http, and with tls= loki+https. <whole>(request) answers a request before anything is parsed."""

    def __init__(self, whole=None, path="/loki/api/v1/push", **options):
        self.whole = whole
        self.path = path
        self.violations = []
        self.entries = {}    # (labels, ns, line) -> None, in order of arrival
        self.repeated = 0
        self._messages = []
        super().__init__(answers=self._push, **options)

    def url(self, options="", path="/", host=None, userinfo=""):
        return "loki+" + super().url(options, path, host, userinfo)

    def message_lists(self):
        assert not self.violations, self.violations[:3]
        return [self._messages]

    def messages(self):
        return [m for messages in self.message_lists() for m in messages]

    def _push(self, request):
        if self.whole and (answer := self.whole(request)) is not None:
            return answer if isinstance(answer, Answer) else Answer(answer, counts=False)
        try:
            entries = self._entries(request)
        except (AssertionError, KeyError, ValueError) as e:
            self.violations.append(f"{e!r}: {request.body[:300]!r}")
            return Answer(400, body=b"bad", counts=False)
        if any(len(line) > LINE_MAX for _, _, line in entries):
            return Answer(400, body=b"max entry size exceeded", counts=False)
        for labels, ns, line in entries:
            self.repeated += (labels, ns, line) in self.entries
            self.entries[labels, ns, line] = None
            self._messages.append(line)
        return Answer(204, counts=False)

    def _entries(self, request):
        assert request.method == "POST" and request.target.split("?")[0] == self.path, request.target
        assert request.headers["content-type"] == "application/json", request.headers
        body = json.loads(request.body.decode("utf-8"))
        assert list(body) == ["streams"] and body["streams"], "no streams"
        found = []
        for stream in body["streams"]:
            labels = stream["stream"]
            assert labels and all(_LABEL.fullmatch(k) and v and isinstance(v, str) for k, v in labels.items()), labels
            assert len(labels) <= 15 and stream["values"], stream
            for ns, line in stream["values"]:
                assert ns.isdigit() and str(int(ns)) == ns, ns
                found.append((tuple(sorted(labels.items())), int(ns), line.encode()))
        return found
