"""Elasticsearch: a strict fake that checks every byte of the bulk protocol, and the real server.

Elastic is an Http receiver (http_peer.py) that stores documents by index and id, as `create` does, and answers item by item. A
request that is not exactly right is recorded in `violations`; messages() asserts that this is empty."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from .http_peer import Answer, Http
from .ports import free_port
from .real import Program, _program
from .wait import wait_for

_ACTION = re.compile(rb'\{"create":\{"_index":"([^"\\\x00-\x20]{1,255})","_id":"([0-9a-f]{16}-[0-9a-f]{1,16}-[0-9a-f]{8})"\}\}')
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
_ILLEGAL_INDEX = re.compile(r'[A-Z\\/*?"<>| ,#:]|^[-_+.]')
_FILTER = "filter_path=items.*._id,items.*.status,items.*.error.type"
_KEYS = ["@timestamp", "hostname", "tag", "message", "severity", "facility", "namespace", "pod", "container", "node", "stream"]
_TYPES = {400: "mapper_parsing_exception", 403: "cluster_block_exception", 409: "version_conflict_engine_exception",
          429: "es_rejected_execution_exception", 503: "unavailable_shards_exception"}


def item(id_, status, kind=None, full=False):
    """One item of an answer, as filter_path reduces it, or whole."""
    result = {"_id": id_, "status": status}
    if status >= 300:
        result["error"] = {"type": kind or _TYPES.get(status, "some_exception")}
    if full:
        result |= {"_index": "x", "_type": "_doc", "_version": 1, "_shards": {"total": 2, "successful": 1, "failed": 0}}
        if "error" in result:
            result["error"] |= {"reason": "for a reason", "caused_by": {"type": "no_type", "reason": "[" * 20}}
    return {"create": result}


class Elastic(Http):
    """<decide>(document, id) gives the status of an item, or (status, error type), or None for the result of `create`; only a 2xx
    is stored. <mangle>(items) gives the answer's body (bytes) or an Answer instead of the right one, or None. <whole>(request)
    answers the request before anything is parsed."""

    def __init__(self, decide=None, mangle=None, whole=None, full=False, path="/_bulk", **options):
        self.decide = decide
        self.mangle = mangle
        self.whole = whole
        self.full = full
        self.path = path
        self.violations = []
        self.documents = {}     # (index, id) -> document, in order of arrival
        self.conflicts = 0      # items that existed already
        self.statuses_said = []  # of items, in order
        self._messages = []
        super().__init__(answers=self._bulk, **options)

    def url(self, options="", path="", host=None, userinfo="", scheme=None):
        at = f"{userinfo}@" if userinfo else ""
        scheme = scheme or ("es" if self.tls else "es+http")
        return f"{scheme}://{at}{host or self.host}:{self.port}{path}" + (f"?{options}" if options else "")

    def message_lists(self):
        assert not self.violations, self.violations[:3]
        return [self._messages]

    def messages(self):
        return [m for messages in self.message_lists() for m in messages]

    def _violation(self, what, data=b""):
        self.violations.append(f"{what}: {data[:300]!r}")
        return Answer(400, body=b"{}", counts=False)

    def _bulk(self, request):
        if self.whole and (answer := self.whole(request)) is not None:
            return answer if isinstance(answer, Answer) else Answer(answer, counts=False)
        if request.method != "POST" or request.target.split("&")[0] != f"{self.path}?{_FILTER}":
            return self._violation("request line", f"{request.method} {request.target}".encode())
        if request.headers.get("content-type") != "application/x-ndjson":
            return self._violation("content type", str(request.headers).encode())
        if not request.body.endswith(b"\n"):
            return self._violation("no LF at the end", request.body[-200:])
        lines = request.body[:-1].split(b"\n")
        if len(lines) % 2:
            return self._violation("an odd number of lines", request.body)
        items = []
        for action, text in zip(lines[::2], lines[1::2]):
            found = self._action(action)
            document = self._document(text)
            if not found or document is None:
                return Answer(400, body=b"{}", counts=False)
            items.append(self._item(*found, document))
        self.statuses_said += [i["create"]["status"] for i in items]
        body = self.mangle(items) if self.mangle else None
        if isinstance(body, Answer):
            return body
        if body is None:
            body = json.dumps({"items": items} | ({"took": 3, "errors": True} if self.full else {})).encode()
        return Answer(200, {"Content-Type": "application/json"}, body, counts=False)

    def _action(self, line):
        m = _ACTION.fullmatch(line)
        if not m or _ILLEGAL_INDEX.search(m[1].decode()):
            self._violation("action", line)
            return None
        return m[1].decode(), m[2].decode()

    def _document(self, line):
        pairs = []
        try:
            json.loads(line.decode("utf-8"), object_pairs_hook=pairs.extend)
        except ValueError as e:
            self._violation(f"document: {e}", line)
            return None
        document = dict(pairs)
        keys = [k for k in _KEYS if k in document]
        fine = (keys == [k for k, _ in pairs] and keys[:6] == _KEYS[:6] and _TIME.fullmatch(document["@timestamp"])
                and (document["severity"], document["facility"]) in ((6, 1), (3, 1))
                and all(isinstance(document[k], str) for k in keys if k not in ("severity", "facility")))
        if not fine:
            self._violation("document", line)
            return None
        return document

    def _item(self, index, id_, document):
        answer = self.decide(document, id_) if self.decide else None
        status, kind = answer if isinstance(answer, tuple) else (answer, None)
        if status is None or status < 300:
            if (index, id_) in self.documents:
                self.conflicts += 1
                status = 409
            else:
                self.documents[index, id_] = document
                self._messages.append(document["message"].encode())
                status = status or 201
        return item(id_, status, kind, self.full)


# --- the real one ----------------------------------------------------------------------------------------------------

VERSION = "7.17.28"
_HOME = Path(os.environ.get("LOGTRAIN_ELASTIC") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
             / "logtrain-test" / f"elasticsearch-{VERSION}")
_NOBODY = 65534


class RealElastic(Program):
    """A node of its own, on any port, as an unprivileged user, because it refuses to run as root. scripts/elasticsearch fetches
    it."""

    def __init__(self):
        self.tmp = Path(tempfile.mkdtemp(prefix="logtrain-es-"))  # not pytest's, which other users may not enter
        super().__init__(self.tmp / "run")
        self.port = free_port()
        home = _HOME
        shutil.copytree(_HOME / "config", self.tmp / "config")
        (self.tmp / "config" / "elasticsearch.yml").write_text(
            f"path.data: {self.tmp}/data\npath.logs: {self.tmp}/logs\nhttp.port: {self.port}\nhttp.host: 127.0.0.1\n"
            "transport.host: 127.0.0.1\ntransport.port: 0\ndiscovery.type: single-node\nxpack.security.enabled: false\n"
            "cluster.routing.allocation.disk.threshold_enabled: false\n")
        self.env = {"PATH": "/usr/bin:/bin", "ES_PATH_CONF": str(self.tmp / "config"), "ES_JAVA_OPTS": "-Xms384m -Xmx384m",
               "ES_TMPDIR": str(self.tmp), "HOME": str(self.tmp), "ES_JAVA_HOME": _java_home()}
        self.as_user = {}
        if os.geteuid() == 0:
            home = self.tmp / "home"  # root's cache may not be readable by others
            shutil.copytree(_HOME, home)
            subprocess.run(["chown", "-R", f"{_NOBODY}:{_NOBODY}", self.tmp], check=True)
            self.as_user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        self.program = str(home / "bin" / "elasticsearch")
        self.start()

    def start(self):
        self.log = self.dir / "output"
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([self.program], env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            cwd=self.tmp, **self.as_user)
        wait_for(lambda: self._alive() and self._answers(), 120, lambda: f"elasticsearch: {self.text()}")

    def restart(self):
        self.stop()
        self.start()

    @staticmethod
    def available():
        if not (_HOME / "bin" / "elasticsearch").exists():
            return f"Elasticsearch is not in {_HOME}: run scripts/elasticsearch, or set LOGTRAIN_ELASTIC"
        return None if _java_home() else "no Java: Elasticsearch needs one"

    def _answers(self):
        try:
            return self.ask("/")["version"]["number"]
        except OSError:
            return None

    def ask(self, path, method="GET", body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def url(self, options=""):
        return f"es+http://127.0.0.1:{self.port}/" + (f"?{options}" if options else "")

    def count(self, index="*"):
        try:
            self.ask(f"/{index}/_refresh", "POST")
            return self.ask(f"/{index}/_count")["count"]
        except OSError:  # its shards are not ready yet
            return 0

    def documents(self, index="*"):
        """Every hit, whole."""
        self.ask(f"/{index}/_refresh", "POST")
        hits, after = [], None
        while True:
            query = {"size": 5000, "sort": ["@timestamp", "_id"]}
            if after:
                query["search_after"] = after
            page = self.ask(f"/{index}/_search", "POST", query)["hits"]["hits"]
            if not page:
                return hits
            hits += page
            after = page[-1]["sort"]

    def messages(self):
        return [hit["_source"]["message"].encode() for hit in self.documents()]

    def close(self):
        self.stop()
        shutil.rmtree(self.tmp, ignore_errors=True)


def _java_home():
    java = _program("java")
    return str(Path(java).resolve().parents[1]) if java else None
