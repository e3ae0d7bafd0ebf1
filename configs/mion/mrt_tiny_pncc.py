# Stage 2 as the paper has it, on written synthetic people of 112 px, for what PNCC-PE is worth: joint queries that know
# nothing of the candidate, and absolute rotations, so that PNCC alone tells a path from the others.
#   python tools/synthesize.py --out data/synthetic_112_more --num-images 72000 --seed 1000 --image-size 112 \
#       --detected-noise 1.5 --exchange-prob 0.2
#   python tools/train.py configs/mion/mrt_tiny_pncc.py
#   python tools/test.py configs/mion/mrt_tiny_pncc.py work_dirs/mrt_tiny_pncc/epoch_2.pth \
#       --cfg-options model.selector.parts=1
#   python tools/benchmark.py pncc configs/mion/mrt_tiny_pncc.py work_dirs/mrt_tiny_pncc/epoch_2.pth \
#       --cfg-options model.selector.parts=1
# The paper's ablation of it: configs/mion/mrt_tiny_pncc_sine-pe.py
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/written_112.py",
    "../_base_/mion_tiny_image.py",
]

tiny = _base_.model.refiner
model = dict(
    _delete_=True,
    type="mion.MRT",
    network=dict(
        tiny,
        backbone=dict(
            type="mion.TimmBackbone",
            model_name="tf_efficientnet_lite0",
            out_indices=(3,),
            # of the reader that ships, which has learned from these pictures where joints are and how deep: from random
            # weights, 400 steps had not begun to read them
            init_cfg=dict(
                type="Pretrained", checkpoint="mion_plugin/models/mion_tiny/cen.pth", prefix="reader.backbone"
            ),
        ),
        neck=dict(type="mion.DeconvNeck", in_channels=112, channels=144, num_layers=1),
        renderer=dict(type="mion.PNCCRenderer", size=14),  # one layer of the neck doubles the backbone's 7 x 7
        queries=dict(),
        head=dict(rotation="absolute"),
        position_encoding=dict(type="mion.PNCCEncoding", frequency_scale=1.0),
        add_2d_position=False,
        bfloat16_features=True,
        transformer=dict(tiny.transformer, bfloat16=True),
    ),
    # searching 1 of 24 parts of the pool takes a tenth of the time that the whole takes
    selector=dict(_base_.model.selector, type="mion.PartialSelector", parts=24, pool_split="train"),
    train_candidates=2,
    # a shape that tight clothes at 112 px hardly show would otherwise be more than half of the loss
    loss=dict(type="mion.MeshLoss", betas_weight=0.04),
)

train_dataloader = dict(dataset=dict(data_root="data/synthetic_112_more", keypoints2d_source="detected"))
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4),  # as mrt_tiny_synthetic.py
    paramwise_cfg=dict(custom_keys={"network.backbone": dict(lr_mult=0.3)}),  # it has been trained before
)
max_epochs = 2
param_scheduler = [
    dict(type="LinearLR", start_factor=0.02, by_epoch=False, begin=0, end=100),
    dict(type="CosineAnnealingLR", T_max=max_epochs, eta_min=1e-5, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
