# Stage 2 on a ViT-S/16 that DINO has taught without labels (Caron et al., 2021).
#   tools/dist_train.sh configs/mion/mrt_vit-small-dino_56x56_mixed.py 4
#   tools/dist_test.sh configs/mion/mrt_vit-small-dino_56x56_mixed.py CHECKPOINT 4     (Human3.6M, protocol 2)
# DINOv3: --cfg-options model.network.backbone.model_name=vit_small_patch16_dinov3.lvd1689m
# DINOv2, whose patches of 14 px timm resamples to 16: --cfg-options
#   model.network.backbone.model_name=vit_small_patch14_reg4_dinov2.lvd142m
#   model.network.backbone.img_size=224 model.network.backbone.patch_size=16
# Frozen, so that neck and transformer alone learn: --cfg-options model.network.backbone.frozen_stages=12
_base_ = ["./mrt_vit-small_56x56_mixed.py"]

model = dict(network=dict(backbone=dict(model_name="vit_small_patch16_224.dino")))
