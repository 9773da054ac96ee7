"""Strict fakes of log intakes that are asked by http: each checks every field of what its receiver publishes.

What is not as it should be is written down in `violations`, which messages() asserts to be empty. <whole>(request) answers for a
request, before anything is looked at.
"""

import json
import re
import threading
from urllib.parse import parse_qsl, urlsplit

from .http_peer import Answer, Http

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_KEYS = ["severity", "facility", "hostname", "tag", "time", "message", "namespace", "pod", "container", "node", "stream", "id"]


class Intake(Http):
    """A fake of <scheme>; with tls= of <scheme>s. take(request) gives the messages of a request, or fails."""

    scheme = "http"
    path = "/"
    good = 200

    def __init__(self, whole=None, **options):
        self.whole = whole
        self.violations = []
        self.records = []
        self._messages = []
        super().__init__(answers=self._answer_for, **options)

    def url(self, options="", path="/", host=None, userinfo=""):
        return super().url(options, path, host, userinfo).replace("http", self.scheme, 1)

    def message_lists(self):
        assert not self.violations, self.violations[:3]
        return [self._messages]

    def messages(self):
        return [m for messages in self.message_lists() for m in messages]

    def _answer_for(self, request):
        if self.whole and (answer := self.whole(request)) is not None:
            return answer if isinstance(answer, Answer) else Answer(answer, counts=False)
        try:
            assert request.method == "POST" and urlsplit(request.target).path == self.path, request.target
            taken = self.take(request)
        except (AssertionError, KeyError, TypeError, ValueError) as e:
            self.violations.append(f"{e!r}: {request.target} {request.body[:300]!r}")
            return self.answer(400)
        return self.receipt(request, [m.encode() for m in taken])

    def receipt(self, _, messages):
        self._messages += messages
        return self.answer(self.good)

    def answer(self, status):
        return Answer(status, counts=False)

    def take(self, request):
        raise NotImplementedError

    def packets(self, request):
        """A packet object on each line, with sd=true."""
        assert request.headers["content-type"] == "application/x-ndjson", request.headers
        assert request.body.endswith(b"\n")
        packets = [json.loads(line) for line in request.body.decode("utf-8").split("\n")[:-1]]
        for p in packets:
            assert list(p) == [k for k in _KEYS if k in p] and _TIME.fullmatch(p["time"]), p
            assert p["severity"] in range(8) and p["facility"] in range(24) and p["id"] and p["pod"], p
        self.records += packets
        return packets


class VictoriaLogs(Intake):
    scheme = "victorialogs+http"
    path = "/insert/jsonline"

    def take(self, request):
        arguments = dict(parse_qsl(urlsplit(request.target).query))
        packets = self.packets(request)
        assert (arguments["_time_field"], arguments["_msg_field"]) == ("time", "message"), arguments
        assert set(arguments["_stream_fields"].split(",")) <= set(_KEYS), arguments
        return [p["message"] for p in packets]


class ClickHouse(Intake):
    """A table that remembers the tokens of all inserts, as one with a deduplication window does. instead(request): what is answered
    after the insert, which was made all the same; None = that it was."""

    scheme = "clickhouse+http"
    remembers = True  # False: takes an insert again whose token is known

    def __init__(self, whole=None, instead=None, **options):
        self.instead = instead
        self.inserts = {}  # token -> the ids of its rows
        self.again = 0     # inserts that were left out because of their token
        super().__init__(whole, **options)

    def receipt(self, request, messages):
        answer = super().receipt(request, messages)
        return self.instead and self.instead(request) or answer

    def take(self, request):
        arguments = dict(parse_qsl(urlsplit(request.target).query))
        token = arguments.pop("insert_deduplication_token")
        assert re.fullmatch(r"[0-9a-f]{32}", token), token
        assert re.fullmatch(r"INSERT INTO [a-z_.]+ FORMAT JSONEachRow", arguments.pop("query"))
        assert arguments == {"input_format_skip_unknown_fields": "1", "date_time_input_format": "best_effort",
                             "wait_for_async_insert": "1"}, arguments
        packets = self.packets(request)
        ids = [p["id"] for p in packets]
        if token in self.inserts:
            assert self.inserts[token] == ids, "other rows under a token that is known are lost"
            self.again += 1
            if self.remembers:
                return []
        self.inserts[token] = ids
        return [p["message"] for p in packets]


def _epoch(value, kind):
    assert type(value) in kind and 0 <= value < 2e14, value
    return value


