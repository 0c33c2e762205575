"""Responses from an OpenAI-compatible server: asked in threads, tried again where that helps, counted where not."""

import email.utils
import json
import math
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2

from conf.errors import UserError
from conf.schema import Targets
from data.responses import Row
from models.seeds import stream
from rewards.extraction import END_THINK, THINK

KEY = "OPENAI_API_KEY"
LIST_SECONDS = 30.0  # for the server's list of models, and for a connection
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between tries, doubled every time
LONGEST_TOLD = 3600.0  # seconds of Retry-After that are honoured
BODY_BYTES = 64 * 2**20  # a longer answer is no answer
WAITING = 4096  # answers that may wait for their verdict before no more is asked
EXCERPT = 300  # characters of a server's own words that are kept

_AGAIN = (408, 425, 429)  # and every 5xx
_KINDS = {429: "rate_limited", 408: "timeout", **dict.fromkeys((401, 403, 404), "denied")}


class Task(NamedTuple):
    """One response to sample."""

    prompt: str
    sample: int
    seed: int
    ids: Sequence[int] = ()  # of the prompt as compiled, for the base


@dataclass(frozen=True)
class Server:
    """How to ask, settled once and the same for every request."""

    client: httpx2.Client
    given: Targets
    models: list[str]  # as the server lists them; empty where it does not
    fields: dict[str, Any]  # of every request, beside its messages and its seed


class Failed(Exception):
    """A try that gave no response. `again`: another may; `wait`: seconds that the server asked for."""

    def __init__(self, kind: str, detail: str = "", again: bool = False, wait: float | None = None) -> None:
        super().__init__(kind)
        self.kind, self.detail, self.again, self.wait = kind, detail, again, wait
        self.usage: dict[str, int | None] = {"prompt_tokens": None, "completion_tokens": None}


def connect(given: Targets) -> Server:
    """The server at `targets.base_url`; UserError where none answers, the key is refused, or the model is not there."""
    _check_url(given.base_url)
    client = httpx2.Client(
        headers=_authorization(),
        timeout=httpx2.Timeout(given.timeout, connect=min(LIST_SECONDS, given.timeout)),
        limits=httpx2.Limits(max_connections=given.concurrency, max_keepalive_connections=given.concurrency),
        trust_env=urlsplit(given.base_url).hostname not in ("localhost", "127.0.0.1", "::1"),  # no proxy to oneself
    )
    listed = _listed(client, given)
    if listed and given.model not in listed:
        raise _no_model(given, listed, "the server does not list this model")
    fields = {
        "model": given.model,
        "max_tokens": given.max_new_tokens,
        "temperature": given.temperature,
        "top_p": given.top_p,
        "chat_template_kwargs": {"enable_thinking": given.thinking},
    }
    return Server(client, given, listed, fields)


def ask_all(server: Server, tasks: Iterator[Task], keep: Callable[[list[Row]], None]) -> Iterator[list[Row]]:
    """Rows as they come, each already kept; `targets.concurrency` requests are under way at a time.

    The first is asked alone: it shows what the server refuses before anything is spent.
    """
    stop = threading.Event()
    first = next(tasks, None)
    if first is None:
        return
    server, row = _first(server, first, stop)
    keep([row])
    yield [row]

    def work(task: Task) -> Row:
        row = ask(server, task, stop)
        keep([row])
        return row

    yield from _in_threads(tasks, work, server.given.concurrency, stop)


def ask(server: Server, task: Task, stop: threading.Event) -> Row:
    """One response, or the failure that the last try ended in."""
    row: Row = {"prompt": task.prompt, "sample": task.sample, "response": None, "finish_reason": "", "failure": None}
    for attempt in count(1):
        try:
            return row | _answer(server, task) | {"attempts": attempt}
        except Failed as failed:
            over = not failed.again or attempt > server.given.retries
            if over or stop.wait(pause(attempt, failed.wait, stream(server.given.seed, "pause", *task, attempt))):
                return row | failed.usage | {"failure": failed.kind, "detail": failed.detail, "attempts": attempt}
    raise AssertionError("unreachable")


def pause(attempt: int, told: float | None, seed: int) -> float:
    """Seconds before the next try: what the server told or a little more, else doubled every time, half to one and a
    half of it, so that requests refused together do not come back together."""
    share = random.Random(seed).random()
    if told is not None:
        return min(told, LONGEST_TOLD) * (1 + share / 10)
    return min(FIRST_PAUSE * 2.0 ** (attempt - 1), LONGEST_PAUSE) * (0.5 + share)


