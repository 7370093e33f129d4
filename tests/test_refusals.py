"""Every command line that must be refused: one line on stderr that names the key, the values and the remedy."""

import pytest
import yaml

from command import command
from litconv.config import composed as config
from litconv.config.root_keys import ROOT_KEYS

CONVS = ", ".join(sorted(path.stem for path in (config.CONF / "conv").glob("*.yaml")))
SWEPT = "(conv=standard,grouped,separable,bottleneck,depthwise_separable,deformable seed="
REFUSED = {
    "experiment=operators": f"experiment=operators is a sweep {SWEPT}",
    "experiment=operators_equal_macs seed=1": f"experiment=operators_equal_macs is a sweep {SWEPT}",
    "experiment=dilation": "experiment=dilation is a sweep (dilation=1,2,4,8 seed=",
    "conv=standard,grouped": "conv=standard,grouped: several values are a sweep; add -m\n",
    "conv=[standard,grouped]": (
        "conv=[standard,grouped]: a run has one conv; several are a sweep: add -m and write conv=standard,grouped"
    ),
    "trainer=[auto,cpu]": "trainer=[auto,cpu]: a run has one trainer; several are a sweep: add -m and write ",
    "seed=0,1": "seed=0,1: several values are a sweep; add -m\n",
    "width=choice(1,2)": "width=choice(1,2): several values are a sweep; add -m\n",
    "data.image_size=64,64": (
        "data.image_size=64,64: several values are a sweep; add -m; a list is written data.image_size=[64,64]"
    ),
    "width=inf": "width=inf must be greater than 0 and finite\n",
    "width=nan": "width=nan must be greater than 0 and finite\n",
    "width=50000": "the network has 190,720,061,600,002 params: their weights and gradients take 1420975 GB, and this ",
    "optim.lr=nan": "optim.lr=nan must be finite",
    "optim.weight_decay=inf": "optim.weight_decay=inf must be finite",
    "+data.mean=[0,nan,0]": "data.mean=[0, nan, 0] must be finite",
    "data.image_size=null": "data.image_size=null: the images of this set have no size of their own; give one, such as 64",
    "threads=100000": "threads=100000 must be auto, or a whole number of at least 1 and at most 512",
    "conv.modulated=true": "conv.modulated: the chosen conv has no modulated; those that do: deformable",
    "+conv.modulated=true": "+conv.modulated: Standard takes no 'modulated'; those that do: deformable; it takes ",
    "conv@conv_stage2=grouped conv_stage2.offset_groups=2": (
        "conv_stage2.offset_groups: the chosen conv_stage2 has no offset_groups; those that do: deformable"
    ),
    "backbone=vgg backbone.widen=2": "backbone.widen: the chosen backbone has no widen; those that do: wide_resnet",
    "trainer.max_time=1": "trainer.max_time=1 must be a string or null",
    "schedule=step schedule.milestones=0.5": "schedule.milestones=0.5 must be a list",
    "trainer.val_check_interval=0": "trainer.val_check_interval=0 must be more than 0: ",
    "trainer.val_check_interval=0.0": "trainer.val_check_interval=0 must be more than 0: ",
    "trainer.val_check_interval=1000": (
        "trainer.val_check_interval=1000 is more than the 125 batches of an epoch; set a smaller one, or "
    ),
    "trainer.num_nodes=2": "trainer.num_nodes=2 would wait for processes on other machines, which nothing starts here; ",
    "trainer=cpu trainer.devices=1000": "trainer.devices=1000 starts 1000 processes, each on a CPU of this machine, ",
    "++data.n_train=100000000000 data.cache_dir=null": "out of memory (Unable to allocate ",
    "epochs": "epochs: no value is given; write KEY=VALUE, without blanks",
    "epochs =3": "epochs: no value is given; write KEY=VALUE, without blanks",
    "=3": "=3: a group needs one of its options; --help lists them",
    "--epochs=3": "--epochs=3: no such flag; keys have no dashes: epochs=3",
    "--epochs 3": "--epochs: no such flag; keys have no dashes: epochs=VALUE",
    "hydra/launcher=joblib": "hydra/launcher=joblib has no effect: it is for the jobs of a sweep; remove it, or add -m",
    "hydra.searchpath=[file:///no/such]": "hydra.searchpath: /no/such is not there; give folders, as file:///home/me/conf",
    "+match=macs": "+match: the group is there, so write match=… without the plus",
    "match=macs conv=grouped conv@conv_stage1=dilated conv@conv_stage2=dilated conv@conv_stage3=dilated": (
        "conv=grouped has no effect: every stage has an operator of its own; remove it"
    ),
    "optim={}": "optim={} has no effect: it changes nothing of optim=sgd; remove it",
    "~optim.lr": "optim.lr is missing, and torch.optim.SGD needs it; ",
    "~optim._target_": "optim names no class; choose one of its options with optim=NAME, or set optim._target_",
    "match=macs ~match.by": "match.by is missing, and litconv.match.Budget needs it; ",
    "+callbacks.extra.a._target_=pytorch_lightning.callbacks.EarlyStopping": (
        "callbacks.extra.a.monitor is missing, and pytorch_lightning.callbacks.EarlyStopping needs it; "
    ),
    "conv@conv_stage3=deformabel": "conv@conv_stage3=deformabel: no such conv (did you mean 'deformable'?); ",
    "+callbacks.hi._target_=torch.nn.ReLU": "+callbacks.hi: your own callbacks stand under extra: write ",
    "++foo=1": "++foo: unknown key",
    "+logger.mine._target_=litconv.loggers.csv.Nope": "logger.mine._target_=litconv.loggers.csv.Nope cannot be loaded ",
    "logger={a:1}": "logger={a:1}: a group needs one of its options: csv, mlflow, tensorboard, wandb; ",
    "hydra/launcher=slurm hydra.launcher.partiton=gpu": "hydra.launcher.partiton: unknown key (did you mean "
    "'hydra.launcher.partition'?); accepted here: hydra.launcher.account, ",
    "optim.mometum=0.5": "optim.mometum: unknown key (did you mean 'optim.momentum'?); accepted here: ",
    "optim.dampening=0.5": "optim.dampening: its yaml leaves it at the default; to set it write +optim.dampening=…",
    "+optim.dampning=0.5": "+optim.dampning: SGD takes no 'dampning' (did you mean 'dampening'?); it takes params, ",
    "trainer.precision=7": "trainer.precision=7 must be ",
    "cost.latency.batch=0": "cost.latency.batch=0 must be more than 0 and at most 65536",
    "cost.latency.seconds=4000": "cost.latency.seconds=4000 must be more than 0 and at most 3600",
    "~callbacks": "callbacks is missing or null, and every run needs one; remove the override that takes it away",
    "epochs=3 ~trainer.max_epochs": "epochs=3 has no effect: trainer=auto sets max_epochs=null; ",
    "optim=null": "optim=null: a group needs one of its options; --help lists them",
    "+callbacks.extra.a._target_=torch.nn.ReLU": "callbacks.extra.a._target_=torch.nn.ReLU is no Callback of Lightning; ",
    "conv=groupd": f"conv=groupd: no such conv (did you mean 'grouped'?); choose from {CONVS}",
    "backbone=resnt": (
        "backbone=resnt: no such backbone (did you mean 'resnet'?); choose from mobilenet, module, "
        "resnet, smp, timm, torchvision, vgg, "
        "wide_resnet"
    ),
    "grups=4": "grups: unknown key (did you mean 'groups'?); accepted here: ",
    "conv=grouped conv.grups=4": "conv.grups: unknown key (did you mean 'conv.groups'?); accepted here: conv.groups, ",
    "+grups=4": "+grups: unknown key (did you mean 'groups'?); accepted here: ",
    "+backbone.dept=20": "+backbone.dept: ResNet takes no 'dept' (did you mean 'depth'?); it takes conv, in_channels, ",
    "conv=standard groups=8": (
        "groups=8 has no effect: conv=standard has no groups; operators that do: depthwise_separable, grouped; "
        "remove groups or choose one of them"
    ),
    "+groups=4": (
        "groups=4 has no effect: conv=standard has no groups; operators that do: depthwise_separable, grouped; "
        "remove groups or choose one of them"
    ),
    "dilation=2": (
        "dilation=2 has no effect: conv=standard has no dilation; operators that do: dilated; "
        "remove dilation or choose one of them"
    ),
    "conv=pointwise kernel_size=5": "kernel_size=5 has no effect: conv=pointwise has no kernel_size; operators that do: ",
    "upsample=transposed": (
        "upsample=transposed has no effect: head=linear has no upsampler; heads that do: deeplab, fcn, unet"
    ),
    "conv=grouped groups=3": "groups=3 must divide in_channels=16; try 1, 2, 4, 8, 16 (in backbone.stage1.0)",
    "conv@conv_stage3=grouped groups=5": (
        "groups=5 must divide in_channels=32 and out_channels=64; try 1, 2, 4, 8, 16, 32 (in backbone.stage3.0)"
    ),
    "conv=grouped groups=abc": "groups=abc must be an integer",
    "conv=grouped groups=": "groups='' must be an integer",
    "conv=grouped groups=null": "groups=null must be an integer",
    "conv=grouped groups=2.5": "groups=2.5 must be an integer",
    "conv=grouped groups=0": "groups=0 must be at least 1",
    "conv=dilated dilation=-1": "dilation=-1 must be at least 1",
    "kernel_size=0": "kernel_size=0 must be at least 1",
    "conv=bottleneck conv.reduction=5": "reduction=5 must divide out_channels=16; try 2, 4, 8, 16 (in backbone.stage1.0)",
    "width=0": "width=0 must be greater than 0",
    "threads=0": "threads=0 must be auto, or a whole number of at least 1",
    "threads=many": "threads=many must be an integer or auto",
    "threads=1.5": "threads=1.5 must be an integer or auto",
    "memory_format=nhwc": "memory_format=nhwc must be channels_last or contiguous or auto",
    "memory_format=auto match=latency": "memory_format=auto: match=latency measures in one layout; choose ",
    "matmul_precision=tf32": "matmul_precision=tf32 must be default or highest or high or medium",
    "compile=true": "compile=True replaces several keys; set them one by one: compile.enabled, compile.mode",
    "details=maybe": "details=maybe must be true or false",
    "compile.enabled=maybe": "compile.enabled=maybe must be true or false",
    "compile.mode=max-autotune": "compile.mode=max-autotune has no effect: compile.enabled=false; add compile.enabled=true",
    "trainer=cpu compile.enabled=true compile.mode=reduce-overhead": (
        "compile.mode=reduce-overhead has no effect on cpu: it is CUDA graphs; use compile.mode=default"
    ),
    "trainer=cpu trainer.precision=16-mixed": (
        "trainer.precision=16-mixed is not for cpu, where Lightning would train in bf16-mixed; choose "
    ),
    "width=wide": "width=wide must be a number",
    "backbone.depth=21": "depth=21 must be 18, 34, 50 (ImageNet) or 6n+2 (CIFAR: 8, 14, 20, 26, 32, 44, 56, 110)",
    "backbone.output_stride=3": "output_stride=3 is not possible with this backbone's own stride of 4; try ",
    "conv@conv_stage4=deformable": "conv_stage4: this backbone has 3 stages (1, 2, 3)",
    "optim.lr=abc": "optim.lr=abc must be a number",
    "optim.lr=-1": "optim.lr=-1: Invalid learning rate: -1",
    "optim.momentum=0": "optim.nesterov=True: Nesterov momentum requires a momentum and zero dampening",
    "optim.weight_decay=-1": "optim.weight_decay=-1: Invalid weight_decay value: -1",
    "schedule.warmup=2": "schedule.warmup=2 must be a fraction of all steps: at least 0, less than 1",
    "conv=grouped conv@conv_stage1=dilated conv@conv_stage2=dilated conv@conv_stage3=dilated": (
        "conv=grouped has no effect: every stage has an operator of its own; remove it"
    ),
    "task=segmentation backbone.output_stride=1 upsample=nearest": (
        "upsample=nearest has no effect: head=fcn has nothing to enlarge here; remove it"
    ),
    "conv._target_=no.such.Thing": (
        "conv._target_=no.such.Thing may not be built: a configuration names classes of litconv, torch.nn, torch.optim, "
        "torchvision, torchmetrics and Lightning; for a package of your own add allowed_packages=[no]"
    ),
    "conv._target_=no.such.Thing allowed_packages=[no]": "conv._target_=no.such.Thing cannot be loaded (No module named",
    "conv._target_=litconv.conv.Nothing": "conv._target_=litconv.conv.Nothing cannot be loaded (",
    "allowed_packages=os": "allowed_packages=os must be a list of package names, such as [my_package]",
    "conv=grouped/../standard": "conv=grouped/../standard: write conv=standard",
    "++sweep=../elsewhere": "sweep=../elsewhere must be letters, digits, '.', '_' and '-' (at most 80): ",
    "+data.num_workers=2": "data.num_workers=2 has no effect: this set is held in memory; remove it",
    "+trainer.enable_progress_bar=false": "+trainer.enable_progress_bar has no effect: litconv itself sets ",
    "+trainer.logger=false": "+trainer.logger has no effect: litconv itself sets logger of Trainer; remove it",
    "+trainer.callbacks=[]": "+trainer.callbacks has no effect: litconv itself sets callbacks of Trainer; remove it",
    "+trainer.limit_train_batches=0.001": "trainer.limit_train_batches=0.001 of 125 batches leaves none; use a whole ",
    "optim.lr=null": "optim.lr=null must be a number",
    "schedule=one_cycle schedule.warmup=0": "schedule.warmup=0 must be greater than 0 for one_cycle; without a warm-up ",
    "trainer.devices=0": "trainer.devices=0 must be auto, how many (at least 1; -1: all of them), or their indices, ",
    "trainer.devices=abc": "trainer.devices=abc must be auto, how many (at least 1; -1: all of them), or their indices, ",
    "trainer.devices=[]": "trainer.devices=[] must be auto, how many (at least 1; -1: all of them), or their indices, ",
    "trainer.devices=[a]": "trainer.devices=['a'] must be auto, how many (at least 1; -1: all of them), or their indices",
    "trainer.accumulate_grad_batches=0": "trainer.accumulate_grad_batches=0 must be at least 1",
    "trainer.check_val_every_n_epoch=0": "trainer.check_val_every_n_epoch=0 must be at least 1",
    "trainer.gradient_clip_val=-1": "trainer.gradient_clip_val=-1 must be at least 0",
    "trainer.max_time=abc": "trainer=auto, trainer.max_time=abc: `Timer(duration='abc')` is not a valid duration.",
    "trainer.accelerator=abc": "trainer=auto, trainer.accelerator=abc: You selected an invalid accelerator name: ",
    "trainer.val_check_interval=2.5": "trainer=auto, trainer.val_check_interval=2.5: You have passed invalid value 2.5 ",
    "trainer.limit_val_batches=1.5": "trainer=auto, trainer.limit_val_batches=1.5: You have passed invalid value 1.5 ",
    "trainer.strategy=abc": "trainer=auto, trainer.strategy=abc: You selected an invalid strategy name: `strategy='abc'`",
    "trainer.limit_val_batches=abc": "trainer.limit_val_batches=abc must be ",
    "trainer.limt_val_batches=2": "trainer.limt_val_batches: unknown key (did you mean 'trainer.limit_val_batches'?); ",
    "trainer.limit_val_batches=0": "trainer.limit_val_batches=0 leaves nothing to train, to choose a checkpoint by, ",
    "+trainer.limit_val_batches=0": "trainer.limit_val_batches=0 leaves nothing to train, to choose a checkpoint by, ",
    "schedule=one_cycle +schedule.start=0": "schedule.start=0 must be greater than 0: a learning rate is divided by it",
    "++seed=-1": "seed=-1 must be at least 0 and less than 2**32",
    "task=segmentation head=linear": "head=linear is not for task=segmentation; heads that are: deeplab, fcn, unet",
    "head=unet": "head=unet is not for task=classification; heads that are: linear",
    "backbone.width=0.5": "backbone.width=0.5: write width=0.5, which the summary and the name follow",
    "+conv.dilation=2": "+conv.dilation has no effect: litconv itself sets dilation of Standard; remove it",
    "~conv": "conv is missing or null, and every run needs one; remove the override that takes it away",
    "trainer.max_epochs=0": "trainer.max_epochs=0 ends before the first validation ",
    "epochs=0": "epochs=0 must be at least 1",
    "trainer=debug epochs=3": "epochs=3 has no effect: trainer=debug sets max_epochs=1; remove epochs, or set trainer.",
    "seed=abc": "seed=abc must be an integer",
    "seed=-1": "seed=-1 must be at least 0 and less than 2**32",
    "task.label_smoothing=1.5": "task.label_smoothing=1.5 must be at least 0 and less than 1",
    "task=segmentation data=cifar10": "task=segmentation needs masks, and data=cifar10 is for classification only; ",
    "cost.allow_uncounted=maybe": "cost.allow_uncounted=maybe must be true or false",
    "cost.alow_uncounted=true": "cost.alow_uncounted: unknown key (did you mean 'cost.allow_uncounted'?); accepted here: ",
    "groups=[": "groups=[: not an override that Hydra can read (",
    "data.batch_size=0": "data.batch_size=0 must be a whole number, at least 1",
    "optim._target_=torch.optim.Adam": "torch.optim.Adam takes no 'momentum'; remove it with ~optim.momentum; ",
    "data.crop_size=64": "data.crop_size: its yaml leaves it at the default; to set it write +data.crop_size=…",
    "+data.crop_size=64": "data.crop_size=64x64 is larger than the images (32x32); use data.crop_size=[32,32] or less",
    "data=image_folder data.root=/no/such/place": "data.root=/no/such/place is not a folder; ",
}


