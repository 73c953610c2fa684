"""A local stand-in for the Hugging Face Hub: create, commit (regular and LFS files), list, download.

    python -m tests.helpers.hub PORT

Keeps everything in memory, every commit of it, and knows just what huggingface_hub and datasets ask for when they push
and load back. Any token is welcome; every user is "me".
"""

import base64
import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs

import uvicorn
from fastapi import FastAPI, Request, Response

LFS_SUFFIXES = (".safetensors", ".bin", ".parquet", ".png")
KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}


class Repo:
    """The files of every commit, and the names that some commits have."""

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, bytes]] = {"0" * 40: {}}
        self.names: dict[str, str] = {"main": "0" * 40}

    def sha(self, revision: str = "main") -> str | None:
        """The commit of a branch, a tag, or a commit's own name."""
        sha = self.names.get(revision, revision)
        return sha if sha in self.commits else None

    def commit(self, revision: str, body: bytes, objects: dict[str, bytes]) -> str:
        """Add a commit to a branch."""
        files = dict(self.commits[self.names[revision]])
        for line in body.splitlines():
            if not line.strip():
                continue
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = objects[value["oid"]]
            elif entry["key"] == "deletedFile":
                files.pop(value["path"], None)
        sha = hashlib.sha1(f"{self.names[revision]}{len(self.commits)}".encode() + body).hexdigest()
        self.commits[sha] = files
        self.names[revision] = sha
        return sha


class Hub:
    """Repositories and large objects, and the answers about them."""

    def __init__(self, address: str):
        self.address = address
        self.repos: dict[tuple[str, str], Repo] = {}
        self.objects: dict[str, bytes] = {}

    def create(self, body: dict) -> Response:
        owner = body.get("organization") or "me"
        name = body["name"] if "/" in body["name"] else f"{owner}/{body['name']}"
        key = (body.get("type") or "model", name)
        known = key in self.repos
        self.repos.setdefault(key, Repo())
        answer = {"url": f"{self.address}/{name}", "name": name, "id": name}
        if known:
            answer["error"] = "You already created this repo"
        return Response(json.dumps(answer), 409 if known else 200, media_type="application/json")

    def files(self, kind: str, name: str, revision: str) -> tuple[str, dict[str, bytes]] | Response:
        """Commit and files of a revision, or the answer that there is none."""
        repo = self.repos.get((kind, name))
        if repo is None:
            return missing("RepoNotFound")
        sha = repo.sha(revision)
        return missing("RevisionNotFound") if sha is None else (sha, repo.commits[sha])