def retry_after(header: str | None, now: float) -> float | None:
    """Seconds in a Retry-After header, which holds a number or a date; None where it holds neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - now
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def whole(content: str | None, reasoning: str | None, thinking: bool) -> str:
    """The response as the model wrote it: its thought, which servers may hand over apart, and its answer.

    A thought without an answer was cut, and stays open. Where the prompt's template had opened the thought, the opening
    is put back. Without `thinking` the content alone.
    """
    content = content or ""
    if not thinking:
        return content
    if reasoning:
        return THINK + reasoning + (END_THINK + content if content else "")
    return THINK + "\n" + content if END_THINK in content and THINK not in content else content


# --- one request ------------------------------------------------------------------------------------------------------


def _answer(server: Server, task: Task) -> Row:
    """response, finish_reason, prompt_tokens, completion_tokens; Failed where there is no response in the answer."""
    request = server.fields | {"messages": [{"role": "user", "content": task.prompt}], "seed": task.seed}
    status, header, body = _post(server, request)
    if status != 200:
        again = status in _AGAIN or status >= 500
        kind = _KINDS.get(status, "server_error" if again else "refused")
        raise Failed(kind, f"{status}: {_excerpt(body)}", again, retry_after(header, time.time()))
    return _parsed(body, server.given.thinking)


def _post(server: Server, request: dict[str, Any]) -> tuple[int, str | None, bytes]:
    """(status, Retry-After, body) within `targets.timeout` seconds."""
    deadline, answering = time.monotonic() + server.given.timeout, False
    try:
        with server.client.stream("POST", _url(server.given, "chat/completions"), json=request) as response:
            answering = True
            return response.status_code, response.headers.get("retry-after"), _body(response, deadline)
    except httpx2.TimeoutException as error:
        raise Failed("timeout", _words(error), again=True) from error
    except httpx2.TransportError as error:  # cut in the middle of an answer: the tokens are spent, asking again doubles
        raise Failed("closed" if answering else "unreachable", _words(error), again=not answering) from error
    except httpx2.DecodingError as error:
        raise Failed("not_json", _words(error)) from error


def _body(response: httpx2.Response, deadline: float) -> bytes:
    """The whole body; a server that trickles it is held to the deadline too."""
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > BODY_BYTES:
            raise Failed("too_large", f"more than {BODY_BYTES} bytes")
        if time.monotonic() > deadline:
            raise Failed("timeout", "the answer had begun", again=True)
    return bytes(body)


def _parsed(body: bytes, thinking: bool) -> Row:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise Failed("not_json", _excerpt(body)) from None
    try:
        return _told(answer, thinking) | _usage(answer)
    except Failed as failed:
        failed.usage, failed.detail = _usage(answer), _excerpt(body)
        raise


def _told(answer: Any, thinking: bool) -> Row:
    """The text of the first choice."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if choices == []:
        raise Failed("empty")
    choice = choices[0] if isinstance(choices, list) else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not (isinstance(choice, dict) and isinstance(message, dict)):
        raise Failed("malformed")
    content, reasoning = message.get("content"), message.get("reasoning_content") or message.get("reasoning")
    if not all(isinstance(text, str | None) for text in (content, reasoning)):
        raise Failed("malformed")
    text = _unicode(whole(content, reasoning, thinking))
    finish = choice.get("finish_reason")
    if finish in ("abort", "error"):
        raise Failed("aborted")
    if not text:
        raise Failed("empty")
    return {"response": text, "finish_reason": finish if isinstance(finish, str) else ""}


def _usage(answer: Any) -> dict[str, int | None]:
    """Tokens as the server counted them; None where it told nothing that can be a count."""
    usage = answer.get("usage") if isinstance(answer, dict) else None
    told = usage if isinstance(usage, dict) else {}
    values = {name: told.get(name) for name in ("prompt_tokens", "completion_tokens")}
    return {name: value if type(value) is int and 0 <= value < 2**31 else None for name, value in values.items()}


def _unicode(text: str) -> str:
    """Without halves of characters, which JSON can spell and no file can hold."""
    return text.encode("utf-8", "replace").decode()


def _excerpt(body: bytes) -> str:
    return _shown(body[: 4 * EXCERPT].decode("utf-8", "replace"))


def _words(error: Exception) -> str:
    return _shown(str(error) or type(error).__name__)


def _shown(text: str) -> str:
    """The beginning of a server's words, without the key and without what a terminal would act on."""
    key = os.environ.get(KEY, "").strip()
    text = text.replace(key, "***") if key else text
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:EXCERPT]


# --- the first request, and many --------------------------------------------------------------------------------------


