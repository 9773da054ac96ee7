"""A client for Envoy's access log service that builds HTTP/2 frames and protobuf by hand, so that it can break every rule. Envoy
itself, and a client made from Envoy's own protos, are in test_envoy_real.py."""

import socket
import struct

import hpack

V3 = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
V2 = "/envoy.service.accesslog.v2.AccessLogService/StreamAccessLogs"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, ENHANCE_YOUR_CALM = 0, 1, 2, 3, 6, 11

# --- protobuf --------------------------------------------------------------------------------------------------------


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def pb(*fields):
    """(number, value) pairs: an int is encoded as a varint, a float as a double, bytes and str are length-delimited."""
    out = b""
    for number, value in fields:
        if isinstance(value, float):
            out += varint(number << 3 | 1) + struct.pack("<d", value)
        elif isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def duration(ms):
    return pb((1, ms // 1000), (2, ms % 1000 * 10**6))


def common(cluster="outbound|80||web.shop.svc.cluster.local", start=1604400000, *more):
    return pb((5, pb((1, start), (2, 123456000))), (15, cluster), *more)


def http_entry(path="/", cluster="outbound|80||web.shop.svc.cluster.local", *more):
    """A POST of 300 bytes that was answered with 200 and 300 bytes."""
    request = pb((1, 3), (3, "authority"), (5, path), (8, "1.1.1.1"), (9, "x-request-id"), (11, 100), (12, 200))
    response = pb((1, pb((1, 200))), (2, 100), (3, 200))
    return pb((1, common(cluster, 1604400000, *more)), (2, 3), (3, request), (4, response))


def identifier(node_id="sidecar~10.0.0.1~web-64cd4f4ff7-6bqb8.shop~shop.svc.cluster.local", cluster="web.shop", log_name="als"):
    return pb((1, pb((1, pb((1, node_id), (2, cluster))), (2, log_name))))


def http_logs(*entries):
    return pb((2, pb(*((1, e) for e in entries))))


def tcp_logs(*entries):
    return pb((3, pb(*((1, e) for e in entries))))


def grpc_message(payload, flag=0):
    return bytes([flag]) + struct.pack(">I", len(payload)) + payload


# --- HTTP/2 ----------------------------------------------------------------------------------------------------------

def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A header field that is neither indexed nor compressed (RFC 7541 §6.2.2)."""
    def text(s):
        s = s.encode() if isinstance(s, str) else s
        if len(s) < 127:
            return bytes([len(s)]) + s
        return b"\x7f" + varint(len(s) - 127) + s
    return b"\0" + text(name) + text(value)


def request_headers(path=V3, **changed):
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "logtrain", "te": "trailers",
              "content-type": "application/grpc"}
    for name, value in changed.items():
        fields[name.replace("__", ":").replace("_", "-")] = value
    return b"".join(literal(k, v) for k, v in fields.items() if v is not None)


class Closed(Exception):
    pass


class Client:
    """One connection. After each call that waits, what the server has sent is in `answers` (stream → dict of its headers and
    trailers), `resets` (stream → error) and `goaway` (error)."""

    def __init__(self, port, tls=None, preface=True, host="127.0.0.1", source=None):
        self.sock = socket.create_connection((host, port), 60, (source, 0) if source else None)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self.decoder = hpack.Decoder()
        self.inbox = b""
        self.stream = -1
        self.windows = {0: 65535}
        self.initial = 65535
        self.answers, self.resets, self.goaway, self.pings = {}, {}, None, 0
        self.ended = set()
        if preface:
            self.send(PREFACE + frame(SETTINGS, 0, 0))

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def request(self, path=V3, end=False, **headers):
        self.stream += 2
        self.windows[self.stream] = self.initial
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), self.stream, request_headers(path, **headers)))
        return self.stream

    def message(self, stream, payload, end=False):
        """Sends a message as far as the windows allow."""
        self.data(stream, grpc_message(payload), end)

    def data(self, stream, data, end=False):
        while data := self.push(stream, data, end):
            self.step()

    def push(self, stream, data, end=False):
        """Sends as much as the windows allow now; returns the rest."""
        while data and (room := min(self.room(stream), 16384)) > 0:
            piece, data = data[:room], data[room:]
            self.windows[0] -= len(piece)
            self.windows[stream] -= len(piece)
            self.send(frame(DATA, END_STREAM if end and not data else 0, stream, piece))
        return data

    def room(self, stream):
        return min(self.windows[0], self.windows[stream])

    def finish(self, stream):
        """Ends the call; returns its grpc-status."""
        self.send(frame(DATA, END_STREAM, stream))
        return self.status(stream)

    def status(self, stream, timeout=60):
        self.wait(lambda: "grpc-status" in self.answers.get(stream, {}), timeout)
        return int(self.answers[stream]["grpc-status"])

    def http_status(self, stream, timeout=60):
        self.wait(lambda: stream in self.answers, timeout)
        return int(self.answers[stream][":status"])

    def wait(self, condition, timeout=60):
        self.sock.settimeout(timeout)
        while not condition():
            self.step()

    def wait_closed(self, timeout=60):
        """Waits until the server closes; everything it sent before is read."""
        self.sock.settimeout(timeout)
        try:
            while True:
                self.step()
        except (Closed, ConnectionError):
            pass

    def drain(self):
        """Reads what has arrived."""
        self.sock.settimeout(0.05)
        try:
            while True:
                self.step()
        except TimeoutError:
            self.sock.settimeout(60)

    def _take(self, n):
        while len(self.inbox) < n:
            data = self.sock.recv(65536)
            if not data:
                raise Closed
            self.inbox += data
        out, self.inbox = self.inbox[:n], self.inbox[n:]
        return out

    def _peek_frame(self):
        while len(self.inbox) < 9 or len(self.inbox) < 9 + int.from_bytes(self.inbox[:3], "big"):
            data = self.sock.recv(65536)
            if not data:
                raise Closed
            self.inbox += data

    def step(self):
        """Reads one frame."""
        self._peek_frame()
        head = self._take(9)
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
        payload = self._take(length)
        if kind == SETTINGS and not flags & ACK:
            self._settings(payload)
        elif kind == WINDOW_UPDATE:
            self.windows[stream] = self.windows.get(stream, 0) + int.from_bytes(payload, "big")
        elif kind == HEADERS:
            self.answers.setdefault(stream, {}).update(self.decoder.decode(payload))
        elif kind == RST_STREAM:
            self.resets[stream] = int.from_bytes(payload, "big")
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        elif kind == PING and flags & ACK:
            self.pings += 1
        if flags & END_STREAM and kind in (DATA, HEADERS):
            self.ended.add(stream)

    def _settings(self, payload):
        for at in range(0, len(payload), 6):
            key, value = struct.unpack(">HI", payload[at:at + 6])
            if key == 4:
                for s in self.windows:
                    if s:
                        self.windows[s] += value - self.initial
                self.initial = value
        self.send(frame(SETTINGS, ACK, 0))
