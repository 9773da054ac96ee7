"""Real receivers, each in a directory of its own, independent of system paths: rsyslogd, nginx, openssl s_server.

Each has available() (why it cannot run here, or None) and waits until it answers. A test whose receiver is not installed is skipped
with a message. rsyslog writes one message per line to a file through a template, so messages() returns what it parsed."""

import shutil
import socket
import subprocess
from pathlib import Path

from .peer import Cursor
from .ports import free_port
from .wait import wait_for

_SCRIPTS = Path(__file__).parents[3] / "scripts"


def _program(name):
    return shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")


def _accepts(port):
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(("127.0.0.1", port)) == 0


class Program:
    """A child process with its files in <directory>."""

    def __init__(self, directory):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.process = None

    def spawn(self, *command):
        self.log = self.dir / "output"
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=out, stderr=out)

    def wait_listening(self, port):
        wait_for(lambda: self._alive() and _accepts(port), 10, lambda: f"{type(self).__name__}: {self.text()}")

    def _alive(self):
        assert self.process.poll() is None, f"{type(self).__name__} ended:\n{self.text()}"
        return True

    def text(self):
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)

    close = stop

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait(5)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


_RSYSLOG = """\
global(workDirectory="{dir}" maxMessageSize="2m" parser.escapeControlCharactersOnReceive="off"
       parser.permitSlashInProgramName="on" {tls})
main_queue(queue.type="LinkedList" queue.size="1000000" queue.dequeueBatchSize="4096")
module(load="{module}" {module_options})
template(name="line" type="string" string="%pri%|%timestamp:::date-rfc3339%|%hostname%|%app-name%|%structured-data%|%msg%\\n")
ruleset(name="r") {{ action(type="omfile" file="{dir}/received" template="line" asyncWriting="off" flushOnTXEnd="on") }}
input(type="{module}" address="127.0.0.1" port="{port}" ruleset="r" {input_options})
"""


class Built(Program):
    """One that a script in scripts/ builds once. <script>: its name; it prints the program's path with --path."""

    script = None

    @classmethod
    def path(cls):
        asked = subprocess.run([_SCRIPTS / cls.script, "--path"], capture_output=True, text=True, check=True)
        return Path(asked.stdout.strip())

    @classmethod
    def available(cls):
        return None if cls.path().exists() else f"{cls.__name__}'s program is not there: run scripts/{cls.script}"


class Rsyslogd(Program):
    """<kind>: "tcp", "tls" (with certs) or "udp". <driver>: ossl or gtls."""

    def __init__(self, directory, kind="tcp", certs=None, cert="good", driver="ossl"):
        super().__init__(directory)
        self.kind = kind
        self.port = free_port(socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        options = {"module_options": "", "input_options": "", "tls": ""}
        if kind == "udp":
            options["input_options"] = 'rcvbufSize="8m"'
        if kind == "tls":
            options["tls"] = (f'defaultNetstreamDriverCAFile="{certs.pem("ca")}" '
                              f'defaultNetstreamDriverCertFile="{certs.pem(cert)}" '
                              f'defaultNetstreamDriverKeyFile="{certs.key(cert)}"')
            options["module_options"] = f'streamDriver.name="{driver}" streamDriver.mode="1" streamDriver.authMode="anon"'
        self.conf = self.dir / "rsyslog.conf"
        self.conf.write_text(_RSYSLOG.format(dir=self.dir, port=self.port,
                                             module="imudp" if kind == "udp" else "imtcp", **options))
        self.received = self.dir / "received"
        self._seen = []
        self._messages = []
        self._at = 0
        self._rest = b""
        self.start()

    @staticmethod
    def available(kind="tcp", driver="ossl"):
        if not _program("rsyslogd"):
            return "rsyslogd is not installed"
        if kind == "tls" and not list(Path("/usr/lib").glob(f"*/rsyslog/lmnsd_{driver}.so")):
            return f"rsyslog's {driver} driver is not installed"
        return None

    def start(self):
        self.spawn(_program("rsyslogd"), "-n", "-f", self.conf, "-i", self.dir / "pid")
        if self.kind == "udp":
            wait_for(lambda: self._alive() and self._bound(), 10, lambda: f"rsyslogd: {self.text()}")
        else:
            self.wait_listening(self.port)

    def _bound(self):
        wanted = f":{self.port:04X} "
        return any(wanted in line.split(" rem")[0][:40] for line in Path("/proc/net/udp").read_text().splitlines())

    def url(self, options=""):
        scheme = {"tcp": "syslog+tcp", "tls": "syslog+tls", "udp": "syslog+udp"}[self.kind]
        host = "localhost" if self.kind == "tls" else "127.0.0.1"
        return f"{scheme}://{host}:{self.port}/" + (f"?{options}" if options else "")

    def lines(self):
        """Each message as `pri|time|hostname|app-name|structured data|msg`."""
        if self.received.exists():
            with open(self.received, "rb") as f:
                f.seek(self._at)
                data = f.read()
            self._at += len(data)
            parts = (self._rest + data).split(b"\n")
            self._rest = parts.pop()
            self._seen += parts
            self._messages += [line.split(b"|", 5)[5] for line in parts]
        return self._seen

    def messages(self):
        self.lines()
        return self._messages

    def count(self):
        return len(self.lines())

    def cursor(self):
        return Cursor(lambda: [self.messages()])


_NGINX = """\
daemon off;
master_process off;
pid {dir}/pid;
error_log {dir}/error.log info;
events {{ worker_connections 512; }}
http {{
    access_log {dir}/access.log;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    client_max_body_size {body_max};
    keepalive_requests {per_connection};
    server {{
        listen 127.0.0.1:{port} ssl{http2};
        server_name localhost;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        location / {{ proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""


class Nginx(Program):
    """TLS in front of an Http receiver (http_peer.py), which records what is forwarded."""

    def __init__(self, directory, upstream, certs, cert="good", http2=False, body_max="64m", per_connection=1000):
        super().__init__(directory)
        self.port = free_port()
        self.upstream = upstream
        self.conf = self.dir / "nginx.conf"
        self.conf.write_text(_NGINX.format(dir=self.dir, port=self.port, upstream=upstream.port, cert=certs.pem(cert),
                                           key=certs.key(cert), http2=" http2" if http2 else "", body_max=body_max,
                                           per_connection=per_connection))
        self.restart()

    def restart(self):
        self.spawn(_program("nginx"), "-e", self.dir / "error.log", "-p", self.dir, "-c", self.conf)
        self.wait_listening(self.port)

    @staticmethod
    def available():
        return None if _program("nginx") else "nginx is not installed"

    def url(self, options="", path="/"):
        return f"https://localhost:{self.port}{path}" + (f"?{options}" if options else "")

    def text(self):
        log = self.dir / "error.log"
        return super().text() + (log.read_text()[-4000:] if log.exists() else "")


class OpensslServer(Program):
    """openssl s_server with the given options (-tls1_2, -alpn …): it prints what it receives, and messages() reads that."""

    def __init__(self, directory, certs, cert="good", options=()):
        super().__init__(directory)
        self.port = free_port()
        self.spawn(_program("openssl"), "s_server", "-accept", f"127.0.0.1:{self.port}", "-cert", certs.pem(cert),
                   "-key", certs.key(cert), "-quiet", *options)
        self.wait_listening(self.port)

    @staticmethod
    def available():
        return None if _program("openssl") else "openssl is not installed"

    def url(self, options=""):
        return f"syslog+tls://localhost:{self.port}/" + (f"?{options}" if options else "")

    def output(self):
        return self.log.read_bytes()
