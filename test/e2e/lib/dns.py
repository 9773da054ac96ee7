"""A DNS server on loopback, UDP and TCP on one port. set() defines the answer for a name: addresses (a list of text), a name
(CNAME), "nxdomain", "servfail", or None for silence. A name that was not set does not exist."""

import ipaddress
import select
import socket
import struct
import threading

_A, _CNAME, _AAAA = 1, 5, 28
_UDP_MAX = 512


def _name(text):
    return b"".join(bytes([len(p)]) + p.encode() for p in text.split(".")) + b"\0"


def _question(packet):
    """(name, type, the question's bytes)"""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    kind = struct.unpack_from(">H", packet, at + 1)[0]
    return ".".join(labels).lower(), kind, packet[12:at + 5]


def _record(kind, data, ttl):
    return struct.pack(">HHHIH", 0xC00C, kind, 1, ttl, len(data)) + data


class Dns:
    def __init__(self, ttl=0):
        self.ttl = ttl
        self.names = {}
        self.asked = []  # (name, type)
        while True:
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._udp.bind(("127.0.0.1", 0))
            self._tcp = socket.socket()
            try:
                self._tcp.bind(self._udp.getsockname())
                break
            except OSError:  # in use for TCP: try another port
                self._udp.close()
                self._tcp.close()
        self._tcp.listen(16)
        self._wake, self._stop = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def address(self):
        """The value for DNS_SERVERS."""
        return "%s:%d" % self._udp.getsockname()

    def set(self, name, answer):
        self.names[name] = answer

    def queries(self, name):
        return [kind for asked, kind in list(self.asked) if asked == name]

    def _run(self):
        conns = []
        while True:
            for sock in select.select([self._udp, self._tcp, self._wake, *conns], [], [])[0]:
                if sock is self._wake:
                    return
                if sock is self._udp:
                    packet, source = sock.recvfrom(4096)
                    answer = self._answer(packet, _UDP_MAX)
                    if answer:
                        sock.sendto(answer, source)
                elif sock is self._tcp:
                    conns.append(sock.accept()[0])
                else:  # small enough to arrive at once, and only from the daemon
                    packet = sock.recv(4096)
                    answer = self._answer(packet[2:], 65535) if packet else None
                    if answer:
                        sock.sendall(struct.pack(">H", len(answer)) + answer)
                    if not packet:
                        conns.remove(sock)
                        sock.close()

    def _answer(self, packet, most):
        name, kind, question = _question(packet)
        self.asked.append((name, kind))
        wanted = self.names.get(name, "nxdomain")
        if wanted is None:
            return None
        code = {"nxdomain": 3, "servfail": 2}.get(wanted, 0) if isinstance(wanted, str) else 0
        records = [] if code else self._records(wanted, kind)
        head = struct.pack(">2sHHHHH", packet[:2], 0x8180 | code, 1, len(records), 0, 0)
        whole = head + question + b"".join(records)
        if len(whole) <= most:
            return whole
        return struct.pack(">2sHHHHH", packet[:2], 0x8380, 1, 0, 0, 0) + question  # truncated: the client must ask over TCP

    def _records(self, wanted, kind):
        if isinstance(wanted, str):
            return [_record(_CNAME, _name(wanted), self.ttl)]
        found = [ipaddress.ip_address(a) for a in wanted]
        return [_record(kind, a.packed, self.ttl) for a in found if {4: _A, 6: _AAAA}[a.version] == kind]

    def close(self):
        self._stop.close()
        self._thread.join(5)
        for sock in (self._udp, self._tcp, self._wake):
            sock.close()
