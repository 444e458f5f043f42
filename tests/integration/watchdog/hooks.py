"""A real web server that takes webhooks, and answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Answer = int | Literal["hang"]


class Hooks:
    """The server in a `with` block, on loopback. `answers` are for the next requests; after them all are taken.

    `calls` are the bodies that came, with the path of each.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: deque[Answer] = deque()
        self.is_over = threading.Event()
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hooks.headers.append(dict(self.headers))
                hooks.calls.append((self.path, body))
                answer = hooks.answers.popleft() if hooks.answers else 200
                if answer == "hang":
                    hooks.is_over.wait(60)
                    return
                self.send_response(answer)
                if answer == 302:
                    self.send_header("Location", f"{hooks.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815 (what http.server calls)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Hooks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def events(self) -> list[str]:
        """Return what was told to those who take generic JSON."""
        return [body["event"] for _, body in self.calls if "event" in body]
