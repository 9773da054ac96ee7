#!/usr/bin/env python3
"""Receivers that only count, for bench/drains.py: like bench_sink, for protocols whose answers are not constant.

  receivers.py http|elastic|loki|otlp|splunk|websocket

Prints the port it listens on, then a line "records bytes" for each line on stdin, until stdin ends. Their own speed
affects only the seconds: the CPU time of the senders is compared.
"""
import base64
import hashlib
import re
import socket
import struct
import sys
import threading
import zlib

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ACTION = re.compile(rb'^\{"(create|index)":\{(?:.*?"_id":"([^"]*)")?.*$', re.MULTILINE)

lock = threading.Lock()
counted = [0, 0]


def count(records, size):
    with lock:
        counted[0] += records
        counted[1] += size


class Stream:
    def __init__(self, sock):
        self.sock = sock
        self.data = bytearray()

    def need(self, n):
        while len(self.data) < n:
            more = self.sock.recv(1 << 18)
            if not more:
                raise EOFError
            self.data += more

    def take(self, n):
        self.need(n)
        part = bytes(self.data[:n])
        del self.data[:n]
        return part

    def head(self):
        while (end := self.data.find(b"\r\n\r\n")) < 0:
            self.need(len(self.data) + 1)
        lines = self.take(end + 4).decode("latin-1").split("\r\n")
        return lines[0], {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}


def requests(stream):
    """The decompressed body of each request; b"" for one without a body."""
    while True:
        _, headers = stream.head()
        if headers.get("expect"):
            stream.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = stream.take(int(headers.get("content-length", 0)))
        yield zlib.decompress(body, 31) if headers.get("content-encoding") == "gzip" else body


def answer(stream, body):
    stream.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def http(stream):
    """One record per line, or one record without LF."""
    for body in requests(stream):
        count(max(body.count(b"\n"), 1), len(body))
        answer(stream, b"")


def elastic(stream):
    """Every item is created; any other request (a question about health) gets an empty object."""
    for body in requests(stream):
        items = [b'{"%s":{"_id":"%s","status":201}}' % m for m in ACTION.findall(body)] if body else []
        count(len(items), len(body))
        answer(stream, b'{"took":1,"errors":false,"items":[%s]}' % b",".join(items) if items else b"{}")


def loki(stream):
    """An entry begins with the bracket before its time."""
    for body in requests(stream):
        count(body.count(b'["1'), len(body))
        answer(stream, b"")


def splunk(stream):
    """An event a line."""
    for body in requests(stream):
        count(body.count(b"\n"), len(body))
        answer(stream, b'{"text":"Success","code":0}')


def otlp(stream):
    """Each record has this attribute, in both encodings."""
    for body in requests(stream):
        count(body.count(b"log.iostream"), len(body))
        answer(stream, b"")


def unmask(data, key):
    n = len(data)
    whole = int.from_bytes((key * (n // 4 + 1))[:n], "big")
    return (int.from_bytes(data, "big") ^ whole).to_bytes(n, "big")


def websocket(stream):
    """Counts LFs of messages, decompressed if binary; answers Pings."""
    _, headers = stream.head()
    digest = hashlib.sha1(headers["sec-websocket-key"].encode() + GUID).digest()
    stream.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        b"Sec-WebSocket-Accept: %s\r\n\r\n" % base64.b64encode(digest))
    while True:
        first, second = stream.take(2)
        size = second & 127
        if size > 125:
            size = struct.unpack(">H", stream.take(2))[0] if size == 126 else struct.unpack(">Q", stream.take(8))[0]
        key = stream.take(4)
        data = unmask(stream.take(size), key)
        if first & 15 == 9:
            stream.sock.sendall(bytes([0x8A, size]) + data)
        elif first & 15 in (1, 2):
            text = zlib.decompress(data, 31) if first & 15 == 2 else data
            count(text.count(b"\n"), size)


def serve(kind, sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        kind(Stream(sock))
    except (EOFError, OSError):
        pass
    sock.close()


def main():
    kind = {"http": http, "elastic": elastic, "loki": loki, "otlp": otlp, "splunk": splunk, "websocket": websocket}[sys.argv[1]]
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def accept():
        while True:
            threading.Thread(target=serve, args=(kind, listener.accept()[0]), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    for _ in sys.stdin:
        with lock:
            print(*counted, flush=True)


if __name__ == "__main__":
    main()