class Splunk(Intake):
    """The HTTP Event Collector: events one behind the other, and an answer with a code."""

    scheme = "splunk+http"
    path = "/services/collector/event"
    _top = {"time", "host", "source", "sourcetype", "index", "event", "fields"}

    def __init__(self, whole=None, ack=None, question=None, **options):
        """<ack>(number) says whether a request is indexed: only then its lines count. None = there is no acknowledgement.
        <question>(request) answers for a question, before anything is looked at."""
        self.ack = ack
        self.question = question
        self.channels = set()
        self.waiting = {}   # (channel, number) -> messages
        self.confirmed = 0  # requests
        self._number = 0
        self._guard = threading.Lock()
        super().__init__(whole, **options)

    def forget(self):
        """The indexer is killed: what is not acknowledged is gone."""
        with self._guard:
            self.waiting.clear()

    def _answer_for(self, request):
        if urlsplit(request.target).path == "/services/collector/ack":
            return self._asked(request)
        return super()._answer_for(request)

    def _asked(self, request):
        if self.question and (answer := self.question(request)) is not None:
            return answer if isinstance(answer, Answer) else Answer(answer, counts=False)
        channel = dict(parse_qsl(urlsplit(request.target).query))["channel"]
        asked = json.loads(request.raw)
        good = channel in self.channels and request.method == "POST" and list(asked) == ["acks"] and asked["acks"]
        if not good or "content-encoding" in request.headers or not request.headers["authorization"].startswith("Splunk "):
            self.violations.append(f"{request}")
            return Answer(400, body=b'{"text":"Invalid data channel","code":11}', counts=False)
        said = {}
        with self._guard:
            for n in asked["acks"]:
                said[str(n)] = (channel, n) in self.waiting and bool(self.ack(n))
                if said[str(n)]:  # and then it is forgotten
                    self._messages += self.waiting.pop((channel, n))
                    self.confirmed += 1
        return Answer(200, body=json.dumps({"acks": said}).encode(), counts=False)

    def receipt(self, request, messages):
        if self.ack is None:
            return super().receipt(request, messages)
        channel = request.headers["x-splunk-request-channel"]
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", channel), channel
        with self._guard:
            self.channels.add(channel)
            self.waiting[channel, self._number] = messages
            self._number += 1
            return Answer(200, body=json.dumps({"text": "Success", "code": 0, "ackId": self._number - 1}).encode(), counts=False)

    def answer(self, status):
        codes = {200: (0, "Success"), 400: (6, "Invalid data format")}
        code, text = codes[status]
        return Answer(status, body=json.dumps({"text": text, "code": code}).encode(), counts=False)

    def take(self, request):
        text, at, events = request.body.decode("utf-8"), 0, []
        while at < len(text.rstrip("\n")):
            event, at = json.JSONDecoder(parse_float=str).raw_decode(text, at)
            at = at + 1 if text[at:at + 1] == "\n" else at
            assert set(event) <= self._top and {"time", "event", "fields"} <= set(event), event
            assert re.fullmatch(r"\d{10}(\.\d{1,9})?", str(event["time"])), event["time"]
            assert isinstance(event["event"], str) and event["event"].strip(), "Event field cannot be blank"
            assert all(isinstance(v, str) for v in event["fields"].values()), event["fields"]
            assert all(isinstance(event[k], str) and event[k] for k in ("host", "source", "sourcetype", "index") if k in event)
            events.append(event)
        assert events, "No data"
        self.records += events
        return [e["event"] for e in events]


class Datadog(Intake):
    """The v2 intake: an array of at most 1,000 items, 5 MB, each item of 1 MB."""

    scheme = "datadog+http"
    path = "/api/v2/logs"
    good = 202
    _keys = {"ddsource", "ddtags", "hostname", "service", "timestamp", "message", "status", "stream", "id"}
    _statuses = {"emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"}

    def take(self, request):
        assert request.headers["content-type"] == "application/json" and request.headers["dd-api-key"], request.headers
        assert "authorization" not in request.headers
        items = json.loads(request.body.decode("utf-8"))
        assert isinstance(items, list) and 1 <= len(items) <= 1000 and len(request.body) <= 5_000_000
        for item in items:
            assert set(item) <= self._keys and item["status"] in self._statuses, item
            assert all(isinstance(item[k], str) for k in set(item) - {"timestamp"}), item
            _epoch(item["timestamp"], (int,))
            assert len(json.dumps(item, ensure_ascii=False).encode()) <= 1_000_000 + 200
            assert all(re.fullmatch(r"[^:,]+(:[^,]*)?", tag) for tag in item["ddtags"].split(",") if item["ddtags"]), item
        self.records += items
        return [item["message"] for item in items]


class NewRelic(Intake):
    """The Log API: an array of groups, each with what its logs have in common; 1 MB."""

    scheme = "newrelic+http"
    path = "/log/v1"
    good = 202

    def take(self, request):
        assert request.headers["content-type"] == "application/json" and request.headers["api-key"], request.headers
        assert "authorization" not in request.headers and len(request.raw) <= 1_000_000
        found = []
        for group in json.loads(request.body.decode("utf-8")):
            assert set(group) == {"common", "logs"} and set(group["common"]) == {"attributes"} and group["logs"], group
            for entry in group["logs"]:
                assert set(entry) == {"timestamp", "message", "attributes"} and isinstance(entry["message"], str), entry
                _epoch(entry["timestamp"], (int,))
                assert all(isinstance(v, str) for v in (group["common"]["attributes"] | entry["attributes"]).values())
                found.append(entry | {"common": group["common"]["attributes"]})
        self.records += found
        return [entry["message"] for entry in found]
