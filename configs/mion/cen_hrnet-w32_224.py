# Stage 3 on HRNet-W32, whose coarsest map of four, 7 x 7, is averaged. Not in the paper, and not trained here.
#   tools/dist_train.sh configs/mion/cen_hrnet-w32_224.py 4
#   tools/dist_test.sh configs/mion/cen_hrnet-w32_224.py work_dirs/cen_hrnet-w32_224/epoch_100.pth 4
# From ImageNet: --cfg-options model.cen.backbone.weights=timm; as in cen_r34_224.py it starts from random weights.
_base_ = "./cen_r34_224.py"

backbone = dict(_delete_=True, type="mion.TimmBackbone", model_name="hrnet_w32.ms_in1k")
model = dict(cen=dict(backbone=backbone))

find_unused_parameters = True  # on several GPUs: HRNet's last stage also makes the finer maps, which nothing reads
