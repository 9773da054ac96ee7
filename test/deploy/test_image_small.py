"""scripts/image-small: the same digest twice, small, and a root file system in which the program runs and trusts the system's certificates."""

import gzip
import io
import json
import os
import re
import subprocess
import tarfile

import pytest
from lib.daemon import BIN, ROOT, SANITIZED, SLOW, run


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """(what it printed, the archive)."""
    path = tmp_path_factory.mktemp("image") / "a.tar"
    said = subprocess.run([ROOT / "scripts/image-small", BIN, path], capture_output=True, text=True, check=True, timeout=300 * SLOW).stdout
    return said, path


def opened(path):
    """(manifest, config, the layer's bytes)."""
    with tarfile.open(path) as tar:
        def read(digest):
            return tar.extractfile("blobs/" + digest.replace(":", "/")).read()
        manifest = json.loads(read(json.load(tar.extractfile("index.json"))["manifests"][0]["digest"]))
        return manifest, json.loads(read(manifest["config"]["digest"])), read(manifest["layers"][0]["digest"])


def test_two_builds_have_one_digest(image, tmp_path):
    said, path = image
    again = subprocess.run([ROOT / "scripts/image-small", BIN, tmp_path / "b.tar"], capture_output=True, text=True, check=True,
                           timeout=300 * SLOW).stdout
    assert said.split()[0] == again.split()[0] and said.startswith("sha256:")
    assert path.read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_it_is_labelled_and_small(image):
    manifest, config, layer = opened(image[1])
    labels = config["config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == run("--version").stdout.split()[1]
    assert {"org.opencontainers.image.revision", "org.opencontainers.image.licenses"} <= set(labels)
    assert config["config"]["Entrypoint"] == ["/usr/bin/logtrain"] and manifest["annotations"] == labels
    assert SANITIZED or len(layer) < 25e6


def test_its_packages_are_listed(image):
    document = json.loads(image[1].with_name("a.tar.spdx.json").read_text())
    named = {p["name"]: p["versionInfo"] for p in document["packages"]}
    assert {"logtrain", "libc6", "ca-certificates", "tzdata"} <= set(named) and any(n.startswith("libcurl") for n in named)
    assert document["spdxVersion"] == "SPDX-2.3" and all(named.values())
    ids = [p["SPDXID"] for p in document["packages"]]
    assert len(ids) == len(set(ids)) and all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", i) for i in ids)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer needs /proc, which a chroot has not")
@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_the_program_runs_in_it(image, tmp_path):
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(opened(image[1])[2]))) as tar:
        assert {m.mtime for m in tar} == {next(iter(tar)).mtime} and {(m.uid, m.gid) for m in tar} == {(0, 0)}
        tar.extractall(tmp_path)
    done = subprocess.run(["chroot", tmp_path, "/usr/bin/logtrain", "--check", "syslog+tls://logs.example"],
                          env={"PATH": "/usr/sbin:/usr/bin"}, capture_output=True, text=True, timeout=60 * SLOW, check=False)
    assert done.returncode == 0 and "verified against the system's roots" in done.stdout, done
    assert (tmp_path / "usr/lib/ssl/certs").readlink().as_posix() == "/etc/ssl/certs"
    assert not (tmp_path / "bin/sh").exists() and (tmp_path / "usr/share/zoneinfo/Europe/Berlin").exists()
