"""A small OpenAI-compatible server that answers the world's sums, and misbehaves in whichever way it is told."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from data import world

Behaviour = Callable[[dict[str, Any], int], str]  # (request, how often this prompt and seed were asked) -> what to do
USAGE = {"prompt_tokens": 7, "completion_tokens": 11}


@dataclass
class State:
    """What the server was asked, and how it behaves; both may be changed while it runs."""

    behave: Behaviour
    models: list[str] | None = field(default_factory=lambda: ["teacher"])
    key: str = ""
    seconds: float = 0.0  # before an answer
    url: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)  # (prompt, seed)
    answered: set[tuple[str, int]] = field(default_factory=set)  # wholly written to the socket
    bodies: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def most(self) -> int:
        """How often the request asked most often was asked."""
        return max(Counter(self.asked).values(), default=0)


@contextmanager
def serve(behave: Behaviour = lambda body, times: "right", **options: Any) -> Iterator[State]:
    """The server, on a free port, for as long as the block runs."""
    state = State(behave, **options)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.refused():
                return
            if state.models is None:
                send(self, 404, b"{}")
            else:
                send(self, 200, json.dumps({"data": [{"id": name} for name in state.models]}).encode())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.refused():
                return
            key = body["messages"][0]["content"], body["seed"]
            state.asked.append(key)
            state.bodies.append(body)
            state.times.append(time.monotonic())
            time.sleep(state.seconds)
            answer(self, body, state.behave(body, state.asked.count(key)))
            state.answered.add(key)

        def refused(self) -> bool:
            said = self.headers.get("Authorization", "")
            wrong = bool(state.key) and said != f"Bearer {state.key}"
            if wrong:
                send(self, 401, json.dumps({"error": f"no entry with {said!r}"}).encode())
            return wrong

        def log_message(self, *_: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that were killed
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def text(prompt: str, right: bool) -> str:
    """The world's written steps, or steps that end in another number."""
    steps = world.write_steps(prompt)
    return steps if right else steps.replace("\\boxed{", "\\boxed{9")


def chat(content: Any, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """The body of a good answer."""
    choice = {"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return {"model": "teacher", "choices": [choice], "usage": USAGE}


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def answer(handler: BaseHTTPRequestHandler, body: dict[str, Any], how: str) -> None:
    """Answer `body` in the way that `how` names; a number is a status, `429 2` one with Retry-After."""
    prompt = body["messages"][0]["content"]
    good = text(prompt, right=True)
    whole = json.dumps(chat(good)).encode()
    bodies: dict[str, Any] = {
        "right": chat(good),
        "wrong": chat(text(prompt, right=False)),
        "cut": chat(good, finish="length"),
        "no answer": chat("I would rather not."),
        "no usage": {key: value for key, value in chat(good).items() if key != "usage"},
        "mad usage": chat(good) | {"usage": {"prompt_tokens": -3, "completion_tokens": "many"}},
        "thought": chat(good, reasoning_content="\nhm\n"),
        "wrong json": {"hello": "world"},
        "a list": [1, 2],
        "no choices": chat(good) | {"choices": []},
        "empty choice": chat(""),
        "null": chat(None),
        "parts": chat([{"type": "text", "text": good}]),
        "no message": {"choices": [{"index": 0}]},
        "abort": chat(good[:4], finish="abort"),
        "half a character": chat("\ud83d " + good),
    }
    if how in bodies:
        send(handler, 200, json.dumps(bodies[how]).encode())
    elif how == "garbage":
        send(handler, 200, bytes(range(256)))
    elif how == "nested":
        send(handler, 200, b"[" * 200_000)
    elif how == "half json":
        send(handler, 200, whole[: len(whole) // 2])
    elif how == "not gzip":
        send(handler, 200, whole, Content_Encoding="gzip")
    elif how == "closes in the middle":
        send(handler, 200, whole[: len(whole) // 2], length=len(whole))
        handler.close_connection = True
    elif how == "closes at once":
        handler.close_connection = True
    elif how == "trickles":
        send(handler, 200, b"", length=1000)
        for _ in range(100):
            handler.wfile.write(b" ")
            time.sleep(0.05)
    elif how == "silent":
        time.sleep(5)
    else:
        status, _, told = how.partition(" ")
        headers = {"Retry_After": told} if told and not told.startswith("{") else {}
        send(handler, int(status), (told or "no").encode(), **headers)
