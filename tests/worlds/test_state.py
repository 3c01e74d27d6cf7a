"""What a controller sees."""

from __future__ import annotations

import pytest
import torch

from worldmodels.memory.mdn_rnn import Recurrent
from worldmodels.worlds.state import FEATURES, feature_size, features

Z, MEMORY = torch.full((2, 3), 1.0), Recurrent(h=torch.full((2, 5), 2.0), c=torch.full((2, 5), 3.0))


@pytest.mark.parametrize(
    ("kind", "row"),
    [("z", [1.0] * 3), ("zh", [1.0] * 3 + [2.0] * 5), ("zch", [1.0] * 3 + [3.0] * 5 + [2.0] * 5)],
)
def test_features_are_these_numbers_in_this_order(kind: str, row: list[float]):
    assert features(kind, Z, MEMORY).tolist() == [row, row]
    assert feature_size(kind, 3, 5) == len(row)


def test_the_papers_sizes():
    assert feature_size("zh", 32, 256) == 288
    assert feature_size("zch", 64, 512) == 1088


def test_unknown_features_are_refused():
    says = "features must be one of z, zh, zch, got 'hz'"
    with pytest.raises(ValueError, match=says):
        features("hz", Z, MEMORY)
    with pytest.raises(ValueError, match=says):
        feature_size("hz", 3, 5)
    assert FEATURES == ("z", "zh", "zch")
