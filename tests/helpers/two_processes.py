"""What tests/training/test_processes.py lets two processes do together.

    accelerate launch --config_file training/configs/accelerate/two_cpu_processes.yaml \\
        tests/helpers/two_processes.py JOBS.json

JOBS.json is a list of [name of a training script, its command line], or ["shard", [base, dataset]]. All jobs run in
the same processes, for starting those takes longer than so small jobs. Each process leaves beside it what came of its
jobs: the indices of the training examples that it was asked for, or of "shard" the differences.
"""

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
import yaml
from accelerate import PartialState
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from torch.distributed.fsdp import FSDPModule

from talkingpoints.data.examples.keypoint_examples import PointExamples
from talkingpoints.data.readers.coco_keypoints import load_keypoints
from tests.helpers.tiny import tiny_descriptor, tiny_localizer
from training.sft import examples as training_examples
from training.sft.collators import DescriptorCollator, LocalizerCollator
from training.sft.processes import keep_existing_layers

CONFIGS = Path(__file__).resolve().parents[2] / "training" / "configs" / "accelerate"
KINDS = ((tiny_descriptor, DescriptorCollator), (tiny_localizer, LocalizerCollator))


class SeenExamples(PointExamples):
    """Notes the indices of the training examples in ``seen``."""

    seen: list[int] = []  # noqa: RUF012

    def __getitem__(self, index):
        if self.augmentation is not None:
            self.seen.append(index)
        return super().__getitem__(index)


def shard(base: str, dataset: str) -> list[dict[str, float]]:
    """Loss and gradients of the models cut up as fsdp2.yaml says, against the whole ones."""
    settings = yaml.safe_load((CONFIGS / "fsdp2.yaml").read_text())["fsdp_config"]
    examples = PointExamples(load_keypoints(dataset, "train"), 3, seed=0)
    found = []
    for build, collator in KINDS:
        model, processor = build(Path(base))
        batch = collator(processor)([examples[0], examples[1]])
        whole = model.train()(**batch).loss
        whole.backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        model.zero_grad()
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=settings["fsdp_version"],
            auto_wrap_policy=settings["fsdp_auto_wrap_policy"].lower(),
            reshard_after_forward=settings["fsdp_reshard_after_forward"],
        )
        keep_existing_layers(model)
        # accelerate's own way to cut up a model; an Accelerator for FSDP cannot be had without a GPU
        stand_in = {"state": SimpleNamespace(fsdp_plugin=plugin), "torch_device_mesh": None, "mixed_precision": "no"}
        fsdp2_prepare_model(SimpleNamespace(**stand_in), model)
        layers = [m for m in model.modules() if isinstance(m, FSDPModule) and type(m).__name__.endswith("Layer")]
        loss = model(**batch).loss
        loss.backward()
        parameters = dict(model.named_parameters())
        worst = max(
            float((parameters[name].grad.full_tensor() - gradient).abs().max()) for name, gradient in gradients.items()
        )
        found.append({"layers": len(layers), "loss": abs(float(loss - whole)), "gradient": worst})
    return found


def main(jobs: Path) -> None:
    """Do the jobs; see the module docstring."""
    PartialState(cpu=True)
    training_examples.PointExamples = SeenExamples
    done: list[list] = []
    for name, argv in json.loads(jobs.read_text()):
        if name == "shard":
            done.append(shard(*argv))
            continue
        SeenExamples.seen.clear()
        importlib.import_module(f"training.{name}").main(argv)
        done.append(list(SeenExamples.seen))
    rank = torch.distributed.get_rank()
    (jobs.parent / f"done_{rank}.json").write_text(json.dumps(done))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
