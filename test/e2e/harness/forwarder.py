#!/usr/bin/python3
"""A stand-in for the daemon, for the harness to test itself with. It keeps the command line contract and forwards well-behaved
CRI logs; it survives nothing. STANDIN_BUG makes it misbehave in one way, to see that the harness notices:
lose, dup, reorder, corrupt (one line each), leak (prints its URLs), crash (exits 3 on SIGTERM)."""

import glob
import http.client
import http.server
import json
import os
import re
import signal
import socket
import socketserver
import sys
import threading
import urllib.parse

STOP = threading.Event()
BUG = os.environ.get("STANDIN_BUG")
SENT = {"lines": 0}


def order(path):
    """Rotated files by time before the live file, by restart number."""
    m = re.match(r"(\d+)\.log(?:\.(\S+))?$", os.path.basename(path))
    return (os.path.dirname(path), int(m[1]), m[2] is None, m[2] or "")


class Drain:
    def __init__(self, url):
        self.url = urllib.parse.urlsplit(url)
        self.sock = None
        self.n = 0

    def send(self, lines):
        lines = self.spoil(lines)
        if self.url.scheme.startswith("syslog"):
            if self.sock is None:
                self.sock = socket.create_connection((self.url.hostname, self.url.port))
            self.sock.sendall(b"".join(b"<14>1 - host tag - - - %s\n" % line for line in lines))
        else:
            body = b"".join(json.dumps({"message": line.decode()}).encode() + b"\n" for line in lines)
            conn = http.client.HTTPConnection(self.url.hostname, self.url.port)
            conn.request("POST", self.url.path, body, {"Content-Type": "application/x-ndjson"})
            conn.getresponse().read()
            conn.close()
        SENT["lines"] += len(lines)

    def spoil(self, lines):
        first, self.n = self.n == 0, self.n + 1
        if not BUG or not first:
            return lines
        return {"lose": lines[:1] + lines[2:], "dup": lines[:3] + lines[1:], "reorder": [lines[1], lines[0]] + lines[2:],
                "corrupt": [lines[0][:-1] + b"!"] + lines[1:]}.get(BUG, lines)


def page(path):
    if path == "/metrics":
        return "# TYPE logtrain_sent_lines_total counter\n" \
               f'logtrain_sent_lines_total{{drain="a \\"b\\"",class="x"}} {SENT["lines"]}\n'
    return "[]" if path == "/drains" else "ok\n"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = page(self.path).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Local(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def get_request(self):
        return super().get_request()[0], ("local", 0)


def serve_state(directory):
    os.makedirs(directory, exist_ok=True)
    at = os.open(directory, os.O_PATH)
    server = Local(f"/proc/self/fd/{at}/api.sock", Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def look(root, files):
    """Adds what is there to <files>. FileNotFoundError: something was renamed meanwhile, look again."""
    for link in glob.glob(root + "/*.log"):
        if os.path.exists(link):
            folder = os.path.dirname(os.path.realpath(link))
            for path in glob.glob(folder + "/*.log*"):
                if not path.endswith((".gz", ".tmp")):
                    key = os.stat(path).st_ino
                    files[key] = (path, files[key][1] if key in files else open(path, "rb"))


def tail(root, drains):
    files = {}
    while True:
        last = STOP.is_set()
        try:
            look(root, files)
        except FileNotFoundError:
            continue
        lines = []
        for path, f in sorted(files.values(), key=lambda item: order(item[0])):
            data = f.read()
            whole = data.rfind(b"\n") + 1
            f.seek(whole - len(data), os.SEEK_CUR)
            lines += [line.split(b" ", 3)[3] for line in data[:whole].splitlines()]
        if lines:
            for drain in drains:
                drain.send(lines)
        if last:
            return
        STOP.wait(0.01)


def main(argv):
    urls = [argv[i + 1].split("=", 1)[1] for i, a in enumerate(argv) if a == "--drain"]
    if "--routes" in argv:
        with open(argv[argv.index("--routes") + 1]) as f:
            urls += [url for line in f for url in line.split()[1:]]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["HTTP_PORT"])), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    serve_state(os.environ["STATE_PATH"])
    with open(os.environ["HTTP_PORT_FILE"], "w") as f:
        f.write(str(server.server_port))
    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    print("2026-11-20T10:15:00.123456Z info ready version=0", *(urls if BUG == "leak" else ()), file=sys.stderr, flush=True)
    tail(os.environ["KUBERNETES_LOG_PATH"], [Drain(u) for u in urls])
    return 3 if BUG == "crash" else 0


sys.exit(main(sys.argv))
