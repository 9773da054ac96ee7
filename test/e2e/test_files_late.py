"""docs/faults.md#files: lines that are written to a file after it was renamed and the next one was begun. They are delivered
late, in the order of the file, however late that is."""

import os

import pytest
from lib.daemon import SLOW
from lib.node import encode_plain
from lib.sinks import sinks  # noqa: F401
from lib.wait import stays, wait_for

END = {"READ_FROM": "end"}
LATE = [0.1, 0.3, 0.6, 2, 8]


class Old:
    """The file that a container's writer had open when it was renamed; some process still writes to it."""

    def __init__(self, container):
        self.container = container
        self.fd = os.open(container.live, os.O_WRONLY | os.O_APPEND)

    def write(self, messages):
        os.write(self.fd, b"".join(self.container.encode(messages)))

    def close(self):
        os.close(self.fd)


def rotated(c, layout):
    """Rotates as the runtime does: rename, and a new file to which the container writes from now on."""
    if layout == "docker":
        c.rotate_docker(max_file=5)
    else:
        c.rotate(reopen_delay=0, clean=False)


def container(node, layout, pod="web-7d4b9c6f5-x2x1z"):
    return node.container(pod, format="docker" if layout == "docker" else "cri", two_hops=layout == "docker")


def left_open(c, source, sinks, layout):
    """Lines of <source> are delivered, and their file is renamed while a process has it open."""
    c.write(source.take(20))
    sinks.complete()
    old = Old(c)
    rotated(c, layout)
    return old


@pytest.mark.parametrize("layout", ["cri", "docker"])
def test_L16_one_writer_writes_on_for_a_while(node, oracle, daemon, sinks, layout):
    """It is told later to open the new file, which is empty until then: the order of lines does not change."""
    d = daemon(node, drains=sinks.drains(), env=END)
    pods = [container(node, layout, f"web-{i}") for i in range(len(LATE))]
    for c in pods:
        c.write(oracle.source(c.pod.name).take(20))
    sinks.complete()
    old = [Old(c) for c in pods]
    for c in pods:
        rotated(c, layout)
    waited = 0
    for c, o, late in zip(pods, old, LATE):
        stays(d.running, late - waited, "the daemon")
        waited = late
        o.write(oracle.sources[c.pod.name].take(20))
        o.close()
        c.write(oracle.sources[c.pod.name].take(20))
    sinks.exact()
    assert d.metric("logtrain_lost_bytes_total") == 0


@pytest.mark.parametrize("layout", ["cri", "docker"])
def test_L16_two_writers(node, oracle, daemon, sinks, layout):
    """One process writes to the new file, another to the old one: each file is delivered in its own order."""
    d = daemon(node, drains=sinks.drains(), env=END)
    c = container(node, layout)
    new, slow = oracle.source("new"), oracle.source("old")
    old = left_open(c, slow, sinks, layout)
    for _ in range(4):
        c.write(new.take(20))
        sinks.complete()
        stays(d.running, 0.5, "the daemon")
        old.write(slow.take(20))
        sinks.complete()
    rotated(c, layout)  # the old file has another name now
    c.write(new.take(20))
    old.write(slow.take(20))
    sinks.exact()
    old.close()
    c.write(new.take(20))
    sinks.exact()
    assert d.metric("logtrain_lost_bytes_total") == 0


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_L16_over_a_restart(node, oracle, daemon, sinks, how):
    """Lines written to the old file while no daemon runs are found too, and nothing confirmed is read twice."""
    d = daemon(node, drains=sinks.drains(), env=END)
    c = node.container()
    new, slow = oracle.source("new"), oracle.source("old")
    old = left_open(c, slow, sinks, "cri")
    c.write(new.take(20))
    sinks.complete()
    for _ in range(3):
        old.write(slow.take(20))
        sinks.complete()
        d.wait_saved()
        getattr(d, how)()
        old.write(slow.take(20))
        c.write(new.take(20))
        d.start()
        c.write(new.take(20))
        sinks.complete()
    sinks.exact(dup_max=0 if how == "stop" else 1000)
    assert d.metric("logtrain_lost_bytes_total") == 0
    old.close()


