"""Scripts that train, evaluate and publish the models of `talkingpoints`.

The scripts of the subfolders also run under their earlier names: ``python -m training.build_base`` is
``python -m training.bundled.build_base``.
"""

from pathlib import Path

__path__ += [str(Path(__file__).parent / folder) for folder in ("bundled", "dataset", "reports")]
