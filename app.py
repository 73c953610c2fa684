"""The app: run `python app.py` and open the address it prints. The bundled model pair needs no network.

Other models come with --descriptor, --localizer and --segmenter (a folder or a Hub id each), or with the environment
variables TALKINGPOINTS_DESCRIPTOR, TALKINGPOINTS_LOCALIZER and TALKINGPOINTS_SEGMENTER; only a Hub id lets the app go
to the network.
With --mcp the app is also an MCP server, whose tools are the four named endpoints.
This file also starts a Hugging Face Space. It holds no part of the app itself: see space/.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Flags of the command line, with the environment variables as their defaults."""
    environment = os.environ
    parser = argparse.ArgumentParser(description="Describe points in photos, and find them again, in the browser.")
    parser.add_argument(
        "--host",
        default=environment.get("GRADIO_SERVER_NAME", "127.0.0.1"),
        help="address to listen on; 0.0.0.0 lets other machines in (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=int(environment.get("GRADIO_SERVER_PORT", "7860")),
        help="port to listen on (default: %(default)s)",
    )
    limits = {"segmenter": "; one of transformers calls everything a thing, also grass and sky"}
    for role in ("descriptor", "localizer", "segmenter"):
        parser.add_argument(
            f"--{role}",
            default=environment.get(f"TALKINGPOINTS_{role.upper()}") or None,
            help=f"folder or Hub id of another {role} (default: the bundled one){limits.get(role, '')}",
        )
    parser.add_argument(
        "--mcp",
        action="store_true",
        default=environment.get("GRADIO_MCP_SERVER", "").lower() == "true",
        help="also be an MCP server, at /gradio_api/mcp/; needs package mcp",
    )
    return parser.parse_args(arguments)


def prepare_environment(models: Sequence[str | None]) -> None:
    """What libraries read on import: no analytics, no Hub unless a model is to come from there, a folder for uploads
    that is this app's own, threads by core.

    Args:
        models: folders, Hub ids or None (bundled).
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    if all(model is None or Path(model).is_dir() for model in models):
        os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("GRADIO_TEMP_DIR", str(Path(tempfile.gettempdir()) / "talkingpoints"))
    # Threads that spin between two small matrix products slow a small model down as soon as anything else
    # runs.
    os.environ.setdefault("OMP_NUM_THREADS", str(min(4, os.cpu_count() or 1)))
    os.environ.setdefault("KMP_BLOCKTIME", "0")


def main(arguments: Sequence[str] | None = None) -> None:
    """Load the models, serve until interrupted."""
    args = parse_arguments(arguments)
    models = (args.descriptor, args.localizer, args.segmenter)
    prepare_environment(models)

    # Only now: these read the environment while they are imported.
    from space.hosting import hardware
    from space.hosting.mcp_package import check_mcp_package

    if args.mcp:
        try:
            check_mcp_package()
        except RuntimeError as error:
            raise SystemExit(f"--mcp: {error}") from error
    hardware.prepare()
    from space import theme, ui
    from space.hosting import uploads
    from talkingpoints import TalkingPoints

    uploads.delete_old()
    tp = TalkingPoints.from_pretrained(args.descriptor, args.localizer, segmenter=args.segmenter)
    try:
        tp.segmenter  # noqa: B018  loads it now: on ZeroGPU each call would load it again
    except OSError:
        if args.segmenter:
            raise  # without the bundled one, the tab of segments says that there is none
    ui.build(tp, theme.model_note(*models)).launch(
        server_name=args.host, server_port=args.port, mcp_server=args.mcp, **ui.launch_options()
    )


if __name__ == "__main__":
    main()