def test_L16_deleted_and_compressed_while_it_is_written_to(node, oracle, daemon, sinks):
    d = daemon(node, drains=sinks.drains(), env=END)
    gone, packed = node.container("gone-1"), node.container("packed-1")
    for c in (gone, packed):
        c.write(oracle.source(c.pod.name).take(20))
    sinks.complete()
    olds = [Old(c) for c in (gone, packed)]
    aways = [c.rotate(reopen_delay=0, clean=False) for c in (gone, packed)]
    for c in (gone, packed):
        c.write(oracle.source(f"{c.pod.name}-new").take(20))
    sinks.complete()
    for c, o in zip((gone, packed), olds):
        o.write(oracle.sources[c.pod.name].take(20))
    sinks.complete()
    aways[0].unlink()
    packed.compress(aways[1])
    for c, o in zip((gone, packed), olds):
        o.write(oracle.sources[c.pod.name].take(20))
    sinks.exact()
    for o in olds:
        o.close()
    wait_for(lambda: not [path for path in d.fds() if path.endswith(" (deleted)")], 30 * SLOW, "the deleted files to be let go")
    assert d.metric("logtrain_lost_bytes_total") == 0


def test_L16_opened_again_under_its_new_name(node, oracle, daemon, sinks):
    """No process had it open when reading moved to the next file."""
    d = daemon(node, drains=sinks.drains(), env=END)
    c = node.container()
    slow = oracle.source("old")
    c.write(slow.take(20))
    sinks.complete()
    away = c.rotate(reopen_delay=0, clean=False)
    c.write(oracle.source("new").take(20))
    sinks.complete()
    stays(d.running, 1, "the daemon")
    with open(away, "ab") as f:
        f.write(b"".join(c.encode(slow.take(20))))
    sinks.exact()
    assert d.metric("logtrain_lost_bytes_total") == 0


def test_L16_renamed_back_over_the_new_one(node, oracle, daemon, sinks):
    d = daemon(node, drains=sinks.drains(), env=END)
    c = node.container()
    slow, new = oracle.source("old"), oracle.source("new")
    c.write(slow.take(20))
    sinks.complete()
    old = Old(c)
    away = c.rotate(reopen_delay=0, clean=False)
    c.write(new.take(20))
    sinks.complete()
    away.rename(c.live)
    old.write(slow.take(20))
    sinks.complete()
    c.reopen()
    c.write(slow.take(20))
    sinks.complete()
    rotated(c, "cri")
    c.write(new.take(20))
    old.write(slow.take(20))
    sinks.exact()
    old.close()
    assert d.metric("logtrain_lost_bytes_total") == 0


