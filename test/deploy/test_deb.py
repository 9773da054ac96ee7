"""The Debian package: built by scripts/deb, checked with lintian, then installed, run, upgraded, removed and purged in a bare
Debian. This takes minutes and needs packages from the network, so it runs only when it is asked for. The unit and the man
pages are always checked."""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from lib.daemon import BIN, ROOT, SLOW
from lib.wait import wait_for

SYSTEMD = ROOT / "deployments/systemd"
CACHE = Path(os.environ.get("LOGTRAIN_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "logtrain")
CAPABILITIES = "+dac_read_search,+lease,+net_bind_service"


def run(*args, **options):
    done = subprocess.run([*map(str, args)], capture_output=True, text=True, timeout=2400, **options)
    assert done.returncode == 0, f"{args}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


# --- the unit and the man pages --------------------------------------------------------------------------------------

@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed (Debian: systemd)")
def test_the_unit_is_hardened():
    out = run("systemd-analyze", "security", "--offline=true", SYSTEMD / "logtrain.service", env={**os.environ, "LC_ALL": "C"})
    exposure = float(re.search(r"exposure level for logtrain.service: ([0-9.]+)", out)[1])
    assert exposure <= 2.0


def test_the_variables_of_the_service_exist():
    known = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/configuration.md").read_text(), re.M))
    named = set(re.findall(r"^#?([A-Z_]+)=", (SYSTEMD / "logtrain.env").read_text(), re.M))
    assert named and named <= known


def test_each_variable_and_flag_has_its_place_in_the_man_pages(tmp_path):
    run(ROOT / "scripts/man", BIN, tmp_path)
    pages = {p.name: p.read_text().replace("\\-", "-") for p in tmp_path.glob("man*/*")}
    text = run(BIN, "--help")
    for name in re.findall(r"^  ([A-Z_]+)=", text, re.M):
        assert f".B {name}=" in pages["logtrain.env.5"], name
    for name in re.findall(r"^  (--[a-z-]+)", text, re.M):
        assert f".B {name}" in pages["logtrain.1"], name
    for words in "DRAINS", "EXIT STATUS", "2 bad configuration", "SIGNALS":
        assert words in pages["logtrain.1"]
    if shutil.which("man") and shutil.which("groff"):
        for path in tmp_path.glob("man*/*"):
            done = subprocess.run(["man", "--warnings", "-l", path], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
            assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
def test_the_capabilities_of_the_unit_are_enough(tmp_path, oracle, syslog_tcp):
    """The user nobody, with the unit's capabilities, reads a log that only root may read, and keeps its state over a restart."""
    unit = (SYSTEMD / "logtrain.service").read_text()
    given = re.search(r"^AmbientCapabilities=(.*)$", unit, re.M)[1].lower().replace("cap_", "+").split()
    assert ",".join(given) == CAPABILITIES
    top = Path("/var/tmp") / tmp_path.name  # pytest's own directories are not accessible to others
    shutil.rmtree(top, ignore_errors=True)
    logs, state = top / "log", top / "state"
    logs.mkdir(parents=True)
    state.mkdir()
    log = logs / "web.log"
    log.touch(mode=0o600)
    program = shutil.copy(BIN, top / "logtrain")
    peer, source = syslog_tcp(), oracle.source("web")
    os.chown(state, 65534, 65534)
    state.chmod(0o700)
    env = {"KUBERNETES_LOG_PATH": logs, "STATE_PATH": state, "HTTP_PORT": 0, "HTTP_ADDRESS": "127.0.0.1", "READ_FROM": "start",
           "PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=0"}

    def go(lines):
        with open(top / "stderr", "wb") as err:
            one = subprocess.Popen(
                ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", f"--inh-caps=-all,{CAPABILITIES}",
                 f"--ambient-caps=-all,{CAPABILITIES}", f"--bounding-set=-all,{CAPABILITIES}", "--no-new-privs",
                 program, "--drain", f"web={peer.url()}"], env={k: str(v) for k, v in env.items()}, stderr=err)
        try:
            with open(log, "ab") as f:
                f.write(b"".join(line + b"\n" for line in source.take(lines)))
            oracle.wait_complete(peer, 60, ["web"])
            wait_for(lambda: (state / "cursors.a").exists(), 60, lambda: (top / "stderr").read_text())
        finally:
            one.send_signal(signal.SIGTERM)
            assert one.wait(60) == 0, (top / "stderr").read_text()

    try:
        go(50)
        go(50)
        oracle.check(peer.messages(), ["web"]).assert_exact()
    finally:
        shutil.rmtree(top)


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_notified(daemon, node, tmp_path, abstract):
    """Type=notify: READY when it is ready, STOPPING when it stops, and WATCHDOG in between."""
    name = f"@logtrain-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name.replace("@", "\0"))
        systemd.settimeout(60 * SLOW)
        d = daemon(node, drains=[("*", "null://")], env={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "200000"}, wait=False)
        assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        assert d.log_lines(" ready ")
        d.stop()
        systemd.settimeout(0)
        said = []
        with pytest.raises(BlockingIOError):
            while True:
                said.append(systemd.recv(100))
        assert b"STOPPING=1" in said and b"READY=1" not in said


# --- the package ------------------------------------------------------------------------------------------------------

asked = pytest.mark.skipif("LOGTRAIN_DEB" not in os.environ, reason="the package is built with LOGTRAIN_DEB=1 only")


class Bare:
    """An empty Debian, unpacked at <root>."""

    def __init__(self, suite, root):
        self.root = root
        archive = CACHE / f"bare-{suite}.tar"
        if not archive.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            run("debootstrap", "--variant=minbase", suite, root)
            run("tar", "-C", root, "--one-file-system", "-cf", f"{archive}.new", ".")
            os.rename(f"{archive}.new", archive)
        else:
            root.mkdir()
            run("tar", "-C", root, "-xf", archive)
        (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (root / "usr/sbin/policy-rc.d").chmod(0o755)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        run("mount", "-t", "proc", "proc", root / "proc")
        self("apt-get", "-q", "update")

    def __call__(self, *args):
        return run("chroot", self.root, "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "HOME=/root",
                   "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *args)

    def close(self):
        run("umount", self.root / "proc")
        shutil.rmtree(self.root)


def suite_of_this_machine():
    found = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.M)
    return found and found[1]


def build(bare, suite, version, out):
    """On this machine if it is that Debian, else inside of it."""
    if suite == suite_of_this_machine():
        return Path(run(ROOT / "scripts/deb", out, env={**os.environ, "LOGTRAIN_DEB_VERSION": version}).split()[-1])
    tree = bare.root / "src"
    if not tree.exists():
        names = run("git", "ls-files", "-z", cwd=ROOT)
        tree.mkdir()
        subprocess.run(f"tar --null -T - -c | tar -x -C {tree}", shell=True, input=names.encode(), cwd=ROOT, check=True)
        bare("/src/scripts/bootstrap", "--demo")
        bare("apt-get", "-q", "install", "-y", "--no-install-recommends", "debhelper", "build-essential")
    return bare.root / bare("env", f"LOGTRAIN_DEB_VERSION={version}", "/src/scripts/deb", "/out").split()[-1].lstrip("/")


@asked
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_package_in_a_bare_debian(suite, tmp_path):
    for program in ("debootstrap", "dh" if suite == suite_of_this_machine() else "debootstrap"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    bare = Bare(suite, tmp_path / "root")
    try:
        first, second = (build(bare, suite, version, tmp_path / version) for version in ("0.1.0", "0.1.1"))
        if shutil.which("lintian") and suite == suite_of_this_machine():
            # the address depends on who packages it
            out = run("lintian", "--fail-on", "error,warning", "--suppress-tags", "bogus-mail-host,bogus-mail-host-in-debian-changelog,"
                      "initial-upload-closes-no-bugs", "--allow-root", next(first.parent.glob("*.changes")))
            assert not re.search(r"^[EW]:", out, re.M), out
        fresh = bare
        for deb in first, second:
            if not (fresh.root / deb.name).exists():
                shutil.copy(deb, fresh.root)
        fresh("apt-get", "-q", "install", "-y", "--no-install-recommends", f"/{first.name}")
        assert fresh("logtrain", "--version").startswith("logtrain 0.1.0")
        assert "logtrain" in fresh("getent", "passwd", "logtrain")
        units = [p for p in ("lib/systemd/system", "usr/lib/systemd/system") if (fresh.root / p / "logtrain.service").exists()]
        assert units and (fresh.root / "etc/systemd/system/multi-user.target.wants/logtrain.service").is_symlink()
        assert (fresh.root / "etc/logtrain/routes").stat().st_mode & 0o777 == 0o600

        # It runs with the settings that it ships with, and delivers; an upgrade keeps positions and settings.
        (fresh.root / "etc/logtrain/routes").write_text("web stdout://\n")
        log = fresh.root / "var/log/web.log"
        log.touch()
        fresh("install", "-d", "-o", "logtrain", "-m", "700", "/var/lib/logtrain")
        once = ("set -a; . /etc/logtrain/logtrain.env; exec timeout --preserve-status -s TERM 5 setpriv --reuid=logtrain --regid=logtrain "
                f"--clear-groups --inh-caps=-all,{CAPABILITIES} --ambient-caps=-all,{CAPABILITIES} "
                "/usr/bin/logtrain --routes /etc/logtrain/routes 2>/tmp/stderr")
        got = ""
        for number, deb in enumerate((first, second)):
            with open(log, "a") as f:
                f.write(f"line {number}\n")
            if number:
                fresh("apt-get", "-q", "install", "-y", "--no-install-recommends", f"/{deb.name}")
                assert (fresh.root / "etc/logtrain/routes").read_text() == "web stdout://\n"
            got += fresh("sh", "-c", once)
            assert " ready " in (fresh.root / "tmp/stderr").read_text()
        assert [line for line in got.splitlines() if line.startswith("line")] == ["line 1"], got  # 0 was before the first start
        fresh("apt-get", "-q", "remove", "-y", "logtrain")
        assert (fresh.root / "var/lib/logtrain/cursors.a").exists() and (fresh.root / "etc/logtrain/routes").exists()
        fresh("apt-get", "-q", "purge", "-y", "logtrain")
        assert not (fresh.root / "var/lib/logtrain").exists() and not (fresh.root / "etc/logtrain").exists()
    finally:
        bare.close()
