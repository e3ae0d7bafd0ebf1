# HMR of mmhuman3d (configs/hmr/resnet50_hmr_pw3d.py there), without its adversarial part, tested on 3DPW.
#   tools/dist_train.sh configs/baselines/hmr_r50_mixed.py 8
#   tools/dist_test.sh configs/baselines/hmr_r50_mixed.py CHECKPOINT 8
# CHECKPOINT may be mmhuman3d's resnet50_hmr_pw3d-04f40f58_20211201.pth: MPJPE 112.34, PA-MPJPE 67.53 by its authors.
# Files: configs/_base_/baselines_224.py. Not trained here: the data need licences.
_base_ = ["../_base_/default_runtime.py", "../_base_/baselines_224.py", "../_base_/hmr.py"]

model = dict(
    architecture=dict(
        backbone=dict(
            type="ResNet",
            depth=50,
            out_indices=[3],
            norm_eval=False,
            norm_cfg=dict(type="BN", requires_grad=True),
            # a checkpoint file does as well; None for a random start
            init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet50"),
        ),
        head=dict(type="HMRHead", feat_dim=2048, smpl_mean_params="data/body_models/smpl_mean_params.npz"),
    ),
    body=dict(model_path="data/body_models/smpl"),
)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="Adam", lr=2.5e-4))
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=5)
auto_scale_lr = dict(enable=False, base_batch_size=256)
# checkpoints that mmhuman3d wrote load as well
custom_hooks = [*_base_.custom_hooks, dict(type="mion.MMHuman3DCheckpointHook")]
