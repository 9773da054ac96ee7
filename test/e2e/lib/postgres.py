"""A real PostgreSQL server in a scratch directory, pgbouncer in front of it, and fake servers.

PostgreSQL refuses to run as root: then it runs as the user "postgres" of Debian's package. The cluster is tuned for speed (no
fsync). HBA below defines how each role may log in; every role but admin has a password."""

import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

from .daemon import SILENCE_S, SLOW, run
from .ports import free_port
from .real import _accepts
from .wait import wait_for

LIVE_S = 2 * SLOW  # generous: bench/postgres.py measures how long a change takes

PASSWORD = "cnryPg9x%d"  # one port for each role, so that its place in the list identifies it
ROLES = ("plain", "tls", "clear", "reader", "owner")
HBA = """\
local   all  all               trust
local   replication admin      trust
host    all  admin    127.0.0.1/32 trust
hostssl all  tls      127.0.0.1/32 scram-sha-256
host    all  clear    127.0.0.1/32 password
hostnossl all tls     127.0.0.1/32 reject
host    all  all      127.0.0.1/32 scram-sha-256
"""
CONF = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{dir}'
fsync = off
full_page_writes = off
shared_buffers = 16MB
max_connections = 40
ssl = on
ssl_cert_file = '{dir}/server.pem'
ssl_key_file = '{dir}/server.key'
log_min_messages = warning
"""


def settings(url, **more):
    """The environment of a daemon with routes from there."""
    return {"POSTGRES": "true", "DATABASE_URL": url, "POSTGRES_TIMEOUT": f"{SILENCE_S}s", **more}


def routes_become(d, n, seconds=LIVE_S):
    wait_for(lambda: d.metric("logtrain_routes") == n, seconds,
             lambda: f"{n} routes, there are {d.metric('logtrain_routes')}:\n{d.tail()}")


def schema():
    """The output of `logtrain schema`."""
    done = run("schema")
    assert done.returncode == 0 and done.stderr == ""
    return done.stdout


def programs():
    """The directory of the newest initdb and postgres; None when there is none."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda p: int(p.split("/")[4]))
    return Path(found[-1]).parent if found else None


def missing():
    """Why there can be no server here; None when there can."""
    if not programs():
        return "PostgreSQL is not installed"
    if os.geteuid() == 0 and not _user():
        return "PostgreSQL cannot run as root, and there is no user postgres"
    return None


def _user():
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None


