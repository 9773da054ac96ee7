"""Certificates for the TLS receivers, created in a directory with the openssl program: good ones and every kind of bad one."""

import base64
import ssl
import subprocess
import urllib.parse
from pathlib import Path

_SAN = "subjectAltName=DNS:localhost,IP:127.0.0.1\n"


def _openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, f"openssl {' '.join(map(str, args))}: {done.stderr}"


class Certs:
    """good, expired, wronghost (signed by ca); unknown (signed by a CA that nobody trusts); selfsigned; sha1."""

    def __init__(self, directory):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        for ca in ("ca", "otherca"):
            self._root(ca, f"/CN=logtrain test {ca}")
        self._leaf("good")
        self._leaf("good2")
        self._leaf("expired", days=-1)
        self._leaf("wronghost", san="subjectAltName=DNS:elsewhere.example\n")
        self._leaf("unknown", ca="otherca")
        self._leaf("sha1", digest="-sha1")
        self._root("selfsigned", "/CN=localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1")

    def _root(self, name, subject, *ext):
        args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                "-subj", subject, "-keyout", self.key(name), "-out", self.pem(name)]
        for e in ext:
            args += ["-addext", e]
        _openssl(*args)

    def _leaf(self, name, ca="ca", san=_SAN, days=30, digest="-sha256"):
        csr, ext = self.dir / f"{name}.csr", self.dir / f"{name}.ext"
        ext.write_text(san)
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-subj", f"/CN={name}.test", "-keyout", self.key(name), "-out", csr)
        _openssl("x509", "-req", "-in", csr, "-CA", self.pem(ca), "-CAkey", self.key(ca), "-CAcreateserial",
                 "-days", days, digest, "-extfile", ext, "-out", self.pem(name))

    def pem(self, name):
        return self.dir / f"{name}.pem"

    def key(self, name):
        return self.dir / f"{name}.key"

    def option(self, ca="ca"):
        """The value of a drain's ca= option: base64 of the PEM, made safe for a URL."""
        return urllib.parse.quote(base64.b64encode(self.pem(ca).read_bytes()).decode(), safe="")

    def both(self, name):
        """The value of cert=: certificate and key in one PEM, as option() does it."""
        pem = self.pem(name).read_bytes() + self.key(name).read_bytes()
        return urllib.parse.quote(base64.b64encode(pem).decode(), safe="")

    def demanding(self, name="good"):
        """A server context that requires a client certificate signed by ca."""
        context = self.server(name)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.pem("ca"))
        return context

    def server(self, name="good", most=None, least=None, alpn=None):
        """A server context with that certificate. <most>, <least>: ssl.TLSVersion bounds."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # an end without close_notify must be reported
        if name == "sha1" or most in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        if least or most:
            context.minimum_version = least or ssl.TLSVersion.TLSv1
        if most:
            context.maximum_version = most
        if alpn:
            context.set_alpn_protocols(alpn)
        context.load_cert_chain(self.pem(name), self.key(name))
        return context
