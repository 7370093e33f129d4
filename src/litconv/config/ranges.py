"""The least value of keys whose classes are slow to import: asked before that. Of `data` the classes ask it here too; the
others have bounds of their own."""

AT_LEAST: dict[str, float] = {
    **dict.fromkeys(("groups", "dilation", "kernel_size", "epochs"), 1),
    **dict.fromkeys(("data.batch_size", "data.n_train", "data.n_val", "data.n_test"), 1),
    **dict.fromkeys(("data.num_workers", "data.memory_limit_mb", "data.cache_limit_mb"), 0),
    **dict.fromkeys(("data.crop_padding", "data.cutout", "data.clutter", "data.noise"), 0),
    **dict.fromkeys(("optim.lr", "optim.momentum", "optim.weight_decay"), 0),
    **dict.fromkeys(("task.mixup", "task.cutmix", "task.label_smoothing"), 0),
}
