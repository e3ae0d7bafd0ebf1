# A plain vision transformer, ViT-S/16, below stages 2 and 3, and how fast its layers learn; as the small network of
# ViTPose in mmpose (td-hm_ViTPose-small) where no other source is named.
vit = dict(
    type="mion.TimmBackbone",
    model_name="vit_small_patch16_224.augreg_in21k",  # ImageNet-21k (Steiner et al., 2022); 14 x 14 patches
    weights="timm",  # which downloads them; without the internet FILE.safetensors
    final_norm=True,
    drop_path_rate=0.1,
)
# Pretrained layers learn the slower, the nearer they are to the image: each of 12 blocks at 0.8 of the next one's rate.
# By mmengine's own constructor: mmpose's for this knows no names but those of networks called backbone.* alone.
layer_decay = 0.8
paramwise_cfg = dict(
    custom_keys={
        **{f"backbone.network.blocks.{i}.": dict(lr_mult=layer_decay ** (12 - i)) for i in range(12)},
        **{
            f"backbone.network.{name}": dict(lr_mult=layer_decay**13)
            for name in ("patch_embed.", "pos_embed", "cls_token", "reg_token")
        },
    }
)
