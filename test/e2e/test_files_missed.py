"""L5: containers that started and ended while the daemon was stopped (SIGSTOP). Files that still exist afterwards are read. Files
that do not are declared missing, once, to the drains of such containers. Nothing is declared for containers whose lines were
all delivered."""

import shutil
import time

import pytest
from lib.daemon import SLOW
from lib.preload import Files
from lib.sinks import sinks  # noqa: F401
from lib.wait import stays, wait_for

END = {"READ_FROM": "end"}
WAIT = 120 * SLOW
LAYOUTS = ["cri", "docker"]


def container(node, layout, pod):
    return node.container(pod, format="docker" if layout == "docker" else "cri", two_hops=layout == "docker")


def remove(c):
    """Removes the whole pod, including docker's directory."""
    live = c.live
    c.pod.delete()
    if c.two_hops:
        shutil.rmtree(live.parent, ignore_errors=True)


def missed(d):
    return d.metric("logtrain_missed_containers_total")


def told(peer):
    return [m for m in peer.messages() if b"an unknown number of bytes" in m]


def declared(d, sinks, n):
    """<n> containers, by the metric, the log and at each receiver; and no more after that."""
    wait_for(lambda: missed(d) >= n, WAIT, lambda: f"{n} missed containers; {missed(d)} are counted")
    for peer in sinks.peers:
        wait_for(lambda: len(told(peer)) >= n, WAIT, lambda: f"{n} gap records; {len(told(peer))} are there\n{d.tail()}")
    stays(lambda: missed(d) == n, 1, "one more was declared")
    assert len(d.log_lines("was gone before it could be read")) == n
    assert [len(told(peer)) for peer in sinks.peers] == [n, n]


def start(node, oracle, daemon, sinks, layout):
    d = daemon(node, drains=sinks.drains(), env=END)
    c = container(node, layout, "web-0")
    c.write(oracle.source("web").take(20))
    sinks.complete(timeout=90)
    return d, c


@pytest.mark.parametrize("layout", LAYOUTS)
def test_L05_came_and_went(node, oracle, daemon, sinks, layout):
    d, c = start(node, oracle, daemon, sinks, layout)
    d.pause()
    for i in range(5):
        gone = container(node, layout, f"job-{i}")
        gone.write([b"nobody sees this"] * 10)
        remove(gone)
        there = container(node, layout, f"there-{i}")
        there.write(oracle.source(f"there-{i}").take(20))
    c.write(oracle.sources["web"].take(20))
    d.resume()
    sinks.complete(timeout=90)
    declared(d, sinks, 5)
    for i in range(5):
        assert any(f"job-{i}".encode() in m for m in told(sinks.tcp)), "the record says which"
    sinks.complete(timeout=90)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_L05_kubelet_keeps_the_files_for_a_while(node, oracle, daemon, sinks, layout):
    """Pods that live for a second, all within five seconds in which the daemon is stopped. Their files still exist after that.
    Then they are removed: the link last, the directory last, or all at once."""
    d, _ = start(node, oracle, daemon, sinks, layout)
    d.pause()
    pods = []
    for i in range(8):
        pods.append(container(node, layout, f"job-{i}"))
        pods[-1].write(oracle.source(f"job-{i}").take(20))
        pods[-1].close()
    time.sleep(5)  # this is what is tested
    d.resume()
    sinks.complete(timeout=90)
    for i, c in enumerate(pods):
        if i % 3 == 1:
            c.link.unlink()
        elif i % 3 == 2:
            shutil.rmtree(c.pod.dir)
        remove(c)
    last = container(node, layout, "last")
    last.write(oracle.source("last").take(20))
    sinks.exact(timeout=90)
    stays(lambda: missed(d) == 0, 7, "a loss was declared")
    assert d.metric("logtrain_lost_bytes_total") == 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("left", ["link", "directory"])
def test_L05_only_the_log_is_gone(node, oracle, daemon, sinks, layout, left):
    """When the daemon looks, only the link is left, or also the directory behind it; and these are removed later."""
    d, _ = start(node, oracle, daemon, sinks, layout)
    d.pause()
    c = container(node, layout, "job-0")
    c.write([b"nobody sees this"] * 10)
    c.close()
    c.live.unlink()
    for path in c.files():
        path.unlink()
    if left == "link":
        shutil.rmtree(c.pod.dir)
    else:
        (c.dir / "0.log").unlink(missing_ok=True)
    d.resume()
    there = container(node, layout, "there")
    there.write(oracle.source("there").take(20))
    sinks.complete(timeout=90)
    remove(c)
    declared(d, sinks, 1)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_L05_a_loss_is_reported_after_a_restart(node, oracle, daemon, sinks, how):
    """How many bytes were lost is unknown, so none are counted. The state keeps the notice all the same."""
    d, _ = start(node, oracle, daemon, sinks, "cri")
    sinks.refuse()
    d.pause()
    c = container(node, "cri", "job-0")
    c.write([b"nobody sees this"] * 10)
    remove(c)
    d.resume()
    wait_for(lambda: missed(d) == 1, WAIT, "it to be missed")
    wait_for(lambda: d.metric("logtrain_state_records") == 4, WAIT, "a place in it for both drains")
    wait_for(lambda: d.metric("logtrain_state_pending") == 0, WAIT, "the state to be written")
    getattr(d, how)()
    sinks.resume()
    d.start()
    for peer in sinks.peers:
        wait_for(lambda p=peer: told(p), WAIT, "it to be told")