def test_the_table_of_root_keys_has_every_key_of_train_yaml():
    written = yaml.safe_load((config.CONF / "train.yaml").read_text())
    defaults = {key.rpartition("@")[2] for item in written.pop("defaults") if item != "_self_" for key in item}
    del written["hydra"]

    def dotted(node, prefix=""):
        for key, value in node.items():
            yield from dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]

    groups = {group for group in defaults if not group.startswith("override ")} - {"experiment"}
    assert set(dotted(written)) | groups == set(ROOT_KEYS)


@pytest.mark.parametrize("arguments", REFUSED)
def test_a_command_line_that_cannot_run_gets_one_clear_line(arguments, capsys, tmp_path):
    assert command(*arguments.split(), f"output_dir={tmp_path}", "logger=csv") == 1
    printed = capsys.readouterr()
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1, printed.err
    assert f"{lines[0]}\n".startswith(f"error: {REFUSED[arguments]}")
    assert "Traceback" not in printed.err + printed.out
    assert not list(tmp_path.rglob("wandb"))


def test_a_fault_of_the_data_is_said_before_a_logger_starts(capsys, tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "0.png").write_bytes(b"broken")
    data = ("data=image_folder", f"data.root={tmp_path / 'set'}", "data.image_size=8", "data.cache_dir=null")
    assert command(*data, f"output_dir={tmp_path}") == 1
    assert capsys.readouterr().err.endswith(
        "2 training images, one per class, leave none for validation; add a val split\n"
    )
    assert not list(tmp_path.rglob("wandb"))


