"""Caches on a home that several machines share: made once, never torn, and what a node does that cannot write there.

Hosts are made by `unshare`: process ids and a name of their own, on one file system."""

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from torchvision import datasets

from command import ROOT
from litconv import caches
from litconv import native as compiled
from litconv.callbacks import programs
from litconv.data.cache import Cache
from litconv.data.torchvision_sets import fetch
from litconv.data.voc import VOC

HOST = ["unshare", "--map-root-user", "--uts", "--pid", "--mount", "--fork", "--kill-child"]
needs_hosts = pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run([*HOST, "true"], capture_output=True).returncode != 0,
    reason="this user may make no namespaces",
)
needs_compiler = pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler")
SEVEN = 'extern "C" int seven() { return 7; }\n'


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own, and a node of its own: a temporary folder."""
    for name in ("XDG_CACHE_HOME", "LITCONV_CACHE_DIR", "TORCH_EXTENSIONS_DIR", "TORCHINDUCTOR_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(caches.tempfile, "tempdir", str(tmp_path / "node"))
    (tmp_path / "node").mkdir()
    caches._say.cache_clear()
    return tmp_path / "home"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "seven.cpp"
    path.write_text(SEVEN)
    return path


# -- a node that cannot write there ------------------------------------------------------------------------------------


@pytest.fixture(params=["nothing can be made there", "its file system has no locks"])
def unusable(request, home, monkeypatch):
    """A home that this node can read and no more."""
    home.mkdir()
    if request.param.startswith("nothing"):
        home.rmdir()
        home.write_text("")  # root, as which tests may run, may write into every folder
    else:

        def flock(file, how):
            if caches.tempfile.gettempdir() not in str(Path(f"/proc/self/fd/{file.fileno()}").readlink()):
                raise OSError(38, "Function not implemented")

        monkeypatch.setattr(fcntl, "flock", flock)
    return home


@needs_compiler
def test_where_the_home_cannot_be_used_a_node_compiles_for_itself_and_says_so_once(unusable, source, tmp_path, caplog):
    library = compiled.library_of(source)
    assert library.is_relative_to(tmp_path / "node")
    assert ctypes.CDLL(str(library)).seven() == 7
    compiled.Compilation(source)
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said.startswith(f"{unusable}/.cache/torch_extensions cannot be used on this node (")
    assert said.endswith(f"what is compiled is kept in {library.parents[1]}, for this node alone")


@needs_compiler
def test_what_lies_in_a_home_that_may_only_be_read_is_used(home, source, monkeypatch):
    library = compiled.library_of(source)
    assert library.is_relative_to(home)
    monkeypatch.setattr(caches, "why_not", lambda folder: "Read-only file system")
    assert compiled.Compilation(source).is_done()
    assert compiled.Compilation(source).library == library


def test_a_nodes_own_folder_that_others_may_write_to_is_not_used(home, tmp_path):
    own = caches.node_folder()
    assert own.stat().st_mode & 0o777 == 0o700
    own.chmod(0o777)
    with pytest.raises(PermissionError, match="can be written by others; remove it, or set TMPDIR"):
        caches.node_folder()
    own.rmdir()
    own.symlink_to(tmp_path)
    with pytest.raises(PermissionError):
        caches.node_folder()


def test_a_user_without_a_home_has_the_nodes_folder(home, tmp_path, monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    assert caches.folder("LITCONV_CACHE_DIR", "litconv").is_relative_to(tmp_path / "node")


# -- torch.compile's programs ------------------------------------------------------------------------------------------


def test_programs_are_kept_in_the_home_though_torch_has_chosen_the_temporary_folder(home, tmp_path, monkeypatch):
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", default_cache_dir())  # as torch does, once it is imported
    programs.keep()
    assert Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]).parent == home / ".cache" / "torchinductor"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "elsewhere")
    programs.keep()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "elsewhere"


def test_programs_of_a_node_that_cannot_write_to_the_home_are_its_own(unusable, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    programs.keep()
    assert Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]).is_relative_to(tmp_path / "node")


def test_processors_with_other_instructions_have_other_programs(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(EPYC)
    one = programs.processor(tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(EPYC.replace("2445.404", "3000.000").replace("apicid : 0", "apicid : 5"))
    assert programs.processor(tmp_path / "cpuinfo") == one  # another clock is no other processor
    for ours, other in (("avx2", "avx2 avx512f"), ("AMD EPYC", "AMD EPYC 9"), ("model : 1", "model : 17")):
        assert ours in EPYC
        (tmp_path / "cpuinfo").write_text(EPYC.replace(ours, other))
        assert programs.processor(tmp_path / "cpuinfo") != one


EPYC = """\
processor : 0
vendor_id : AuthenticAMD
cpu family : 25
model : 1
model name : AMD EPYC
cpu MHz : 2445.404
apicid : 0
flags : fpu avx avx2