def never_opened(d, c):
    c.write([b"nobody sees this"] * 10)


def grown_while_down(d, c):
    """All of it was delivered, before the daemon stopped."""
    d.stop()
    c.write([b"nobody sees this"] * 10)
    d.start()


def rotated(d, c):
    """The rotated file was delivered, the new one cannot be opened."""
    c.rotate()
    c.write([b"nobody sees this"] * 10)


@pytest.mark.parametrize("how", ["kill", "stop"])
@pytest.mark.parametrize("case", [never_opened, grown_while_down, rotated])
def test_L05_a_file_that_was_never_opened(node, oracle, daemon, sinks, tmp_path, case, how):
    """It cannot be opened, its pod is deleted, and the daemon ends within the minute in which the file may come back. It says
    then, or at the next start, how much was lost."""
    files = Files(tmp_path)
    d = daemon(node, drains=sinks.drains(), env={**END, **files.env})
    container(node, "cri", "web-0").write(oracle.source("web").take(20))
    c = container(node, "cri", "job-0") if case is not never_opened else None
    if c:
        c.write(oracle.source("job").take(20))
    sinks.complete(timeout=90)
    d.wait_saved(records=4 if c else 2)
    files.fail("open", "EIO", "job-0")
    c = c or container(node, "cri", "job-0")
    case(d, c)
    bytes_lost = c.live.stat().st_size if case is not grown_while_down else 1
    wait_for(lambda: d.metric("logtrain_drain_lag_bytes") >= bytes_lost, WAIT, lambda: f"its size to be seen\n{d.tail()}")
    wait_for(lambda: d.metric("logtrain_state_records") == 4, WAIT, "a place in it for both drains")
    wait_for(lambda: d.metric("logtrain_state_pending") == 0, WAIT, "the state to be written")
    c.close()
    remove(c)
    getattr(d, how)()
    files.clear()
    d.start()
    # The second: it saw that the file had gone before its folder.
    said = r"(gone since the last run.* pod=job-0 .*lost_bytes|bytes were lost.* pod=job-0 .*bytes)_at_least=[1-9]"
    wait_for(lambda: len(d.log_lines(said)) >= 2, WAIT, lambda: f"word of it for both drains\n{d.tail()}")
    for peer in sinks.peers:
        wait_for(lambda p=peer: any(b"bytes were lost" in m for m in p.messages()), WAIT, "the gap record")


def test_L05_the_same_pod_again_and_again(node, oracle, daemon, sinks):
    """A StatefulSet's pod: the first was read, the second started and ended unseen, the third exists."""
    d, c = start(node, oracle, daemon, sinks, "cri")
    d.pause()
    remove(c)
    gone = node.container("web-0")
    gone.write([b"nobody sees this"] * 10)
    remove(gone)
    node.container("web-0").write(oracle.source("third").take(20))
    d.resume()
    sinks.complete(timeout=90)
    declared(d, sinks, 1)


@pytest.mark.parametrize("gone", [False, True], ids=["kept", "gone"])
def test_L05_a_container_restarts_twice(node, oracle, daemon, sinks, gone):
    """Its second run has left no link; its log still exists, or not."""
    d, c = start(node, oracle, daemon, sinks, "cri")
    d.pause()
    c.restart()
    c.write([b"nobody sees this"] * 10 if gone else oracle.source("second").take(20))
    second = c.live
    c.restart()
    c.write(oracle.source("third").take(20))
    if gone:
        second.unlink()
    d.resume()
    sinks.complete(timeout=90)
    declared(d, sinks, 1 if gone else 0)


def test_L05_links_that_are_not_followed(node, oracle, daemon, sinks):
    """An excluded namespace, our own pod, and links that were dangling before the start."""
    old = node.container("old-0")
    old.close()
    shutil.rmtree(old.pod.dir)
    d = daemon(node, drains=sinks.drains(), env={**END, "EXCLUDE_NAMESPACES": "kube-system", "POD_NAME": "logtrain-x", "POD_NAMESPACE": "logs"})
    d.pause()
    for pod, namespace in (("dns-0", "kube-system"), ("logtrain-x", "logs"), ("job-0", "default")):
        c = node.container(pod, namespace)
        c.write([b"nobody sees this"] * 10)
        remove(c)
    old.link.unlink()
    d.resume()
    declared(d, sinks, 1)


def test_L05_gone_before_it_was_named(node, oracle, api, kube, http):
    """The API does not answer about the pod. Until names are taken from paths, its file is not open; it disappears, while its
    directory stays."""
    peer = http()
    d = kube(env={**END, "IDENTITY_WAIT": "25s"}, drains=[("*", peer.url("batch=ndjson"))])
    c = node.container("job-0")
    c.write([b"nobody sees this"] * 10)
    wait_for(lambda: d.metric("logtrain_log_files") == 1, WAIT, "the file")
    c.close()
    c.live.unlink()
    wait_for(lambda: told(peer), WAIT, lambda: f"the gap record\n{d.tail()}")
    assert len(told(peer)) == 1
    assert missed(d) == 1
