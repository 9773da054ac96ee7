"""kapi: a fake API server with faults that a real one does not show on demand. It has lists with pages and watches of metadata,
with resource versions, bookmarks, and a history that can be compacted. Faults: scripted answers, cut and silent watches,
arbitrary bytes in an open watch, tokens that expire, an outage.

    api = Kapi()
    web = api.deployment("web", "shop", drains="syslog+tcp://…")
    api.pod("web-7d9c-abcde", "shop", owner=web)
    api.script("deployments", "watch", status(410, "Expired"))   # the next request of that kind
    api.raw("deployments", b"{nonsense\n")                       # into the open watches
"""

import json
import re
import socket
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from .ports import free_port
from .wait import wait_for

PREFIX = "logtrain.akkeris.io/"
KINDS = {
    "pods": ("Pod", "v1", "/api/v1/pods"),
    "namespaces": ("Namespace", "v1", "/api/v1/namespaces"),
    "deployments": ("Deployment", "apps/v1", "/apis/apps/v1/deployments"),
    "replicasets": ("ReplicaSet", "apps/v1", "/apis/apps/v1/replicasets"),
    "statefulsets": ("StatefulSet", "apps/v1", "/apis/apps/v1/statefulsets"),
    "daemonsets": ("DaemonSet", "apps/v1", "/apis/apps/v1/daemonsets"),
    "jobs": ("Job", "batch/v1", "/apis/batch/v1/jobs"),
    "cronjobs": ("CronJob", "batch/v1", "/apis/batch/v1/cronjobs"),
}
_REVIEWS = {"/apis/authentication.k8s.io/v1/tokenreviews": "tokenreviews",
            "/apis/authorization.k8s.io/v1/subjectaccessreviews": "subjectaccessreviews"}
_ENDPOINTS = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
RESOURCE = {kind: resource for resource, (kind, _, _) in KINDS.items()}


