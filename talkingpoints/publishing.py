"""The one way to the Hub: files of an allow-list, looked through for tokens and folders of this machine.

Whatever pushes (trainings, push_to_hub, datasets, the Space) hands its files to :func:`publish`. What a training leaves
beside its model, such as ``training_args.bin``, logs and checkpoints, is on no list.
"""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token

MODEL_FILES = (
    "*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "adapter_config.json",
    "processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json",
    "tokenizer*.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt",
    "merges.txt", "chat_template.j*", "additional_chat_templates/*.jinja", "*.py", "LICENSE", "README.md",
)  # fmt: skip
"""What belongs to a saved model or adapter, beside each other in its folder."""

_TEXTS = (".json", ".jsonl", ".jinja", ".md", ".txt", ".py", ".csv", ".yaml", ".yml", ".toml", ".html", "")
_TOKEN = re.compile(
    rb"\b(hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|AKIA[0-9A-Z]{16}"
    rb"|xox[abprs]-[A-Za-z0-9-]{20,})"
)
_HOME = re.compile(rb"(?<![\w.])(/home/[\w.-]+/|/Users/[\w.-]+/|[A-Za-z]:\\+Users\\+[\w.-]+)")
_SECRET_NAMES = ("TOKEN", "KEY", "SECRET", "PASSWORD")
_SHORTEST_SECRET = 12


@dataclass(frozen=True)
class Target:
    """Where files go.

    Args:
        repo_id: ``owner/name``; made if missing.
        repo_type: "model", "dataset" or "space".
        revision: branch, made if missing; None for the main one.
        private: of a new repository; None leaves it to the account's settings.
        token: None takes the one of the login or of the environment.
    """

    repo_id: str
    repo_type: str = "model"
    revision: str | None = None
    private: bool | None = None
    token: str | None = None

    def made(self) -> str:
        """Make repository and branch where they are missing, which tells early who may not push; the full id."""
        api = HfApi(token=self.token)
        sdk = "gradio" if self.repo_type == "space" else None
        made = api.create_repo(
            self.repo_id, repo_type=self.repo_type, private=self.private, exist_ok=True, space_sdk=sdk
        )
        if self.revision is not None:
            api.create_branch(made.repo_id, branch=self.revision, repo_type=self.repo_type, exist_ok=True)
        return made.repo_id


def model_files(folder: Path) -> dict[str, Path]:
    """The files of a saved model that may be published, by their path in the repository."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path for name, path in found.items() if any(_matches(name, pattern) for pattern in MODEL_FILES)}


def publish(
    files: Mapping[str, Path | bytes], target: Target, message: str, stale: Sequence[str] = ()
) -> tuple[str, str]:
    """Push files in one commit.

    Args:
        files: by their path in the repository.
        target: where they go.
        message: of the commit.
        stale: patterns of files that are taken away where they are not among ``files``.

    Returns:
        The repository's id, and the commit.

    Raises:
        ValueError: A file holds a token or names a folder of this machine; nothing is pushed.
    """
    check_files(files, target.token)
    repo_id = target.made()
    api = HfApi(token=target.token)
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(name, file) for name, file in files.items()
    ]
    if stale:
        there = api.list_repo_files(repo_id, repo_type=target.repo_type, revision=target.revision)
        gone = [name for name in there if name not in files and any(_matches(name, pattern) for pattern in stale)]
        operations += [CommitOperationDelete(name) for name in gone]
    commit = api.create_commit(
        repo_id, operations, commit_message=message, repo_type=target.repo_type, revision=target.revision
    )
    return repo_id, commit.oid


def check_files(files: Mapping[str, Path | bytes], token: str | None = None) -> None:
    """Look through what is about to be published.

    Args:
        files: as for :func:`publish`.
        token: must not be in them either.

    Raises:
        ValueError: A file holds a token, the value of a secret in the environment, or a folder of this machine or of
            somebody's home. Names the file and the kind, not the token.
    """
    secrets = [value.encode() for value in _secrets(token)]
    folders = [folder.encode() for folder in _folders()]
    for name, file in files.items():
        for content in _contents(name, file):
            if _TOKEN.search(content) or any(secret in content for secret in secrets):
                raise ValueError(f"{name} holds a token or another secret; nothing was pushed")
            found = _HOME.search(content)
            place = found[0] if found else next((folder for folder in folders if folder in content), None)
            if place is not None:
                raise ValueError(f"{name} names a folder of this machine, {place.decode()}; nothing was pushed")


def _contents(name: str, file: Path | bytes) -> Iterator[bytes]:
    """What of a file is text: all of a text file, the header of safetensors, the texts of Parquet."""
    suffix = Path(name).suffix.lower()
    if isinstance(file, bytes):
        yield file
    elif suffix in _TEXTS:
        yield file.read_bytes()
    elif suffix == ".safetensors":
        with file.open("rb") as opened:
            yield opened.read(int.from_bytes(opened.read(8), "little"))
    elif suffix == ".parquet":
        yield from _parquet_texts(file)


def _parquet_texts(file: Path) -> Iterator[bytes]:
    """The texts in a Parquet file, those of images' paths among them; and its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened = pq.ParquetFile(file)
    yield str(opened.schema_arrow.metadata).encode()
    names = [column.path for column in map(opened.schema.column, range(len(opened.schema)))]
    texts = [name for name, column in zip(names, map(opened.schema.column, range(len(names))), strict=True)
             if str(column.logical_type) == "String"]  # fmt: skip
    for batch in opened.iter_batches(columns=texts) if texts else ():
        yield pa.Table.from_batches([batch]).to_pandas().to_json(force_ascii=False).replace("\\/", "/").encode()


def _secrets(token: str | None) -> set[str]:
    named = {value for name, value in os.environ.items() if name.upper().endswith(_SECRET_NAMES)}
    return {value for value in {token, get_token(), *named} if value and len(value) >= _SHORTEST_SECRET}


def _folders() -> set[str]:
    """Folders of this machine that no file should name; not those that name a whole disk, such as "/"."""
    places = {Path.home(), Path.cwd(), Path(tempfile.gettempdir())}
    return {f"{place}/" for place in places if len(place.parts) > 1}


def _matches(name: str, pattern: str) -> bool:
    """Whether a path fits a pattern, folder by folder."""
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatch, parts, patterns))
