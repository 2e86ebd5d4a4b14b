"""What a small test part leaves unseen."""

import numpy as np
import pytest

from etude.evaluate.small_parts import least_seen
from etude.metrics.statistics import holm, mcnemar_exact


@pytest.mark.parametrize("n_comparisons", [1, 2, 5, 12])
def test_the_least_difference_is_shown_by_the_exact_test_and_one_picture_less_is_not(n_comparisons):
    least = least_seen(60, n_comparisons)
    assert least.share == least.pictures / 60

    def shown(won):
        index = np.arange(60)
        p = mcnemar_exact(index < 30 + won, index < 30)
        return holm([p, *[1.0] * (n_comparisons - 1)])[0] <= 0.05

    assert shown(least.pictures)
    assert not shown(least.pictures - 1)


def test_too_few_pictures_show_nothing_at_all():
    assert least_seen(5) is None
    assert least_seen(6).share == 1
