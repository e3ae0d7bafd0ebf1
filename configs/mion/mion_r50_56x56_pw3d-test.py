# The three stages at the paper's size on 3DPW's test set; each was trained before.
#   python tools/test.py configs/mion/mion_r50_56x56_pw3d-test.py --out metrics.json
# The paper: MPJPE 81.98, PA-MPJPE 52.34 mm (table 5), vertices 0.094 m and betas 3.227 off (table 6).
_base_ = ["../_base_/default_runtime.py", "../_base_/pw3d_224.py", "../_base_/mion_r50_56x56.py"]

model = dict(refiner=dict(backbone=dict(weights=None)))  # they are in the checkpoint
# "chosen" is what model.selection says, by default the network's choice
test_evaluator = dict(choosers=("chosen", "first", "reprojection", "cen+reprojection"))