class Postgres:
    """One cluster. sql() runs as the superuser admin, over the Unix socket, in <database>."""

    def __init__(self, certs):
        self._prepare(certs)
        self._run("initdb", "-D", self.data, "-U", "admin", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync",
                  "--no-instructions")
        (self.data / "pg_hba.conf").write_text(HBA)
        self._configure()
        self.start()
        for i, role in enumerate(ROLES):
            self.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD % i}'", database="postgres")

    def _prepare(self, certs):
        self.dir = Path(tempfile.mkdtemp(prefix="logtrain-pg-", dir="/tmp"))  # a path short enough for a socket
        self.data = self.dir / "data"
        self.bin = programs()
        self.root = os.geteuid() == 0
        self.certs = certs
        self.process = None
        self.databases = 0
        shutil.copy(certs.pem("good"), self.dir / "server.pem")
        shutil.copy(certs.key("good"), self.dir / "server.key")
        (self.dir / "server.key").chmod(0o600)
        self._give_away()
        self.port = free_port()

    def _configure(self):
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as f:
            f.write(CONF.format(port=self.port, dir=self.dir))

    # start and stop

    def _give_away(self):
        if self.root:
            user = _user()
            for path in (self.dir, *self.dir.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)

    def _as(self):
        return {"user": _user().pw_uid, "group": _user().pw_gid, "extra_groups": []} if self.root else {}

    def _run(self, program, *args):
        done = subprocess.run([self.bin / program, *map(str, args)], **self._as(), cwd=self.dir, text=True,
                              capture_output=True, check=False)
        assert done.returncode == 0, f"{program}: {done.stderr}"

    def start(self):
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen([self.bin / "postgres", "-D", self.data], **self._as(), cwd=self.dir,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self._up, 20, lambda: f"PostgreSQL: {self.log()}")

    def _up(self):
        assert self.process.poll() is None, self.log()
        return _accepts(self.port) and self._psql("postgres", "SELECT 1", check=False).returncode == 0

    def stop(self, how=signal.SIGQUIT):
        """SIGQUIT: at once, connections are cut; SIGINT: they are closed in order."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(20)

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def log(self):
        return (self.dir / "log").read_text(errors="replace")[-4000:]

    # SQL

    def _psql(self, database, text, check=True, role="admin"):
        done = subprocess.run([self.bin / "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", str(self.dir), "-p",
                               str(self.port), "-U", role, "-d", database, "-f", "-"], input=text, text=True,
                              capture_output=True, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done

    def sql(self, text, database="postgres", role="admin"):
        """The output of psql: one row per line, columns separated by |."""
        return self._psql(database, text, role=role).stdout.strip()

    def fails(self, text, database="postgres", role="admin"):
        """The error output of psql for a statement that must fail."""
        done = self._psql(database, text, check=False, role=role)
        assert done.returncode != 0, f"works: {text}"
        return done.stderr

    def database(self, options=""):
        """A new database of the role owner."""
        self.databases += 1
        name = f"db{self.databases}"
        self.sql(f"CREATE DATABASE {name} OWNER owner {options}")
        return Database(self, name)


class Standby(Postgres):
    """Another server that follows <primary>, read-only until promote()."""

    def __init__(self, primary):
        self._prepare(primary.certs)
        self._run("pg_basebackup", "-D", self.data, "-h", primary.dir, "-p", primary.port, "-U", "admin", "-R", "-c", "fast",
                  "-X", "stream", "--no-sync")
        self._configure()
        self.start()

    def promote(self):
        self._run("pg_ctl", "promote", "-w", "-D", self.data)


class Database:
    def __init__(self, server, name):
        self.server = server
        self.name = name

    def sql(self, text, role="admin"):
        return self.server.sql(text, self.name, role)

    def fails(self, text, role="admin"):
        return self.server.fails(text, self.name, role)

    def password(self, role="owner"):
        return PASSWORD % ROLES.index(role)

    def url(self, role="owner", host="127.0.0.1", port=None, password=None, **options):
        query = "&".join(f"{k}={v}" for k, v in options.items())
        return (f"postgres://{role}:{password or self.password(role)}@{host}:{port or self.server.port}/{self.name}"
                + (f"?{query}" if query else ""))

    # the table

    def put(self, hostname, endpoint):
        """Adds a drain; returns its id."""
        return self.sql(f"INSERT INTO drains (hostname, endpoint) VALUES ('{hostname}', '{endpoint}') RETURNING drain",
                        "owner")

    def kill_sessions(self):
        """pg_terminate_backend for the sessions of logtrain: returns how many."""
        return self.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                        f" WHERE datname = '{self.name}' AND application_name = 'logtrain'")

    @contextlib.contextmanager
    def session(self, begin):
        """psql as admin, started with <begin> and left running; its stdin takes more."""
        server = self.server
        with subprocess.Popen([server.bin / "psql", "-qAtX", "-h", server.dir, "-p", str(server.port), "-U", "admin", "-d",
                               self.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
            process.stdin.write(f"{begin};\n\\echo begun\n")
            assert process.stdout.readline() == "begun\n"
            yield process

    def sessions(self):
        return int(self.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'logtrain'"
                            f" AND datname = '{self.name}'"))


class Bouncer:
    """pgbouncer in transaction mode, where a LISTEN is soon forgotten."""

    @staticmethod
    def missing():
        return None if shutil.which("pgbouncer", path="/usr/sbin:/usr/bin") else "pgbouncer is not installed"

    def __init__(self, database):
        server = database.server
        self.port = free_port()
        self.dir = server.dir / f"bouncer{self.port}"
        self.dir.mkdir()
        (self.dir / "users").write_text("".join(f'"{role}" "{PASSWORD % i}"\n' for i, role in enumerate(ROLES)))
        (self.dir / "ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {self.dir}/users\n"
            f"pool_mode = transaction\nserver_reset_query = DISCARD ALL\nserver_reset_query_always = 1\n"
            f"logfile = {self.dir}/log\n")
        for path in (self.dir, *self.dir.iterdir()):
            if server.root:
                os.chown(path, _user().pw_uid, _user().pw_gid)
        self.process = subprocess.Popen(["/usr/sbin/pgbouncer", "-q", self.dir / "ini"], **server._as(),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: _accepts(self.port), 10, lambda: f"pgbouncer: {(self.dir / 'log').read_text()}")

    def close(self):
        self.process.kill()
        self.process.wait(10)


class Relay:
    """Forwards TCP connections to <port>; after freeze() it drops everything silently."""

    def __init__(self, port):
        self.to = port
        self.frozen = threading.Event()
        self.socks = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            self.socks.append(one)
            if self.frozen.is_set():
                continue
            other = socket.create_connection(("127.0.0.1", self.to))
            self.socks.append(other)
            for a, b in ((one, other), (other, one)):
                threading.Thread(target=self._pass, args=(a, b), daemon=True).start()

    def _pass(self, source, sink):
        try:
            while data := source.recv(65536):
                if not self.frozen.is_set():
                    sink.sendall(data)
            if not self.frozen.is_set():
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def freeze(self):
        self.frozen.set()

    def thaw(self):
        """For new connections: old ones have lost bytes and stay broken."""
        self.frozen.clear()

    def close(self):
        self.listener.close()
        for sock in self.socks:
            sock.close()


# --- fake servers ----------------------------------------------------------------------------------------------------

def message(kind, body=b""):
    return kind + struct.pack("!i", len(body) + 4) + body


AUTH_CLEARTEXT = message(b"R", struct.pack("!i", 3))
AUTH_OK = message(b"R", struct.pack("!i", 0))
READY = message(b"Z", b"I")


class FakeServer:
    """Accepts, takes the startup packet (declining TLS) and then calls <script>(sock). What it receives after the startup is in
    <received>."""

    def __init__(self, script):
        self.script = script
        self.received = b""
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _startup(self, sock):
        while True:
            (size,) = struct.unpack("!i", self._exactly(sock, 4))
            body = self._exactly(sock, size - 4)
            if struct.unpack("!i", body[:4])[0] != 80877103:  # not an SSLRequest
                return
            sock.sendall(b"N")

    @staticmethod
    def _exactly(sock, n):
        data = b""
        while len(data) < n:
            more = sock.recv(n - len(data))
            if not more:
                raise ConnectionError("ended early")
            data += more
        return data

    def _serve(self, sock):
        with sock:
            try:
                sock.settimeout(30)
                self._startup(sock)
                self.script(sock)
                while data := sock.recv(65536):
                    self.received += data
            except OSError:
                pass

    def url(self, **options):
        query = "&".join(f"{k}={v}" for k, v in options.items())
        return f"postgres://someone:{PASSWORD % 99}@127.0.0.1:{self.port}/x" + (f"?{query}" if query else "")

    def close(self):
        self.listener.close()
