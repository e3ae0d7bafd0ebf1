# Stage 2 in a project of mmpose 1.x on ViTPose's small network, mmpretrain's vision transformer as mmpose's own ViTPose
# configs have it (pip install mmpretrain). Two deconvolutions as there, from 14 x 14 patches to the paper's 56 x 56.
#   mim train mmpose configs/mmpose/mrt_vitpose-small_56x56_synthetic.py
#   python tools/train.py configs/mmpose/mrt_vitpose-small_56x56_synthetic.py
_base_ = ["./mrt_hrnet-w32_56x56_synthetic.py"]

backbone = dict(
    _delete_=True,
    type="mmpretrain.VisionTransformer",
    arch=dict(embed_dims=384, num_layers=12, num_heads=12, feedforward_channels=1536),
    img_size=224,
    patch_size=16,
    qkv_bias=True,
    drop_path_rate=0.1,
    with_cls_token=False,
    out_type="featmap",
    patch_cfg=dict(padding=2),
    # mmpose's weights, if they are at hand: those of MAE, or of ViTPose behind prefix="backbone."; position embeddings
    # for 256 x 192 are resampled
    # init_cfg=dict(type="Pretrained", checkpoint="mae_pretrain_vit_small_20230913.pth"),
)
model = dict(network=dict(backbone=backbone, neck=dict(in_channels=384, num_layers=2)))

# ViTPose's decay by layer, 0.8; mmpose's constructor for it takes networks called backbone.* alone, and ours are
# network.backbone.*: all would learn at the head's rate
rates = {f"backbone.layers.{i}.": dict(lr_mult=0.8 ** (12 - i)) for i in range(12)}
rates.update({f"backbone.{name}": dict(lr_mult=0.8**13) for name in ("patch_embed.", "pos_embed")})
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=rates))
