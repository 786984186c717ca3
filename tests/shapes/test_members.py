"""The axons that calibration draws."""

import numpy as np
from checks.members import LEAST_ANGLE, TUBE, Member, angle_between, pair


def test_axons_of_a_pair_cross() -> None:
    seed = [60_000, 1, 4]
    side_by_side = [Member.drawn([*seed, i]) for i in range(2)]
    assert angle_between(*side_by_side) < LEAST_ANGLE
    first, second = pair(seed)
    assert LEAST_ANGLE <= angle_between(first, second) <= 90
    np.testing.assert_array_equal(first.points(TUBE), side_by_side[0].points(TUBE))


def test_a_pair_that_crosses_is_the_first_one_drawn() -> None:
    seed = [60_000, 1, 0]
    for member, expected in zip(pair(seed), (Member.drawn([*seed, i]) for i in range(2)), strict=True):
        np.testing.assert_array_equal(member.points(TUBE), expected.points(TUBE))
