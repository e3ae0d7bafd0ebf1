# Stage 3 on a ViT-S/16 that DINO has taught without labels (Caron et al., 2021).
#   tools/dist_train.sh configs/mion/cen_vit-small-dino_224.py 4
#   tools/dist_test.sh configs/mion/cen_vit-small-dino_224.py work_dirs/cen_vit-small-dino_224/epoch_100.pth 4
# Other networks of the family, and frozen blocks: as in mrt_vit-small-dino_56x56_mixed.py, with model.cen.backbone.
_base_ = "./cen_vit-small_224.py"

model = dict(cen=dict(backbone=dict(model_name="vit_small_patch16_224.dino")))
