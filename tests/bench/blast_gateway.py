"""A gateway that costs its client nothing to wait for: MBO records made before, sent as fast as they are read.

``blast_gateway.py RECORDS`` prints its port and serves session after session, each with that many records. What the
simulator does beside the dialogue would be measured as well.
"""

from __future__ import annotations

import hashlib
import socket
import sys

import databento_dbn as dbn
import orjson

from tapeline.feed.dbn_records import MBO_RECORD
from tapeline_simulator.market import Market

START_NS = 1_790_000_000_000_000_000  # 2026-09-21T14:13:20Z, a Monday, the market is open
KEY = "db-bench0123456789abcdefghijklmno"
SYMBOLS = ("NQZ6", "NQH7", "NQM7")
BLOCK_RECORDS = 1_000_000
_PIECE_BYTES = 1 << 20


def block(records: int) -> memoryview:
    """Return records of the synthetic market, which begin with its snapshot."""
    market = Market(SYMBOLS, seed=1, records_per_s=50_000, start_ns=START_NS)
    parts, count = [market.snapshot().tobytes()], 0
    for batch in market.batches(START_NS + 10**15):
        parts.append(batch.tobytes())
        count += len(batch)
        if count >= records:
            break
    return memoryview(b"".join(parts))


def head() -> bytes:
    """Return the metadata and the symbol mappings of a session."""
    market = Market(SYMBOLS, seed=1, records_per_s=50_000, start_ns=START_NS)
    metadata = dbn.Metadata(
        dataset="GLBX.MDP3", start=START_NS, stype_in=None, stype_out=dbn.SType.INSTRUMENT_ID, schema=None, version=3
    )
    mappings = [
        bytes(dbn.SymbolMappingMsg(1, number, START_NS, dbn.SType.PARENT, "NQ.FUT", dbn.SType.RAW_SYMBOL, symbol, 0, 0))
        for symbol, number in zip(SYMBOLS, market.instrument_ids, strict=True)
    ]
    return bytes(metadata) + b"".join(mappings)


def serve(connection: socket.socket, records: memoryview, total: int) -> None:
    """Authenticate, wait for the session's start, send `total` records, close."""
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"lsg_version=0.9.4\ncram=bench\n")
        answer = hashlib.sha256(f"bench|{KEY}".encode()).hexdigest()
        if not lines.readline().startswith(f"auth={answer}-{KEY[-5:]}|".encode()):
            connection.sendall(b"success=0|error=Authentication failed\n")
            return
        connection.sendall(b"success=1|session_id=1\n")
        while not lines.readline().startswith(b"start_session"):
            pass
        connection.sendall(head())
        left = total * MBO_RECORD.itemsize
        while left:
            for begin in range(0, min(left, len(records)), _PIECE_BYTES):
                connection.sendall(records[begin : min(begin + _PIECE_BYTES, left, len(records))])
            left -= min(left, len(records))


def main() -> None:
    """Serve until the process is ended."""
    records = block(BLOCK_RECORDS)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(orjson.dumps({"port": listening.getsockname()[1]}).decode() + "\n")
        sys.stdout.flush()
        while True:
            connection, _ = listening.accept()
            serve(connection, records, int(sys.argv[1]))


if __name__ == "__main__":
    main()
