"""What the local broker needs from the machine: Java, Maven, and the broker's jars."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tapeline.errors import Misconfigured
from tapeline.ops.resources import resource

OLDEST_JAVA = 17
_COMMAND_TIMEOUT_S = 30
_DOWNLOAD_TIMEOUT_S = 600


def kafka_version() -> str:
    """Return the Kafka version that ``deploy/kafka/pom.xml`` names, the only place that does."""
    namespace = {"m": "http://maven.apache.org/POM/4.0.0"}
    version = ElementTree.parse(_pom()).findtext("m:properties/m:kafka.version", namespaces=namespace)  # noqa: S314
    if not version:
        raise Misconfigured(f"{_pom()} names no kafka.version")
    return version


def find_java() -> Path:
    """Return the Java that runs the broker: ``$JAVA_HOME/bin/java``, else the first on the path.

    Raises Misconfigured, naming the command that mends it, where there is none or it is older than `OLDEST_JAVA`.
    """
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if found is None or not Path(found).is_file():
        where = f"in JAVA_HOME ({home})" if home else "on the path"
        raise Misconfigured(f"Kafka needs Java {OLDEST_JAVA} or newer and there is none {where}; {_remedy()}")
    shown = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S)
    major = java_major(shown.stderr + shown.stdout)
    if major is None:
        raise Misconfigured(f"{found} does not tell its version: {shown.stderr.strip() or 'no output'}; {_remedy()}")
    if major < OLDEST_JAVA:
        raise Misconfigured(f"Kafka needs Java {OLDEST_JAVA} or newer and {found} is {major}; {_remedy()}")
    return Path(found)


def java_major(version_output: str) -> int | None:
    """Return the major version in the output of ``java -version``, or None; 1.8 counts as 8."""
    match = re.search(r'version "(?:1\.)?(\d+)', version_output)
    return int(match[1]) if match else None


def fetch_jars(folder: Path) -> None:
    """Fill `folder` with the broker's jars by Maven, unless that was done before.

    Raises Misconfigured where Maven is missing or cannot resolve them.
    """
    if folder.is_dir():
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise Misconfigured(f"Maven fetches the local Kafka broker and is not installed; {_remedy()}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        complete = Path(temporary, "jars")
        command = [maven, "-q", "-B", "-f", str(_pom()), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        command.append(f"-DoutputDirectory={complete}")
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S)
        if done.returncode != 0:
            output = _last_lines(done.stdout + done.stderr)
            raise Misconfigured(f"Maven could not fetch Kafka {kafka_version()}:\n{output}")
        try:
            complete.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster, and fetched the same
                raise


def _pom() -> Path:
    return resource("deploy", "kafka", "pom.xml")


def _remedy() -> str:
    return f"this installs Java and Maven: sudo sh {resource('deploy', 'install-system-packages.sh')} java"


def _last_lines(text: str, count: int = 15) -> str:
    return "\n".join(text.strip().splitlines()[-count:])
