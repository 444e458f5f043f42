"""Certificates for loopback: made once, used again while they are good, and made anew where they are not."""

from __future__ import annotations

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tapeline.errors import Misconfigured
from tapeline_simulator.databento.certificates import RENEW_BEFORE_DAYS, VALID_DAYS, Certificates, loopback_certificates

NOW = datetime(2026, 9, 21, tzinfo=UTC)


def both(certificates: Certificates) -> tuple[bytes, bytes]:
    return certificates.authority.read_bytes(), certificates.server.read_bytes()


def test_good_certificates_are_used_again(tmp_path: Path) -> None:
    made = both(loopback_certificates(tmp_path, NOW))
    last_moment = NOW + timedelta(days=VALID_DAYS - RENEW_BEFORE_DAYS)
    assert both(loopback_certificates(tmp_path, last_moment)) == made


@pytest.mark.parametrize(
    "moment",
    [NOW + timedelta(days=VALID_DAYS - RENEW_BEFORE_DAYS, seconds=1), NOW - timedelta(days=1)],
    ids=["soon over", "not yet valid"],
)
def test_certificates_that_are_not_valid_long_enough_are_made_anew(tmp_path: Path, moment: datetime) -> None:
    authority, server = both(loopback_certificates(tmp_path, NOW))
    new = both(loopback_certificates(tmp_path, moment))
    assert new[0] != authority
    assert new[1] != server


def cut(certificates: Certificates, other: Certificates) -> None:
    certificates.server.write_bytes(certificates.server.read_bytes()[:-100])


def lose_the_authority(certificates: Certificates, other: Certificates) -> None:
    certificates.authority.unlink()


def take_the_authority_of_another(certificates: Certificates, other: Certificates) -> None:
    certificates.authority.write_bytes(other.authority.read_bytes())


def take_the_key_of_another(certificates: Certificates, other: Certificates) -> None:
    end = b"-----END PRIVATE KEY-----\n"
    key = other.server.read_bytes().partition(end)[0]
    certificates.server.write_bytes(key + end + certificates.server.read_bytes().partition(end)[2])


def open_the_key_to_all(certificates: Certificates, other: Certificates) -> None:
    certificates.server.chmod(0o644)


@pytest.mark.parametrize(
    "spoil",
    [cut, lose_the_authority, take_the_authority_of_another, take_the_key_of_another, open_the_key_to_all],
)
def test_what_is_not_whole_is_made_anew(tmp_path: Path, spoil: Callable[[Certificates, Certificates], None]) -> None:
    certificates = loopback_certificates(tmp_path / "a", NOW)
    spoil(certificates, loopback_certificates(tmp_path / "b", NOW))
    spoilt = certificates.server.read_bytes()
    loopback_certificates(tmp_path / "a", NOW)
    assert certificates.server.read_bytes() != spoilt
    certificates.server_context()
    authority, server = (x509.load_pem_x509_certificate(pem) for pem in both(certificates))
    server.verify_directly_issued_by(authority)


def test_only_the_owner_reads_the_key_and_nobody_has_the_authoritys(tmp_path: Path) -> None:
    certificates = loopback_certificates(tmp_path, NOW)
    assert stat.S_IMODE(certificates.server.stat().st_mode) == 0o600
    assert stat.S_IMODE(certificates.authority.stat().st_mode) == 0o644
    assert b"PRIVATE" not in certificates.authority.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"ca.pem", "server.pem", "lock"}


def test_those_who_need_them_at_the_same_time_make_them_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = {both(each) for each in threads.map(lambda _: loopback_certificates(tmp_path, NOW), range(8))}
    assert len(made) == 1


def test_a_folder_that_cannot_be_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="certificates cannot be kept there"):
        loopback_certificates(tmp_path / "file" / "tls", NOW)
