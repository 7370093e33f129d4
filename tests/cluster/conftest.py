"""One toy Slurm for the tests of a worker, where it can be brought up; each begins with nothing queued."""

import pytest
from toy_slurm import ToySlurm, missing

from sweep_process import wait_until


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    if names := missing():
        pytest.skip(f"{', '.join(names)} not installed: apt-get install slurm-wlm munge")
    cluster = ToySlurm(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def slurm(cluster):
    yield cluster
    cluster.run("scancel", "--name=far", "--full")
    wait_until(lambda: not cluster.run("squeue", "--noheader"), 60)
