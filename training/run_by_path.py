"""Lets the scripts of this folder run by their path too: ``accelerate launch training/sft_descriptor.py``.

``python -m training.sft_descriptor`` puts the folder that holds the package ``training`` on the module search path.
Python puts the script's own folder there if a script is run by its path. Importing this module (which Python finds in
that folder) replaces the one by the other, so that every module still has one name only.
"""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)
