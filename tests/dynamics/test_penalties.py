"""The two kinds of uncertainty, by hand."""

import numpy as np

from mopo_tf2.dynamics.penalties import disagreement_penalty, learned_std_penalty


def test_learned_penalty_is_the_largest_norm_of_a_member_per_row():
    # Norms: row 0: 5 and 6; row 1: 10 and 1.
    stds = np.array([[[3, 4], [6, 8]], [[0, 6], [0, 1]]], np.float32)
    np.testing.assert_allclose(learned_std_penalty(stds), [6.0, 10.0])


def test_disagreement_is_the_largest_distance_from_the_average_per_row():
    # Row 0: averages (1, 1), distances 2, 2 sqrt 2 ... ; row 1: all agree.
    means = np.array([[[3, 1], [7, 7]], [[1, -2], [7, 7]], [[-1, 4], [7, 7]]], np.float32)
    expected = [np.sqrt(2.0**2 + 3.0**2), 0.0]
    np.testing.assert_allclose(disagreement_penalty(means), expected, rtol=1e-6)
