"""What the gateway says, and what it means for the session."""

from __future__ import annotations

import databento_dbn as dbn
import numpy as np
import pytest

from tapeline.errors import Misconfigured, Refused
from tapeline.feed.dbn_records import Array, layouts
from tapeline_databento.errors import GatewayError, KeyRefused, ReplayAgedOut
from tapeline_databento.messages import Fault, Message, Notice, ending, error_messages, schema_in, system_messages
from tapeline_databento.subscriptions import KINDS


def records(rtype: int, *messages: object, version: int = 3) -> Array:
    data = b"".join(bytes(message) for message in messages)  # type: ignore[call-overload]
    return np.frombuffer(data, dtype=layouts(version, ts_out=False)[rtype].record)


def test_codes_are_the_vendors() -> None:
    for notice in Notice:
        assert dbn.SystemCode(notice.value)
    assert dbn.SystemCode.REPLAY_COMPLETED.value == Notice.REPLAY_COMPLETED
    assert dbn.SystemCode.SLOW_READER_WARNING.value == Notice.SLOW_READER_WARNING
    names = {
        "AUTH_FAILED": Fault.AUTHENTICATION_FAILED,
        "API_KEY_DEACTIVATED": Fault.KEY_DEACTIVATED,
        "CONNECTION_LIMIT_EXCEEDED": Fault.CONNECTION_LIMIT_EXCEEDED,
        "SYMBOL_RESOLUTION_FAILED": Fault.SYMBOL_RESOLUTION_FAILED,
        "INVALID_SUBSCRIPTION": Fault.INVALID_SUBSCRIPTION,
        "INTERNAL_ERROR": Fault.INTERNAL_ERROR,
        "SKIPPED_RECORDS_AFTER_SLOW_READING": Fault.SKIPPED_RECORDS,
        "REPLAY_DATA_AGED_OUT": Fault.REPLAY_DATA_AGED_OUT,
    }
    assert {name: getattr(dbn.ErrorCode, name).value for name in names} == names


def test_messages_are_read_whole() -> None:
    system = dbn.SystemMsg(5, "Finished mbo replay", code=dbn.SystemCode.REPLAY_COMPLETED)
    assert system_messages(records(0x17, system, system)) == [Message(3, "Finished mbo replay", 5)] * 2
    error = dbn.ErrorMsg(6, "Internal error", code=dbn.ErrorCode.INTERNAL_ERROR)
    assert error_messages(records(0x15, error)) == [Message(6, "Internal error", 6)]


def test_the_first_version_knows_a_heartbeat_by_its_text() -> None:
    old = records(0x17, dbn.SystemMsgV1(5, "Heartbeat"), dbn.SystemMsgV1(6, "Hello"), version=1)
    assert [message.code for message in system_messages(old)] == [Notice.HEARTBEAT, 255]
    assert [message.code for message in error_messages(records(0x15, dbn.ErrorMsgV1(5, "x"), version=1))] == [255]


@pytest.mark.parametrize(
    ("code", "end"),
    [
        (Fault.AUTHENTICATION_FAILED, KeyRefused),
        (Fault.KEY_DEACTIVATED, KeyRefused),
        (Fault.CONNECTION_LIMIT_EXCEEDED, GatewayError),
        (Fault.INVALID_SUBSCRIPTION, Refused),
        (Fault.INTERNAL_ERROR, GatewayError),
        (Fault.REPLAY_DATA_AGED_OUT, ReplayAgedOut),
        (255, GatewayError),
        (99, GatewayError),
    ],
)
def test_an_error_ends_the_session_as_a_retry_may_mend_it_or_not(code: int, end: type[Exception]) -> None:
    error = ending(Message(code, "said so", 0), "orders")
    assert type(error) is end
    assert "orders: the gateway says: said so" in str(error)
    assert isinstance(error, Misconfigured) == issubclass(end, Refused)


@pytest.mark.parametrize("code", [Fault.SYMBOL_RESOLUTION_FAILED, Fault.SKIPPED_RECORDS])
def test_some_errors_do_not_end_it(code: Fault) -> None:
    assert ending(Message(code, "said so", 0), "quotes") is None


def test_a_schema_is_found_in_a_text() -> None:
    for schema in KINDS:
        assert schema_in(f"Finished {schema} replay") == schema
    assert schema_in("Slow client detected for mbp-1, 17 records skipped") == "mbp-1"
    assert schema_in("Finished mbp-10 replay") is None
    assert schema_in("Finished") is None
