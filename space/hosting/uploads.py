"""Files of a request: only what was uploaded to this app is opened, whatever the request names.

Left alone, Gradio downloads any public address that a request names in place of an upload, of any size, and passes on
what any public address answers. This app goes nowhere for its visitors; an address of this app's own uploads is the
one kind that is understood, since that is how MCP clients hand over a file that they uploaded. They may also send a
file inside the request (a ``data:`` URL): Gradio would keep that for ever, here it goes when the uploads go.
"""

import contextlib
import re
import time
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

import gradio as gr
from fastapi import HTTPException, Request
from gradio import processing_utils, routes
from gradio.utils import get_upload_folder

from space.hosting.limits import FILE_SECONDS

NOT_UPLOADED = "The file has to be uploaded to this app; addresses and paths are not opened."

_FILES = "/gradio_api/file="

_FOLDER = re.compile(r"[0-9a-f]{64}")  # Gradio puts every file into a folder named by its hash

_save_data = processing_utils.save_base64_to_cache


def guard(blocks: gr.Blocks) -> None:
    """Replace, for the whole process, Gradio's download by :func:`uploaded_file` and its proxy by a refusal, and have
    the files of ``data:`` URLs deleted with the uploads of this app.
    """

    def save_data(base64_encoding: str, cache_dir: str, file_name: str | None = None) -> str:
        path = _save_data(base64_encoding, cache_dir, file_name)
        blocks.upload_file_set.add(path)
        return path

    processing_utils.async_ssrf_protected_download = uploaded_file
    processing_utils.save_base64_to_cache = save_data
    routes.secure_url_stream_response = _refuse_address


async def _refuse_address(url: str, request: Request) -> NoReturn:
    raise HTTPException(403, NOT_UPLOADED)


def delete_old() -> None:
    """Delete the files of photos that an earlier run of the app has left behind, as one does that is killed."""
    for folder in Path(get_upload_folder()).glob("*"):
        if _FOLDER.fullmatch(folder.name) and not folder.is_symlink():
            for file in folder.glob("*"):
                with contextlib.suppress(OSError):  # gone already, or not ours to delete
                    if time.time() - file.lstat().st_ctime > FILE_SECONDS:
                        file.unlink()


async def uploaded_file(url: str, cache_dir: str) -> str:
    """The file that an address of this app's uploads stands for.

    Args:
        url: the address. Its host is not looked at: the file has to be among the uploads here.
        cache_dir: where Gradio would put a download.

    Raises:
        gr.Error: any other address.
    """
    _, is_file, path = unquote(urlsplit(url).path).partition(_FILES)
    if not is_file or not _is_upload(path):
        raise gr.Error(NOT_UPLOADED, print_exception=False)
    return str(Path(path).resolve())


def upload_of(file: Any, what: str) -> tuple[str, str]:
    """The path of an uploaded file and the name that it had.

    Gradio checks only files that carry its own mark that they lie among the uploads; a request without the mark could
    name any file of the server, so it is checked here.

    Args:
        file: what Gradio passes where it does not open the upload itself: a dictionary with a ``path``.
        what: it should be, for the message.

    Raises:
        ValueError: no file, or one that is no upload.
    """
    path = file.get("path") if isinstance(file, dict) else file
    if not path:
        raise ValueError(f"{what} is needed")
    if not isinstance(file, dict) or not isinstance(path, str) or not _is_upload(path):
        raise ValueError(NOT_UPLOADED)
    name = file.get("orig_name")
    return path, name if isinstance(name, str) and name else Path(path).name


def _is_upload(path: str) -> bool:
    try:
        resolved = Path(path).resolve()
        return Path(get_upload_folder()).resolve() in resolved.parents and resolved.is_file()
    except (OSError, ValueError):  # a name too long, or with a zero byte in it
        return False
