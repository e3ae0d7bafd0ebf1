# PARE of mmhuman3d as published (configs/pare/hrnet_w32_conv_pare_mix_cache.py there), tested on 3DPW.
#   tools/dist_train.sh configs/baselines/pare_hrnet-w32_mixed.py 8
#   tools/dist_test.sh configs/baselines/pare_hrnet-w32_mixed.py CHECKPOINT 8
# CHECKPOINT may be mmhuman3d's hrnet_w32_conv_pare_mosh.pth: MPJPE 81.79, PA-MPJPE 49.35 by its authors.
# Files: as pare_r50_mixed.py, and the backbone's, HRNet-W32 pretrained on COCO keypoints.
_base_ = ["./pare_r50_mixed.py"]

width = 32
model = dict(
    architecture=dict(
        backbone=dict(
            _delete_=True,
            type="PoseHighResolutionNet",
            num_joints=24,
            extra=dict(
                stage1=dict(num_modules=1, num_branches=1, block="BOTTLENECK", num_blocks=(4,), num_channels=(64,)),
                stage2=dict(
                    num_modules=1, num_branches=2, block="BASIC", num_blocks=(4, 4), num_channels=(width, width * 2)
                ),
                stage3=dict(
                    num_modules=4,
                    num_branches=3,
                    block="BASIC",
                    num_blocks=(4, 4, 4),
                    num_channels=(width, width * 2, width * 4),
                ),
                stage4=dict(
                    num_modules=3,
                    num_branches=4,
                    block="BASIC",
                    num_blocks=(4, 4, 4, 4),
                    num_channels=(width, width * 2, width * 4, width * 8),
                ),
                downsample=False,
                use_conv=True,
                pretrained_layers=[
                    "conv1",
                    "bn1",
                    "conv2",
                    "bn2",
                    "layer1",
                    "transition1",
                    "stage2",
                    "transition2",
                    "stage3",
                    "transition3",
                    "stage4",
                ],
                final_conv_kernel=1,
                return_list=False,
            ),
            init_cfg=dict(type="Pretrained", checkpoint="data/pretrained_models/hrnet_pretrain.pth"),
        ),
        head=dict(
            num_input_features=480,
            num_deconv_layers=2,
            num_deconv_filters=[128] * 2,
            num_deconv_kernels=[4] * 2,
            backbone="hrnet_w32-conv",
        ),
    )
)
