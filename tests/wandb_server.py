"""As much of wandb's server as takes a run: its metadata, its history by lines, its summary."""

import gzip
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HISTORY, SUMMARY, EVENTS = "wandb-history.jsonl", "wandb-summary.json", "wandb-events.jsonl"
ENTITY = {"id": "entity", "name": "me"}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.upserts: dict[str, list[dict[str, Any]]] = defaultdict(list)  # by a run's id
        self.files: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self.exit_codes: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def history(self, run: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files[run][HISTORY]]

    def summary(self, run: str) -> dict[str, Any]:
        return json.loads(self.files[run][SUMMARY][-1])

    def stored(self, run: str) -> dict[str, Any] | None:
        """What a client is told that would go on with this run."""
        if run not in self.upserts:
            return None
        files, upserts = self.files[run], self.upserts[run]
        return {
            **{
                "id": f"storage-{run}",
                "name": run,
                "displayName": upserts[-1].get("displayName"),
                "tags": [],
                "notes": None,
            },
            **{"logLineCount": 0, "historyLineCount": len(files[HISTORY]), "eventsLineCount": len(files[EVENTS])},
            **{"historyTail": json.dumps(files[HISTORY][-1:]), "eventsTail": json.dumps(files[EVENTS][-1:])},
            "summaryMetrics": (files[SUMMARY] or ["{}"])[-1],
            "config": next((upsert["config"] for upsert in reversed(upserts) if upsert.get("config")), "{}"),
            "wandbConfig": json.dumps({"t": 1}),
        }

    def answer(self, operation: str, query: str, given: dict[str, Any]) -> dict[str, Any]:
        if operation == "UpsertBucket":
            run = given["name"]
            self.upserts[run].append(given)
            project = {"id": "project", "name": given.get("project"), "entity": ENTITY}
            bucket = {"id": f"storage-{run}", "name": run, "displayName": given.get("displayName"), "project": project}
            bucket |= {
                "description": "",
                "config": "{}",
                "sweepName": None,
                "historyLineCount": len(self.files[run][HISTORY]),
            }
            return {"upsertBucket": {"bucket": bucket, "inserted": len(self.upserts[run]) == 1}}
        if operation == "RunResumeStatus":
            return {"model": {"id": "project", "name": "", "entity": ENTITY, "bucket": self.stored(given["name"])}}
        if operation == "CreateRunFiles":
            files = [{"name": name, "uploadUrl": f"{self.url}/upload/{name}"} for name in given["files"]]
            return {"createRunFiles": {"runID": given.get("run"), "uploadHeaders": [], "files": files}}
        if "viewer" in query:
            viewer = {
                "id": "user",
                "entity": "me",
                "username": "me",
                "email": "",
                "flags": "{}",
                "teams": {"edges": []},
            }
            return {"viewer": viewer}
        return {}


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *unused: object) -> None: ...

    def say(self, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content

    def do_GET(self) -> None:
        self.say({})

    def do_PUT(self) -> None:
        self.body()
        self.say({})

    def do_POST(self) -> None:
        content = self.body()
        if self.path == "/graphql":
            asked = json.loads(content)
            found = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])
            operation = found[1] if found else ""
            self.say({"data": self.server.answer(operation, asked["query"], asked.get("variables") or {})})
        elif found := re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path):
            sent = json.loads(content)
            for name, part in (sent.get("files") or {}).items():
                start, lines = part["offset"], part["content"]
                self.server.files[found[1]][name][start : start + len(lines)] = lines
            if sent.get("complete"):
                self.server.exit_codes[found[1]] = sent.get("exitcode") or 0
            self.say({"exitcode": None, "limits": {}})
        else:
            self.say({})


@contextmanager
def wandb_server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
