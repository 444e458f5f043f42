"""The command `tapeline simulate barchart`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from tapeline.errors import Misconfigured

if TYPE_CHECKING:
    from tapeline_simulator.barchart.running import SiteAddresses
    from tapeline_simulator.barchart.settings import SiteSettings

DEMO_EMAIL: Final = "demo@example.com"
DEMO_PASSWORD: Final = "simulated-password"  # noqa: S105  # it opens nothing but a simulator
DEMO_KEY: Final = "bc0simulated0simulated0simulated"
"""Of OnDemand; it opens nothing but a simulator."""
_DEFAULT_CONTROL_PORT: Final = 8120
_AUTHENTICATIONS: Final = ("a", "b")
_RETRY_AFTER: Final = ("seconds", "date", "none")


def barchart(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the site; 0: any free one.")] = 13_100,
    control_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of the control API; 0: any free one.")
    ] = _DEFAULT_CONTROL_PORT,
    email: Annotated[str, typer.Option(help="The account that may log in.")] = DEMO_EMAIL,
    password: Annotated[
        str, typer.Option(envvar="SIMULATED_PASSWORD", help="Its password; by default one for demos.")
    ] = "",
    key: Annotated[list[str] | None, typer.Option(help="A good key of OnDemand; by default one for demos.")] = None,
    auth: Annotated[
        str, typer.Option(help="Who may ask for quotes: a (cookies and XSRF token) or b (sec-fetch-site alone).")
    ] = "a",
    calls_per_minute: Annotated[float, typer.Option(help="More calls are refused with 429.")] = 60.0,
    retry_after: Annotated[
        str, typer.Option(help="How a 429 says how long to wait: seconds, date or none.")
    ] = "seconds",
    csrf_late_ms: Annotated[
        int | None, typer.Option(min=0, help="The page's script adds the CSRF token so much later.")
    ] = None,
    behind_s: Annotated[float, typer.Option(min=0, help="Show the market of so long ago, of its own time.")] = 0.0,
    file: Annotated[Path | None, typer.Option(help="Serve the captured chains of this folder.")] = None,
    speed: Annotated[float, typer.Option(help="So many seconds of the market pass in one.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and start give the same market.")] = 1,
    rate: Annotated[float, typer.Option(help="Mean order records per second of the market's time.")] = 200.0,
    json: Annotated[bool, typer.Option("--json", help="Tell the addresses as one JSON object.")] = False,
) -> None:
    """Be Barchart's site on loopback: pages, login, option chains, and the licensed OnDemand API.

    Serves an endless synthetic NQ market, or captured chains. Ends on Ctrl-C or SIGTERM.
    """
    from tapeline_simulator.barchart.running import SitePlan, SitePlanAlone, simulate_site

    if not 0 < speed < float("inf"):
        raise Misconfigured(f"--speed must be a number above 0, is {speed}")
    if file is not None and not file.is_dir():
        raise Misconfigured(f"--file must be a folder of captured chains, is {file}")
    settings = site_settings(
        auth=auth,
        email=email,
        password=password,
        keys=key,
        calls_per_minute=calls_per_minute,
        retry_after=retry_after,
        csrf_late_ms=csrf_late_ms,
    )
    plan = SitePlanAlone(
        site=SitePlan(port=port, settings=settings, behind_s=behind_s),
        control_port=control_port,
        folder=file,
        seed=seed,
        records_per_s=rate,
        speed=speed,
    )
    is_demo = not password and not key
    asyncio.run(simulate_site(plan, lambda addresses: _tell(addresses, email, behind_s, is_demo=is_demo, json=json)))


def site_settings(
    *,
    auth: str = "a",
    email: str = DEMO_EMAIL,
    password: str = "",
    keys: list[str] | None = None,
    calls_per_minute: float = 60.0,
    retry_after: str = "seconds",
    csrf_late_ms: int | None = None,
) -> SiteSettings:
    """Return the settings that options of a command ask for. Raises Misconfigured for what cannot be."""
    from tapeline_simulator.barchart.settings import SiteSettings

    if auth not in _AUTHENTICATIONS:
        raise Misconfigured(f"--auth must be one of {', '.join(_AUTHENTICATIONS)}, is {auth!r}")
    if retry_after not in _RETRY_AFTER:
        raise Misconfigured(f"--retry-after must be one of {', '.join(_RETRY_AFTER)}, is {retry_after!r}")
    if calls_per_minute < 1:
        raise Misconfigured(f"--calls-per-minute must be at least 1, is {calls_per_minute}")
    return SiteSettings(
        auth="a" if auth == "a" else "b",
        accounts={email: password or DEMO_PASSWORD},
        keys=frozenset(keys or [DEMO_KEY]),
        calls_per_minute=calls_per_minute,
        retry_after=retry_after,  # type: ignore[arg-type]  # checked above
        csrf_late_ms=csrf_late_ms,
    )


def site_document(addresses: SiteAddresses) -> dict[str, Any]:
    """Return what a report as JSON says of a site."""
    return {"barchart_url": addresses.url, "barchart_on_demand_url": addresses.on_demand_url}


def site_lines(addresses: SiteAddresses, delay_s: float) -> list[str]:
    """Return what a report as text says of a site: how the producer is told of it, and of its delay."""
    return [
        f"Barchart's site, simulated, at {addresses.url}. For the producer:",
        f"  export TAPELINE_BARCHART_SITE={addresses.url} TAPELINE_BARCHART_ON_DEMAND={addresses.on_demand_url}",
        f"  export TAPELINE_BARCHART_ENABLED=true TAPELINE_BARCHART_DELAY_S={delay_s:g}",
    ]


def _tell(addresses: SiteAddresses, email: str, delay_s: float, *, is_demo: bool, json: bool) -> None:
    if json:
        lines = [orjson.dumps({**site_document(addresses), "control_port": addresses.control_port}).decode()]
    else:
        password, key = (DEMO_PASSWORD, DEMO_KEY) if is_demo else ("<the --password>", "<the --key>")
        at = "" if addresses.control_port == _DEFAULT_CONTROL_PORT else f" --control-port {addresses.control_port}"
        lines = [
            *site_lines(addresses, delay_s),
            f"  export TAPELINE_BARCHART_EMAIL={email} TAPELINE_BARCHART_PASSWORD={password}",
            f"  export TAPELINE_BARCHART_ON_DEMAND_KEY={key}",
            f"Let something go wrong: tapeline simulate fault{at} session-expired. Ctrl-C ends this.",
        ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
