"""A Slurm of two nodes on this one machine, for trials: `slurm-wlm` and `munge` of Debian, without systemd or accounting.

    python tests/cluster/toy_slurm.py up FOLDER      # then: export SLURM_CONF=FOLDER/slurm.conf; sinfo
    python tests/cluster/toy_slurm.py down FOLDER

Its nodes are n1 and n2 with two processors each, its partitions `toy` (the default), `urgent`, which pre-empts what runs
in `toy`, and `brief`, in which nothing may take longer than two minutes.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
NODES = ("n1", "n2")
PATIENCE_SECONDS = 60
PLACES = ":/usr/sbin:/sbin:/usr/local/sbin"  # of daemons, which are not on every user's PATH

CONF = """\
ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool_%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd_%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd_%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_interval=5,bf_interval=5,preempt_youngest_first
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait={kill_wait}
InactiveLimit=0
MinJobAge=600
SlurmctldTimeout=30
SlurmdTimeout=15
HealthCheckInterval=0
ReturnToService=2
MaxArraySize=20001
MaxJobCount=50000
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
{nodes}
PartitionName=toy Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=urgent Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=brief Nodes=n1,n2 MaxTime=2 State=UP PriorityTier=1
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=16000 State=UNKNOWN"


def missing() -> list[str]:
    """The programs that are not installed here."""
    return [name for name in PROGRAMS if where(name) is None]


def where(name: str) -> str | None:
    return shutil.which(name, path=os.environ["PATH"] + PLACES)


class ToySlurm:
    """`start` … `stop`; `environment` is what its commands need. `kill_wait`: seconds between SIGTERM and SIGKILL."""

    def __init__(self, folder: Path, kill_wait: int = 30) -> None:
        self.folder, self.kill_wait = folder, kill_wait
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}

    def start(self) -> "ToySlurm":
        for name in ("munge", "state", *(f"spool_{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        (self.folder / "munge").chmod(0o711)
        host, ports = socket.gethostname(), free_ports(1 + len(NODES))
        nodes = "\n".join(
            NODE.format(name=name, host=host, port=port) for name, port in zip(NODES, ports[1:], strict=True)
        )
        told = {"host": host, "user": getpass.getuser(), "folder": self.folder, "ports": ports, "nodes": nodes}
        (self.folder / "slurm.conf").write_text(CONF.format(**told, kill_wait=self.kill_wait))
        munge = self.folder / "munge"
        self.daemon(
            "munged",
            "--foreground",
            "--force",
            f"--key-file={key}",
            f"--socket={munge}/socket",
            f"--pid-file={munge}/pid",
            f"--seed-file={munge}/seed",
            f"--log-file={munge}/log",
        )
        wait_for((munge / "socket").exists, "munged")
        self.daemon("slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        wait_for(self.is_up, "the cluster")
        return self

    def start_node(self, node: str) -> None:
        self.daemon("slurmd", "-D", "-N", node, name=f"slurmd_{node}")

    def daemon(self, program: str, *arguments: str, name: str = "") -> None:
        name = name or program
        with (self.folder / f"{name}.out").open("ab") as out:
            process = subprocess.Popen(
                [where(program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        (self.folder / f"{name}.daemon").write_text(str(process.pid))

    def pid(self, name: str) -> int:
        return int((self.folder / f"{name}.daemon").read_text())

    def run(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **self.environment}, timeout=60
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def is_up(self) -> bool:
        try:
            states = self.run("sinfo", "--noheader", "--Node", "--partition=toy", "--format=%T").split()
        except RuntimeError:
            return False
        return states == ["idle"] * len(NODES)

    def stop(self) -> None:
        with suppress(RuntimeError, subprocess.TimeoutExpired):
            self.run("scancel", "--user", getpass.getuser())
            wait_for(lambda: not self.run("squeue", "--noheader"), "jobs to end", self.kill_wait + 15, strict=False)
        for daemon in sorted(self.folder.glob("*.daemon"), reverse=True):  # slurmd, slurmctld, munged
            with suppress(ProcessLookupError):
                os.killpg(int(daemon.read_text()), signal.SIGTERM)
        time.sleep(1)
        for daemon in self.folder.glob("*.daemon"):
            with suppress(ProcessLookupError):
                os.killpg(int(daemon.read_text()), signal.SIGKILL)
            daemon.unlink()


def wait_for(condition, what: str, seconds: float = PATIENCE_SECONDS, strict: bool = True) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            if strict:
                raise TimeoutError(f"waited {seconds:g} s for {what}")
            return False
        time.sleep(0.2)
    return True


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("up", "down"):
        sys.exit(__doc__)
    if missing():
        sys.exit(f"error: {', '.join(missing())} not found; apt-get install slurm-wlm munge")
    cluster = ToySlurm(Path(sys.argv[2]).resolve())
    if sys.argv[1] == "up":
        cluster.start()
        print(f"export SLURM_CONF={cluster.folder}/slurm.conf")
    else:
        cluster.stop()
