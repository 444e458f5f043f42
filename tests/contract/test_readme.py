"""What the README points to is there."""

from __future__ import annotations

import re
from importlib.metadata import entry_points

from tapeline.bus.topics import load_topics
from tapeline.ops.resources import REPOSITORY_ROOT

README = (REPOSITORY_ROOT / "README.md").read_text(encoding="utf-8")


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 10
    assert [link for link in links if not (REPOSITORY_ROOT / link).exists()] == []


def test_every_command_and_topic_is_there() -> None:
    commands = {found.name for found in entry_points(group="tapeline.commands")}
    assert (
        set(re.findall(r"\btapeline (\w+)", "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)))) <= commands
    )
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY_ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", README)) <= targets
    assert set(re.findall(r"\bmd\.[a-z.-]+\.v\d", README)) <= set(load_topics())
