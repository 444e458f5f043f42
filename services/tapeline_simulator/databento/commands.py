"""The commands `tapeline simulate databento` and `tapeline simulate fault`."""

from __future__ import annotations

import asyncio
import http.client
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import orjson
import typer

from tapeline.errors import Misconfigured, Retryable
from tapeline.ops.state import state_folder
from tapeline_simulator.barchart.commands import site_document, site_lines, site_settings

if TYPE_CHECKING:
    from tapeline_simulator.databento.running import Addresses, Plan

DEMO_KEY: Final = "db-simulated0simulated0simulated"
"""It has the form of the vendor's keys, 32 characters, and opens nothing but a simulator."""
DEFAULT_CONTROL_PORT: Final = 8120

_CONTROL_TIMEOUT_S: Final = 10.0


def databento(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the gateway; 0: any free one.")] = 13_000,
    control_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of the control API; 0: any free one.")
    ] = DEFAULT_CONTROL_PORT,
    history_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Serve history over HTTPS too, on this port; 0: any free one.")
    ] = None,
    history_embargo_hours: Annotated[
        float, typer.Option(min=0, help="What is younger is refused as history, as the vendor does.")
    ] = 24.0,
    barchart_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="Serve Barchart's site over the same market, on this port; 0: any free one."
        ),
    ] = None,
    dataset: Annotated[str, typer.Option(help="The dataset that is served.")] = "GLBX.MDP3",
    file: Annotated[list[Path] | None, typer.Option(help="Serve this DBN file, not the synthetic market.")] = None,
    times: Annotated[str, typer.Option(help="Of files: now (moved so that they begin now) or original.")] = "now",
    speed: Annotated[float, typer.Option(help="So many seconds of the market pass in one.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and start give the same market.")] = 1,
    rate: Annotated[float, typer.Option(help="Mean MBO records per second of the market's time.")] = 2_000.0,
    options: Annotated[bool, typer.Option(help="Options on the futures, with quotes and definitions.")] = True,
    key: Annotated[list[str] | None, typer.Option(help="An API key that is good; by default one for demos.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Tell the addresses as one JSON object.")] = False,
) -> None:
    """Be Databento's live gateway on loopback: the official client connects to it, without a real key.

    Serves an endless synthetic NQ market, or DBN files. Ends on Ctrl-C or SIGTERM.
    """
    from tapeline_simulator.barchart.running import SitePlan
    from tapeline_simulator.databento.running import Plan, simulate_vendor

    if not 0 < speed < float("inf"):
        raise Misconfigured(f"--speed must be a number above 0, is {speed}")
    plan = Plan(
        dataset=dataset,
        keys=key or [DEMO_KEY],
        files=file or [],
        times=_times(times),
        speed=speed,
        seed=seed,
        records_per_s=rate,
        with_options=options,
        port=port,
        control_port=control_port,
        history_port=history_port,
        history_embargo_hours=history_embargo_hours,
        certificates=state_folder() / "simulator-tls",
        site=None if barchart_port is None else SitePlan(barchart_port, site_settings()),
    )
    asyncio.run(simulate_vendor(plan, lambda addresses: _tell(addresses, plan, is_demo=not key, json=json)))


def fault(
    name: Annotated[str, typer.Argument(help="What is to go wrong; without a name: what goes wrong now.")] = "",
    parameters: Annotated[list[str] | None, typer.Argument(help="seconds=5 schema=mbo …", show_default=False)] = None,
    clear: Annotated[bool, typer.Option("--clear", help="End all faults.")] = False,
    control_port: Annotated[
        int, typer.Option(min=1, max=65_535, help="Port of the simulator's control API.")
    ] = DEFAULT_CONTROL_PORT,
) -> None:
    """Let something go wrong at a running `tapeline simulate …`; a wrong name lists all that can."""
    if clear:
        answer = _control(control_port, "DELETE")
    elif name:
        answer = _control(control_port, "POST", {"name": name, **_parsed(parameters or [])})
    else:
        answer = _control(control_port, "GET")
    if answer == []:
        sys.stderr.write("nothing goes wrong now\n")
    for each in answer if isinstance(answer, list) else [answer]:
        sys.stdout.write(orjson.dumps(each).decode() + "\n")


def _tell(addresses: Addresses, plan: Plan, *, is_demo: bool, json: bool) -> None:
    dataset = plan.dataset
    if json:
        document = {
            "dataset": dataset,
            "gateway": addresses.host,
            "port": addresses.port,
            "control_port": addresses.control_port,
            "history_url": addresses.history_url or None,
            "authority": addresses.authority or None,
            **(site_document(addresses.site) if addresses.site else {}),
        }
        lines = [orjson.dumps(document).decode()]
    else:
        shown = DEMO_KEY if is_demo else "<the --key>"
        lines = [
            f"Databento's gateway for {dataset}, simulated, at {addresses.host}:{addresses.port}."
            " For the producer, and for backfills:",
            f"  export TAPELINE_DATABENTO_GATEWAY={addresses.host} TAPELINE_DATABENTO_PORT={addresses.port}",
            f"  export TAPELINE_DATABENTO_API_KEY={shown} TAPELINE_DATABENTO_DATASET={dataset}",
        ]
        if addresses.history_url:
            lines += [
                f"  export TAPELINE_DATABENTO_HISTORY_GATEWAY={addresses.history_url}",
                f"  export TAPELINE_DATABENTO_HISTORY_EMBARGO_S={plan.history_embargo_hours * 3_600:g}",
                f"  export REQUESTS_CA_BUNDLE={addresses.authority} SSL_CERT_FILE={addresses.authority}",
            ]
        if addresses.site:
            lines += site_lines(addresses.site, 0.0)
        at = "" if addresses.control_port == DEFAULT_CONTROL_PORT else f" --control-port {addresses.control_port}"
        lines.append(f"Let something go wrong: tapeline simulate fault{at} outage seconds=5. Ctrl-C ends this.")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _times(text: str) -> Literal["now", "original"]:
    if text not in ("now", "original"):
        raise Misconfigured(f"--times must be now or original, is {text!r}")
    return "now" if text == "now" else "original"


def _parsed(parameters: Sequence[str]) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        if not equals or not name:
            raise Misconfigured(f"a parameter must be given as name=value, is {parameter!r}")
        try:
            parsed[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            parsed[name] = value
    return parsed


def _control(port: int, method: str, document: dict[str, Any] | None = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_CONTROL_TIMEOUT_S)
    try:
        connection.request(method, "/faults", None if document is None else orjson.dumps(document))
        response = connection.getresponse()
        answer = orjson.loads(response.read())
    except (OSError, http.client.HTTPException, orjson.JSONDecodeError):
        raise Retryable(
            f"no simulator answers on port {port}: start `tapeline simulate databento` (or barchart), or name its"
            " --control-port"
        ) from None
    finally:
        connection.close()
    if response.status >= http.client.BAD_REQUEST:
        raise Misconfigured(str(answer["error"]))
    return answer
