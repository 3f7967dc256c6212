"""Named datasets and their reference scores."""

import pytest

from mopo_tf2.data import catalog
from mopo_tf2.errors import InputError


def test_every_d4rl_id_has_a_file_name_of_its_own_at_the_end_of_its_address():
    infos = [info for info in catalog.datasets().values() if info.address is not None]
    assert len(infos) == len({info.file_name for info in infos}) == 68
    assert all(info.address.endswith("/" + info.file_name) for info in infos)


def test_mixed_is_an_alias_of_medium_replay():
    info = catalog.find("hopper-mixed-v0")
    assert (info.dataset_id, info.file_name) == ("hopper-medium-replay-v0", "hopper_mixed.hdf5")


def test_unknown_id_is_not_found_and_has_near_names():
    assert catalog.find("halfcheeta-medium-v2") is None
    assert catalog.nearest("halfcheeta-medium-v2")[0] == "halfcheetah-medium-v2"
    assert catalog.nearest("qqqq") == []


def test_reference_scores_are_those_of_the_task():
    info = catalog.find(catalog.SHIPPED_ID)
    assert (info.ships, info.task) == (True, "halfcheetah")
    assert catalog.reference_scores(catalog.SHIPPED_ID) == catalog.reference_scores("halfcheetah")
    with pytest.raises(InputError, match="humanoid"):
        catalog.reference_scores("humanoid")
