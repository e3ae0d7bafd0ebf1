# Stage 3 on a plain vision transformer, ViT-S/16, in place of ResNet-34: image and PNCC in six channels. Behind
# ImageNet's weights its filters for PNCC start at zero. Not in the paper, and not trained here.
#   tools/dist_train.sh configs/mion/cen_vit-small_224.py 4
#   tools/dist_test.sh configs/mion/cen_vit-small_224.py work_dirs/cen_vit-small_224/epoch_100.pth 4
_base_ = ["./cen_r34_224.py", "../_base_/vit-small-p16.py"]

model = dict(cen=dict(backbone=dict(_base_.vit, _delete_=True)))
optim_wrapper = dict(
    # that of stage 2 (3.4): SGD at 0.01 is the paper's for a ResNet, and transformers are trained with Adam
    optimizer=dict(_delete_=True, type="AdamW", lr=5e-5, weight_decay=1e-4),
    paramwise_cfg=_base_.paramwise_cfg,
)
