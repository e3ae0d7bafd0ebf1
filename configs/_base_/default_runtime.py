# What every run shares: hooks, logs, seeds.
custom_imports = dict(imports=["mion_plugin"], allow_failed_imports=False)
default_scope = "mmengine"  # our own components carry the prefix

default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=20),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(type="CheckpointHook", interval=1, max_keep_ckpts=2),
    sampler_seed=dict(type="DistSamplerSeedHook"),
)
# Dropout and the choice of training candidates depend on the epoch alone: a resumed run equals an uninterrupted one.
# Checkpoints hold tensors and plain values only, so that they load with weights_only=True.
# A loss that is NaN or infinite ends the training. Checkpoints tell their body model, and load into no other.
custom_hooks = [
    dict(type="mion.EpochSeedHook"),
    dict(type="mion.PlainCheckpointHook"),
    dict(type="mion.BodyFingerprintHook"),
    dict(type="mion.StopOnInvalidLossHook", interval=20),  # as often as the log
]

vis_backends = [dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")]
visualizer = dict(type="Visualizer", vis_backends=vis_backends)
log_processor = dict(type="LogProcessor", window_size=20, by_epoch=True)
env_cfg = dict(cudnn_benchmark=True, mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0))
randomness = dict(seed=0)
log_level = "INFO"
load_from = None
resume = False
