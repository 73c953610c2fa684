"""The files under training/configs/accelerate are what accelerate itself makes of them."""

from argparse import Namespace
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import ClusterConfig
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin, patch_environment
from accelerate.utils.launch import prepare_multi_gpu_env
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy

from tests.helpers.tiny import tiny_descriptor
from training.sft.processes import TWO_CPU_PROCESSES, join_on_cpu

FOLDER = Path(__file__).resolve().parents[2] / "training" / "configs" / "accelerate"
FILES = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
KINDS = {
    "one_gpu": (DistributedType.NO, 1),
    "ddp": (DistributedType.MULTI_GPU, 8),
    "fsdp2": (DistributedType.FSDP, 8),
    "zero3": (DistributedType.DEEPSPEED, 8),
    "multi_node": (DistributedType.MULTI_GPU, 16),
    "two_cpu_processes": (DistributedType.MULTI_GPU, 2),
}


def launched(name: str) -> Namespace:
    """The arguments with which ``accelerate launch --config_file`` starts a script."""
    words = ["--config_file", str(FILES[name]), "script.py"]
    return _validate_launch_command(launch_command_parser().parse_args(words))[0]


def test_every_file_is_tested() -> None:
    assert set(FILES) == set(KINDS) and Path(TWO_CPU_PROCESSES).stem in KINDS


@pytest.mark.parametrize("name", KINDS)
def test_accelerate_knows_every_key(name: str) -> None:
    config = ClusterConfig.from_yaml_file(str(FILES[name]))  # refuses unknown keys
    kind, processes = KINDS[name]
    assert (config.distributed_type, config.num_processes) == (kind, processes)
    known = vars(launch_command_parser().parse_args(["script.py"]))
    content = yaml.safe_load(FILES[name].read_text())
    nested = [key for part in ("fsdp_config", "deepspeed_config") for key in content.get(part, {})]
    assert [key for key in nested if key not in known] == []


@pytest.mark.parametrize("name", KINDS)
def test_the_launcher_that_is_meant_is_taken(name: str) -> None:
    arguments = launched(name)
    kind, processes = KINDS[name]
    taken = (arguments.multi_gpu, arguments.use_fsdp, arguments.use_deepspeed)
    wanted = (DistributedType.MULTI_GPU, DistributedType.FSDP, DistributedType.DEEPSPEED)
    assert taken == tuple(kind == one for one in wanted)
    assert arguments.num_processes == processes and not arguments.cpu


def test_fsdp_is_version_2_and_takes_each_base_s_own_layers(base: Path) -> None:
    with patch_environment(**prepare_multi_gpu_env(launched("fsdp2"))):
        plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2 and plugin.reshard_after_forward is True
    assert plugin.auto_wrap_policy is transformer_auto_wrap_policy
    model, _ = tiny_descriptor(base)
    assert {"LlamaDecoderLayer", "ConvBlock"} <= set(model._no_split_modules)


def test_zero_is_stage_3() -> None:
    arguments = launched("zero3")
    assert (arguments.zero_stage, arguments.zero3_save_16bit_model) == (3, True)
    assert arguments.gradient_accumulation_steps is None  # the script's flag counts


def test_nodes_find_each_other() -> None:
    arguments = launched("multi_node")
    prepare_multi_gpu_env(arguments)
    assert (arguments.nnodes, arguments.nproc_per_node, arguments.node_rank) == ("2", "8", 0)
    assert arguments.rdzv_endpoint == "10.0.0.1:29500"


def test_one_process_in_place_of_several_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """``accelerate launch --cpu --num_processes 2`` leaves this environment, and starts one process."""
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    join_on_cpu()
    assert "starts one process" in caplog.text and TWO_CPU_PROCESSES in caplog.text
    caplog.clear()
    monkeypatch.setenv("WORLD_SIZE", "2")
    join_on_cpu()
    assert not caplog.text
