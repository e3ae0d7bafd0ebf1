# The three stages at the paper's size on Human3.6M, protocol 2, by mmhuman3d's own tools:
#   python tools/test.py configs/mmhuman3d/mion_r50_56x56_h36m-test.py work_dirs/mion/epoch_60.pth \
#       --work-dir work_dirs/mion --metrics pa-mpjpe mpjpe
# Protocol 1: --cfg-options data.test.ann_file=h36m_valid_protocol1.npz
_base_ = ["./mion_r50_56x56_mixed.py"]

model = dict(
    backbone=dict(init_cfg=None),  # its weights are in the checkpoint
    cen=dict(type="CEN"),  # the paper's, as configs/mion/cen_r34_224.py trains it on mmengine
    cen_checkpoint="work_dirs/cen_r34_224/epoch_100.pth",
    selection="cen",
)
