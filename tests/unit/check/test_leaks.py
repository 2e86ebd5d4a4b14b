"""What a split leaks, against a slow count by hand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.check.leaks import Kin, leaked_test, leaked_validation, reach_of, to_drop
from etude.core.words import Part


@st.composite
def families(draw):
    n = draw(st.integers(1, 14))
    cluster = np.array(draw(st.lists(st.integers(0, 6), min_size=n, max_size=n)), np.int64)
    pairs = draw(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=6))
    pairs = [pair for pair in pairs if max(pair) <= cluster.max() and pair[0] != pair[1]]
    first, second = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    group = np.array(draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)), np.int64)
    parts = np.array(draw(st.lists(st.sampled_from([-1, 0, 1, 2]), min_size=n, max_size=n)), np.int8)
    return Kin(cluster, first, second, draw(st.sampled_from([None, group]))), parts


def belong(kin, one, other):
    pairs = set(zip(kin.first_P.tolist(), kin.second_P.tolist(), strict=True))
    a, b = int(kin.cluster_N[one]), int(kin.cluster_N[other])
    same_group = kin.group_N is not None and kin.group_N[one] == kin.group_N[other]
    return a == b or (a, b) in pairs or (b, a) in pairs or same_group


@given(families())
@settings(max_examples=150, deadline=None)
def test_it_is_what_counting_by_hand_gives(drawn):
    kin, parts = drawn
    reach = reach_of(kin, parts).through_any
    n = len(parts)

    def touches(row, wanted):
        return any(belong(kin, row, other) and parts[other] in wanted for other in range(n) if other != row)

    assert leaked_test(reach, parts).tolist() == [parts[row] == 2 and touches(row, (0, 1)) for row in range(n)]
    assert leaked_validation(reach, parts).tolist() == [parts[row] == 1 and touches(row, (0,)) for row in range(n)]
    dropped = to_drop(reach, parts)
    assert not dropped[(parts == Part.TEST) | (parts == Part.LEFT_OUT)].any()


@given(families())
@settings(max_examples=150, deadline=None)
def test_once_dropped_nothing_leaks(drawn):
    kin, parts = drawn
    dropped = to_drop(reach_of(kin, parts).through_any, parts)
    clean = np.where(dropped, np.int8(Part.LEFT_OUT), parts)
    again = reach_of(kin, clean).through_any
    assert not leaked_test(again, clean).any()
    assert not leaked_validation(again, clean).any()
    assert ((clean == Part.TEST) == (parts == Part.TEST)).all()