def _first(server: Server, task: Task, stop: threading.Event) -> tuple[Server, Row]:
    """The first row, and the server as it wants to be asked; UserError where it refuses the key or the model."""
    while True:
        row = ask(server, task, stop)
        status = row["detail"][:3] if row["failure"] in ("denied", "refused") else ""
        if status in ("401", "403"):
            raise _refused_key(server.given, row["detail"])
        if status == "404":
            raise _no_model(server.given, server.models, f"the server answers {row['detail']}")
        fields = _accepted(server.fields, row["detail"]) if status in ("400", "422") else server.fields
        if fields == server.fields:
            return server, row
        server = replace(server, fields=fields)


def _accepted(fields: dict[str, Any], complaint: str) -> dict[str, Any]:
    """The fields without what a server that knows no chat templates, or only newer names, complains about."""
    fields = dict(fields)
    if "chat_template_kwargs" in complaint:
        fields.pop("chat_template_kwargs", None)
    if "max_completion_tokens" in complaint and "max_tokens" in fields:
        fields["max_completion_tokens"] = fields.pop("max_tokens")
    return fields


def _in_threads(
    tasks: Iterator[Task], work: Callable[[Task], Row], threads: int, stop: threading.Event
) -> Iterator[list[Row]]:
    """Results as they come, those that have come together in one list. The threads end with this process."""
    results: queue.Queue[Row | OSError | None] = queue.Queue(WAITING)
    lock = threading.Lock()

    def take() -> Task | None:
        with lock:
            return None if stop.is_set() else next(tasks, None)

    def run() -> None:
        try:
            for task in iter(take, None):
                results.put(work(task))
        except OSError as error:  # of the disk; those of the network are counted
            results.put(error)
        finally:
            results.put(None)

    for _ in range(threads):
        threading.Thread(target=run, daemon=True).start()
    running = threads
    try:
        while running:
            come = [results.get(), *_waiting(results)]
            for error in come:
                if isinstance(error, OSError):
                    raise error
            running -= come.count(None)
            yield [row for row in come if isinstance(row, dict)]
    finally:
        stop.set()
    if next(tasks, None) is not None:
        raise RuntimeError("every thread that asks has died; the log says of what")


def _waiting(results: "queue.Queue[Any]") -> Iterator[Any]:
    for _ in range(results.qsize()):
        yield results.get()


# --- what a user can get wrong ----------------------------------------------------------------------------------------


def _url(given: Targets, path: str) -> str:
    return f"{given.base_url.rstrip('/')}/{path}"


def _check_url(url: str) -> None:
    try:
        parts, valid = urlsplit(url), bool(httpx2.URL(url).host)
    except (httpx2.InvalidURL, ValueError):
        valid = False
    if not valid or parts.scheme not in ("http", "https"):
        why = "it is no address of a server"
        raise UserError(f"targets.base_url={url}", why, "write http://HOST:PORT/v1, or https://")
    if parts.username or parts.password:
        shown = f"targets.base_url={parts.scheme}://...@{parts.hostname}"
        raise UserError(shown, "a password in it would be written into the run folder", f"put the key into {KEY}")


def _authorization() -> dict[str, str]:
    key = os.environ.get(KEY, "").strip()
    if not key:
        return {}
    if not (key.isascii() and key.isprintable()):
        raise UserError(f"the environment variable {KEY}", "it holds what no header can", "set it to the server's key")
    return {"Authorization": f"Bearer {key}"}


def _listed(client: httpx2.Client, given: Targets) -> list[str]:
    """The names of the models that the server lists; none where it keeps no such list."""
    try:
        answer = client.get(_url(given, "models"), timeout=LIST_SECONDS)
        if answer.status_code in (401, 403):
            raise _refused_key(given, f"{answer.status_code}: {_excerpt(answer.content)}")
        return [entry["id"] for entry in answer.json()["data"] if isinstance(entry["id"], str)]
    except (httpx2.ConnectError, httpx2.TimeoutException) as error:
        raise UserError(
            f"targets.base_url={given.base_url}",
            f"the server there cannot be reached: {_words(error)}",
            "start it (`vllm serve MODEL`), or set targets.base_url; targets.backend=transformers needs no server",
        ) from None
    except (httpx2.RequestError, ValueError, LookupError, TypeError, RecursionError):
        return []


def _refused_key(given: Targets, said: str) -> UserError:
    state = f"the key in {KEY}" if os.environ.get(KEY, "").strip() else f"no key: {KEY} is not set"
    return UserError(
        f"targets.base_url={given.base_url} with {state}",
        f"the server refuses it ({said})",
        f"set {KEY} in the environment to a key of this server",
    )


def _no_model(given: Targets, listed: list[str], why: str) -> UserError:
    names = f"targets.model to one of: {', '.join(listed[:20])}" if listed else "targets.model to a name it serves"
    return UserError(
        f"targets.model={given.model} at targets.base_url={given.base_url}",
        why,
        f"set {names}; targets.base_url mostly ends in /v1",
    )
