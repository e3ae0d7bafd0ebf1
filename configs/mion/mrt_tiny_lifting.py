# Stage 2 of the small model on keypoints alone: bodies drawn and projected on the fly, nothing rendered.
#   python tools/train.py configs/mion/mrt_tiny_lifting.py
#   python tools/test.py configs/mion/mrt_tiny_lifting.py work_dirs/mrt_tiny_lifting/epoch_13.pth
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/synthetic_112.py",
    "../../mion_plugin/models/mion_tiny/config.py",
]

network, camera = _base_.model.refiner, _base_.camera
network.update(transformer=dict(network.transformer, bfloat16=True))
network.queries.update(lifting=dict(network.queries.lifting, bfloat16=True))
model = dict(
    _delete_=True,
    type="mion.KeypointLifting",
    network=network,
    # searching 1 of 24 parts of the pool takes a tenth of the time that the whole takes
    selector=dict(_base_.model.selector, type="mion.PartialSelector", parts=24, pool_split="train", **camera),
    train_candidates=1,
    # a shape that tight clothes at 112 px hardly show would otherwise be more than half of the loss
    loss=dict(type="mion.MeshLoss", betas_weight=0.04),
)

bodies_per_batch = 512
train_dataloader = dict(
    _delete_=True,
    batch_size=1,
    num_workers=0,
    collate_fn=dict(type="mion.only_item"),
    sampler=dict(type="mion.EpochSampler", shuffle=False),
    dataset=dict(
        type="mion.LiftingDataset",
        num_batches=500,
        bodies_per_batch=bodies_per_batch,
        # limbs of other recordings and cameras as phones hold them: better on people who are not in the pool
        settings=dict(wide_prob=0.5, exchange_prob=0.2),
        depths=dict(),
        **camera,
    ),
)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4),
    clip_grad=dict(max_norm=30.0),  # twice the usual norm early on
)
max_epochs = 13
param_scheduler = [
    dict(type="LinearLR", start_factor=0.02, by_epoch=False, begin=0, end=200),
    dict(type="CosineAnnealingLR", T_max=max_epochs, eta_min=1e-5, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
