"""What the simulator must show: one file a group of rows, each a function that yields them one by one."""

import sys
from pathlib import Path

# the exact solutions and structured meshes are those of the tests
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "physics"))