processor : 1
"""


def test_modes_are_torchs_own_and_the_compiler_is_the_one_that_was_named(home, monkeypatch):
    from torch._inductor import list_mode_options

    torchs = list_mode_options()
    monkeypatch.setenv("CXX", "ccache clang++ -m64")
    for mode, own in programs.MODES.items():
        assert own == torchs[mode]
        made = programs.options(mode)
        path = Path(made.pop("cpp.cxx")[1])
        assert path.name == "clang++"
        assert path.read_text().endswith('whole_output.sh ccache clang++ -m64 "$@"\n')
        assert made == torchs[mode]


def test_the_compiler_is_one_program_without_arguments_of_its_own(home):
    path = programs.compiler("echo it said")
    assert [path] == list(path.parent.iterdir())
    assert programs.compiler("echo it said") == path != programs.compiler("echo")
    done = subprocess.run([path, "a  b"], capture_output=True, text=True)
    assert done.stdout == "it said a  b\n"


@pytest.fixture
def slow_compiler(tmp_path):
    """Writes half of its output, says so, and the other half once it may."""
    path = tmp_path / "slow.sh"
    path.write_text(
        'for last; do :; done; printf half > "$last"; echo half >&2; read -r go; printf " and half" >> "$last"; exit "$go"\n'
    )
    return ["sh", str(programs.WHOLE_OUTPUT), "sh", str(path), "-o"]


def started(command, output):
    process = subprocess.Popen(
        [*command, output], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr.readline() == "half\n"
    return process


def test_a_compilers_output_is_there_whole_or_not_at_all(tmp_path, slow_compiler):
    output = tmp_path / "a b" / "made.so"
    output.parent.mkdir()
    killed = started(slow_compiler, output)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not output.exists()
    assert len(list(output.parent.iterdir())) == 1  # what it leaves has another name
    failed = started(slow_compiler, output)
    failed.communicate("3\n")
    assert failed.returncode == 3
    assert not output.exists()
    first, second = started(slow_compiler, output), started(slow_compiler, output)
    first.communicate("0\n")
    assert output.read_text() == "half and half"
    inode = output.stat().st_ino
    second.communicate("0\n")
    assert (first.returncode, second.returncode) == (0, 0)
    assert output.stat().st_ino == inode  # which another node may have mapped
    assert len(list(output.parent.iterdir())) == 2


def test_a_compilers_answers_pass_through():
    said = subprocess.run(
        ["sh", programs.WHOLE_OUTPUT, "echo", "--version", "two words"], capture_output=True, text=True
    )
    assert said.stdout == "--version two words\n"


# -- hosts ------------------------------------------------------------------------------------------------------------


DECODES = """
import sys, time
from pathlib import Path
import numpy as np
from litconv.data.cache import Cache
def make(allocate):
    array = allocate("x", (10_000,), np.uint8)
    array[:5_000] = 1
    print("half", flush=True)
    sys.stdin.readline()
    array[:] = 2
    return {"x": array}
