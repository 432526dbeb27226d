"""Soak tests of the core: random parameters, random faults, clients that retry, and checks that stop at the first broken promise.

python -m tribulation.harness.simulator.soak --seeds 1000          # seeds 0..999
python -m tribulation.harness.simulator.soak --seed 17 --keep 3,5  # one seed, only these of its faults
"""

from .plan import Action, SoakPlan, draw_plan
from .run import SoakResult, run_plan, run_seed

__all__ = ["Action", "SoakPlan", "SoakResult", "draw_plan", "run_plan", "run_seed"]
