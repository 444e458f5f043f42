"""A Prometheus of the test's own, which scrapes one target and evaluates rules."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import yaml
from tests.integration.watchdog.process import until

_LISTENING = re.compile(r'msg="Listening on" address=(\S+)')


class Prometheus:
    """The server in a `with` block, on loopback, with its data in `folder`."""

    def __init__(self, program: str, folder: Path, target: str, rules: list[dict[str, Any]]) -> None:
        (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "rules", "rules": rules}]}))
        scrape = {"job_name": "watchdog", "static_configs": [{"targets": [urlsplit(target).netloc]}]}
        config = {
            "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [scrape],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.config = folder / "prometheus.yml"
        self._logs = folder / "prometheus.log"
        with self._logs.open("wb") as stderr:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={self.config}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    "--web.listen-address=127.0.0.1:0",
                ],
                stderr=stderr,
            )
        self._address = ""

    def __enter__(self) -> Prometheus:
        found = until(lambda: _LISTENING.search(self._logs.read_text()), lambda found: found is not None)
        assert found
        self._address = found[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each series that the expression gives now."""
        url = f"http://{self._address}/api/v1/query?{urlencode({'query': expression})}"
        with urlopen(url, timeout=10) as response:
            answer = json.load(response)
        assert answer["status"] == "success", answer
        return [(series["metric"], float(series["value"][1])) for series in answer["data"]["result"]]
