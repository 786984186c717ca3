"""How closely a pulse is followed: what time steps and gradient strengths may leave out of a signal."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Care:
    """What decides how many steps a pulse takes, and how many gradient strengths are propagated.

    Attributes
    ----------
    phase : rad, the largest that a Strang step may turn
    fewest : steps
    narrowed : of S0, that steps may be wrong by where spins cross the cell many times in one; None: whatever it is
    band : of the signal's band that strengths tell; less than all where next to no spin goes from one end to the other
    extrapolated : from these steps and twice as many (Richardson), not these steps alone
    """

    phase: float
    fewest: int
    narrowed: float | None
    band: float = 1.0
    extrapolated: bool = True

    @property
    def rough(self) -> bool:
        """Whether derivatives may be rough, too."""
        return self.narrowed is None


# what a signal is wrong by, of S0, root mean square and at most; medians of 20 draws of the prior, the paper's protocol
FINE = Care(0.65, 8, 2e-4)  # 2e-5 and 7e-5
CLOSE = Care(1.0, 8, 1e-3)  # 6e-5 and 3e-4
ROUGH = Care(1.6, 6, None, 0.6)  # 3e-4 and 2e-3, in half to a third of the time
ROUGHEST = Care(1.6, 6, None, 0.6, extrapolated=False)  # 3e-3 and 2e-2, in a third of that
