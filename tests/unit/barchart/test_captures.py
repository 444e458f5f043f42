"""Captures are redacted, readable by their owner alone, and bounded; the oldest go first."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from tapeline_barchart.captures import Captures, Evidence
from tapeline_barchart.redaction import REDACTED, Redaction

AT_NS = 1_749_558_519_123_456_789
AT = "20250610T122839.123456789Z"
REDACTION = Redaction(["trader@example.com"])
PNG = b"\x89PNG picture"
EVIDENCE = Evidence(
    reason="Login refused!",
    error='fill("trader@example.com") timed out',
    url="https://example.com/login?_token=SEKRET",
    status=200,
    headers={"content-type": "text/html", "set-cookie": "laravel_session=SEKRET"},
    title="Log in, trader@example.com",
    html='<input name="_token" value="SEKRET"><p>trader@example.com</p>',
    screenshot=PNG,
)


def captures(folder: Path, *, most_captures: int = 10, most_bytes: int = 1_000_000) -> Captures:
    return Captures(folder / "captures", most_captures=most_captures, most_bytes=most_bytes)


def held(kept: Captures) -> list[str]:
    return sorted(path.name for path in kept.folder.iterdir())


def test_a_capture_says_all_but_secrets(tmp_path: Path) -> None:
    kept = captures(tmp_path)
    names = kept.save(EVIDENCE, REDACTION, AT_NS)
    assert names == tuple(f"{AT}-login-refused/{name}" for name in ("page.png", "page.html", "response.json"))
    picture, page, response = ((kept.folder / name).read_bytes() for name in names)
    assert picture == PNG
    assert page.decode() == f'<input name="_token" value=""><p>{REDACTED}</p>'
    assert json.loads(response) == {
        "reason": "Login refused!",
        "at": str(AT_NS),
        "url": f"https://example.com/login?_token={REDACTED}",
        "status": 200,
        "headers": {"content-type": "text/html", "set-cookie": REDACTED},
        "title": f"Log in, {REDACTED}",
        "error": f'fill("{REDACTED}") timed out',
    }


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    kept = captures(tmp_path)
    kept.save(EVIDENCE, REDACTION, AT_NS)
    paths = [kept.folder, *kept.folder.rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()} == {0o600}


def test_the_oldest_go_beyond_the_number(tmp_path: Path) -> None:
    kept = captures(tmp_path, most_captures=2)
    for second in range(4):
        kept.save(EVIDENCE, REDACTION, AT_NS + second * 10**9)
    assert held(kept) == [f"20250610T1228{second}.123456789Z-login-refused" for second in (41, 42)]


def test_the_oldest_go_beyond_the_bytes(tmp_path: Path) -> None:
    kept = captures(tmp_path, most_bytes=10_000)
    big = Evidence(reason="big", html="x" * 4_000)
    for second in range(4):
        kept.save(big, REDACTION, AT_NS + second * 10**9)
        assert sum(file.stat().st_size for file in kept.folder.rglob("*.*") if file.is_file()) <= 10_000
    assert held(kept) == [f"20250610T1228{second}.123456789Z-big" for second in (41, 42)]


def test_what_alone_is_too_large_is_left_out_largest_first(tmp_path: Path) -> None:
    kept = captures(tmp_path, most_bytes=5_000)
    names = kept.save(Evidence(reason="big", html="x" * 1_000, screenshot=b"y" * 6_000), REDACTION, AT_NS)
    assert [Path(name).name for name in names] == ["page.html", "response.json"]


def test_two_at_one_moment_are_two(tmp_path: Path) -> None:
    kept = captures(tmp_path)
    first, second = (kept.save(EVIDENCE, REDACTION, AT_NS) for _ in range(2))
    assert not set(first) & set(second)
    assert len(held(kept)) == 2


def test_what_a_killed_process_left_goes_too(tmp_path: Path) -> None:
    kept = captures(tmp_path, most_captures=1)
    (kept.folder / "20200101T000000.000000000Z-half").mkdir(parents=True)
    kept.save(EVIDENCE, REDACTION, AT_NS)
    assert held(kept) == [f"{AT}-login-refused"]


def test_no_captures_where_none_are_wanted(tmp_path: Path) -> None:
    kept = captures(tmp_path, most_captures=0)
    assert kept.save(EVIDENCE, REDACTION, AT_NS) == ()
    assert not kept.folder.exists()


def test_a_disk_that_takes_nothing_hides_no_failure(tmp_path: Path) -> None:
    (tmp_path / "captures").write_text("not a folder")
    assert captures(tmp_path).save(EVIDENCE, REDACTION, AT_NS) == ()