print(int(Cache(Path(sys.argv[1]), 100).fetch("set", "1", make)["x"].sum()), flush=True)
"""


def on_a_host(program, *arguments):
    return subprocess.Popen(
        [*HOST, sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT / "src",
    )  # fmt: skip


@needs_hosts
def test_a_set_that_a_host_was_making_when_it_died_is_made_by_one_that_waits(tmp_path):
    first = on_a_host(DECODES, tmp_path)
    assert first.stdout.readline() == "half\n"
    second = on_a_host(DECODES, tmp_path)
    time.sleep(0.5)  # it may have come to wait; where it has not, the test is weaker, not wrong
    first.kill()  # and with it every process of its host
    first.communicate()
    assert second.stdout.readline() == "half\n"
    told, _ = second.communicate("go\n")
    assert told == "20000\n"
    assert not list((tmp_path / "data").glob(".*unfinished"))


COMPILES = """
import ctypes, sys
from pathlib import Path
from litconv import native
compilation = native.Compilation(Path(sys.argv[1]))
assert not compilation.is_done()
print("begun" if compilation.compiler else "waits", flush=True)
compilation.wait()
print(ctypes.CDLL(str(compilation.library)).seven(), flush=True)
"""


@needs_hosts
@needs_compiler
def test_a_library_that_a_host_was_compiling_when_it_died_is_compiled_by_one_that_waits(tmp_path, source, monkeypatch):
    gate = tmp_path / "gate"
    slow = tmp_path / "slow.sh"
    slow.write_text(f'[ -e {gate} ] || sleep 100; exec c++ "$@"\n')
    monkeypatch.setenv("CXX", f"sh {slow}")
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    first = on_a_host(COMPILES, source)
    assert first.stdout.readline() == "begun\n"
    second = on_a_host(COMPILES, source)
    assert second.stdout.readline() == "waits\n"
    gate.touch()
    first.kill()
    first.communicate()
    told, _ = second.communicate()
    assert told == "7\n"


@needs_compiler
def test_a_library_that_another_node_has_put_there_is_not_replaced(tmp_path, source, monkeypatch):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    library = compiled.library_of(source)
    inode = library.stat().st_ino
    late = compiled.Compilation(source)
    exists = Path.exists
    seen = iter([False, False])  # as NFS says for half a minute after the other node's rename
    monkeypatch.setattr(Path, "exists", lambda path: next(seen, True) if path == library else exists(path))
    late.wait()
    assert late.compiler is not None
    assert late.compiler.wait() == 0
    assert library.stat().st_ino == inode


def test_a_set_that_another_node_has_put_there_is_not_made_again(tmp_path, monkeypatch):
    import numpy as np

    def make(allocate):
        return {"x": allocate("x", (100,), np.uint8)}

    Cache(tmp_path, 100).fetch("set", "1", make)
    entry, aside = tmp_path / "data" / "set-1", tmp_path / "set-1"
    entry.rename(aside)
    mkdir = Path.mkdir

    def changes(path, *how, **options):  # NFS asks anew once this node has changed the folder
        mkdir(path, *how, **options)
        if path.name == ".set-1.unfinished":
            aside.rename(entry)

    monkeypatch.setattr(Path, "mkdir", changes)
    assert Cache(tmp_path, 100).fetch("set", "1", pytest.fail)["x"].shape == (100,)


# -- data that are fetched ---------------------------------------------------------------------------------------------


class Source:
    """As one of torchvision's: it fills a folder below its root."""

    fetched = 0

    def __init__(self, root, download, **options):
        type(self).fetched += 1
        folder = Path(root) / "set"
        folder.mkdir(exist_ok=True)
        assert not (folder / "half").exists()
        (folder / "half").touch()
        if options.get("dies"):
            os._exit(9)
        (folder / "half").rename(folder / "whole")


def test_what_a_killed_fetch_has_left_is_fetched_anew_and_what_is_whole_is_not(tmp_path):
    folder = tmp_path / "set"
    if (child := os.fork()) == 0:
        fetch(Source, str(tmp_path), folder, dies="yes")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (folder / "half").exists()
    fetch(Source, str(tmp_path), folder)
    assert [path.name for path in folder.iterdir()] == ["whole"]
    assert [path.name for path in tmp_path.iterdir() if path.name != ".fetching.lock"] == ["set"]


def test_of_two_that_fetch_the_second_waits_and_finds_it(tmp_path):
    begun, go = threading.Event(), threading.Event()

    class Slow(Source):
        def __init__(self, root, download):
            begun.set()
            assert go.wait(60)
            super().__init__(root, download)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fetch, Slow, str(tmp_path), tmp_path / "set")
        assert begun.wait(60)
        second = pool.submit(fetch, Slow, str(tmp_path), tmp_path / "set")
        with pytest.raises(TimeoutError):
            second.result(0.3)
        go.set()
        first.result(60)
        second.result(60)
    assert Slow.fetched == Source.fetched + 1


def test_a_set_that_is_there_is_given_to_torchvision_which_looks_whether_it_is_whole(tmp_path):
    (tmp_path / "set").mkdir()
    before = Source.fetched
    fetch(Source, str(tmp_path), tmp_path / "set")
    assert Source.fetched == before + 1


def test_photographs_that_were_half_unpacked_are_unpacked_anew(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(datasets.VOCSegmentation, "__init__", lambda self, root, **options: asked.append(root))
    data = VOC(root=str(tmp_path), download=True)
    data.folder.mkdir(parents=True)
    data.prepare_data()
    assert not asked
    (data.folder.parent / ".VOC2012.unfinished").touch()
    (data.folder / "half").touch()
    data.prepare_data()
    assert asked == [str(tmp_path)]
    assert not (data.folder / "half").exists()


@pytest.mark.slow
@needs_hosts
@needs_compiler
@pytest.mark.parametrize("kills", [False, True])
def test_sixteen_hosts_that_start_together_make_each_thing_once_and_have_the_same(kills):
    command = [sys.executable, "benchmarks/shared_start.py", "--parts", "kernels", "data", *["--kill"] * kills]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{16 - kills} of 16 tasks" in done.stdout
    assert (
        f"outputs of the compiler: 4, made again: {int(kills)}" in done.stdout
    )  # what was cut off, if it was a kernel
    assert "blocks of images drawn: 34;" in done.stdout
    assert "left unfinished: nothing" in done.stdout
