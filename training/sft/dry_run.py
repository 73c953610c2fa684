"""The data of a supervised training, with the plan that is printed before it starts, and the page of a dry run."""

import base64
import io
from pathlib import Path
from typing import Any

from accelerate import PartialState
from jinja2 import Environment, FileSystemLoader
from PIL import Image
from transformers import TrainingArguments

from training.sft.example_pictures import draw_example
from training.sft.examples import build_examples
from training.sft.region_data import RegionSetArguments
from training.sft.run_plan import RunPlan, set_length
from training.sft.sft_arguments import SftArguments

EXAMPLES = 5
"""Examples that the page shows."""


def prepare_data(
    sft: SftArguments, training: TrainingArguments, negatives: float = 0.0, regions: RegionSetArguments | None = None
) -> dict[str, Any]:
    """Read and check the data, and print the plan of the run; a dry run also writes its page.

    Args:
        sft, training: The command line.
        negatives: Share of texts about other photos.
        regions: Captioned regions beside the points or instead of them.

    Returns:
        ``train_dataset`` and ``eval_dataset`` of the trainer.

    Raises:
        ValueError: See :func:`build_examples`.
    """
    train, val = build_examples(sft, training, negatives, regions)
    set_length(train, sft, training)
    if PartialState().is_main_process:
        plan = RunPlan(sft, training, train, val)
        print(plan, flush=True)
        if sft.dry_run:
            print(f"dry run: nothing is trained; the first examples are in {write_page(plan)}")
    return {"train_dataset": train, "eval_dataset": val}


def write_page(plan: RunPlan) -> Path:
    """Write ``dry_run.html`` into the output folder: the plan, and the first examples drawn."""
    folder = Path(str(plan.training.output_dir))
    folder.mkdir(parents=True, exist_ok=True)
    examples = [_data_url(draw_example(plan.train[i])) for i in range(min(EXAMPLES, len(plan.train)))]  # type: ignore[arg-type]
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    file = folder / "dry_run.html"
    page = templates.get_template("dry_run.html").render(
        rows=plan.rows, examples=examples, skips=plan.sft.skip_bad_rows
    )
    file.write_text(page, encoding="utf-8")
    return file


def _data_url(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
