# What every mmhuman3d run shares; as mmhuman3d's own file of this name, but for the hook.
checkpoint_config = dict(interval=1, max_keep_ckpts=2)
log_config = dict(interval=50, hooks=[dict(type="TextLoggerHook")])
dist_params = dict(backend="nccl")
log_level = "INFO"
load_from = None
resume_from = None
workflow = [("train", 1)]
custom_hooks = [dict(type="BodyFingerprintHook")]  # checkpoints tell their body: docs/fidelity.md
