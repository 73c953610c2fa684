"""A page of the app without a browser: one session, whose events are sent as the page would send them."""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class Answer:
    """What came of an event: whether it ended well, its outputs, and what was said in toasts and errors."""

    success: bool
    data: list[Any]
    said: list[str] = field(default_factory=list)


class Page:
    """A visitor's page, loaded.

    Args:
        client: with the address of the app as its base.
        session: under which the server knows the page; by default a new one, and the page is loaded.

    Raises:
        httpx.HTTPError: the app does not answer as it should.
    """

    def __init__(self, client: httpx.Client, session: str | None = None) -> None:
        self.client = client
        self.session = session or uuid.uuid4().hex[:12]
        config = client.get("/config").raise_for_status().json()
        self.names = {one["id"]: one["props"].get("elem_id") for one in config["components"]}
        self.dependencies = [one for one in config["dependencies"] if one["backend_fn"] and one["outputs"]]
        if session is None:
            self._run(self._loads(), {}, None)

    def upload(self, content: bytes, name: str = "cat.jpg") -> Answer:
        """Another photo."""
        path = self.client.post("/gradio_api/upload", files={"files": (name, content)}).raise_for_status().json()[0]
        file = {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        return self.send("photo", "upload", photo=file)

    def click(self, x: float, y: float) -> Answer:
        """A click in pixels of the photo as shown; its description is asked for with :meth:`describe`."""
        return self.send("photo", "select", {"index": [x, y], "value": None}, window=True)

    def describe(self) -> Answer:
        """The words for the clicked point, which a page asks for when the click has been answered."""
        (words,) = (one for one, name in self.names.items() if name == "words")
        (asked,) = (one for one in self.dependencies if one["outputs"] == [words] and one["targets"][0][1] == "change")
        return self._run(asked, {}, None)

    def seek(self) -> Answer:
        """The segments, which a page asks for once a search has a number."""
        return self._named("seek")

    def forget(self) -> Answer:
        """What a page sends after a photo was chosen in the tab of the points."""
        return self._named("forget")

    def _named(self, function: str) -> Answer:
        return self._run(next(one for one in self.dependencies if one["api_name"].startswith(function)), {}, None)

    def after_failure(self) -> Answer:
        """What a page sends after an event that failed."""
        return self._run(next(one for one in self.dependencies if one["targets"][0][1] == "failure"), {}, None)

    def send(self, element: str, event: str, event_data: Any = None, **values: Any) -> Answer:
        """An event of an element; values are those of the elements that it reads, by their ids."""
        (dependency,) = (
            one
            for one in self.dependencies
            if any(self.names.get(target) == element and name == event for target, name in one["targets"])
        )
        return self._run(dependency, values, event_data)

    def _loads(self) -> dict[str, Any]:
        (load,) = (one for one in self.dependencies if one["targets"][0][1] == "load")
        return load

    def _run(self, dependency: dict[str, Any], values: dict[str, Any], event_data: Any) -> Answer:
        body = {
            "data": [values.get(self.names.get(one) or "") for one in dependency["inputs"]],
            "event_data": event_data,
            "fn_index": dependency["id"],
            "session_hash": self.session,
            "trigger_id": dependency["targets"][0][0],
        }
        joined = self.client.post("/gradio_api/queue/join", json=body)
        if joined.status_code != 200:
            return Answer(False, [], [joined.json()["detail"]])
        event, said = joined.json()["event_id"], []
        with self.client.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as answer:
            for line in answer.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if message.get("event_id") != event:
                    continue
                if message["msg"] == "log":
                    said.append(message["log"])
                elif message["msg"] == "process_completed":
                    output = message["output"]
                    if not message["success"]:
                        said.append(output.get("error") or "")
                    return Answer(message["success"], output.get("data") or [], said)
        raise ValueError("the answer ended before the event did")
