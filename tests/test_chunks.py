"""Any number of rows through calls of one fixed size."""

import numpy as np
import pytest

from mopo_tf2.chunks import map_in_chunks


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 8, 9])
def test_results_are_those_of_one_call(rows):
    array = np.arange(2.0 * rows).reshape(rows, 2)
    doubled, sums = map_in_chunks(lambda x: (2 * x, x.sum(axis=1)), [array], 4)
    np.testing.assert_array_equal(doubled, 2 * array)
    np.testing.assert_array_equal(sums, array.sum(axis=1))


def test_every_call_sees_the_same_shapes_filled_up_with_zeros():
    seen = []

    def function(x, y):
        seen.append((x.copy(), y.copy()))
        return (x,)

    map_in_chunks(function, [np.ones((5, 2), np.float32), np.ones(5, np.int32)], 3)
    assert [(x.shape, y.shape) for x, y in seen] == [((3, 2), (3,))] * 2
    np.testing.assert_array_equal(seen[1][0], [[1, 1], [1, 1], [0, 0]])
    np.testing.assert_array_equal(seen[1][1], [1, 1, 0])
    assert [part.dtype for part in seen[1]] == [np.float32, np.int32]
