"""A local stand-in for the Hugging Face Hub: create, commit (regular and LFS files), list, download.

    python -m tests.hub PORT

Keeps everything in memory and knows just what huggingface_hub asks for when it pushes and loads back. Any token is
welcome; every user is "me".
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


class Hub:
    """Repositories and large objects, and the answers about them."""

    def __init__(self, address: str):
        self.address = address
        self.repos: dict[tuple[str, str], dict[str, bytes]] = {}
        self.objects: dict[str, bytes] = {}
        self.commits = 0

    @property
    def sha(self) -> str:
        return hashlib.sha1(str(self.commits).encode()).hexdigest()

    def create(self, body: dict) -> Response:
        owner = body.get("organization") or "me"
        name = body["name"] if "/" in body["name"] else f"{owner}/{body['name']}"
        key = (body.get("type") or "model", name)
        known = key in self.repos
        self.repos.setdefault(key, {})
        answer = {"url": f"{self.address}/{name}", "name": name, "id": name}
        if known:
            answer["error"] = "You already created this repo"
        return Response(json.dumps(answer), 409 if known else 200, media_type="application/json")

    def commit(self, files: dict[str, bytes], body: bytes) -> None:
        for line in body.splitlines():
            if not line.strip():
                continue
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
            elif entry["key"] == "deletedFile":
                files.pop(value["path"], None)
        self.commits += 1

    def info(self, name: str, files: dict[str, bytes]) -> dict:
        siblings = [{"rfilename": path} for path in files]
        return {"_id": "0", "id": name, "modelId": name, "private": False, "sha": self.sha, "tags": [],
                "downloads": 0, "likes": 0, "siblings": siblings}  # fmt: skip

    def tree(self, files: dict[str, bytes]) -> list[dict]:
        folders = {parent.as_posix() for path in files for parent in PurePosixPath(path).parents} - {"."}
        return [
            *({"type": "directory", "path": path, "oid": hashlib.sha1(path.encode()).hexdigest()} for path in folders),
            *(
                {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for path, data in files.items()
            ),
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
    async def preupload(kind: str, owner: str, name: str, request: Request) -> dict:
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular",
                "shouldIgnore": False,
            }
            for file in (await request.json())["files"]
        ]
        return {"files": modes, "commitOid": hub.sha}

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
    async def commit(kind: str, owner: str, name: str, request: Request) -> dict:
        hub.commit(hub.repos[(KINDS[kind], f"{owner}/{name}")], await request.body())
        url = f"{address}/{owner}/{name}/commit/{hub.sha}"
        return {"success": True, "commitOid": hub.sha, "commitUrl": url, "hookOutput": ""}

    @app.get("/api/{kind}/{owner}/{name}", response_model=None)
    @app.get("/api/{kind}/{owner}/{name}/revision/{revision}", response_model=None)
    def repo_info(kind: str, owner: str, name: str) -> Response | dict:
        files = hub.repos.get((KINDS[kind], f"{owner}/{name}"))
        return missing("RepoNotFound") if files is None else hub.info(f"{owner}/{name}", files)

    @app.get("/api/{kind}/{owner}/{name}/tree/{revision}", response_model=None)
    @app.get("/api/{kind}/{owner}/{name}/tree/{revision}/{folder:path}", response_model=None)
    def tree(kind: str, owner: str, name: str, folder: str = "", recursive: bool = False) -> Response | list[dict]:
        files = hub.repos.get((KINDS[kind], f"{owner}/{name}"), {})
        inside = f"{folder}/" if folder else ""
        entries = [entry for entry in hub.tree(files) if entry["path"].startswith(inside)]
        if not recursive:
            entries = [entry for entry in entries if "/" not in entry["path"].removeprefix(inside)]
        return entries if entries or not folder else missing("EntryNotFound")

    @app.post("/api/{kind}/{owner}/{name}/paths-info/{revision}")
    async def paths_info(kind: str, owner: str, name: str, request: Request) -> list[dict]:
        wanted = parse_qs((await request.body()).decode()).get("paths", [])
        return [e for e in hub.tree(hub.repos.get((KINDS[kind], f"{owner}/{name}"), {})) if e["path"] in wanted]

    def resolve(kind: str, owner: str, name: str, path: str, head: bool) -> Response:
        files = hub.repos.get((kind, f"{owner}/{name}"))
        if files is None:
            return missing("RepoNotFound")
        if path not in files:
            return missing("EntryNotFound")
        data = files[path]
        headers = {
            "ETag": f'"{hashlib.sha1(data).hexdigest()}"',
            "X-Repo-Commit": hub.sha,
            "Content-Length": str(len(data)),
            "Accept-Ranges": "bytes",
        }
        return Response(b"" if head else data, headers=headers)

    @app.api_route("/{owner}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    def resolve_model(owner: str, name: str, path: str, request: Request) -> Response:
        return resolve("model", owner, name, path, request.method == "HEAD")

    @app.api_route("/datasets/{owner}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    def resolve_dataset(owner: str, name: str, path: str, request: Request) -> Response:
        return resolve("dataset", owner, name, path, request.method == "HEAD")

    return app


@contextlib.contextmanager
def running_hub(home: Path) -> Iterator[dict[str, str]]:
    """A stand-in in a process of its own; gives the environment that points at it, with ``home`` as HF_HOME."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.hub", str(port)], cwd=Path(__file__).resolve().parent.parent
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(150):
            try:
                urllib.request.urlopen(f"{address}/api/whoami-v2", timeout=2)
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        else:
            raise RuntimeError("the stand-in for the Hub did not start")
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
