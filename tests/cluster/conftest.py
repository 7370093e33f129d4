"""One toy Slurm for the tests of a worker, where it can be brought up."""

import pytest
from toy_slurm import ToySlurm, missing


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    if names := missing():
        pytest.skip(f"{', '.join(names)} not installed: apt-get install slurm-wlm munge")
    cluster = ToySlurm(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
