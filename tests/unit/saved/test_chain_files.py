"""Chain files: what they hold comes again as saved, and what is bad names file and line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.unit.feed.barchart.answers import FETCHED_AT
from tests.unit.saved.chains import ANSWER, live_chain, write_answer, write_lines

from tapeline.errors import Misconfigured
from tapeline.model.chain_codec import decode_chain, encode_chain
from tapeline_saved.chain_files import Fault, SavedChain, find_chain_files, read_chains
from tapeline_saved.chain_line import dead_letter
from tapeline_saved.settings import SavedSettings
from tapeline_saved.source import SavedSource
from tapeline_saved.watching import FolderWatch

NOW = FETCHED_AT + 10**15
CHICAGO = ZoneInfo("America/Chicago")


def read(path: Path) -> list[SavedChain | Fault]:
    return list(read_chains(path, published_at=NOW, zone=CHICAGO))


def test_a_captured_chain_differs_only_in_source_mode_and_publishing(tmp_path: Path) -> None:
    chains = [live_chain(0), live_chain(1)]
    found = read(write_lines(tmp_path, *chains))
    for one, chain in zip(found, chains, strict=True):
        assert isinstance(one, SavedChain)
        expected = replace(chain, source="saved", mode="saved", published_at=NOW, verdict=None, selection=None)
        assert one.value == encode_chain(expected)
        assert (one.key, one.fetched_at) == (chain.key, chain.fetched_at)


def test_a_bad_line_is_a_fault_and_the_others_are_read(tmp_path: Path) -> None:
    path = write_lines(tmp_path, live_chain(0), live_chain(1), live_chain(2))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"schema": "option-chain.v1"}\n' + lines[1] + lines[2][:-40])
    found = read(path)
    assert [isinstance(one, SavedChain) for one in found] == [True, False, True, False]
    bad, cut = (one for one in found if isinstance(one, Fault))
    assert (bad.line, bad.path, bad.value) == (2, path, b'{"schema": "option-chain.v1"}\n')
    assert (cut.line, cut.error.field) == (4, "line")


def test_an_answer_is_a_chain_of_the_time_in_its_name(tmp_path: Path) -> None:
    (found,) = read(write_answer(tmp_path))
    assert isinstance(found, SavedChain)
    chain = decode_chain(found.value)
    assert (chain.source, chain.vendor, chain.mode) == ("saved", "barchart", "saved")
    assert (chain.fetched_at, chain.published_at, chain.underlying_price) == (FETCHED_AT, NOW, None)
    assert chain.flags == ("series_from_code",)


@pytest.mark.parametrize(
    ("name", "content", "field"),
    [
        (ANSWER, b'{"count":2,"tot', "payload"),
        (ANSWER.replace("MC2", "MC3"), None, "data.Call[0].symbol"),
        ("prices_MC2M25.json", None, "timestamp"),
        ("20250610_MQ9M25_110000.json", None, "vendor_series"),
    ],
    ids=["half written", "wrong symbol inside", "no time", "unknown series"],
)
def test_a_bad_answer_is_a_fault_of_the_whole_file(
    tmp_path: Path, name: str, content: bytes | None, field: str
) -> None:
    path = write_answer(tmp_path, name=name)
    if content is not None:
        path.write_bytes(content)
    (found,) = read(path)
    assert isinstance(found, Fault)
    assert (found.line, found.error.field, found.value) == (0, field, path.read_bytes())


def test_a_dead_letter_says_which_file_and_what_is_wrong(tmp_path: Path) -> None:
    path = write_answer(tmp_path, name="prices_MC2M25.json")
    (fault,) = read(path)
    assert isinstance(fault, Fault)
    letter = dead_letter(fault)
    headers = {name: value.decode() for name, value in letter.headers}
    assert (letter.topic, letter.key, letter.value) == ("md.dead-letters.v1", path.name, path.read_bytes())
    assert headers.pop("error").startswith("timestamp: must tell when it was fetched")
    assert headers.pop("rule").startswith("must tell when it was fetched")
    assert headers == {
        "field": "timestamp",
        "origin_file": path.name,
        "origin_line": "0",
        "service": "tapeline-saved",
    }


def test_what_is_beside_chain_files_is_passed_over(tmp_path: Path) -> None:
    for name in ("a_metadata.json", "condition.json", "b.chains.ndjson.part", ".c.json", "d.dbn", "e.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "f.json").mkdir()
    first, second = write_lines(tmp_path, name="1.chains.ndjson"), write_answer(tmp_path)
    assert find_chain_files(tmp_path) == [first, second]
    assert find_chain_files(second) == [second]
    assert find_chain_files(tmp_path / "d.dbn") == []


def source(**settings: object) -> SavedSource:
    return SavedSource(SavedSettings.load({}, dotenv=Path("no.env"), overrides=settings))


def test_ticks_and_chains_have_lines_of_their_own(tmp_path: Path) -> None:
    def names(path: Path, **settings: object) -> list[str]:
        return [line.name for line in source(path=str(path), **settings).lines()]

    assert names(tmp_path, watch=True) == ["chains"]
    chains = write_answer(tmp_path)
    assert names(tmp_path) == names(chains) == ["chains"]
    dbn = tmp_path / "a.dbn"
    dbn.touch()
    assert names(tmp_path) == ["files", "chains"]
    assert names(dbn) == names(tmp_path / "absent.json") == ["files"]


def test_only_a_folder_can_be_watched(tmp_path: Path) -> None:
    for settings in ({"path": str(write_answer(tmp_path))}, {"path": str(tmp_path), "passes": 0}):
        with pytest.raises(Misconfigured, match="must be a folder to be watched"):
            source(**settings, watch=True)


def test_a_zone_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="America/Chicago"):
        source(path=str(tmp_path), captures_time_zone="Chicago")


class Watched:
    """A watched folder, looked into every second."""

    def __init__(self, folder: Path) -> None:
        self._watch = FolderWatch(folder, CHICAGO, settle_s=3.0)
        self._at_s = 0.0

    def look(self) -> list[SavedChain | Fault]:
        self._at_s += 1.0
        return self._watch.look(NOW, self._at_s)


def test_a_file_is_read_once_it_rests(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    path = write_answer(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    assert watched.look() == []
    path.write_bytes(whole)
    assert watched.look() == []
    (found,) = watched.look()
    assert isinstance(found, SavedChain)
    assert watched.look() == []


def test_what_stays_half_written_is_a_fault_in_the_end_and_only_once(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    path = write_answer(tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    looks = [watched.look() for _ in range(6)]
    assert [len(found) for found in looks] == [0, 0, 0, 1, 0, 0]
    assert isinstance(looks[3][0], Fault)
    write_answer(tmp_path)
    assert watched.look() == []
    assert [isinstance(one, SavedChain) for one in watched.look()] == [True]


def test_lines_are_taken_as_they_come_and_each_once(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    chains = [live_chain(minute) for minute in range(3)]
    lines = [encode_chain(chain) + b"\n" for chain in chains]
    path = tmp_path / "growing.chains.ndjson"
    taken = []
    for content in (lines[0] + lines[1][:50], lines[1][50:], lines[2]):
        with path.open("ab") as file:
            file.write(content)
        assert watched.look() == []
        taken.append([one.fetched_at for one in watched.look() if isinstance(one, SavedChain)])
        assert watched.look() == []
    assert taken == [[chains[0].fetched_at], [chains[1].fetched_at], [chains[2].fetched_at]]


def test_a_file_that_is_replaced_is_read_anew(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    write_lines(tmp_path, live_chain(0))
    watched.look()
    assert len(watched.look()) == 1
    other = write_lines(tmp_path, live_chain(1), live_chain(2), name="other.part")
    other.rename(tmp_path / "taken.chains.ndjson")
    watched.look()
    assert len(watched.look()) == 2


def test_a_file_that_is_gone_may_come_again(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    path = write_answer(tmp_path)
    watched.look()
    assert len(watched.look()) == 1
    path.unlink()
    watched.look()
    write_answer(tmp_path)
    watched.look()
    assert len(watched.look()) == 1
