"""`tapeline topics`: hold the cluster to schemas/topics.yaml."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from tapeline.bus.bootstrap import bootstrap_servers, namespaced
from tapeline.bus.topics import TopicReport, apply_topics, load_topics, verify_topics

topics = typer.Typer(help="Create and verify the topics.", no_args_is_help=True, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per topic.")]
ReplicationFactor = Annotated[
    int | None,
    typer.Option(min=1, envvar="TAPELINE_TOPICS_REPLICATION_FACTOR", help="Copies of each partition, instead of 1."),
]


@topics.command()
def apply(as_json: AsJson = False, replication_factor: ReplicationFactor = None) -> None:
    """Create the topics that are missing, and report those that differ; no existing topic is changed."""
    declared = load_topics(replication_factor=replication_factor)
    _print(apply_topics(bootstrap_servers(), declared.values()), as_json=as_json)


@topics.command()
def verify(as_json: AsJson = False, replication_factor: ReplicationFactor = None) -> None:
    """Report the topics that are missing or differ, changing nothing."""
    declared = load_topics(replication_factor=replication_factor)
    _print(verify_topics(bootstrap_servers(), declared.values()), as_json=as_json)


@topics.command(name="list")
def list_topics(as_json: AsJson = False) -> None:
    """List the declared topics; asks no broker."""
    for topic in load_topics().values():
        if as_json:
            typer.echo(orjson.dumps({**topic.model_dump(by_alias=True), "topic": namespaced(topic.name)}))
        else:
            kept = "for ever" if topic.retention_days is None else f"{topic.retention_days} d"
            typer.echo(f"{namespaced(topic.name):32} {topic.partitions:3} partitions  {kept:8}  {topic.summary}")


def _print(reports: list[TopicReport], *, as_json: bool) -> None:
    for report in reports:
        if as_json:
            differences = {name: {"declared": d, "actual": a} for name, (d, a) in report.differences.items()}
            typer.echo(orjson.dumps({"topic": report.topic, "status": report.status, "differences": differences}))
            continue
        typer.echo(f"{report.status:8} {report.topic}")
        for name, (wanted, found) in report.differences.items():
            typer.echo(f"         {name}: declared {wanted}, is {found or 'not set'}")
            if name == "partitions":
                typer.echo("         partitions are never changed: keys would move; make a new version of the topic")
    if not all(report.good for report in reports):
        raise typer.Exit(1)