def status(code, reason="", message="as scripted", retry_after=None, cause=None):
    """An answer that is a Status object with that code."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code}
    details = {}
    if cause:
        details["causes"] = [{"reason": cause, "message": message}]
    if details:
        body["details"] = details
    return lambda handler: handler.answer(code, body, retry_after)


def body(data, code=200):
    """An answer with these bytes."""
    return lambda handler: handler.answer_raw(code, data)


def silence(handler):
    """Headers, then nothing until the client closes."""
    handler.begin()
    handler.wait_gone()


def reset(handler):
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    handler.close_connection = True
    handler.dropped = True


class Watch:
    def __init__(self, resource, selector):
        self.resource, self.selector = resource, selector
        self.queue = []
        self.ready = threading.Condition()
        self.ended = None  # None, "end", "cut"

    def push(self, data):
        with self.ready:
            self.queue.append(data)
            self.ready.notify()

    def end(self, how):
        with self.ready:
            self.ended = how
            self.ready.notify()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    dropped = False

    def log_message(self, *args):
        pass

    def answer_raw(self, code, data, retry_after=None):
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(data)

    def answer(self, code, what, retry_after=None):
        self.answer_raw(code, json.dumps(what).encode(), retry_after)

    def begin(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def wait_gone(self):
        self.connection.settimeout(None)
        try:
            while self.connection.recv(4096):
                pass
        except OSError:
            pass
        self.close_connection = True

    @staticmethod
    def find(path):
        """The resource of a path, and the namespace if it names one."""
        m = re.fullmatch(r"(/.*/v1/)namespaces/([^/]+)/([^/]+)", path)
        cluster = m[1] + m[3] if m else path
        return next((r for r, (_, _, p) in KINDS.items() if p == cluster), None), m[2] if m else None

    def do_GET(self):
        api = self.server.api
        url = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
        resource, namespace = ("endpointslices", "default") if url.path == _ENDPOINTS else self.find(url.path)
        by_name = url.path == _ENDPOINTS or "metadata.name=" in query.get("fieldSelector", "")
        verb = "watch" if query.get("watch") else "get" if by_name else "list"
        auth = self.headers.get("Authorization", "")
        script = api.note(resource, verb, query, auth, self.headers.get("Accept", ""))
        try:
            if script:
                script(self)
            elif api.tokens is not None and auth.removeprefix("Bearer ") not in api.tokens:
                status(401, "Unauthorized")(self)
            elif resource is None:
                self.answer_raw(404, b"404 page not found")
            elif resource in api.forbidden:
                status(403, "Forbidden", f'{resource} is forbidden: User "x" cannot {verb} resource')(self)
            elif resource == "endpointslices":
                self.endpoints(api)
            elif verb == "watch":
                self.watch(api, resource, query)
            else:
                self.list(api, resource, query, namespace)
        except (OSError, ValueError):
            self.close_connection = True

    def do_POST(self):
        """Events are stored in api.events; nothing else is allowed."""
        api = self.server.api
        url = urlsplit(self.path)
        what = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if url.path in _REVIEWS:
            self.review(api, _REVIEWS[url.path], what)
            return
        script = api.note("events", "create", {}, self.headers.get("Authorization", ""), self.headers.get("Accept", ""))
        if script:
            script(self)
        elif "events" in api.forbidden or not re.fullmatch(r"/api/v1/namespaces/[^/]+/events", url.path):
            status(403, "Forbidden", "events is forbidden: cannot create")(self)
        else:
            assert self.headers["Content-Type"] == "application/json"
            assert url.path.split("/")[4] == what["metadata"]["namespace"] == what["involvedObject"]["namespace"]
            with api.lock:
                api.events.append(what)
            self.answer(201, what)

    def review(self, api, resource, what):
        """api.users: the user of each token; api.readers: (username, namespace) of those who may get pods/log there;
        api.operators: of those who may update daemonsets."""
        script = api.note(resource, "create", {}, self.headers.get("Authorization", ""), self.headers.get("Accept", ""))
        with api.lock:
            api.reviews.append(what)
        spec = what["spec"]
        if script:
            script(self)
        elif "PartialObjectMetadata" in self.headers.get("Accept", ""):  # a real server has no status in that
            self.answer(201, {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {}})
        elif resource in api.forbidden:
            status(403, "Forbidden", f"{resource} is forbidden")(self)
        elif resource == "tokenreviews":
            user = api.users.get(spec["token"])
            self.answer(201, {**what, "status": {"authenticated": True, "user": user} if user else {"user": {}, "error": "no"}})
        else:
            wanted = spec["resourceAttributes"]
            if wanted["resource"] == "daemonsets":
                assert (wanted["verb"], wanted["group"]) == ("update", "apps") and "subresource" not in wanted
                allowed = api.operators
            else:
                assert (wanted["verb"], wanted["resource"], wanted["subresource"]) == ("get", "pods", "log")
                allowed = api.readers
            self.answer(201, {**what, "status": {"allowed": (spec["user"], wanted["namespace"]) in allowed}})

    def endpoints(self, api):
        """The API server's own endpoints: api.endpoints; None: it does not publish any."""
        if api.endpoints is None:
            status(404, "NotFound", 'endpointslices.discovery.k8s.io "kubernetes" not found')(self)
        else:
            self.answer(200, {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4",
                              "metadata": {"name": "kubernetes", "namespace": "default"},
                              "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in api.endpoints],
                              "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}]})

    def list(self, api, resource, query, namespace=None):
        limit = int(query.get("limit", 0)) if query.get("resourceVersion") != "0" or api.pages else 0
        at = 0
        with api.lock:
            version = api.version
            if query.get("continue"):
                version, at = map(int, query["continue"].split("-"))
            items = [o for o in api.objects[resource].values() if api.selects(o, query.get("fieldSelector"))
                     and namespace in (None, o["object"]["metadata"].get("namespace"))]
        part = items[at:at + limit] if limit else items[at:]
        meta = {"resourceVersion": str(version)}
        if limit and at + limit < len(items):
            meta["continue"] = f"{version}-{at + limit}"
        kind, group, _ = KINDS[resource]
        self.answer(200, {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta,
                          "items": [o["object"] for o in part]})

    def watch(self, api, resource, query):
        since = int(query.get("resourceVersion") or 0)
        with api.lock:
            if since < api.oldest:
                return status(410, "Expired", f"too old resource version: {since}")(self)
            w = Watch(resource, query.get("fieldSelector"))
            for version, event_resource, event, o in api.history:
                if version > since and event_resource == resource and api.selects(o, w.selector):
                    w.queue.append(event)
            api.watches.append(w)
        deadline = time.monotonic() + min(int(query.get("timeoutSeconds", 3600)), api.watch_s)
        try:
            self.begin()  # there may be no client any more
            while True:
                with w.ready:
                    if not w.queue and not w.ended:
                        w.ready.wait(max(0.01, min(1, deadline - time.monotonic())))
                    data, w.queue = b"".join(w.queue), []
                    ended = w.ended
                if data:
                    self.chunk(data)
                if ended or time.monotonic() >= deadline:
                    break
        finally:
            with api.lock:
                api.watches.remove(w)
        if ended == "cut":
            reset(self)
        else:
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def shutdown_request(self, request):
        """A connection that is to be reset must not be shut down in order first."""
        try:
            self.close_request(request)
        except OSError:
            pass

    def handle_error(self, request, client_address):
        pass


class Kapi:
    """Listens at once, on a port of its own. <tls>: an ssl.SSLContext. <tokens>: the set of accepted tokens, None for any."""

    def __init__(self, tls=None, tokens=None, watch_s=3600, pages=False, node="node-1"):
        self.lock = threading.RLock()
        self.objects = {r: {} for r in KINDS}
        self.history = []  # (version, resource, event, object)
        self.version = 100
        self.oldest = 0
        self.watches = []
        self.scripts = []
        self.requests = []
        self.events = []
        self.endpoints = None
        self.reviews, self.users, self.readers, self.operators = [], {}, set(), set()
        self.forbidden = set()
        self.tls, self.tokens, self.watch_s, self.pages, self.node = tls, tokens, watch_s, pages, node
        self.server = None
        self.port = free_port()
        self.start()

    # start and stop

    def start(self):
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.api = self
        if self.tls:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self):
        """An outage: watches are reset, connections refused."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        self.cut()

    close = stop

    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def kubeconfig(self, path, user="token: secret-token", cluster=""):
        path.write_text(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n"
            f"clusters:\n- name: c\n  cluster:\n    server: {self.url()}\n{cluster}"
            f"users:\n- name: u\n  user:\n    {user}\n"
            "contexts:\n- name: test\n  context:\n    cluster: c\n    user: u\n")
        return path

    # faults

    def script(self, resource, verb, what, times=1):
        with self.lock:
            self.scripts += [(resource, verb, what)] * times

    def note(self, resource, verb, query, auth, accept):
        with self.lock:
            self.requests.append((time.monotonic(), resource, verb, query, auth, accept))
            for i, (r, v, what) in enumerate(self.scripts):
                if r in (resource, None) and v in (verb, None):
                    del self.scripts[i]
                    return what
        return None

    def count(self, resource=None, verb=None, since=0):
        with self.lock:
            return sum(1 for at, r, v, *_ in self.requests
                       if resource in (None, r) and verb in (None, v) and at >= since)

    def cut(self, resource=None, how="cut"):
        """Ends the open watches: in order ("end") or with a reset ("cut"). When it returns, they have ended."""
        with self.lock:
            found = [w for w in self.watches if resource in (None, w.resource)]
        for w in found:
            w.end(how)
        wait_for(lambda: not any(w in self.watches for w in found), 30, "the watches to end")

    def raw(self, resource, data):
        """Writes bytes into the open watches; waits until there is one."""
        def pushed():
            with self.lock:
                found = [w for w in self.watches if w.resource == resource]
                for w in found:
                    w.push(data)
            return found
        wait_for(pushed, 30, f"an open watch of {resource}")

    def compact(self):
        """Forgets older events: older versions get 410."""
        with self.lock:
            self.version += 1
            self.oldest = self.version
            self.history.clear()

    def bookmark(self, resource):
        with self.lock:
            self.version += 1
            kind, group, _ = KINDS[resource]
            event = {"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": group,
                                                    "metadata": {"resourceVersion": str(self.version)}}}
        self.raw(resource, json.dumps(event).encode() + b"\n")

    def error(self, resource, code, reason, message="as scripted", cause=None):
        """Sends an ERROR event to the open watches."""
        details = {"causes": [{"reason": cause}]} if cause else {}
        event = {"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                                             "message": message, "reason": reason, "details": details, "code": code}}
        self.raw(resource, json.dumps(event).encode() + b"\n")

    # objects

    @staticmethod
    def selects(o, selector):
        m = re.fullmatch(r"spec\.nodeName=(.*)", selector or "")
        name = re.fullmatch(r"metadata\.name=(.*)", selector or "")
        return (not m or o["node"] == m[1]) and (not name or o["object"]["metadata"]["name"] == name[1])

    def put(self, resource, name, namespace, annotations=None, labels=None, owner=None, uid=None, node=None, owner_ref=None,
            silent=False, **notes):
        """Creates or replaces. notes: drains=, hostname=, tag= annotations."""
        kind, group, _ = KINDS[resource]
        with self.lock:
            old = next((o for o in self.objects[resource].values()
                        if o["object"]["metadata"]["name"] == name
                        and o["object"]["metadata"].get("namespace") == namespace), None)
            self.version += 1
            meta = {"name": name, "uid": uid or (old and old["object"]["metadata"]["uid"]) or str(uuid.uuid4()),
                    "resourceVersion": str(self.version), "creationTimestamp": "2026-11-20T10:00:00Z",
                    "annotations": dict(annotations or {}, **{PREFIX + k: v for k, v in notes.items() if v is not None}),
                    "labels": dict(labels or {}), "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:metadata": {}}}]}
            if namespace is not None:
                meta["namespace"] = namespace
            if owner is not None:
                k, g, _ = KINDS[owner["resource"]]
                m = owner["object"]["metadata"]
                owner_ref = {"apiVersion": g, "kind": k, "name": m["name"], "uid": m["uid"]}
            if owner_ref:
                meta["ownerReferences"] = [dict(owner_ref, controller=True, blockOwnerDeletion=True)]
            o = {"resource": resource, "node": node, "object":
                 {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}}
            self.objects[resource][meta["uid"]] = o
            if not silent:
                self._tell("MODIFIED" if old else "ADDED", o)
            return o

    def many(self, resource, objects):
        """Creates objects of new names at once, silently. Each is (name, namespace) with no more than that, or with drains, too."""
        kind, group, _ = KINDS[resource]
        with self.lock:
            for name, namespace, *drains in objects:
                self.version += 1
                meta = {"name": name, "uid": str(uuid.uuid4()), "resourceVersion": str(self.version),
                        "annotations": {PREFIX + "drains": drains[0]} if drains else {}}
                if namespace is not None:
                    meta["namespace"] = namespace
                self.objects[resource][meta["uid"]] = {"resource": resource, "node": None, "object":
                                                       {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}}

    def delete(self, o, silent=False):
        with self.lock:
            self.version += 1
            self.objects[o["resource"]].pop(o["object"]["metadata"]["uid"])
            o["object"]["metadata"]["resourceVersion"] = str(self.version)
            if not silent:
                self._tell("DELETED", o)

    def _tell(self, kind, o):
        event = json.dumps({"type": kind, "object": o["object"]}).encode() + b"\n"
        self.history.append((self.version, o["resource"], event, o))
        for w in self.watches:
            if w.resource == o["resource"] and self.selects(o, w.selector):
                w.push(event)

    def deployment(self, name, namespace="default", **more):
        return self.put("deployments", name, namespace, **more)

    def replicaset(self, name, namespace="default", **more):
        return self.put("replicasets", name, namespace, **more)

    def namespace(self, name, **more):
        return self.put("namespaces", name, None, **more)

    def pod_of(self, container, owner=None, **more):
        """The pod whose container writes that log."""
        pod = container.pod
        return self.put("pods", pod.name, pod.namespace, owner=owner, uid=more.pop("uid", pod.uid), node=self.node, **more)

    def workload(self, container, name, **notes):
        """A Deployment with those annotations, its ReplicaSet, and the container's pod. Returns the Deployment."""
        ns = container.pod.namespace
        d = self.deployment(name, ns, **notes)
        self.pod_of(container, owner=self.replicaset(name + "-7d9c8b6f5d", ns, owner=d))
        return d


def names(peer):
    """The pairs of HOSTNAME and APP-NAME that arrived at a syslog receiver."""
    return {tuple(m.decode().split(" ")[2:4]) for m in peer.messages()}
