"""A small model hub over HTTP: it gives files, gates repositories, and takes uploads as huggingface_hub makes them."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_abcdefghijklmnopqrstuvwxyzabcdefgh"  # one that the hub knows
LARGE = (".safetensors",)
GATED = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted."}


class Hub(ThreadingHTTPServer):
    """`files`: repository -> path -> content; `gated`: repositories that nobody may read; `seen`: requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.gated: dict[str, int] = {}  # with which status
        self.objects: dict[str, bytes] = {}
        self.seen: list[tuple[str, str, str | None]] = []
        self.commits = 0
        self.known = TOKEN
        self.breaks = ""  # a part of the paths at which it answers 500

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running() -> Iterator[Hub]:
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        return

    def do_GET(self) -> None:
        self._answer(None)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    do_PUT = do_POST

    def _answer(self, body: bytes | None) -> None:
        path = self.path.partition("?")[0]
        self.server.seen.append((self.command, path, self.headers.get("Authorization")))
        if self.server.breaks and self.server.breaks in path:
            return self._say(500, {"error": "out of order"})
        for pattern, act in ROUTES:
            if found := re.fullmatch(pattern, path):
                return act(self, body or b"", *found.groups())
        return self._say(404, {"error": "no such page"})

    def _say(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _refused(self, repository: str) -> bool:
        if status := self.server.gated.get(repository):
            self._say(status, {"error": "gated"}, GATED)
        elif repository not in self.server.files:
            self._say(404, {"error": "not found"}, {"X-Error-Code": "RepoNotFound"})
        return bool(status) or repository not in self.server.files

    def _known(self) -> bool:
        known = self.headers.get("Authorization") == f"Bearer {self.server.known}"
        if not known:
            self._say(401, {"error": "Invalid credentials in Authorization header"})
        return known

    def _check(self, body: bytes, repository: str) -> None:
        if not self._refused(repository):
            self._say(200, {})

    def _give(self, body: bytes, repository: str, name: str) -> None:
        if self._refused(repository):
            return
        content = self.server.files[repository].get(name)
        if content is None:
            return self._say(404, {"error": "no file"}, {"X-Error-Code": "EntryNotFound"})
        etag = hashlib.sha1(content).hexdigest()
        return self._say(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": "c" * 40})

    def _validate(self, body: bytes) -> None:
        self._say(200, {"errors": [], "warnings": []})

    def _create(self, body: bytes) -> None:
        if not self._known():
            return
        asked = json.loads(body)
        repository = f"{asked['organization']}/{asked['name']}"
        self.server.files.setdefault(repository, {})
        self.server.private.setdefault(repository, bool(asked.get("private") or asked.get("visibility") == "private"))
        self._say(200, {"url": f"{self.server.url}/{repository}", "id": repository})

    def _preupload(self, body: bytes, repository: str) -> None:
        if not self._known() or self._refused(repository):
            return
        wanted = json.loads(body)["files"]
        modes = [
            {"path": one["path"], "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular"} for one in wanted
        ]
        self._say(200, {"files": [one | {"shouldIgnore": False, "oid": None} for one in modes]})

    def _batch(self, body: bytes, repository: str) -> None:
        objects = json.loads(body)["objects"]
        upload = [{"upload": {"href": f"{self.server.url}/objects/{one['oid']}", "header": {}}} for one in objects]
        given = [one | {"actions": action} for one, action in zip(objects, upload, strict=True)]
        self._say(200, {"transfer": "basic", "objects": given})

    def _put(self, body: bytes, oid: str) -> None:
        self.server.objects[oid] = body
        self._say(200 if hashlib.sha256(body).hexdigest() == oid else 400, {})

    def _commit(self, body: bytes, repository: str) -> None:
        if not self._known() or self._refused(repository):
            return
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.server.files[repository][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.server.files[repository][value["path"]] = self.server.objects[value["oid"]]
        self.server.commits += 1
        url = f"{self.server.url}/{repository}/commit/{'d' * 40}"
        self._say(200, {"commitUrl": url, "commitOid": "d" * 40, "success": True})


NAME = r"([\w.-]+/[\w.-]+)"
ROUTES: list[tuple[str, Any]] = [
    (r"/?", lambda self, body: self._say(200, b"hub")),
    (rf"/api/models/{NAME}/auth-check", Handler._check),
    (rf"/api/datasets/{NAME}/auth-check", Handler._check),
    (rf"/{NAME}/resolve/main/(.+)", Handler._give),
    (r"/api/validate-yaml", Handler._validate),
    (r"/api/repos/create", Handler._create),
    (rf"/api/models/{NAME}/preupload/main", Handler._preupload),
    (rf"/{NAME}\.git/info/lfs/objects/batch", Handler._batch),
    (r"/objects/(\w+)", Handler._put),
    (rf"/api/models/{NAME}/commit/main", Handler._commit),
]
