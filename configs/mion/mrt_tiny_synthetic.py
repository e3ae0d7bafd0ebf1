# Stage 2 of the small model in the paper's form, on synthetic people: for a laptop without a GPU.
#   python tools/train.py configs/mion/mrt_tiny_synthetic.py
#   python tools/test.py configs/mion/mrt_tiny_synthetic.py work_dirs/mrt_tiny_synthetic/epoch_8.pth
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/synthetic_112.py",
    "../_base_/mion_tiny_image.py",
]

network, cen = _base_.model.refiner, _base_.model.cen
network.update(bfloat16_features=True, transformer=dict(network.transformer, bfloat16=True))
model = dict(
    _delete_=True,
    type="mion.MRT",
    network=network,
    selector=dict(_base_.model.selector, pool_split="train"),  # the poses of test recordings are not candidates
    train_candidates=4,
    # a shape that tight clothes at 112 px hardly show would otherwise be more than half of the loss
    loss=dict(type="mion.MeshLoss", betas_weight=0.04),
)

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4),  # twenty times the paper's: a small model, few steps
)
train_dataloader = dict(dataset=dict(num_samples=16000))  # 500 steps an epoch
max_epochs = 8
param_scheduler = [
    dict(type="LinearLR", start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", T_max=max_epochs, eta_min=1e-5, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=2)
