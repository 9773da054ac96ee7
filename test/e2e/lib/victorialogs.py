"""The real VictoriaLogs, built by scripts/victorialogs."""

import json
import urllib.request

from .ports import free_port
from .real import Built


class RealVictoriaLogs(Built):
    script = "victorialogs"

    def __init__(self, directory):
        super().__init__(directory)
        self.port = free_port()
        self.start()

    def start(self):
        self.spawn(self.path(), f"-storageDataPath={self.dir}/data", f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y",
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