class Plain:
    """The log of a server, directly in the log path, which logrotate renames (`create`)."""

    encode = staticmethod(encode_plain)

    def __init__(self, node, name="app.log"):
        self.live = node.containers / name
        self.fd = os.open(self.live, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def write(self, messages):
        os.write(self.fd, b"".join(encode_plain(messages)))

    def rotate(self):
        """.1 → .2, the log → .1, and a new file to which nobody writes yet."""
        for i in (2, 1, 0):
            name = self.live.with_name(f"{self.live.name}.{i}") if i else self.live
            if name.exists():
                name.rename(self.live.with_name(f"{self.live.name}.{i + 1}"))
        os.close(os.open(self.live, os.O_WRONLY | os.O_CREAT, 0o640))

    def reopen(self):
        os.close(self.fd)
        self.fd = os.open(self.live, os.O_WRONLY | os.O_APPEND)


def test_L16_logrotate_create(node, oracle, daemon, sinks):
    """The server is told to reopen its log some time after the rename; one of its processes does so much later."""
    d = daemon(node, drains=sinks.drains(), env=END)
    log = Plain(node)
    source, slow = oracle.source("a"), oracle.source("slow")
    log.write(source.take(20))
    sinks.complete()
    for late in (0.1, 0.5, 3):
        child = Old(log)
        log.rotate()
        stays(d.running, late, "the daemon")
        log.write(source.take(20))
        log.reopen()
        log.write(source.take(20))
        sinks.complete()
        child.write(slow.take(20))
        sinks.complete()
        child.close()
    sinks.exact()
    assert d.metric("logtrain_lost_bytes_total") == 0


@pytest.mark.slow
@pytest.mark.parametrize("restart", [False, True], ids=["", "restart"])
def test_L16_the_url_is_changed_meanwhile(node, oracle, daemon, sinks, restart):
    """A drain that takes over the position continues in the old file too; also on another worker, and in another run."""
    d = daemon(node, routes=sinks.drains(), env={**END, "WORKERS": "4"})
    c = node.container()
    new, slow = oracle.source("new"), oracle.source("old")
    old = left_open(c, slow, sinks, "cri")
    for i in range(3):
        c.write(new.take(20))
        old.write(slow.take(20))
        sinks.complete()
        d.wait_saved()
        if restart:
            d.stop()
            old.write(slow.take(20))
        d.set_routes(sinks.drains(tcp=f"framing=octet&timeout={i + 50}s", web=f"batch=ndjson&timeout={i + 50}s"))
        if restart:
            d.start()
        old.write(slow.take(20))
    sinks.exact(timeout=60, dup_max=0 if restart else 1000)  # what is in flight during a change is sent again
    assert d.metric("logtrain_lost_bytes_total") == 0
    old.close()


def test_L16_the_route_is_away_meanwhile(node, oracle, api, kube, http):
    """The route did not end by decision: when it is back, lines written to the old file meanwhile arrive as well."""
    peer = http()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    api.workload(c, "web", drains=peer.url("batch=ndjson"))
    d = kube(env=END)
    new, slow = oracle.source("new"), oracle.source("old")
    c.write(slow.take(20))
    oracle.wait_complete(peer, 60 * SLOW)
    old = Old(c)
    rotated(c, "cri")
    c.write(new.take(20))
    oracle.wait_complete(peer, 60 * SLOW)
    for _ in range(2):
        d.wait_confirmed(peer.port)  # or what is in flight is sent again
        api.deployment("web", "shop", drains=peer.url("timeout=soon"))
        wait_for(lambda: d.metric("logtrain_parked_cursors") == 1, 60 * SLOW, "the route to go")
        old.write(slow.take(20))
        c.write(new.take(20))
        api.deployment("web", "shop", drains=peer.url("batch=ndjson"))
        oracle.wait_complete(peer, 60 * SLOW)
    oracle.check(peer.messages()).assert_exact(dup_max=40)
    assert d.metric("logtrain_lost_bytes_total") == 0
    old.close()


@pytest.mark.slow
def test_L16_a_container_ends_while_its_receiver_is_down(node, oracle, daemon, sinks):
    """Its log is read to the end by both drains, and nothing is left over."""
    d = daemon(node, drains=sinks.drains(), env=END)
    c = node.container()
    new, slow = oracle.source("new"), oracle.source("old")
    old = left_open(c, slow, sinks, "cri")
    c.write(new.take(20))
    sinks.complete()
    old.write(slow.take(20))
    sinks.complete()
    sinks.refuse()
    old.write(slow.take(20))
    c.write(new.take(20))
    old.close()
    c.pod.delete()
    sinks.resume()
    sinks.exact(timeout=60, dup_max=100)
    wait_for(lambda: not [path for path in d.fds() if ".log" in path], 120 * SLOW, "the files to be let go")
    wait_for(lambda: d.metric("logtrain_cursors") == 0, 180 * SLOW, "the cursors to end")
    assert d.metric("logtrain_lost_bytes_total") == 0
