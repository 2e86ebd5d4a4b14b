import subprocess
import sys

import pytest
from pydantic import ValidationError

from etude.data.augment import AUGMENTATIONS, AugmentConfig


def test_names_are_kept_in_the_order_of_application_so_that_one_set_has_one_identity():
    assert AugmentConfig(use=("cutout", "flip")).use == AugmentConfig(use=("flip", "cutout")).use == ("flip", "cutout")


def test_all_wrong_names_are_reported_together_with_the_nearest_right_one():
    with pytest.raises(ValidationError) as caught:
        AugmentConfig(use=("flp", "flip", "rotat"))
    assert "Did you mean 'flip'" in str(caught.value)
    assert "Did you mean 'rotate'" in str(caught.value)


def test_a_repeated_name_is_refused():
    with pytest.raises(ValidationError, match="Repeated: flip"):
        AugmentConfig(use=("flip", "flip"))


@pytest.mark.parametrize("strength", [-0.1, 3.1, float("nan")])
def test_strength_is_between_0_and_3(strength):
    with pytest.raises(ValidationError):
        AugmentConfig(strength=strength)


def test_cards_say_what_moves_and_what_mixes():
    moving = {name for name in AUGMENTATIONS if AUGMENTATIONS[name].moves_geometry}
    mixing = {name for name in AUGMENTATIONS if AUGMENTATIONS[name].mixes_pictures}
    assert moving == {"flip", "shift", "rotate", "scale", "perspective"}
    assert mixing == {"mixup", "cutmix"}
    assert all(AUGMENTATIONS[name].summary.endswith(".") for name in AUGMENTATIONS)


def test_the_registry_is_read_without_torch():
    code = "import sys, etude.data.augment as a; a.AugmentConfig(use=('flip',)); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
