"""Finished runs where they are deployed: python scripts/deploy.py sweep=NAME runtime=onnxruntime,openvino precision=float32,int8

Exports each run's best checkpoint, quantises it by training images, measures its metric on the test split and its latency
beside the same network of standard convolutions, and writes deployed.json into the run's folder. What is measured already is
passed by. pack=arms.zip writes what measures them on another machine instead (docs/your_device.md).
"""

import sys

import hydra
from omegaconf import DictConfig

from litconv.config import composed as configuration
from litconv.config.command_line import command_line, guarded
from litconv.config.deploying import check_command
from litconv.deploy.runs import runs_of
from litconv.errors import JobError


@hydra.main(version_base="1.3", config_path=str(configuration.CONF), config_name="deploy")
@guarded
def main(arguments: DictConfig) -> None:
    check_command(arguments)
    runs = runs_of(arguments)

    if arguments.pack is not None:
        from litconv.deploy.packing import pack

        return pack(runs, arguments)
    from litconv.deploy.session import Session
    from litconv.deploy.table import table
    from litconv.prepare.deployed import Deploying

    deploying = Deploying.of(list(arguments.runtime), arguments)
    session = Session(runs, deploying, arguments.again, arguments.data.root)
    try:
        session.go_through()
    finally:
        if session.measured:
            print(table(session.measured, deploying.places))
    if session.failed:
        raise JobError(f"{len(session.failed)} of {len(runs)} runs could not be deployed")


if __name__ == "__main__":
    sys.exit(command_line(main, "deploy"))