def entry(path: str, data: bytes) -> dict:
    """What is told of a file."""
    told = {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
    if path.endswith(LFS_SUFFIXES):
        told["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 100}
    return told


def listed(files: dict[str, bytes]) -> list[dict]:
    """What is told of all files and folders."""
    folders = {parent.as_posix() for path in files for parent in PurePosixPath(path).parents} - {"."}
    return [
        *({"type": "directory", "path": path, "oid": hashlib.sha1(path.encode()).hexdigest()} for path in folders),
        *(entry(path, data) for path, data in files.items()),
    ]


def missing(code: str) -> Response:
    return Response(json.dumps({"error": code}), 404, headers={"X-Error-Code": code}, media_type="application/json")


def application(address: str) -> FastAPI:
    """The server's routes."""
    app, hub = FastAPI(), Hub(address)

    @app.get("/api/whoami-v2")
    def whoami() -> dict:
        access = {"type": "access_token", "accessToken": {"role": "write"}}
        return {"type": "user", "name": "me", "orgs": [], "auth": access}

    @app.post("/api/validate-yaml")
    def validate() -> dict:
        return {"errors": [], "warnings": []}

    @app.post("/api/repos/create")
    async def create(request: Request) -> Response:
        return hub.create(await request.json())

    @app.post("/api/{kind}/{owner}/{name}/preupload/{revision}")
    async def preupload(kind: str, owner: str, name: str, revision: str, request: Request) -> dict:
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular",
                "shouldIgnore": False,
            }
            for file in (await request.json())["files"]
        ]
        return {"files": modes, "commitOid": hub.repos[(KINDS[kind], f"{owner}/{name}")].sha(revision)}

    async def batch(request: Request) -> Response:
        objects = []
        for wanted in (await request.json())["objects"]:
            answer = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in hub.objects:
                answer["actions"] = {"upload": {"href": f"{address}/objects/{wanted['oid']}", "header": {}}}
            objects.append(answer)
        body = json.dumps({"transfer": "basic", "objects": objects})
        return Response(body, media_type="application/vnd.git-lfs+json")

    app.post("/{owner}/{name}.git/info/lfs/objects/batch")(batch)
    app.post("/{kind}/{owner}/{name}.git/info/lfs/objects/batch")(batch)

    @app.put("/objects/{oid}")
    async def upload(oid: str, request: Request) -> Response:
        data = await request.body()
        if hashlib.sha256(data).hexdigest() != oid:
            return Response(status_code=400)
        hub.objects[oid] = data
        return Response()

    @app.post("/api/{kind}/{owner}/{name}/commit/{revision}")
    async def commit(kind: str, owner: str, name: str, revision: str, request: Request) -> dict:
        sha = hub.repos[(KINDS[kind], f"{owner}/{name}")].commit(revision, await request.body(), hub.objects)
        url = f"{address}/{owner}/{name}/commit/{sha}"
        return {"success": True, "commitOid": sha, "commitUrl": url, "hookOutput": ""}

    @app.post("/api/{kind}/{owner}/{name}/tag/{revision}")
    async def tag(kind: str, owner: str, name: str, revision: str, request: Request) -> Response:
        repo = hub.repos[(KINDS[kind], f"{owner}/{name}")]
        repo.names[(await request.json())["tag"]] = repo.sha(revision)
        return Response()

    @app.get("/api/{kind}/{owner}/{name}", response_model=None)
    @app.get("/api/{kind}/{owner}/{name}/revision/{revision}", response_model=None)
    def repo_info(kind: str, owner: str, name: str, revision: str = "main") -> Response | dict:
        found = hub.files(KINDS[kind], f"{owner}/{name}", revision)
        if isinstance(found, Response):
            return found
        sha, files = found
        siblings = [{"rfilename": path} for path in files]
        return {"_id": "0", "id": f"{owner}/{name}", "modelId": f"{owner}/{name}", "private": False, "sha": sha,
                "tags": [], "downloads": 0, "likes": 0, "siblings": siblings}  # fmt: skip

    @app.get("/api/{kind}/{owner}/{name}/tree/{revision}", response_model=None)
    @app.get("/api/{kind}/{owner}/{name}/tree/{revision}/{folder:path}", response_model=None)
    def tree(
        kind: str, owner: str, name: str, revision: str, folder: str = "", recursive: bool = False
    ) -> Response | list[dict]:
        found = hub.files(KINDS[kind], f"{owner}/{name}", revision)
        if isinstance(found, Response):
            return found
        inside = f"{folder}/" if folder else ""
        entries = [one for one in listed(found[1]) if one["path"].startswith(inside)]
        if not recursive:
            entries = [one for one in entries if "/" not in one["path"].removeprefix(inside)]
        return entries if entries or not folder else missing("EntryNotFound")

    @app.post("/api/{kind}/{owner}/{name}/paths-info/{revision}", response_model=None)
    async def paths_info(kind: str, owner: str, name: str, revision: str, request: Request) -> Response | list[dict]:
        found = hub.files(KINDS[kind], f"{owner}/{name}", revision)
        if isinstance(found, Response):
            return found
        body = await request.body()
        is_json = request.headers.get("content-type", "").startswith("application/json")
        wanted = json.loads(body)["paths"] if is_json else parse_qs(body.decode()).get("paths", [])
        return [one for one in listed(found[1]) if one["path"] in wanted]

    def resolve(kind: str, name: str, revision: str, path: str, request: Request) -> Response:
        found = hub.files(kind, name, revision)
        if isinstance(found, Response):
            return found
        sha, files = found
        if path not in files:
            return missing("EntryNotFound")
        data = files[path]
        headers = {
            "ETag": f'"{hashlib.sha1(data).hexdigest()}"',
            "X-Repo-Commit": sha,
            "Content-Length": str(len(data)),
            "Accept-Ranges": "bytes",
        }
        return Response(b"" if request.method == "HEAD" else data, headers=headers)

    @app.api_route("/{owner}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    def resolve_model(owner: str, name: str, revision: str, path: str, request: Request) -> Response:
        return resolve("model", f"{owner}/{name}", revision, path, request)

    @app.api_route("/datasets/{owner}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    def resolve_dataset(owner: str, name: str, revision: str, path: str, request: Request) -> Response:
        return resolve("dataset", f"{owner}/{name}", revision, path, request)

    return app


@contextlib.contextmanager
def running_hub(home: Path) -> Iterator[dict[str, str]]:
    """A stand-in in a process of its own; gives the environment that points at it, with ``home`` as HF_HOME."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.hub", str(port)], cwd=Path(__file__).resolve().parents[2]
    )
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 90
        while server.poll() is None and time.monotonic() < end:
            try:
                urllib.request.urlopen(f"{address}/api/whoami-v2", timeout=2)
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        else:
            raise RuntimeError(f"the stand-in for the Hub did not start: {server.poll() or 'no answer in 90 s'}")
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        yield {
            **kept,
            "HF_ENDPOINT": address,
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": "hf_anything",
            "HF_HOME": str(home),
            "OMP_NUM_THREADS": "1",
            "NO_PROXY": "127.0.0.1",
        }
    finally:
        server.kill()
        server.wait(10)


if __name__ == "__main__":
    port = int(sys.argv[1])
    uvicorn.run(application(f"http://127.0.0.1:{port}"), host="127.0.0.1", port=port, log_level="warning")
