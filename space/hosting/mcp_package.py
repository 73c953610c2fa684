"""Whether the app can be an MCP server: without the right package Gradio starts and silently is none."""

import re
from importlib import metadata

INSTALL = 'pip install "mcp>=1.21,<2"'
FROM, BELOW = (1, 21), (2, 0)


def check_mcp_package() -> None:
    """Check that package mcp is there in a version that Gradio speaks.

    Raises:
        RuntimeError: it is missing or of another version; the message says what to install.
    """
    try:
        version = metadata.version("mcp")
    except metadata.PackageNotFoundError as error:
        raise RuntimeError(f"an MCP server needs package mcp, which is not installed: {INSTALL}") from error
    numbers = [int(number) for number in re.findall(r"\d+", version)[:2]]
    if not FROM <= tuple(numbers) < BELOW:
        raise RuntimeError(f"an MCP server needs package mcp from 1.21 and below 2, got {version}: {INSTALL}")
