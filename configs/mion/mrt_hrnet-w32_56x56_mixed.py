# Stage 2 on HRNet-W32, which keeps the paper's 56 x 56 from its stem to its end, so that no deconvolution is needed.
# Not in the paper, and not trained here.
#   tools/dist_train.sh configs/mion/mrt_hrnet-w32_56x56_mixed.py 4
#   tools/dist_test.sh configs/mion/mrt_hrnet-w32_56x56_mixed.py CHECKPOINT 4     (Human3.6M, protocol 2)
# By mmpose's HRNet, with weights trained for 2D keypoints: configs/mmpose/mrt_hrnet-w32_56x56_synthetic.py.
_base_ = ["./mrt_r50_56x56_mixed.py"]

backbone = dict(
    _delete_=True,
    type="mion.TimmBackbone",
    model_name="hrnet_w32.ms_in1k",  # its authors' (Wang et al., 2020), from ImageNet
    weights="timm",
    out_indices=(1,),  # of strides 2, 4, 8, 16, 32: the second
)
# a 1 x 1 convolution
model = dict(network=dict(backbone=backbone, neck=dict(in_channels=128, num_layers=0)))

find_unused_parameters = True  # on several GPUs: HRNet's last stage also makes the coarser maps, which nothing reads
