"""A strict fake of an OpenTelemetry receiver (OTLP over HTTP, logs), and the real one: the collector's own otlpreceiver, built by
scripts/otlp-receiver.

The fake decodes protobuf by the published field numbers, with a decoder of its own: a field or a wire type that is not in the
tables, bytes that are not UTF-8, or a message that ends inside of a field is a violation."""

import json
import re
import struct
import threading

from .http_peer import Answer
from .intake import Intake
from .ports import free_port
from .real import Built

# field number -> (name in JSON, wire type, is repeated, table of the message)
_ANY = {1: ("stringValue", 2, False, str)}
_KEY_VALUE = {1: ("key", 2, False, str), 2: ("value", 2, False, _ANY)}
_RESOURCE = {1: ("attributes", 2, True, _KEY_VALUE)}
_SCOPE = {1: ("name", 2, False, str), 2: ("version", 2, False, str)}
_RECORD = {1: ("timeUnixNano", 1, False, None), 2: ("severityNumber", 0, False, None), 3: ("severityText", 2, False, str),
           5: ("body", 2, False, _ANY), 6: ("attributes", 2, True, _KEY_VALUE), 11: ("observedTimeUnixNano", 1, False, None)}
_SCOPE_LOGS = {1: ("scope", 2, False, _SCOPE), 2: ("logRecords", 2, True, _RECORD)}
_RESOURCE_LOGS = {1: ("resource", 2, False, _RESOURCE), 2: ("scopeLogs", 2, True, _SCOPE_LOGS)}
_REQUEST = {1: ("resourceLogs", 2, True, _RESOURCE_LOGS)}

_SEVERITIES = {"emergency": 21, "alert": 19, "critical": 18, "error": 17, "warning": 13, "notice": 10, "info": 9, "debug": 5}
_RESOURCE_KEYS = {"service.name", "host.name", "k8s.namespace.name", "k8s.pod.name", "k8s.pod.uid", "k8s.container.name",
                  "k8s.node.name"}
_RECORD_KEYS = {"log.iostream", "log.record.uid", "tag", "procid", "msgid", "structured_data"}


def _varint(data, at):
    value = 0
    for i in range(10):
        value |= (data[at + i] & 0x7f) << 7 * i
        if data[at + i] < 0x80:
            assert value < 1 << 64
            return value, at + i + 1
    raise ValueError("a varint of more than ten bytes")


def decode(data, table):
    """A message as JSON has it, numbers of 64 bits as text."""
    found, at = {}, 0
    while at < len(data):
        key, at = _varint(data, at)
        assert key >> 3 in table, f"field {key >> 3}"
        name, wire, repeated, inner = table[key >> 3]
        assert key & 7 == wire, f"{name}: wire type {key & 7}"
        if wire == 0:
            value, at = _varint(data, at)
        elif wire == 1:
            (value,), at = struct.unpack_from("<Q", data, at), at + 8
            value = str(value)
        else:
            size, at = _varint(data, at)
            assert at + size <= len(data), f"{name} ends in the middle"
            value, at = data[at:at + size], at + size
            value = value.decode("utf-8") if inner is str else decode(value, inner)
        if repeated:
            found.setdefault(name, []).append(value)
        else:
            assert name not in found, f"{name} twice"
            found[name] = value
    return found


def _attributes(pairs, known):
    keys = [p["key"] for p in pairs]
    assert len(set(keys)) == len(keys) and set(keys) <= known, keys
    assert all(set(p) == {"key", "value"} and set(p["value"]) == {"stringValue"} and p["value"]["stringValue"] for p in pairs), pairs
    return {p["key"]: p["value"]["stringValue"] for p in pairs}


def _record(r):
    assert {"timeUnixNano", "observedTimeUnixNano", "severityNumber", "severityText", "body"} <= set(r), r
    assert set(r) <= {name for name, *_ in _RECORD.values()}, r
    assert all(re.fullmatch(r"0|[1-9]\d*", r[k]) and int(r[k]) < 1 << 64 for k in ("timeUnixNano", "observedTimeUnixNano")), r
    assert int(r["observedTimeUnixNano"]) > 1.7e18 and _SEVERITIES[r["severityText"]] == r["severityNumber"], r
    assert set(r["body"]) == {"stringValue"} and isinstance(r["body"]["stringValue"], str), r
    return r | {"attributes": _attributes(r.get("attributes", []), _RECORD_KEYS), "body": r["body"]["stringValue"]}


class Otlp(Intake):
    """<partial>(records) says of a request that is taken how many of its records are rejected, and why: (number, message).
    It rejects the last ones."""

    scheme = "otlp+http"
    path = "/v1/logs"
    types = {"application/x-protobuf": lambda body: decode(body, _REQUEST),
             "application/json": lambda body: json.loads(body.decode("utf-8"))}

    def __init__(self, whole=None, partial=None, **options):
        self.partial = partial
        self.rejected = []
        self._local = threading.local()
        super().__init__(whole, **options)

    def answer(self, status):
        return Answer(status, body=getattr(self._local, "said", b"") if status == self.good else b"bad", counts=False)

    def take(self, request):
        kind = request.headers["content-type"]
        message = self.types[kind](request.body)
        found = []
        assert set(message) == {"resourceLogs"}, list(message)
        for group in message["resourceLogs"]:
            assert set(group) == {"resource", "scopeLogs"} and len(group["scopeLogs"]) == 1, group
            resource = _attributes(group["resource"]["attributes"], _RESOURCE_KEYS)
            (logs,) = group["scopeLogs"]
            assert resource["service.name"] and logs["scope"] == {"name": "logtrain"} and logs["logRecords"], group
            found += [_record(r) | {"resource": resource} for r in logs["logRecords"]]
        n, why = (self.partial and self.partial(found)) or (0, "")
        self._local.said = _said(kind, n, why)
        taken = found[:max(len(found) - n, 0)]
        self.rejected += found[len(taken):]
        self.records += taken
        return [r["body"] for r in taken]


def _said(kind, n, why):
    if kind == "application/json":
        return json.dumps({"partialSuccess": {"rejectedLogRecords": str(n), "errorMessage": why}} if n or why else {}).encode()
    inner = (b"\x08" + _put_varint(n) if n else b"") + (b"\x12" + _put_varint(len(why)) + why.encode() if why else b"")
    return b"\x0a" + _put_varint(len(inner)) + inner if inner else b""


def _put_varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


class RealOtlp(Built):
    """The collector's receiver; what it takes becomes lines of a file before it answers."""

    script = "otlp-receiver"

    def __init__(self, directory):
        super().__init__(directory)
        self.port = free_port()
        self.start()

    def start(self):
        """A record that was half written when it was killed was not answered, and comes again."""
        path = self.dir / "records"
        if path.exists():
            written = path.read_bytes()
            path.write_bytes(written[:written.rfind(b"\n") + 1])
        self.spawn(self.path(), f"127.0.0.1:{self.port}", path)
        self.wait_listening(self.port)

    def url(self, options=""):
        return f"otlp+http://127.0.0.1:{self.port}/?{options}"

    def records(self):
        path = self.dir / "records"
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def messages(self):
        return [r["body"].encode() for r in self.records()]

    def count(self):
        return len(self.messages())