def test_an_output_folder_that_cannot_be_written_is_refused(capsys, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert command(f"output_dir={tmp_path}/file/inside", "logger=csv") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path}/file/inside")
    assert "output_dir" in error
    assert error.count("\n") == 1


def test_an_unknown_wandb_mode_is_refused_before_any_data(capsys, tmp_path):
    assert command("logger.wandb.mode=nonsense", f"output_dir={tmp_path}") == 1
    error = capsys.readouterr().err
    assert error == "error: logger.wandb.mode=nonsense must be auto or online or offline or disabled\n"


def test_full_error_shows_the_traceback(tmp_path):
    with pytest.raises(ValueError, match="groups=3 must divide"):
        command("conv=grouped", "groups=3", f"output_dir={tmp_path}", full_error=True)


ALONE = {
    "logger=[null]": "logger=[null]: null is no logger; logger=csv logs to metrics.csv alone",
    "logger=wandb,csv": "logger=wandb,csv: several loggers of one run are a list; write logger=[wandb,csv]",
    "logger=[csv,csv]": "logger=[csv,csv] names csv more than once; name each logger once",
    "logger=[]": "logger names none; logger=csv logs to nothing but metrics.csv, which every run writes",
    "~logger": "logger names none; logger=csv logs to nothing but metrics.csv, which every run writes",
    "~logger.wandb": "logger names none; logger=csv logs to nothing but metrics.csv, which every run writes",
    "output_dir=": "output_dir= must be the name of a folder",
}


@pytest.mark.parametrize("arguments", ALONE)
def test_what_is_empty_is_refused_before_anything_is_written(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(*arguments.split()) == 1
    assert capsys.readouterr().err == f"error: {ALONE[arguments]}\n"
    assert not list(tmp_path.iterdir())
