"""The real VictoriaLogs, built by scripts/victorialogs."""

import json
import subprocess
import urllib.request
from pathlib import Path

from .ports import free_port
from .real import Program

_SCRIPT = Path(__file__).parents[3] / "scripts" / "victorialogs"


def _path():
    return Path(subprocess.run([_SCRIPT, "--path"], capture_output=True, text=True, check=True).stdout.strip())


class RealVictoriaLogs(Program):
    def __init__(self, directory):
        super().__init__(directory)
        self.port = free_port()
        self.start()

    @staticmethod
    def available():
        return None if _path().exists() else f"VictoriaLogs is not there: run {_SCRIPT}"

    def start(self):
        self.spawn(_path(), f"-storageDataPath={self.dir}/data", f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y",
                   "-futureRetention=100y")
        self.wait_listening(self.port)

    def url(self, options=""):
        return f"victorialogs+http://127.0.0.1:{self.port}/?{options}"

    def entries(self):
        asked = f"http://127.0.0.1:{self.port}/select/logsql/query?query=*&limit=100000"
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return [json.loads(line) for line in answer.read().splitlines() if line]

    def messages(self):
        return [e["_msg"].encode() for e in self.entries()]

    def count(self):
        return len(self.messages())
