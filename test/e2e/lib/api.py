"""A client of API_PORT."""

import http.client
import socket
import ssl
from pathlib import Path

from .daemon import SLOW
from .tail import Tail
from .wait import wait_for

WAIT = 60 * SLOW
BUSY = "cannot check the token now, try again\n"


class Api:
    """The API of a daemon that was started with env(directory). <ca>: over TLS, with that authority."""

    def __init__(self, d, ca=None):
        self.d = d
        self.port = int(Path(d.env["API_PORT_FILE"]).read_text())
        self.context = ssl.create_default_context(cafile=ca) if ca else None

    @staticmethod
    def env(directory, tokens=None, **more):
        """Variables of a daemon with that API. <tokens>: lines of API_TOKEN_FILE."""
        env = {"API": "true", "API_PORT": "0", "API_ADDRESS": "127.0.0.1", "API_PORT_FILE": directory / "api-port", **more}
        if tokens is not None:
            Api.write(directory, *tokens)
            env["API_TOKEN_FILE"] = directory / "tokens"
        return env

    @staticmethod
    def write(directory, *lines):
        new = directory / "tokens.new"
        new.write_text("".join(f"{line}\n" for line in lines))
        new.replace(directory / "tokens")

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)
        return self.context.wrap_socket(sock, server_hostname="localhost") if self.context else sock

    def ask(self, path, token=None, method="GET", **headers):
        """(status, headers, text). Header names with '_' for '-'. It asks again while one client's reviews by Kubernetes are too many."""
        return wait_for(lambda: (answer := self.once(path, token, method, headers))[2] != BUSY and answer, WAIT, "an answer")

    def once(self, path, token, method, headers):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        conn.sock = self.connect()
        try:
            headers = {k.replace("_", "-"): v for k, v in headers.items()}
            if token:
                headers["Authorization"] = f"Bearer {token}"
            conn.request(method, path, headers=headers)
            answer = conn.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            conn.close()

    def raw(self, request):
        """The answer to those bytes, up to the end of the connection."""
        with self.connect() as sock:
            sock.sendall(request)
            answer = b""
            while piece := sock.recv(65536):
                answer += piece
        return answer

    def tail(self, token, headers=None, **query):
        return Tail(self.d, sock=self.connect(), headers={"Authorization": f"Bearer {token}", **(headers or {})}, **query)
