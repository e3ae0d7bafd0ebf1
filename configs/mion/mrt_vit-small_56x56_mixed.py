# Stage 2 on a plain vision transformer, ViT-S/16, in place of ResNet-50. Its 14 x 14 patches need two deconvolutions to
# the paper's 56 x 56, as many as ViTPose has. The rate is the paper's. Not in the paper, and not trained here.
#   tools/dist_train.sh configs/mion/mrt_vit-small_56x56_mixed.py 4
#   tools/dist_test.sh configs/mion/mrt_vit-small_56x56_mixed.py CHECKPOINT 4     (Human3.6M, protocol 2)
_base_ = ["./mrt_r50_56x56_mixed.py", "../_base_/vit-small-p16.py"]

backbone = dict(_base_.vit, _delete_=True)
model = dict(network=dict(backbone=backbone, neck=dict(in_channels=384, num_layers=2)))
optim_wrapper = dict(paramwise_cfg=_base_.paramwise_cfg)
